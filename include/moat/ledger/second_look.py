"""The second look: which chunks an asker may see now, whatever the index returns."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, or_, select

from moat.access.policy import Policy
from moat.batching import windows
from moat.filters import Filters
from moat.ledger.documents import promoted, visible
from moat.ledger.filters import conditions
from moat.ledger.policies import satisfied
from moat.ledger.tables import chunk, document, policy, policy_entry, presence, revision, source
from moat.records import record_of


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleChunk:
    """A chunk in the ledger that is visible and permitted now."""

    chunk_id: str
    document: str
    source: str
    key: str
    uri: str
    title: str
    heading: str
    text: str
    page: int | None
    position: int
    media_type: str
    modified_at: datetime | None
    link: str | None  # of its source, with {key} in it
    metadata: tuple[str, ...]


def visible_chunks_query(*columns: Any, shown: Callable[[Any], ColumnElement[bool]] = visible) -> Select[Any]:
    """Select these columns of every visible chunk with known access; joins `policy`.

    Takes the parameters of `at`. Documents of a source whose access could not be read for too long are
    masked. A source that never took a lease has no row, and is never masked.

    Args:
        columns: Of the tables that it joins.
        shown: Condition on `presence` and `revision`; another than `visible` is of another moment.
    """
    return (
        select(*columns)
        .select_from(chunk)
        .join(document, document.c.id == chunk.c.document_id)
        .join(policy, policy.c.digest == document.c.policy)  # the join drops documents with unknown access
        .join(presence, and_(presence.c.chunk_id == chunk.c.id, shown(presence)))
        .join(revision, and_(revision.c.document_id == document.c.id, shown(revision)))
        .outerjoin(source, and_(source.c.tenant == document.c.tenant, source.c.name == document.c.source))
        .where(
            document.c.tenant == bindparam("tenant"),
            document.c.erased_at.is_(None),
            or_(source.c.access_until.is_(None), source.c.access_until > bindparam("now")),
        )
    )


def at(tenant: str) -> dict[str, Any]:
    """Parameters of `visible_chunks_query` for this moment."""
    return {"tenant": tenant, "now": datetime.now(UTC)}


def masked(connection: Connection, tenant: str) -> list[str]:
    """Names of sources masked because their access could not be read for too long."""
    query = select(source.c.name).where(source.c.tenant == tenant, source.c.access_until <= datetime.now(UTC))
    return list(connection.scalars(query.order_by(source.c.name)))


# Built once: building it takes SQLAlchemy longer than the database needs to answer it.
_LOOK = visible_chunks_query(
    chunk.c.id.label("chunk_id"),
    document.c.id.label("document"),
    document.c.source,
    document.c.key,
    revision.c.uri,
    revision.c.title,
    chunk.c.heading,
    chunk.c.text,
    presence.c.page,
    presence.c.position,
    revision.c.media_type,
    revision.c.modified_at,
    source.c.link,
    revision.c.metadata,
    policy.c.body,
)
LOOK = _LOOK.where(chunk.c.id.in_(bindparam("ids", expanding=True)))


# The chunks of one document, in its order.
LOOK_AT_ONE = _LOOK.where(
    document.c.id == bindparam("document"), document.c.policy.in_(bindparam("policies", expanding=True))
).order_by(presence.c.position, chunk.c.id)


# The same for chunks that were asked for by id. What may not be read never leaves the database.
LOOK_WITHIN = LOOK.where(document.c.policy.in_(bindparam("policies", expanding=True)))


def second_look(
    connection: Connection,
    tenant: str,
    principals: frozenset[str],
    chunks: Sequence[str],
    filters: Filters | None = None,
) -> dict[str, VisibleChunk]:
    """Those of the chunks that are visible now, that these principals may read, and that match every filter."""
    look = LOOK.where(*conditions(connection, filters)) if filters else LOOK
    found = (row for window in windows(chunks) for row in connection.execute(look, {**at(tenant), "ids": window}))
    return _allowed(principals, found)


def look_by_id(
    connection: Connection, tenant: str, principals: frozenset[str], chunks: Sequence[str]
) -> dict[str, VisibleChunk]:
    """The same as `second_look`, with the same work for a chunk that is denied as for one that does not exist.

    Both take the same statements and give no row: an asker who tries ids can't tell by the time that it takes
    whether a chunk is there.
    """
    found = list[Any]()
    for window in windows(chunks):
        theirs = select(document.c.policy).join(chunk, chunk.c.document_id == document.c.id)
        mine = policy_entry.c.digest.in_(theirs.where(chunk.c.id.in_(window)))
        policies = satisfied(connection, tenant, principals, mine)
        found += connection.execute(LOOK_WITHIN, {**at(tenant), "ids": window, "policies": policies}).all()
    return _allowed(principals, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class VisiblePart:
    """A chunk of a document that somebody can find now, with its text."""

    id: str
    position: int
    page: int | None
    heading: str
    kind: str
    n_tokens: int
    added_in: int
    text: str


def _before(table: Any) -> ColumnElement[bool]:
    """Condition that a row was visible until the load `before` was promoted."""
    until = or_(~promoted(table.c.retired_in), table.c.retired_in >= bindparam("before"))
    return and_(promoted(table.c.added_in), table.c.added_in < bindparam("before"), until)


_OF_A_PART = (
    chunk.c.id,
    presence.c.position,
    presence.c.page,
    chunk.c.heading,
    chunk.c.kind,
    chunk.c.n_tokens,
    presence.c.added_in,
    chunk.c.text,
)
_ITS_DOCUMENT = (document.c.source == bindparam("of"), document.c.key == bindparam("key"))
PARTS = visible_chunks_query(*_OF_A_PART).where(*_ITS_DOCUMENT)
PARTS_BEFORE = visible_chunks_query(*_OF_A_PART, shown=_before).where(*_ITS_DOCUMENT).order_by(presence.c.position)


def parts_of(
    connection: Connection, tenant: str, source: str, key: str, limit: int, after: int = -1
) -> list[VisiblePart]:
    """The chunks of a document that are visible now, in order, whoever may read them.

    For people who hold the permission to read every text: the caller checks it, and records each look. What is masked,
    erased, or of unknown access is nobody's, so theirs neither.
    """
    query = PARTS.where(presence.c.position > after).order_by(presence.c.position).limit(limit)
    rows = connection.execute(query, {**at(tenant), "of": source, "key": key})
    return [record_of(VisiblePart, row) for row in rows]


def parts_before(connection: Connection, tenant: str, source: str, key: str, number: int) -> list[VisiblePart]:
    """The chunks of a document that were visible before a load was promoted, as far as they are kept.

    What a load replaces is removed when the next one has followed. For the same people as `parts_of`.
    """
    rows = connection.execute(PARTS_BEFORE, {**at(tenant), "of": source, "key": key, "before": number})
    return [record_of(VisiblePart, row) for row in rows]


def look_by_document(
    connection: Connection, tenant: str, principals: frozenset[str], document_id: str, some: slice
) -> list[VisibleChunk]:
    """Those chunks of a document that are visible now and that these principals may read, in the document's order.

    As with `look_by_id`, a document that is denied takes the same work as one that does not exist.
    """
    theirs = select(document.c.policy).where(document.c.id == document_id)
    policies = satisfied(connection, tenant, principals, policy_entry.c.digest.in_(theirs))
    query = LOOK_AT_ONE.offset(some.start).limit(some.stop - some.start)
    rows = connection.execute(query, {**at(tenant), "document": document_id, "policies": policies})
    return list(_allowed(principals, rows).values())


def _allowed(principals: frozenset[str], rows: Iterable[Any]) -> dict[str, VisibleChunk]:
    allowed: dict[str, bool] = {}
    seen: dict[str, VisibleChunk] = {}
    for row in rows:
        if row.body not in allowed:
            allowed[row.body] = Policy.from_text(row.body).allows(principals)
        if allowed[row.body]:
            seen[row.chunk_id] = record_of(VisibleChunk, [*row[:-2], tuple(row.metadata)])
    return seen
