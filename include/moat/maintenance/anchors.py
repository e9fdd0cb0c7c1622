"""anchor: write the audit's newest hash outside of the ledger, where it is never overwritten.

Whoever can write to the ledger's database could write the whole chain anew. An anchor tells, for a number of
rows, the hash that covers them all: a chain that was written anew does not fit the anchors from before.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from moat.connections import Connection, Connections
from moat.errors import AuditBroken, StagingError
from moat.ledger import Ledger, audit
from moat.ledger.audit import Verified
from moat.runtime import Runtime
from moat.settings import Settings

KEPT = timedelta(days=400)  # that a bucket with object lock keeps an anchor from everybody
FOLDER = ".audit"  # beside staging, where no source can have its files


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """One head of the audit, as written down outside of the ledger."""

    tenant: str
    number: int  # 1, 2, …: a gap is an anchor that was removed
    rows: int  # that the head covers
    head: str  # hash of the last of them
    at: str

    def text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


class Place(Protocol):
    """Where anchors are kept: files that are written once."""

    uri: str

    def names(self) -> Sequence[str]:
        """Names of all anchors, sorted."""

    def read(self, name: str) -> bytes:
        """What was first written under a name. Raises StagingError."""

    def write(self, name: str, content: bytes) -> bool:
        """Write a name that is not there yet; False if it is. Raises StagingError."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A chain that fits its anchors, how many there are, and the numbers of those that are missing."""

    verified: Verified
    anchors: int
    missing: tuple[int, ...]


def anchor(runtime: Runtime) -> Anchor | None:
    """Write the audit's head outside of the ledger; the newest anchor must still fit.

    Args:
        runtime: Ledger, settings and connections.

    Returns:
        The new anchor, or the newest one if nothing happened since; None for an audit without rows.

    Raises:
        AuditBroken: The chain does not fit the newest anchor: rows were removed or written anew.
        StagingError: The place of anchors cannot be read or written.
    """
    ledger, place = runtime.ledger, place_of(runtime.settings, runtime.connections)
    names = place.names()
    newest = _read(place, names[-1], ledger.tenant) if names else None
    if newest is not None and not audit.covers(ledger, newest.rows, newest.head):
        raise AuditBroken(_misfit(newest))
    rows, head, action = audit.head(ledger)
    if not rows or (newest is not None and (newest.rows == rows or (action == "anchor" and newest.rows == rows - 1))):
        return newest
    number = max([0, *_recorded(ledger, newest=1), *([newest.number] if newest else [])]) + 1
    made = Anchor(
        tenant=ledger.tenant, number=number, rows=rows, head=head, at=datetime.now(UTC).isoformat(timespec="seconds")
    )
    if not place.write(_name(number), made.text().encode()):
        raise StagingError(f"anchor {number} is in {place.uri} already: another process writes one now; run it again")
    detail = {"number": number, "rows": rows, "head": head, "where": place.uri}
    with ledger.write() as connection:
        audit.record(connection, ledger.tenant, actor="moat", action="anchor", subject="audit", detail=detail)
    return made


def compare(runtime: Runtime, head: str | None = None, progress: Any = lambda line: None) -> Compared:
    """Verify the whole chain, and compare it with every anchor.

    Args:
        runtime: Ledger, settings and connections.
        head: A hash noted elsewhere, that must occur in the chain.
        progress: Receives a line per 100,000 rows.

    Returns:
        The verified chain, with the number of its anchors and those that are missing.

    Raises:
        AuditBroken: Names the first invalid row, or the first anchor that does not fit.
        StagingError: The place of anchors cannot be read.
    """
    ledger = runtime.ledger
    place = place_of(runtime.settings, runtime.connections)
    found = [_read(place, name, ledger.tenant) for name in place.names()]
    verified = audit.verify(ledger, head, progress, {one.rows: (one.head, _misfit(one)) for one in reversed(found)})
    there = {one.number for one in found}
    expected = {*range(1, max(there, default=0) + 1), *_recorded(ledger)}
    return Compared(verified, len(found), tuple(sorted(expected - there)))


def place_of(settings: Settings, connections: Connections) -> Place:
    """Where the anchors of these settings are kept."""
    uri = f"{(settings.audit_uri or f'{settings.staging}/{FOLDER}').rstrip('/')}/{settings.tenant}"
    if not uri.startswith("s3://"):
        return _Folder(uri)
    conn_id = settings.staging_conn_id
    own = Connection(conn_id="", conn_type="aws")  # the machine's credentials
    return _Bucket(uri, connections.get(conn_id) if conn_id else own)


class _Folder:
    def __init__(self, uri: str) -> None:
        self.uri, self._folder = uri, Path(uri)

    def names(self) -> Sequence[str]:
        return sorted(file.name for file in self._folder.glob("*.json"))

    def read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise StagingError(f"the anchor {self.uri}/{name} cannot be read: {error}") from error

    def write(self, name: str, content: bytes) -> bool:
        draft = self._folder / f"{name}.{os.getpid()}.draft"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o400)
            with open(descriptor, "wb") as sink:
                sink.write(content)
                sink.flush()
                os.fsync(sink.fileno())
            os.link(draft, self._folder / name)  # unlike a rename, it never replaces what is there
        except FileExistsError:
            return False
        except OSError as error:
            raise StagingError(f"the anchor {self.uri}/{name} cannot be written: {error}") from error
        finally:
            draft.unlink(missing_ok=True)
        return True


class _Bucket:
    """A prefix in S3. Of a name that was written twice all the same, the first version counts."""

    def __init__(self, uri: str, connection: Connection) -> None:
        from moat.readers.s3_objects import client_of

        self.uri, self._s3 = uri, client_of(connection)
        self._bucket, _, self._prefix = uri.removeprefix("s3://").partition("/")
        self._first: dict[str, str] = {}

    def names(self) -> Sequence[str]:
        with _mapped(self.uri):
            pages = self._s3.get_paginator("list_object_versions")
            versions = [
                (one["Key"], one["LastModified"], one.get("VersionId") or "null")
                for page in pages.paginate(Bucket=self._bucket, Prefix=f"{self._prefix}/")
                for one in page.get("Versions", ())
            ]
        for key, _, version in sorted(versions, key=lambda v: v[1], reverse=True):
            self._first[key.rpartition("/")[2]] = version
        return sorted(name for name in self._first if name.endswith(".json"))

    def read(self, name: str) -> bytes:
        version = self._first.get(name, "null")
        of = {} if version == "null" else {"VersionId": version}
        with _mapped(f"{self.uri}/{name}"):
            found = self._s3.get_object(Bucket=self._bucket, Key=f"{self._prefix}/{name}", **of)
            return bytes(found["Body"].read())

    def write(self, name: str, content: bytes) -> bool:
        from botocore.exceptions import ClientError

        with _mapped(f"{self.uri}/{name}"):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=f"{self._prefix}/{name}",
                    Body=content,
                    ContentType="application/json",
                    IfNoneMatch="*",
                    **self._lock(),
                )
            except ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 412:
                    return False
                raise
        return True

    def _lock(self) -> dict[str, Any]:
        """What keeps an object from everybody, where the bucket has object lock."""
        from botocore.exceptions import ClientError

        try:
            found = self._s3.get_object_lock_configuration(Bucket=self._bucket)
        except ClientError:  # no lock, or no right to ask: then the name alone is protected
            return {}
        if found.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") != "Enabled":
            return {}
        return {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": datetime.now(UTC) + KEPT}


class _mapped:  # noqa: N801  used as a context
    """Turn what boto3 raises into StagingError; a foreign server's words stay out of it."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            raise StagingError(f"{self._uri}: S3 answers {error.response.get('Error', {}).get('Code')}") from error
        if isinstance(error, BotoCoreError):
            raise StagingError(f"{self._uri}: {type(error).__name__}") from error


def _read(place: Place, name: str, tenant: str) -> Anchor:
    """One anchor of a tenant. Raises AuditBroken if it is not what was written under its name."""
    try:
        told: Mapping[str, Any] = json.loads(place.read(name))
        one = Anchor(**{field: told[field] for field in Anchor.__dataclass_fields__})
        if (one.tenant, _name(one.number)) != (tenant, name) or type(one.rows) is not int:
            raise ValueError("it is another tenant's, or has another's name")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise AuditBroken(f"the anchor {place.uri}/{name} was changed: {type(error).__name__}") from error
    return one


def _recorded(ledger: Ledger, newest: int = 1_000_000) -> set[int]:
    """Numbers of the newest anchors that the audit itself tells of."""
    return {int(number) for e in audit.tail(ledger, newest, "anchor") if (number := e.detail.get("number"))}


def _name(number: int) -> str:
    return f"{number:08}.json"


def _misfit(one: Anchor) -> str:
    return (
        f"the audit does not fit anchor {one.number}, written at {one.at}: row number {one.rows:,} of this tenant had "
        f"hash {one.head} then. Rows up to there were removed or written anew"
    )
