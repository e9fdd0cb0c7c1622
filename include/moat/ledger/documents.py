"""Documents, revisions and chunks in the ledger: known, staged and retired."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypedDict

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    cast,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)

from moat.access.policy import Policy
from moat.batching import windows
from moat.errors import AccessUnknown
from moat.ledger import Ledger, add
from moat.ledger.former_names import document_ids
from moat.ledger.loads import Load, fenced
from moat.ledger.policies import keep
from moat.ledger.tables import chunk, document, load, presence, quarantine, revision
from moat.ledger.tables import policy as policies
from moat.ledger.types import Guid
from moat.records import Chunk, Prepared, RawDocument
from moat.shingles import mark

MOST_TRIES = 3  # of the same bytes, before they rest until somebody requests them


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The ledger's state of a key, when its source is compared."""

    visible: bool = False  # has a promoted revision
    fingerprint: str = ""
    content_hash: str = ""
    recipe: str = ""
    policy: str | None = None  # canonical JSON; None: unknown
    lags: bool = False  # the index holds the access tokens of another policy
    access_version: int = 0
    erased: bool = False
    set_aside: str | None  # fingerprint and recipe of the bytes resting in quarantine
    rests: bool  # these bytes failed too often; only an explicit request tries them again
    asked: bool  # a replay asked for it


def visible(table: Any) -> ColumnElement[bool]:
    """Condition on `presence` or `revision`: added by a promoted load, retired by none."""
    return and_(promoted(table.c.added_in), ~promoted(table.c.retired_in))


def known(ledger: Ledger, source: str, keys: Sequence[str]) -> dict[str, Known]:
    """The ledger's state of these keys; keys never seen are left out."""
    found: dict[str, Known] = {}
    rows = (
        select(
            document.c.key,
            document.c.access_version,
            document.c.erased_at,
            document.c.policy,
            document.c.indexed,
            policies.c.body,
            revision.c.fingerprint,
            revision.c.content_hash,
            revision.c.recipe,
        )
        .select_from(document)
        .outerjoin(revision, and_(revision.c.document_id == document.c.id, visible(revision)))
        .outerjoin(policies, policies.c.digest == document.c.policy)
        .where(document.c.tenant == ledger.tenant, document.c.source == source)
    )
    columns = [quarantine.c[name] for name in ("key", "fingerprint", "recipe", "attempts", "state")]
    resting = select(*columns).where(
        quarantine.c.tenant == ledger.tenant,
        quarantine.c.source == source,
        quarantine.c.state != "resolved",
        quarantine.c.error != AccessUnknown.__name__,  # every listing evaluates access again
    )
    with ledger.read() as connection:
        for window in windows(keys):
            aside = {r.key: r for r in connection.execute(resting.where(quarantine.c.key.in_(window)))}
            for r in connection.execute(rows.where(document.c.key.in_(window))):
                found[r.key] = Known(
                    visible=r.fingerprint is not None,
                    fingerprint=r.fingerprint or "",
                    content_hash=r.content_hash or "",
                    recipe=r.recipe or "",
                    policy=r.body,
                    lags=r.policy != r.indexed,
                    access_version=r.access_version,
                    erased=r.erased_at is not None,
                    **_rest(aside.pop(r.key, None)),
                )
            for key, row in aside.items():
                if row.state != "replay":  # never loaded and requested again: treated as new
                    found[key] = Known(**_rest(row))
    return found


class _Rest(TypedDict):
    """The quarantine state of a key."""

    set_aside: str | None
    rests: bool
    asked: bool


def _rest(row: Any) -> _Rest:
    if row is None or row.state == "replay":
        return {"set_aside": None, "rests": False, "asked": row is not None}
    mark = resting_mark(row.fingerprint, row.recipe)
    return {"set_aside": mark, "rests": row.attempts >= MOST_TRIES, "asked": False}


def resting_mark(fingerprint: str, recipe: str) -> str:
    """Identifies quarantined bytes and recipe; they are tried again once it changes."""
    return f"{recipe}/{fingerprint}"


def rests_as(known: Known, fingerprint: str, recipes: Sequence[str]) -> bool:
    """Whether what rests in quarantine are these bytes, as one of these recipes would prepare them."""
    return known.set_aside is not None and any(known.set_aside == resting_mark(fingerprint, r) for r in recipes)


def visible_keys(ledger: Ledger, source: str) -> Iterator[str]:
    """Stream keys of the source's visible documents, unordered."""
    with ledger.read() as connection:
        result = connection.execution_options(yield_per=5_000).execute(
            _visible_documents(ledger, source, document.c.key)
        )
        yield from result.scalars()


def count_visible(ledger: Ledger, source: str) -> int:
    """Number of visible documents of the source."""
    with ledger.read() as connection:
        return connection.execute(
            select(func.count()).select_from(_visible_documents(ledger, source, document.c.key).subquery())
        ).scalar_one()


class Having(NamedTuple):
    """Visible documents of one policy that contain a text: up to two of them."""

    text_hash: str
    policy: str  # digest
    one: str
    other: str


def having(ledger: Ledger, source: str, hashes: Iterable[str]) -> list[Having]:
    """Visible documents of a source that contain chunks of these texts, by policy."""
    identity = cast(document.c.id, String)  # PostgreSQL has no min of a uuid
    first, last = (type_coerce(of(identity), Guid) for of in (func.min, func.max))
    query = (
        select(chunk.c.text_hash, document.c.policy, first, last)
        .select_from(chunk)
        .join(presence, and_(presence.c.chunk_id == chunk.c.id, visible(presence)))
        .join(document, document.c.id == chunk.c.document_id)
        .where(document.c.tenant == ledger.tenant, document.c.source == source, document.c.policy.is_not(None))
        .group_by(chunk.c.text_hash, document.c.policy)
    )
    with ledger.read() as connection:
        return [
            Having(*row)
            for window in windows(hashes)
            for row in connection.execute(query.where(chunk.c.text_hash.in_(window)))
        ]


def _visible_documents(ledger: Ledger, source: str, *columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(document)
        .join(revision, revision.c.document_id == document.c.id)
        .where(document.c.tenant == ledger.tenant, document.c.source == source, visible(revision))
    )


def stage(
    ledger: Ledger, current: Load, recipe: str, prepared: Sequence[Prepared], chunks: Sequence[Chunk]
) -> dict[str, int]:
    """Write some whole documents of a load, invisible until it is promoted.

    Returns for each chunk the load whose object is in the index: this one, or the promoted load that
    added it and whose object is kept. A document erased since it was read is left out, with its
    chunks. Idempotent for the same documents.
    """
    documents = [p.id for p in prepared]
    of_document: dict[str, list[Chunk]] = defaultdict(list)
    for c in chunks:
        of_document[c.document_id].append(c)
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        _undo(connection, current, documents)
        tombstones = select(document.c.id).where(document.c.id.in_(documents), document.c.erased_at.is_not(None))
        erased = set(connection.scalars(tombstones))
        prepared = [p for p in prepared if p.id not in erased]
        chunks = [c for c in chunks if c.document_id not in erased]
        if not prepared:
            return {}
        _introduce(connection, ledger, current, prepared)
        connection.execute(
            update(revision)
            .where(revision.c.document_id.in_(documents), visible(revision))
            .values(retired_in=current.id)
        )
        connection.execute(insert(revision), [_revision(p, current, recipe) for p in prepared])
        add(connection, chunk, [_chunk(c) for c in chunks])
        before = connection.execute(
            select(presence.c.id, presence.c.chunk_id, presence.c.position, presence.c.page)
            .join(chunk, chunk.c.id == presence.c.chunk_id)
            .where(chunk.c.document_id.in_(documents), visible(presence))
        ).all()
        places = {c.id: (c.position, c.page) for c in chunks}
        stay = {r.chunk_id for r in before if places.get(r.chunk_id) == (r.position, r.page)}
        for window in windows([r.id for r in before if r.chunk_id not in stay]):
            connection.execute(update(presence).where(presence.c.id.in_(window)).values(retired_in=current.id))
        arrivals = [
            {"chunk_id": c.id, "added_in": current.id, "position": c.position, "page": c.page}
            for c in chunks
            if c.id not in stay
        ]
        if arrivals:
            connection.execute(insert(presence), arrivals)
        writers = dict.fromkeys(places, current.id)
        kept = (
            select(presence.c.chunk_id, func.min(presence.c.added_in))
            .where(promoted(presence.c.added_in))
            .group_by(presence.c.chunk_id)
        )
        for ids in windows(places):
            writers.update((r[0], r[1]) for r in connection.execute(kept.where(presence.c.chunk_id.in_(ids))))
        return writers


def retire(ledger: Ledger, current: Load, keys: Sequence[str]) -> int:
    """Retire documents at promotion of this load; returns their number of chunks."""
    ids = document_ids(ledger, current.source, keys)
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        _undo(connection, current, ids)
        connection.execute(
            update(revision).where(revision.c.document_id.in_(ids), visible(revision)).values(retired_in=current.id)
        )
        of_them = select(chunk.c.id).where(chunk.c.document_id.in_(ids))
        done = connection.execute(
            update(presence).where(presence.c.chunk_id.in_(of_them), visible(presence)).values(retired_in=current.id)
        )
        return done.rowcount


def unstage(ledger: Ledger, current: Load, but: Collection[str]) -> list[str]:
    """Undo what an earlier try of the same load staged for documents that it no longer has.

    Args:
        ledger: The tenant's ledger.
        current: The load.
        but: Ids of the documents that it has.

    Returns:
        Ids of chunks that nothing holds any more, to be removed from the index.
    """
    held = or_(revision.c.added_in == current.id, revision.c.retired_in == current.id)
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        gone = set(connection.scalars(select(revision.c.document_id).where(held))).difference(but)
        loose = list[str]()
        for ids in windows(sorted(gone)):
            _undo(connection, current, ids)
            nothing = ~exists().where(presence.c.chunk_id == chunk.c.id)
            loose += connection.scalars(select(chunk.c.id).where(chunk.c.document_id.in_(ids), nothing))
        return loose


def touch(ledger: Ledger, current: Load, moved: Sequence[RawDocument]) -> None:
    """Store new fingerprints and modified times of documents whose content is unchanged."""
    ids = document_ids(ledger, current.source, (one.key for one in moved))
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        for identity, one in zip(ids, moved, strict=True):
            stamps = {"fingerprint": one.fingerprint, "modified_at": _moment(one.modified)}
            connection.execute(
                update(revision).where(revision.c.document_id == identity, visible(revision)).values(stamps)
            )


def promoted(column: Any) -> ColumnElement[bool]:
    """Condition that a column refers to a promoted load."""
    named = load.alias()
    return exists().where(named.c.id == column, named.c.state == "promoted")


def _undo(connection: Connection, current: Load, documents: Sequence[str]) -> None:
    """Undo what an earlier try of the same load staged for these documents."""
    of_them = select(chunk.c.id).where(chunk.c.document_id.in_(documents))
    for table, mine in (
        (presence, presence.c.chunk_id.in_(of_them)),
        (revision, revision.c.document_id.in_(documents)),
    ):
        connection.execute(delete(table).where(table.c.added_in == current.id, mine))
        connection.execute(update(table).where(table.c.retired_in == current.id, mine).values(retired_in=None))


def _introduce(connection: Connection, ledger: Ledger, current: Load, prepared: Sequence[Prepared]) -> None:
    """Insert documents new to the ledger, with the access that they were read with."""
    digests = keep(connection, ledger.tenant, {Policy.from_text(p.policy) for p in prepared})
    add(
        connection,
        document,
        [
            {
                "id": p.id,
                "tenant": ledger.tenant,
                "source": current.source,
                "key": p.key,
                "policy": digests[p.policy],
                "access_version": 1,
                "first_seen": datetime.now(UTC),
                "erased_at": None,
            }
            for p in prepared
        ],
    )


def _revision(p: Prepared, current: Load, recipe: str) -> dict[str, Any]:
    return {
        "document_id": p.id,
        "added_in": current.id,
        "uri": p.uri,
        "title": p.title,
        "media_type": p.media_type,
        "fingerprint": p.fingerprint,
        "content_hash": p.content_hash,
        "recipe": recipe,
        "metadata": list(p.metadata),
        "modified_at": _moment(p.modified),
        "language": p.language,
        "n_pages": p.n_pages,
        "n_chunks": p.n_chunks,
        "n_words": p.n_words,
        "n_missing": p.n_missing,
        "words": {"missing": list(p.missing), "left_out": list(p.left_out)},
    }


def _moment(seconds: float | None) -> datetime | None:
    """A time of the epoch, if it is one of the years 1 to 9999."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _chunk(c: Chunk) -> dict[str, Any]:
    return {
        "id": c.id,
        "document_id": c.document_id,
        "text": c.text,
        "heading": c.heading,
        "kind": c.kind,
        "n_tokens": c.n_tokens,
        "text_hash": c.text_hash,
        "mark": mark(c.text),
    }
