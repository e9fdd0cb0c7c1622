"""Receipts of erasures, and whether ledger and audit agree with them.

A receipt names keys, ids and hashes; it contains no text.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sqlalchemy import Connection, exists, func, or_, select, update

from moat.batching import windows
from moat.errors import ErasureRefused
from moat.ids import text_hash
from moat.ledger import Ledger
from moat.ledger.former_names import name_now
from moat.ledger.pass_tables import pass_document
from moat.ledger.read_tables import answered, older_version
from moat.ledger.tables import (
    access_change,
    audit,
    chunk,
    document,
    embedding,
    erasure,
    hold_document,
    past_content,
    presence,
    quarantine,
    revision,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt of erased documents; `verify` can check everything in it at any time."""

    id: int
    tenant: str
    source: str
    keys: tuple[str, ...]
    principal: str
    documents: tuple[str, ...]  # ids, in the order of the keys
    chunks: tuple[str, ...]  # ids of all chunks ever known, sorted
    text_hashes: tuple[str, ...]  # of their texts, sorted
    removed: Mapping[str, int] = field(default_factory=dict)  # counts, by what and where
    by: str = ""
    because: str = ""
    begun_at: str = ""
    done_at: str = ""  # empty: the erasure is unfinished
    audit: str = ""  # hash of the audit row of its start

    def text(self) -> str:
        """Canonical JSON, over which the digest is computed."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Receipt":
        """Parse a receipt. Raises ErasureRefused if it is none."""
        if not isinstance(body, Mapping) or {f.name for f in fields(cls)} != set(body):
            raise ErasureRefused("this is no receipt of an erasure: `moat erase list --json` gives them all")
        given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in body.items()}
        return cls(**given)


def get(ledger: Ledger, number: int) -> Receipt:
    """A receipt by its number. Raises ErasureRefused if there is none."""
    query = select(erasure.c.receipt).where(erasure.c.tenant == ledger.tenant, erasure.c.id == number)
    with ledger.read() as connection:
        body = connection.scalar(query)
    if body is None:
        raise ErasureRefused(f"there is no erasure {number}; `moat erase list` lists them")
    return Receipt.of(body)


def listing(ledger: Ledger) -> list[Receipt]:
    """All receipts, newest first."""
    query = select(erasure.c.receipt).where(erasure.c.tenant == ledger.tenant).order_by(erasure.c.id.desc())
    with ledger.read() as connection:
        return [Receipt.of(body) for body in connection.scalars(query)]


def left(ledger: Ledger, receipt: Receipt) -> list[str]:
    """What the ledger still has of erased documents, in words."""
    found, source = list[str](), name_now(ledger, receipt.source)
    with ledger.read() as connection:
        standing = set[str]()
        for window in windows(receipt.documents):
            tombstones = select(document.c.id).where(document.c.id.in_(window), document.c.erased_at.is_not(None))
            standing.update(connection.scalars(tombstones))
            for table in (chunk, revision, past_content, access_change, hold_document, pass_document, answered):
                n = _count(connection, table, table.c.document_id.in_(window))
                found += [f"{n:,} rows of {table.name}"] if n else []
            either = or_(older_version.c.older_id.in_(window), older_version.c.newer_id.in_(window))
            n = _count(connection, older_version, either)
            found += [f"{n:,} rows of {older_version.name}"] if n else []
        for window in windows(receipt.chunks):
            n = _count(connection, presence, presence.c.chunk_id.in_(window))
            found += [f"{n:,} rows of presence"] if n else []
        for window in windows(receipt.keys):
            n = _count(connection, quarantine, *in_quarantine(ledger, source), quarantine.c.key.in_(window))
            found += [f"{n:,} rows of quarantine"] if n else []
        unused = ~exists().where(chunk.c.text_hash == embedding.c.text_hash)
        for window in windows(receipt.text_hashes):
            n = _count(connection, embedding, embedding.c.text_hash.in_(window), unused)
            found += [f"{n:,} vectors of its texts"] if n else []
    missing = [i for i in receipt.documents if i not in standing]
    tombstones_gone = [f"no tombstone of {len(missing):,} documents, {missing[0]} among them"] if missing else []
    return tombstones_gone + found


def missing_from_audit(ledger: Ledger, receipt: Receipt) -> list[str]:
    """Audit rows missing for this receipt, in words."""
    mine = (audit.c.tenant == ledger.tenant, audit.c.subject == subject(receipt.id, receipt.source))
    query = select(audit.c.action, audit.c.detail, audit.c.hash).where(*mine)
    with ledger.read() as connection:
        rows = connection.execute(query).all()
    digests = [row.detail.get("receipt") for row in rows if row.action == "erased"]
    found = [] if any(row.hash == receipt.audit for row in rows) else ["the row that says it was begun is not there"]
    if not receipt.done_at:
        return [*found, "it was begun and is not done: give the command that began it again"]
    if not digests:
        return [*found, "the row that says it is done is not there"]
    return found if text_hash(receipt.text()) in digests else [*found, "this is not the receipt that was given"]


def pending_receipts(connection: Connection, ledger: Ledger, source: str) -> list[Receipt]:
    """Receipts of a source's unfinished erasures."""
    mine = (erasure.c.tenant == ledger.tenant, erasure.c.source == source, erasure.c.state == "begun")
    return [Receipt.of(body) for body in connection.scalars(select(erasure.c.receipt).where(*mine))]


def keep(connection: Connection, receipt: Receipt) -> None:
    """Store the current state of a receipt."""
    body = json.loads(receipt.text())
    connection.execute(update(erasure).where(erasure.c.id == receipt.id).values(receipt=body))


def subject(number: int, source: str) -> str:
    """Subject of an erasure in the audit."""
    return f"erasure {number} of {source}"


def in_quarantine(ledger: Ledger, source: str) -> tuple[Any, ...]:
    """Condition on `quarantine` for a source's rows."""
    return (quarantine.c.tenant == ledger.tenant, quarantine.c.source == source)


def _count(connection: Connection, table: Any, *where: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())
