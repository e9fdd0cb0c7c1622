"""The audit: append-only rows in a hash chain. It holds no document text."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from moat.errors import AuditBroken
from moat.ids import joined, text_hash
from moat.ledger import Ledger, add
from moat.ledger.tables import audit, audit_head

TELL_EVERY = 100_000  # rows per progress line


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the audit; `previous` is the preceding row's hash."""

    id: int
    tenant: str
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]
    previous: str
    hash: str

    def holds(self) -> bool:
        """Whether the stored hash matches the row's contents."""
        return self.hash == _hash(
            self.previous,
            self.tenant,
            at=self.at,
            actor=self.actor,
            action=self.action,
            subject=self.subject,
            detail=self.detail,
        )


@dataclass(frozen=True, slots=True)
class Verified:
    """A valid chain: number of rows and newest hash, which covers all."""

    rows: int
    head: str


def record(
    connection: Connection, tenant: str, actor: str, action: str, subject: str, detail: Mapping[str, Any]
) -> str:
    """Append one row in the transaction of the change it records; returns its hash."""
    add(connection, audit_head, [{"tenant": tenant, "hash": ""}])
    head = select(audit_head.c.hash).where(audit_head.c.tenant == tenant).with_for_update()
    previous = connection.execute(head).scalar_one()
    at = datetime.now(UTC)
    actor, action, subject = (_storable(word).replace("\x00", "\ufffd") for word in (actor, action, subject))
    # One JSON round trip, so that the hash covers what will be read back: numeric keys become strings.
    kept = json.loads(_storable(json.dumps(dict(detail), ensure_ascii=False, default=str)), parse_constant=str)
    row_hash = _hash(previous, tenant, at=at, actor=actor, action=action, subject=subject, detail=kept)
    connection.execute(
        insert(audit).values(
            tenant=tenant,
            at=at,
            actor=actor,
            action=action,
            subject=subject,
            detail=kept,
            previous=previous,
            hash=row_hash,
        )
    )
    connection.execute(update(audit_head).where(audit_head.c.tenant == tenant).values(hash=row_hash))
    return row_hash


def head(ledger: Ledger) -> tuple[int, str, str]:
    """Number of rows, and the newest one's hash and action; empty without rows."""
    mine = audit.c.tenant == ledger.tenant
    newest = select(audit.c.hash, audit.c.action).where(mine).order_by(audit.c.id.desc()).limit(1)
    with ledger.read() as connection:
        row = connection.execute(newest).first()
        return (connection.scalar(select(func.count()).where(mine)) or 0, row.hash, row.action) if row else (0, "", "")


def covers(ledger: Ledger, n: int, row_hash: str) -> bool:
    """Whether the n-th row of the audit has this hash."""
    nth = select(audit.c.hash).where(audit.c.tenant == ledger.tenant).order_by(audit.c.id).offset(n - 1).limit(1)
    with ledger.read() as connection:
        return bool(connection.scalar(nth) == row_hash)


def verify(
    ledger: Ledger,
    head: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
    anchors: Mapping[int, tuple[str, str]] = MappingProxyType({}),
) -> Verified:
    """Verify every row and the chain.

    Without `head` and `anchors`, a chain that was rewritten as a whole passes: anyone who can write to the
    database can do that.

    Args:
        ledger: The ledger.
        head: A hash noted earlier, outside of the ledger, that must occur in the chain.
        progress: Receives one line per 100,000 rows.
        anchors: Hash of the n-th row as noted outside of the ledger, and what is said if it is another.

    Raises:
        AuditBroken: Names the first row that is not valid.
    """
    last: Entry | None = None
    n, found = 0, head is None
    with ledger.read() as connection:
        _one_state(connection)
        newest = connection.scalar(select(audit_head.c.hash).where(audit_head.c.tenant == ledger.tenant)) or ""
        for entry in _entries(connection, ledger.tenant):
            if not entry.holds():
                raise AuditBroken(f"row {entry.id} of the audit was changed: its own hash does not come out again")
            if entry.previous != (last.hash if last else ""):
                raise AuditBroken(_broken(connection, last, entry))
            last, n, found = entry, n + 1, found or entry.hash == head
            if n in anchors and anchors[n][0] != entry.hash:
                raise AuditBroken(anchors[n][1])
            if n % TELL_EVERY == 0:
                progress(f"audit: {n:,} rows hold")
        if newest != (last.hash if last else ""):
            raise AuditBroken(_cut(connection, ledger.tenant, last, newest))
    if beyond := [at for at in sorted(anchors) if at > n]:
        raise AuditBroken(f"{anchors[beyond[0]][1]}: it has {n:,} rows now")
    if not found:
        raise AuditBroken(
            f"hash {head} is not in the audit, whose {n:,} rows hold by themselves: rows were cut off and the rest was "
            "written anew after that hash was written down. Compare with the export that it was taken from"
        )
    return Verified(n, newest)


def tail(ledger: Ledger, n: int, action: str | None = None, actor: str | None = None) -> list[Entry]:
    """The newest rows in ascending order, optionally of one action or actor."""
    query = select(*_COLUMNS).where(audit.c.tenant == ledger.tenant).order_by(audit.c.id.desc()).limit(n)
    for column, value in ((audit.c.action, action), (audit.c.actor, actor)):
        if value is not None:
            query = query.where(column == value)
    with ledger.read() as connection:
        return [_entry(row) for row in connection.execute(query)][::-1]


def rows(ledger: Ledger, since: datetime | None = None) -> Iterator[Entry]:
    """Stream all rows since a time, oldest first."""
    with ledger.read() as connection:
        yield from _entries(connection, ledger.tenant, since)


def exported(entry: Entry) -> str:
    """One row as a JSON line that can be verified without Moat.

    In a file of such lines, `previous` of each is `hash` of the line before. A row's hash is
    SHA-256 over seven texts, each with its length in bytes in front:

        import hashlib, json, pathlib
        for line in pathlib.Path(FILE).read_text("utf-8").split("\\n")[:-1]:
            row = json.loads(line)
            detail = json.dumps(row["detail"], sort_keys=True, ensure_ascii=False)
            texts = [row[n] for n in ("previous", "tenant", "at", "actor", "action", "subject")] + [detail]
            joined = "".join(f"{len(text.encode())}:{text}" for text in texts)
            assert hashlib.sha256(joined.encode()).hexdigest() == row["hash"], row["id"]
    """
    plain = {name: getattr(entry, name) for name in Entry.__dataclass_fields__}
    return json.dumps({**plain, "at": entry.at.isoformat()}, ensure_ascii=False)


_COLUMNS: list[Any] = [audit.c[name] for name in Entry.__dataclass_fields__]


def _entry(row: Row[Any]) -> Entry:
    return Entry(**row._mapping)


def _entries(connection: Connection, tenant: str, since: datetime | None = None) -> Iterator[Entry]:
    query = select(*_COLUMNS).where(audit.c.tenant == tenant).order_by(audit.c.id)
    if since is not None:
        query = query.where(audit.c.at >= since)
    for row in connection.execute(query, execution_options={"yield_per": 2_000}):
        yield _entry(row)


def _hash(
    previous: str, tenant: str, at: datetime, actor: str, action: str, subject: str, detail: Mapping[str, Any]
) -> str:
    body = json.dumps(detail, sort_keys=True, ensure_ascii=False)
    return text_hash(joined(previous, tenant, at.isoformat(), actor, action, subject, body))


def _storable(text: str) -> str:
    """Make a text encodable as UTF-8, because an asker's name may be anything."""
    return text.encode("utf-8", "replace").decode()


def _one_state(connection: Connection) -> None:
    """Give all queries of a connection one snapshot."""
    if connection.dialect.name == "postgresql":  # SQLite's readers do
        connection.execution_options(isolation_level="REPEATABLE READ")


def _broken(connection: Connection, last: Entry | None, entry: Entry) -> str:
    """Describe what happened to the chain before a row that is itself unchanged."""
    mine = audit.c.tenant == entry.tenant
    before = last.hash if last else ""
    place = f"row {last.id}" if last else "the beginning"
    twin = select(audit.c.id).where(mine, audit.c.hash == entry.hash, audit.c.id < entry.id)
    if (same := connection.execute(twin).scalar()) is not None:
        return f"row {entry.id} of the audit was put in: it is a copy of row {same}"
    followed = connection.execute(select(audit.c.id).where(mine, audit.c.hash == entry.previous)).scalar()
    if followed is not None and followed < entry.id:  # a fork: what nothing follows does not belong to the chain
        after = select(audit.c.id).where(mine, audit.c.previous == entry.hash)
        ends = select(audit_head.c.tenant).where(audit_head.c.tenant == entry.tenant, audit_head.c.hash == entry.hash)
        if connection.execute(after).first() is None and connection.execute(ends).first() is None:
            return f"row {entry.id} of the audit was put in: it follows row {followed}, as another row does"
        first = connection.scalar(select(func.min(audit.c.id)).where(mine, audit.c.id > followed))
        return f"row {first} of the audit was put in: row {entry.id} follows row {followed}"
    if followed is not None:
        return f"row {entry.id} of the audit was moved: it followed row {followed}, and stands after {place}"
    if connection.scalar(select(audit.c.id).where(mine, audit.c.previous == before, audit.c.id > entry.id)) is not None:
        return f"row {entry.id} of the audit was put in after {place}"
    return f"what stood between {place} and row {entry.id} of the audit was removed"


def _cut(connection: Connection, tenant: str, last: Entry | None, newest: str) -> str:
    """Describe what happened to the end of a chain whose rows are valid."""
    place = f"row {last.id}" if last else "the beginning"
    mine = audit.c.tenant == tenant
    head = connection.execute(select(audit.c.id).where(mine, audit.c.hash == newest)).scalar()
    if head is None:
        return f"the audit was cut off after {place}: its newest row was {newest or 'none'}, by audit_head"
    first = connection.scalar(select(func.min(audit.c.id)).where(mine, audit.c.id > head))
    return f"row {first} of the audit was put in at the end: audit_head says that row {head} is the newest"
