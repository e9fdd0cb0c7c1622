"""Filters of a question as conditions of the ledger.

What the index has a property for is filtered there too; ranges, moments, languages and media types are the ledger's
alone, so that a collection needs no new property for them.
"""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, and_, case, cast, func, select

from moat.filters import METADATA, MODIFIED, Compared, Filters, Range, Value, bounds_of, values_of
from moat.ids import is_id
from moat.ledger.tables import chunk, document, revision

NUMBER = r"^[+-]?[0-9]{1,200}(\.[0-9]{1,200})?$"
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}|$)"

OWN = {"source": document.c.source, "key": document.c.key, "kind": chunk.c.kind, "document": document.c.id}
OF_REVISION = {"language": revision.c.language, "media_type": revision.c.media_type}


def exact(filters: Filters) -> dict[str, list[str]]:
    """Those filters that the index has a property for."""
    ledgers = (*OF_REVISION, MODIFIED)
    return {n: values_of(v) for n, v in filters.items() if n not in ledgers and not isinstance(v, Compared)}


def conditions(connection: Connection, filters: Filters) -> list[ColumnElement[bool]]:
    """Filters as conditions on the rows of `visible_chunks_query`, one each."""
    return [_condition(connection, name, value) for name, value in filters.items()]


def pairs_of(connection: Connection) -> Any:
    """The revision's metadata as rows of `name=value`."""
    each = func.json_array_elements_text if connection.dialect.name == "postgresql" else func.json_each
    return each(revision.c.metadata).table_valued("value", name="pairs")


def value_in(pairs: Any, name: str) -> tuple[ColumnElement[bool], ColumnElement[str]]:
    """Condition that a pair has this name, and its value."""
    return func.substr(pairs.c.value, 1, len(name) + 1) == f"{name}=", func.substr(pairs.c.value, len(name) + 2)


def _condition(connection: Connection, name: str, value: Value) -> ColumnElement[bool]:
    if name == MODIFIED:
        return and_(*(compared(revision.c.modified_at, moment) for compared, moment in _moments(bounds_of(value))))
    if name in OWN:
        texts = values_of(value)
        return OWN[name].in_([v.lower() for v in texts if is_id(v)] if name == "document" else texts)
    if name in OF_REVISION:
        return OF_REVISION[name].in_(values_of(value))
    pairs, name = pairs_of(connection), name.removeprefix(METADATA)
    if not isinstance(value, Compared):
        return select(pairs.c.value).where(pairs.c.value.in_([f"{name}={v}" for v in values_of(value)])).exists()
    has_name, text = value_in(pairs, name)
    bounds = bounds_of(value)
    within = _days(connection, text, bounds) if bounds.of_days else _numbers(text, bounds)
    return select(pairs.c.value).where(has_name, *within).exists()


def _numbers(text: ColumnElement[str], value: Range) -> list[ColumnElement[bool]]:
    number = case((text.regexp_match(NUMBER), cast(text, Float)), else_=None)
    bounds = ((number.__ge__, value.at_least), (number.__gt__, value.above), (number.__le__, value.at_most),
              (number.__lt__, value.below))  # fmt: skip
    return [compared(bound) for compared, bound in bounds if bound is not None]


def _days(connection: Connection, text: ColumnElement[str], value: Range) -> list[ColumnElement[bool]]:
    """Compare days and moments as ISO 8601 writes them, in UTC."""
    written: ColumnElement[str] = func.replace(text, " ", "T")
    if connection.dialect.name == "postgresql":
        written = written.collate("C")
    within = [compared(written, _text(moment)) for compared, moment in _moments(value)]
    return [text.regexp_match(DAY), *within]


def _text(moment: datetime) -> str:
    return re.sub("T00:00:00$", "", f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}")


def _moments(value: Range) -> list[tuple[Any, datetime]]:
    """The bounds as moments from which on, and before which."""
    found = list[tuple[Any, datetime]]()
    for name, compared, after in (
        ("at_least", ColumnElement.__ge__, False),
        ("above", ColumnElement.__ge__, True),
        ("at_most", ColumnElement.__lt__, True),
        ("below", ColumnElement.__lt__, False),
    ):
        bound = getattr(value, name)
        if bound is None:
            continue
        whole = timedelta(seconds=1) if isinstance(bound, datetime) else timedelta(days=1)
        moment = bound if isinstance(bound, datetime) else datetime.combine(bound, time(), UTC)
        found.append((compared, moment.replace(microsecond=0) + whole if after else moment))
    return found
