"""The documents behind the numbers of a load, and documents by what people type; keys and titles, no text."""

from heapq import nsmallest
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, union

from moat.access.policy import Policy
from moat.batching import windows
from moat.errors import AskedWrongly
from moat.ledger import Ledger
from moat.ledger.documents import visible
from moat.ledger.loads import Load
from moat.ledger.tables import access_change, document, policy, quarantine, revision
from moat.ledger.tables import source as sources
from moat.links import link_of

Kind = Literal["new", "changed", "vanished", "access", "aside"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MOST_SORTED = 2_000  # documents that are sorted here, not by the database


class Behind(NamedTuple):
    """One document behind a number."""

    source: str
    key: str
    title: str
    chunks: int | None  # None: it was not cut into chunks
    because: str  # why it was set aside; empty: it was not


class Some(NamedTuple):
    """The first documents behind a number, and how many there are."""

    n: int
    documents: list[Behind]


def of_load(ledger: Ledger, load: Load, kind: Kind, limit: int, after: str = "") -> Some:
    """Documents that a load brought, changed, retired, gave other readers or set aside, by key.

    Args:
        ledger: The tenant's ledger.
        load: The load. What it brings is here from the stage load on; before, only what it set aside is.
        kind: Which of them.
        limit: At most so many.
        after: Only keys behind this one.

    Raises:
        AskedWrongly: There is no such kind.
    """
    if kind not in KINDS:
        raise AskedWrongly(f"no documents of a load are {kind!r}; there are {', '.join(KINDS)}")
    if kind == "aside":
        where = (
            quarantine.c.tenant == ledger.tenant,
            quarantine.c.source == load.source,
            quarantine.c.load_id == load.id,
        )
        query = select(quarantine.c.source, quarantine.c.key, quarantine.c.error, quarantine.c.reason).where(*where)
        with ledger.read() as connection:
            n = connection.scalar(select(func.count()).select_from(quarantine).where(*where)) or 0
            rows = connection.execute(query.where(quarantine.c.key > after).order_by(quarantine.c.key).limit(limit))
            return Some(n, [Behind(r.source, r.key, "", None, f"{r.error}: {r.reason}") for r in rows])
    if kind == "access":
        base: Select[Any] = (
            select(document.c.source, document.c.key, func.coalesce(revision.c.title, ""), revision.c.n_chunks)
            .select_from(document)
            .join(access_change, access_change.c.document_id == document.c.id)
            .outerjoin(revision, and_(revision.c.document_id == document.c.id, visible(revision)))
            .where(access_change.c.load_id == load.id)
        )
    else:
        base = _revised(load.id, kind)
    base = base.where(document.c.tenant == ledger.tenant)
    with ledger.read() as connection:
        n = connection.scalar(select(func.count()).select_from(base.subquery())) or 0
        rows = connection.execute(base.where(document.c.key > after).order_by(document.c.key).limit(limit))
        return Some(n, [Behind(*row, "") for row in rows])


def _revised(number: int, kind: Kind) -> Select[Any]:
    other = revision.alias()

    def beside(condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return exists().where(other.c.document_id == revision.c.document_id, condition)

    query = (
        select(document.c.source, document.c.key, revision.c.title, revision.c.n_chunks)
        .select_from(document)
        .join(revision, revision.c.document_id == document.c.id)
    )
    if kind == "vanished":
        return query.where(revision.c.retired_in == number, ~beside(other.c.added_in == number))
    replaced = beside(other.c.retired_in == number)
    return query.where(revision.c.added_in == number, replaced if kind == "changed" else ~replaced)


def found(ledger: Ledger, words: str, source: str | None, limit: int) -> list[Behind]:
    """Documents whose key or newest title has these words in it, in any letter case, by source and key."""
    by_key, by_title = (column.icontains(words, autoescape=True) for column in (document.c.key, revision.c.title))
    some = union(
        select(document.c.id).where(document.c.tenant == ledger.tenant, by_key),
        select(revision.c.document_id).where(by_title),
    )
    each = revision.alias()
    newest = (
        select(func.max(each.c.id)).where(each.c.document_id == document.c.id).correlate(document).scalar_subquery()
    )
    query = (
        select(document.c.source, document.c.key, func.coalesce(revision.c.title, ""), revision.c.n_chunks)
        .select_from(document)
        .outerjoin(revision, revision.c.id == newest)
        .where(document.c.tenant == ledger.tenant, or_(by_key, by_title))
    )
    if source:
        query = query.where(document.c.source == source)
    with ledger.read() as connection:
        # Few are found by one scan of keys and one of titles; of many, walking along the keys soon has enough.
        ids = list(connection.scalars(some.limit(MOST_SORTED + 1)))
        if len(ids) > MOST_SORTED:
            return [
                Behind(*row, "")
                for row in connection.execute(query.order_by(document.c.source, document.c.key).limit(limit))
            ]
        rows = (row for some in windows(ids) for row in connection.execute(query.where(document.c.id.in_(some))))
        return [Behind(*row, "") for row in nsmallest(limit, rows, key=lambda row: (row.source, row.key))]


def policy_of(ledger: Ledger, source: str, key: str) -> Policy | None:
    """Who may read a document; None where that is unknown, or the document is."""
    query = (
        select(policy.c.body)
        .join(document, document.c.policy == policy.c.digest)
        .where(document.c.tenant == ledger.tenant, document.c.source == source, document.c.key == key)
    )
    with ledger.read() as connection:
        body = connection.scalar(query)
    return Policy.from_text(body) if body is not None else None


def link_to(ledger: Ledger, source: str, key: str, uri: str) -> str | None:
    """The address of a document for people, if its source has one."""
    query = select(sources.c.link).where(sources.c.tenant == ledger.tenant, sources.c.name == source)
    with ledger.read() as connection:
        return link_of(connection.scalar(query), key, uri)
