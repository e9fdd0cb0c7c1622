"""Reader of objects in an S3 bucket, by boto3."""

import posixpath
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header
from itertools import islice, repeat
from typing import Any, ClassVar
from urllib.parse import urlsplit

from moat.access.access_files import LONGEST, text_of
from moat.access.file_names import looks_like
from moat.access.policy import Access
from moat.access.rules import Facts, Needs
from moat.connections import Connection
from moat.declarations import declared
from moat.errors import AccessUnknown, FatalError, MoatError, SourceUnavailable
from moat.loopback import is_loopback
from moat.metadata import metadata_of
from moat.readers.left_out import LEFT_OUT, LeaveOut
from moat.readers.reader import Fetched, Gone, Patterns, Reading, notes_of, too_large, unreadable
from moat.records import Listed, Planned, RawDocument, SetAside

AT_ONCE = 16  # parallel requests for tags or objects
TRIES = 3  # for an object that is overwritten while it is fetched
PIECE = 1 << 20
NO_TAGS = "its tags cannot be read"
A_PAGE = 1_000  # keys of one answer to a listing
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
        metadata: Names of the objects' own metadata (`x-amz-meta-…`) that the documents keep; `("*",)`: all of it.

    Example:
        Contracts as PDF:

            S3Objects(conn_id="contracts_s3", bucket="legal", prefix="contracts/", patterns=("*.pdf",))
    """

    conn_id: str
    bucket: str
    prefix: str = ""
    patterns: tuple[str, ...] = ("*",)
    leave_out: tuple[str, ...] = LEFT_OUT
    metadata: tuple[str, ...] = ()
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

    endpoint = connection.extra.get("endpoint_url")
    here = endpoint and is_loopback(urlsplit(endpoint).hostname or "")
    config = Config(
        proxies={} if here else None,  # a server on this machine is behind no proxy, whatever the environment says
        retries={"mode": "standard", "max_attempts": 5},
        max_pool_connections=AT_ONCE,
        connect_timeout=10,
        read_timeout=60,
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=connection.extra.get("region_name", "us-east-1"),
        aws_access_key_id=connection.login or None,
        aws_secret_access_key=connection.password or None,
        aws_session_token=connection.extra.get("aws_session_token"),
        config=config,
    )


Judge = Callable[[Facts], Access]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """An object's content, to be judged."""

    content: bytes
    etag: str
    fingerprint: str
    modified: float  # seconds of the epoch
    metadata: tuple[str, ...]


class _OpenBucket:
    def __init__(self, client: Any, declared_as: S3Objects, reading: Reading) -> None:
        self._s3, self._bucket, self._prefix = client, declared_as.bucket, declared_as.prefix
        self._matches, self._reading = Patterns(declared_as.patterns), reading
        self._leave_out, self._metadata = declared_as.leave_out, declared_as.metadata
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
        for line in (*self._matches.notes(), *notes_of(judge)):
            self._reading.progress(f"{self._reading.source}: {line}")

    def _is_document(self, key: str, leave_out: LeaveOut) -> bool:
        name = posixpath.basename(key)
        if name.startswith(".") or not self._matches(key):
            return False
        if not name:  # the mark of a folder
            leave_out.count(key)
        return bool(name) and not leave_out(key)

    def _listed(self, found: Mapping[str, Any], judge: Judge) -> Listed | None:
        """List an object with its access; None if it is gone."""
        key = found["Key"]
        try:
            access = self._access(key, judge)
        except _Missing:
            return None
        return self._reading.listed(key, self._uri(key), self._fingerprint(found), found["Size"], lambda: access)

    def _access(self, key: str, judge: Judge) -> Access:
        """Judge an object; unknown if its tags are refused. Raises _Missing."""
        tags = dict[str, str]()
        try:
            if self._reading.rule.needs == "tags":
                tags = self._tags(key)
            return judge(Facts(key, tags=tags))
        except _Refused as error:
            self._refused.add(key)
            return Access.unknown(f"{NO_TAGS}: {error}")
        except AccessUnknown as error:
            return Access.unknown(str(error))

    def _fingerprint(self, found: Mapping[str, Any]) -> str:
        """ETag and version id of an object, which change with every write of its content.

        Where its metadata counts, also the second of its last write: metadata may change alone.
        """
        written = f" {found['LastModified']:%Y%m%d%H%M%S}" if self._metadata else ""
        return f"{found['ETag']} {found.get('VersionId') or 'null'}{written}"

    def _uri(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"

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
                read = list(pool.map(self._read, window))
                judge = self._reading.rule.judge(
                    self._beside
                )  # after the texts, so that no text is newer than its access
                yield from pool.map(self._judged, window, read, repeat(judge))

    def _read(self, one: Planned) -> "Fetched | _Read":
        """Read the current content of an object, again if it is overwritten meanwhile."""
        etag = one.fingerprint.split(" ")[0]
        for _ in range(TRIES):
            try:
                with self._mapped(one.uri):
                    answer = self._s3.get_object(Bucket=self._bucket, Key=one.key, IfMatch=etag)
                    if answer["ContentLength"] > self._reading.max_bytes:
                        return too_large(one, answer["ContentLength"], self._reading.max_bytes)
                    return _Read(
                        content=_streamed(answer["Body"]),
                        etag=answer["ETag"],
                        fingerprint=self._fingerprint(answer),
                        modified=answer["LastModified"].timestamp(),
                        metadata=_metadata(answer["Metadata"], self._metadata),
                    )
            except _Missing:
                return Gone(one.key)
            except _Refused as error:
                return unreadable(one, str(error))
            except _Overwritten:
                try:
                    etag = self._etag(one)
                except _Missing:
                    return Gone(one.key)
                except _Refused as error:
                    return unreadable(one, str(error))
        raise SourceUnavailable(f"{one.uri} was overwritten {TRIES} times while it was fetched; try again later")

    def _judged(self, one: Planned, read: "Fetched | _Read", judge: Judge) -> Fetched:
        """Judge a document after its content was read; both again if it is overwritten between the two.

        A tag belongs to a version: what is overwritten must not be read with the access of what came after it.
        """
        name = posixpath.basename(one.key)
        for _ in range(TRIES):
            if not isinstance(read, _Read):
                return read
            try:
                access = self._access(one.key, judge)
                answer = self._reading.fetched(
                    one,
                    name,
                    read.content,
                    read.fingerprint,
                    lambda: access,  # noqa: B023
                    modified=read.modified,
                    metadata=read.metadata,
                )
                if self._belong_together(one, read, answer):
                    return answer
            except _Missing:
                return Gone(one.key)
            except _Refused as error:
                return unreadable(one, str(error))
            read, judge = self._read(one), self._reading.rule.judge(self._beside)
        raise SourceUnavailable(f"{one.uri} was overwritten {TRIES} times while it was fetched; try again later")

    def _belong_together(self, one: Planned, read: _Read, answer: RawDocument | SetAside) -> bool:
        """Whether an access was read of the same version as the content."""
        if isinstance(answer, SetAside) or self._reading.rule.needs == "nothing":
            return True
        as_listed = answer.policy == one.policy and read.etag == one.fingerprint.split(" ")[0]
        return as_listed or self._etag(one) == read.etag

    def _etag(self, one: Planned) -> str:
        with self._mapped(one.uri):
            return str(self._s3.head_object(Bucket=self._bucket, Key=one.key)["ETag"])

    def _beside(self, path: str) -> str | None:
        folder, slash, name = path.rpartition("/")
        try:
            if near := self._nearly(folder + slash, name):
                raise AccessUnknown(f"{near!r} beside it looks like one and is not named {name!r}; rename or remove it")
            with self._mapped(self._uri(path)):
                answer = self._s3.get_object(Bucket=self._bucket, Key=path)
                with closing(answer["Body"]) as body:
                    return text_of(body.read(LONGEST + 1))
        except _Missing:
            return None
        except _Refused as error:
            raise AccessUnknown(str(error)) from error

    def _nearly(self, folder: str, wanted: str) -> str:
        """A name in a folder that is nearly that of its access file; empty without one.

        A folder with more keys than one page holds is not listed again as a whole: only those that begin as such a
        name does. Above the reader's prefix, listing may be refused to the keys of the connection.
        """
        try:
            keys, whole = self._some(folder)
            if not whole:
                stem = wanted.lstrip(".")[:3]
                begin = (".", "_", stem.lower(), stem.upper(), stem.capitalize())
                keys += [key for start in begin for key in self._some(f"{folder}{start}")[0]]
        except _Refused:
            if folder.startswith(self._prefix):
                raise
            return ""
        names = {key[len(folder) :] for key in keys}
        return min((name for name in names if looks_like(name, wanted)), default="")

    def _some(self, prefix: str) -> tuple[list[str], bool]:
        """The first keys with a prefix and no further `/`, and whether these are all."""
        with self._mapped(self._uri(prefix)):
            page = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=prefix, Delimiter="/", MaxKeys=A_PAGE)
        return [found["Key"] for found in page.get("Contents", ())], not page.get("IsTruncated", False)

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
                raise SourceUnavailable(f"source {self._reading.source}: {what}: {code} ({status})") from None
            why = f"{code} ({status})"  # the server's own words may quote what it was sent
            raise (FatalError if code in NOT_THE_OBJECTS else _Refused)(
                f"source {self._reading.source}: {what}: {why}. "
                "Check the connection's keys, the bucket's name and its policy."
            ) from error
        except FlexibleChecksumError:  # it stays wrong however often it is fetched
            raise _Refused(f"source {self._reading.source}: {what}: its checksum is wrong.") from None
        except BotoCoreError as error:
            raise SourceUnavailable(f"source {self._reading.source}: {what}: {type(error).__name__}") from None


class _Missing(MoatError):
    """The object is not there."""


class _Overwritten(MoatError):
    """The object is not the one that was listed."""


class _Refused(FatalError):
    """The server refuses a request: it sets an object aside, and ends a listing."""


def _metadata(found: Mapping[str, str], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Declared metadata of an object."""
    names = {name.lower() for name in wanted}
    kept: dict[object, object] = {
        name: _decoded(value) for name, value in found.items() if "*" in names or name.lower() in names
    }
    return metadata_of(kept).pairs


def _decoded(value: str) -> str:
    """A value as it was meant: outside of ASCII it is encoded as in a mail (RFC 2047)."""
    try:
        return str(make_header(decode_header(value))) if value.startswith("=?") else value
    except (ValueError, LookupError, MessageError):
        return value


def _streamed(body: Any) -> bytes:
    """Read a response's body piece by piece, through a file that spills to disk."""
    with tempfile.SpooledTemporaryFile(8 << 20) as spool:
        for piece in body.iter_chunks(PIECE):
            spool.write(piece)
        spool.seek(0)
        return spool.read()
