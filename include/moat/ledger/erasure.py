"""Erasures in the ledger: tombstones, removal of everything else, receipts.

begun -> done

A tombstone takes effect in the transaction that sets it: the document is no longer visible and no
run reads it again. Everything else is removed afterwards, step by step, and each step can be
repeated.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Connection, delete, exists, insert, or_, select, update

from moat.access.policy import Policy, canonical
from moat.batching import windows
from moat.errors import ErasureRefused
from moat.ids import text_hash
from moat.ledger import Ledger, add, older_versions, policies
from moat.ledger.audit import record
from moat.ledger.former_names import document_ids
from moat.ledger.loads import LIVE
from moat.ledger.pass_tables import pass_document
from moat.ledger.read_tables import answered, feedback
from moat.ledger.receipts import Receipt, in_quarantine, keep, pending_receipts, subject
from moat.ledger.tables import (
    access_change,
    chunk,
    document,
    embedding,
    erasure,
    hold_document,
    load,
    past_content,
    policy,
    policy_entry,
    presence,
    quarantine,
    revision,
    source,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to erase documents of a source: who asked, and why."""

    source: str
    keys: tuple[str, ...]
    by: str
    because: str = ""
    principal: str = ""  # set when the documents were selected by principal
    unknown: Literal["refuse", "tombstone"] = "refuse"  # what to do with a key that the ledger never saw


def begin(ledger: Ledger, asked: Request, at: datetime | None = None) -> Receipt:
    """Set the tombstones; the documents are invisible and unread from now on.

    Continues an unfinished erasure of the same documents. Raises ErasureRefused for a key that was
    never seen, unless the request allows it; nothing has changed then. Tombstones that are set `at` the moment
    at which the source was retired go when it is loaded again; one of this request's own takes their place.
    """
    keys = tuple(dict.fromkeys(asked.keys))
    ids = tuple(document_ids(ledger, asked.source, keys))
    now = at or datetime.now(UTC)
    with ledger.write() as connection:
        of_it = (source.c.tenant == ledger.tenant, source.c.name == asked.source)
        retired = connection.scalar(select(source.c.retired_at).where(*of_it))
        if asked.unknown == "refuse":
            _refuse_unknown(connection, ledger, asked.source, keys)
        rows = [
            {"id": i, "tenant": ledger.tenant, "source": asked.source, "key": key, "access_version": 0, "first_seen": now}
            for key, i in zip(keys, ids, strict=True)
        ]  # fmt: skip
        for some in windows(rows):
            add(connection, document, some)
        for window in windows(ids):
            connection.execute(
                update(document)
                .where(document.c.id.in_(window))
                .where(or_(document.c.erased_at.is_(None), document.c.erased_at == retired))
                .values(erased_at=now, policy=None, kept_back=None, access_version=document.c.access_version + 1)
            )
            connection.execute(delete(access_change).where(access_change.c.document_id.in_(window)))
            connection.execute(delete(hold_document).where(hold_document.c.document_id.in_(window)))
            connection.execute(delete(pass_document).where(pass_document.c.document_id.in_(window)))
            older_versions.forget(connection, window)
            connection.execute(delete(answered).where(answered.c.document_id.in_(window)))
            connection.execute(delete(feedback).where(feedback.c.document_id.in_(window)))
        begun = next(
            (r for r in pending_receipts(connection, ledger, asked.source) if set(r.documents) == set(ids)), None
        )
        receipt = begun or _written(connection, ledger, asked=asked, keys=keys, ids=ids, now=now)
    policies.clear(ledger)  # whom only these documents named is nobody from now on
    return receipt


def open_of(ledger: Ledger, source: str, principal: str) -> list[str]:
    """Keys in unfinished erasures of a principal's documents."""
    with ledger.read() as connection:
        begun = pending_receipts(connection, ledger, source)
    return [key for r in begun if r.principal == principal for key in r.keys]


def alone(ledger: Ledger, source: str, principal: str) -> tuple[list[str], int]:
    """Keys that only this principal may read, and the number of others naming it.

    Uses the ledger's current access; a document with unknown access belongs to nobody.
    """
    who = canonical(principal)
    query = (
        select(document.c.key, policy.c.body)
        .join(policy, policy.c.digest == document.c.policy)
        .where(document.c.tenant == ledger.tenant, document.c.source == source, document.c.erased_at.is_(None))
        .where(policy.c.digest.in_(select(policy_entry.c.digest).where(policy_entry.c.principal == who)))
        .order_by(document.c.key)
    )
    mine, others = list[str](), 0
    with ledger.read() as connection:
        for row in connection.execute(query):
            if frozenset([who]) in Policy.from_text(row.body).layers:
                mine.append(row.key)
            else:
                others += 1
    return mine, others


def under_way(ledger: Ledger, source: str | None = None) -> list[tuple[int, str]]:
    """Numbers and states of a source's unfinished loads; of all sources by default."""
    query = select(load.c.id, load.c.state).where(load.c.state.in_(LIVE)).order_by(load.c.id)
    if source is not None:
        query = query.where(load.c.tenant == ledger.tenant, load.c.source == source)
    with ledger.read() as connection:
        return [(row.id, row.state) for row in connection.execute(query)]


def collect(ledger: Ledger, receipt: Receipt, chunks: Collection[str], hashes: Collection[str]) -> Receipt:
    """Record in the receipt what ledger and staging know of the documents, before removal."""
    ids, texts = {*receipt.chunks, *chunks}, {*receipt.text_hashes, *hashes}
    with ledger.write() as connection:
        for window in windows(receipt.documents):
            for row in connection.execute(select(chunk.c.id, chunk.c.text_hash).where(chunk.c.document_id.in_(window))):
                ids.add(row.id)
                texts.add(row.text_hash)
        found = replace(receipt, chunks=tuple(sorted(ids)), text_hashes=tuple(sorted(texts)))
        keep(connection, found)
    return found


def forget(ledger: Ledger, receipt: Receipt) -> dict[str, int]:
    """Remove everything of the documents except their tombstones. Returns removed rows by table.

    A vector is removed with the last chunk of its text. Vectors of texts that never became chunks, from
    loads that ended before, cannot be attributed; so every vector without a chunk is removed unless a
    load in progress may have made it.
    """
    gone = {"revisions": 0, "chunks": 0, "embeddings": 0, "quarantine rows": 0}
    with ledger.write() as connection:
        for window in windows(receipt.documents):
            of_them = select(chunk.c.id).where(chunk.c.document_id.in_(window))
            connection.execute(delete(access_change).where(access_change.c.document_id.in_(window)))
            connection.execute(delete(hold_document).where(hold_document.c.document_id.in_(window)))
            connection.execute(delete(pass_document).where(pass_document.c.document_id.in_(window)))
            older_versions.forget(connection, window)
            connection.execute(delete(answered).where(answered.c.document_id.in_(window)))
            connection.execute(delete(feedback).where(feedback.c.document_id.in_(window)))
            connection.execute(delete(presence).where(presence.c.chunk_id.in_(of_them)))
            gone["chunks"] += connection.execute(delete(chunk).where(chunk.c.document_id.in_(window))).rowcount
            connection.execute(delete(past_content).where(past_content.c.document_id.in_(window)))
            gone["revisions"] += connection.execute(delete(revision).where(revision.c.document_id.in_(window))).rowcount
        for window in windows(receipt.keys):
            aside = delete(quarantine).where(*in_quarantine(ledger, receipt.source), quarantine.c.key.in_(window))
            gone["quarantine rows"] += connection.execute(aside).rowcount
        unused = ~exists().where(chunk.c.text_hash == embedding.c.text_hash)
        for window in windows(receipt.text_hashes):
            done = connection.execute(delete(embedding).where(embedding.c.text_hash.in_(window), unused))
            gone["embeddings"] += done.rowcount
        idle = ~exists().where(load.c.state.in_(LIVE))
        gone["embeddings"] += connection.execute(delete(embedding).where(unused, idle)).rowcount
    return gone


def done(ledger: Ledger, receipt: Receipt, removed: Mapping[str, int]) -> Receipt:
    """Record the completion, with the receipt's digest so that a changed receipt is detected."""
    total = {name: receipt.removed.get(name, 0) + n for name, n in removed.items()}
    now = datetime.now(UTC)
    finished = replace(receipt, removed=total, done_at=now.isoformat())
    with ledger.write() as connection:
        keep(connection, finished)
        connection.execute(update(erasure).where(erasure.c.id == receipt.id).values(state="done", done_at=now))
        detail = {"erasure": receipt.id, "receipt": text_hash(finished.text()), "removed": dict(total)}
        record(
            connection,
            ledger.tenant,
            actor=receipt.by,
            action="erased",
            subject=subject(receipt.id, receipt.source),
            detail=detail,
        )
    return finished


def _refuse_unknown(connection: Connection, ledger: Ledger, source: str, keys: Sequence[str]) -> None:
    known = set[str]()
    for window in windows(keys):
        seen = select(document.c.key).where(document.c.tenant == ledger.tenant, document.c.source == source)
        known.update(connection.scalars(seen.where(document.c.key.in_(window))))
        aside = select(quarantine.c.key).where(*in_quarantine(ledger, source), quarantine.c.key.in_(window))
        known.update(connection.scalars(aside))
    strange = [key for key in keys if key not in known]
    if strange:
        raise ErasureRefused(
            f"the ledger never saw {len(strange)} of {len(keys)} keys of {source}, {strange[0]!r} among them; nothing was "
            "erased. `moat explain` takes the same key; --even-unknown sets a tombstone, so that it is never loaded"
        )


def _written(
    connection: Connection, ledger: Ledger, asked: Request, keys: tuple[str, ...], ids: tuple[str, ...], now: datetime
) -> Receipt:
    """Insert an erasure and its audit row, which names no key."""
    values = {"tenant": ledger.tenant, "source": asked.source, "state": "begun", "receipt": {}, "begun_at": now}
    number = connection.execute(insert(erasure).values(values).returning(erasure.c.id)).scalar_one()
    detail = {"erasure": number, "documents": len(ids), "ids": list(ids[:20]), "because": asked.because}
    row = record(
        connection, ledger.tenant, actor=asked.by, action="erase", subject=subject(number, asked.source), detail=detail
    )
    made = Receipt(
        id=number, tenant=ledger.tenant, source=asked.source, keys=keys, principal=asked.principal, documents=ids, chunks=(), text_hashes=(), removed={}, by=asked.by, because=asked.because,
        begun_at=now.isoformat(), done_at="", audit=row,
    )  # fmt: skip
    keep(connection, made)
    return made
