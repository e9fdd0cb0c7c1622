"""Reader of objects in an S3 bucket, by boto3."""

import posixpath
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, ClassVar

from moat.access.policy import Access
from moat.access.rules import Facts, Needs
from moat.connections import Connection
from moat.declarations import declared
from moat.errors import FatalError, MoatError, SourceUnavailable
from moat.readers.left_out import LEFT_OUT, LeaveOut
from moat.readers.reader import Fetched, Gone, Reading, matcher, raw, too_large, unreadable
from moat.records import Listed, Planned

AT_ONCE = 16  # parallel requests for tags or objects
TRIES = 3  # for an object that is overwritten while it is fetched
PIECE = 1 << 20
NO_TAGS = "its tags cannot be read"
NOT_YAML = "\0"  # for an access file that is no text, or refused: access to what it governs is unknown
# Errors about the caller or the bucket; any other refusal is about the requested object.
NOT_THE_OBJECTS = {
    "AccountProblem",
    "AllAccessDisabled",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NoSuchBucket",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}


@declared
class S3Objects:
    """Read every object below a prefix that matches the patterns.

    The key is the object's key. Names that begin with a dot are left out. In a bucket with versions, the
    current version is read.

    Attributes:
        conn_id: Connection of type `aws`: login and password are the keys, without them the machine's own
            credentials apply; extra `endpoint_url` and `region_name` lead to any S3-compatible server.
        bucket: Name of the bucket.
        prefix: Prefix of the keys; empty: the whole bucket.
        patterns: Patterns of keys as in .gitignore: the last that matches decides, and `!` leaves out.
        leave_out: Patterns as in .gitignore of objects that programs leave beside documents, such as `_SUCCESS`,
            `~$report.docx` and marks of folders. They are counted and named as progress.

    Example:
        Contracts as PDF:

            S3Objects(conn_id="contracts_s3", bucket="legal", prefix="contracts/", patterns=("*.pdf",))
    """

    conn_id: str
    bucket: str
    prefix: str = ""
    patterns: tuple[str, ...] = ("*",)
    leave_out: tuple[str, ...] = LEFT_OUT
    offers: ClassVar[frozenset[Needs]] = frozenset({"nothing", "files beside", "tags"})

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        return [f"{name} is empty" for name in ("conn_id", "bucket", "patterns") if not getattr(self, name)]

    @contextmanager
    def open(self, reading: Reading) -> "Iterator[_OpenBucket]":
        """Open the bucket with the connection's keys."""
        client = client_of(reading.connections.get(self.conn_id))
        try:
            yield _OpenBucket(client, self, reading)
        finally:
            client.close()


def client_of(connection: Connection) -> Any:
    """Make a boto3 client of an `aws` connection.

    Without keys, the machine's own credentials apply.
    """
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "max_attempts": 5},
        max_pool_connections=AT_ONCE,
        connect_timeout=10,
        read_timeout=60,
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=connection.extra.get("endpoint_url"),
        region_name=connection.extra.get("region_name", "us-east-1"),
        aws_access_key_id=connection.login or None,
        aws_secret_access_key=connection.password or None,
        aws_session_token=connection.extra.get("aws_session_token"),
        config=config,
    )


class _OpenBucket:
    def __init__(self, client: Any, declared_as: S3Objects, reading: Reading) -> None:
        self._s3, self._bucket, self._prefix = client, declared_as.bucket, declared_as.prefix
        self._matches, self._reading = matcher(declared_as.patterns), reading
        self._leave_out = declared_as.leave_out
        self._refused = set[str]()  # keys whose tags may not be read

    def listing(self) -> Iterator[Listed]:
        judge = self._reading.rule.judge(self._beside)
        leave_out = LeaveOut(self._leave_out, self._reading)
        wanted = (o for o in self._objects() if self._is_document(o["Key"], leave_out))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for window in iter(lambda: list(islice(wanted, 1_000)), []):
                found = [one for one in pool.map(lambda o: self._listed(o, judge), window) if one is not None]
                if len(found) > 1 and self._refused.issuperset(one.key for one in found):
                    raise FatalError(
                        f"source {self._reading.source}: {found[0].reason}; so it is of {len(found):,} objects in a row. "
                        "Allow s3:GetObjectTagging to the connection's keys"
                    )
                yield from found
        leave_out.tell()

    def _is_document(self, key: str, leave_out: LeaveOut) -> bool:
        name = posixpath.basename(key)
        if name.startswith(".") or not self._matches(key):
            return False
        if not name:  # the mark of a folder
            leave_out.count(key)
        return bool(name) and not leave_out(key)

    def _listed(self, found: Mapping[str, Any], judge: Callable[[Facts], Access]) -> Listed | None:
        """List an object with its access; None if it is gone.

        Access is unknown if its tags are refused.
        """
        key = found["Key"]
        uri, tags, refusal = f"s3://{self._bucket}/{key}", dict[str, str](), ""
        if self._reading.rule.needs == "tags":
            try:
                tags = self._tags(key)
            except _Missing:
                return None
            except _Refused as error:
                refusal = str(error)
                self._refused.add(key)

        def access() -> Access:
            return Access.unknown(f"{NO_TAGS}: {refusal}") if refusal else judge(Facts(key, tags=tags))

        return self._reading.listed(key, uri, _fingerprint(found), found["Size"], access)

    def _objects(self) -> Iterator[Mapping[str, Any]]:
        """Yield every object below the prefix, page by page, in its current version."""
        with self._mapped(f"s3://{self._bucket}/{self._prefix}"):
            versioned = self._s3.get_bucket_versioning(Bucket=self._bucket).get("Status") == "Enabled"
            operation, name = ("list_object_versions", "Versions") if versioned else ("list_objects_v2", "Contents")
            for page in self._s3.get_paginator(operation).paginate(Bucket=self._bucket, Prefix=self._prefix):
                yield from (o for o in page.get(name, ()) if o.get("IsLatest", True))

    def _tags(self, key: str) -> dict[str, str]:
        """Read an object's tags. Raises _Missing, _Refused."""
        with self._mapped(f"s3://{self._bucket}/{key}"):
            answer = self._s3.get_object_tagging(Bucket=self._bucket, Key=key)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def fetch(self, wanted: Iterable[Planned]) -> Iterator[Fetched]:
        todo = iter(wanted)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while window := list(islice(todo, AT_ONCE)):
                yield from pool.map(self._fetched, window)

    def _fetched(self, one: Planned) -> Fetched:
        """Fetch the current content of an object, again if it is overwritten meanwhile."""
        etag = one.fingerprint.split(" ")[0]
        for _ in range(TRIES):
            try:
                with self._mapped(one.uri):
                    answer = self._s3.get_object(Bucket=self._bucket, Key=one.key, IfMatch=etag)
                    if answer["ContentLength"] > self._reading.max_bytes:
                        return too_large(one, answer["ContentLength"], self._reading.max_bytes)
                    return raw(one, posixpath.basename(one.key), _streamed(answer["Body"]), _fingerprint(answer))
            except _Missing:
                return Gone(one.key)
            except _Refused as error:
                return unreadable(one, str(error))
            except _Overwritten:
                try:
                    with self._mapped(one.uri):
                        etag = self._s3.head_object(Bucket=self._bucket, Key=one.key)["ETag"]
                except _Missing:
                    return Gone(one.key)
                except _Refused as error:
                    return unreadable(one, str(error))
        raise SourceUnavailable(f"{one.uri} was overwritten {TRIES} times while it was fetched; try again later")

    def _beside(self, path: str) -> str | None:
        try:
            with self._mapped(f"s3://{self._bucket}/{path}"):
                body = self._s3.get_object(Bucket=self._bucket, Key=path)["Body"].read()
        except _Missing:
            return None
        except _Refused:
            return NOT_YAML
        try:
            return str(body.decode("utf-8"))
        except UnicodeDecodeError:
            return NOT_YAML

    @contextmanager
    def _mapped(self, what: str) -> Iterator[None]:
        """Map errors of boto3, named by what happens next."""
        from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError

        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
            if code in {"NoSuchKey", "404", "NotFound"}:
                raise _Missing(f"{what} is not there") from error
            if code in {"PreconditionFailed", "412"}:
                raise _Overwritten(f"{what} was overwritten") from error
            if status == 429 or status >= 500 or code in {"SlowDown", "RequestTimeout"} or "Throttl" in code:
                raise SourceUnavailable(
                    f"source {self._reading.source}: {what}: {code} {error.response['Error'].get('Message', '')}"
                ) from error
            why = f"{code} {error.response['Error'].get('Message', '')}".rstrip(". ")
            raise (FatalError if code in NOT_THE_OBJECTS else _Refused)(
                f"source {self._reading.source}: {what}: {why}. "
                "Check the connection's keys, the bucket's name and its policy."
            ) from error
        except FlexibleChecksumError as error:  # it stays wrong however often it is fetched
            raise _Refused(f"source {self._reading.source}: {what}: {error}.") from error
        except BotoCoreError as error:
            raise SourceUnavailable(f"source {self._reading.source}: {what}: {error}") from error


class _Missing(MoatError):
    """The object is not there."""


class _Overwritten(MoatError):
    """The object is not the one that was listed."""


class _Refused(FatalError):
    """The server refuses a request: it sets an object aside, and ends a listing."""


def _fingerprint(found: Mapping[str, Any]) -> str:
    """ETag and version id of an object, which change with every write."""
    return f"{found['ETag']} {found.get('VersionId') or 'null'}"


def _streamed(body: Any) -> bytes:
    """Read a response's body piece by piece, through a file that spills to disk."""
    with tempfile.SpooledTemporaryFile(8 << 20) as spool:
        for piece in body.iter_chunks(PIECE):
            spool.write(piece)
        spool.seek(0)
        return spool.read()
