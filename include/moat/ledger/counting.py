"""Exact counts of what an asker may read, as in the second look."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, true

from moat.batching import windows
from moat.errors import FatalError
from moat.ids import is_id
from moat.ledger.policies import satisfied
from moat.ledger.second_look import at, visible_chunks_query
from moat.ledger.tables import chunk, document, revision

OWN = {"source": document.c.source, "key": document.c.key, "kind": chunk.c.kind, "document": document.c.id}
MOST_VALUES = 10_000  # most values of an aggregate
Counted = tuple[int, int]  # documents, chunks
Filters = Mapping[str, str | Sequence[str]]

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
    """Counts grouped by `source`, `key`, `kind`, `document` or a metadata name, largest first.

    Raises FatalError if there are more than `MOST_VALUES` values.
    """
    found: dict[str, Counted] = defaultdict(lambda: (0, 0))
    pairs = _pairs(connection)
    value = OWN.get(by, func.substr(pairs.c.value, len(by) + 2))
    columns = (document.c.id.label("document"), chunk.c.id.label("chunk"), value.label("value"))
    for query in _queries(connection, tenant, principals, filters, *columns):
        if by not in OWN:
            query = query.join(pairs, true()).where(func.substr(pairs.c.value, 1, len(by) + 1) == f"{by}=")
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


def _queries(
    connection: Connection, tenant: str, principals: frozenset[str], filters: Filters, *columns: Any
) -> Iterator[Select[Any]]:
    """Queries over readable rows, a window of policies at a time; sums are exact."""
    conditions = [_condition(connection, name, value) for name, value in filters.items()]
    for window in windows(satisfied(connection, tenant, principals)):
        yield visible_chunks_query(*columns).where(document.c.policy.in_(window), *conditions).params(at(tenant))


def _condition(connection: Connection, name: str, value: str | Sequence[str]) -> ColumnElement[bool]:
    """A filter as in the index, by own or metadata name."""
    values = [value] if isinstance(value, str) else list(value)
    if name == "document":
        values = [v.lower() for v in values if is_id(v)]
    if name in OWN:
        return OWN[name].in_(values)
    pairs = _pairs(connection)
    return select(pairs.c.value).where(pairs.c.value.in_([f"{name}={v}" for v in values])).exists()


def _pairs(connection: Connection) -> Any:
    """The revision's metadata as rows of `name=value`."""
    each = func.json_array_elements_text if connection.dialect.name == "postgresql" else func.json_each
    return each(revision.c.metadata).table_valued("value", name="pairs")
