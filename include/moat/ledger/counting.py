"""Exact counts of what an asker may read, as in the second look."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Connection, Select, func, select, true

from moat.batching import windows
from moat.errors import FatalError
from moat.filters import METADATA, Filters
from moat.ledger.filters import OF_REVISION, OWN, conditions, pairs_of, value_in
from moat.ledger.policies import satisfied
from moat.ledger.second_look import at, visible_chunks_query
from moat.ledger.tables import chunk, document, presence, revision, source

MOST_VALUES = 10_000  # most values of an aggregate
MOST_LOOKED_THROUGH = 10_000  # documents whose names of metadata are gathered
Counted = tuple[int, int]  # documents, chunks

_DOCUMENTS, _CHUNKS = func.count(document.c.id.distinct()), func.count(chunk.c.id.distinct())


def count(connection: Connection, tenant: str, principals: frozenset[str], filters: Filters) -> Counted:
    """Documents and chunks that these principals may read now and that match every filter."""
    documents = chunks = 0
    for query in _queries(connection, tenant, principals, filters, _DOCUMENTS, _CHUNKS):
        row = connection.execute(query).one()
        documents, chunks = documents + row[0], chunks + row[1]
    return documents, chunks


def aggregate(
    connection: Connection, tenant: str, principals: frozenset[str], by: str, filters: Filters
) -> list[tuple[str, Counted]]:
    """Counts grouped by a name that a filter may have, but `modified`, largest first.

    Raises FatalError if there are more than `MOST_VALUES` values.
    """
    found: dict[str, Counted] = defaultdict(lambda: (0, 0))
    pairs, own = pairs_of(connection), {**OWN, **OF_REVISION}
    has_name, text = value_in(pairs, by.removeprefix(METADATA))
    value = own.get(by, text)
    columns = (document.c.id.label("document"), chunk.c.id.label("chunk"), value.label("value"))
    for query in _queries(connection, tenant, principals, filters, *columns):
        if by not in own:
            query = query.join(pairs, true()).where(has_name)
        rows = query.subquery()
        grouped = select(
            rows.c.value, func.count(rows.c.document.distinct()), func.count(rows.c.chunk.distinct())
        ).group_by(rows.c.value)
        for name, documents, chunks in connection.execute(grouped.limit(MOST_VALUES + 1)):
            before = found[name]
            found[name] = (before[0] + documents, before[1] + chunks)
        if len(found) > MOST_VALUES:
            raise FatalError(f"{by} has more than {MOST_VALUES:,} values: narrow by filters")
    return sorted(found.items(), key=lambda item: (-item[1][0], -item[1][1], item[0]))


def matching(connection: Connection, tenant: str, principals: frozenset[str], filters: Filters, most: int) -> list[str]:
    """Ids of up to `most` documents that these principals may read now and that match every filter."""
    found: list[str] = []
    for query in _queries(connection, tenant, principals, filters, document.c.id):
        found += connection.scalars(query.distinct().limit(most - len(found)))
        if len(found) >= most:
            break
    return found


def unread(connection: Connection, tenant: str, principals: frozenset[str], names: Sequence[str]) -> dict[str, str]:
    """Those sources of which these principals may read nothing, each with the nearest one of which they may.

    Whether there is no such source or nothing in it for them takes the same statements and has the same answer.
    """
    found: dict[str, str] = {}
    there = list[str]()
    for name in names:
        if _some(connection, tenant, principals, {"source": name}):
            continue
        there = there or list(connection.scalars(select(source.c.name).where(source.c.tenant == tenant)))
        near = get_close_matches(name, [one for one in there if one != name], n=3)
        found[name] = next((one for one in near if _some(connection, tenant, principals, {"source": one})), "")
    return found


def metadata_names(connection: Connection, tenant: str, principals: frozenset[str]) -> frozenset[str] | None:
    """Names of metadata in what these principals may read; None: there is too much to look through."""
    names, n = set[str](), 0
    for query in _queries(connection, tenant, principals, {}, document.c.id, revision.c.metadata):
        rows = connection.execute(query.where(presence.c.position == 0).limit(MOST_LOOKED_THROUGH + 1 - n)).all()
        names.update(pair.partition("=")[0] for row in rows for pair in row.metadata)
        n += len(rows)
        if n > MOST_LOOKED_THROUGH:
            return None
    return frozenset(names)


def _some(connection: Connection, tenant: str, principals: frozenset[str], filters: Filters) -> bool:
    return bool(matching(connection, tenant, principals, filters, 1))


def _queries(
    connection: Connection, tenant: str, principals: frozenset[str], filters: Filters, *columns: Any
) -> Iterator[Select[Any]]:
    """Queries over readable rows, a window of policies at a time; sums are exact."""
    narrowed = conditions(connection, filters)
    for window in windows(satisfied(connection, tenant, principals)):
        yield visible_chunks_query(*columns).where(document.c.policy.in_(window), *narrowed).params(at(tenant))
