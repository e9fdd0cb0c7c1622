"""Filters of a question, and the same as conditions of the ledger.

A filter only narrows. What the index has a property for is filtered there too; ranges, moments, languages and media
types are the ledger's alone, so that a collection needs no new property for them.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, and_, case, cast, func, select

from moat.errors import AskedWrongly
from moat.ids import is_id
from moat.ledger.tables import chunk, document, revision

MOST_VALUES = 1_000  # of one filter
METADATA = "metadata."  # before a name, so that it is one of metadata whatever it is called
KINDS = ("text", "table")  # of chunks
MODIFIED = "modified"
NUMBER = r"^[+-]?[0-9]{1,200}(\.[0-9]{1,200})?$"
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}|$)"

Bound = int | float | date | datetime
OWN = {"source": document.c.source, "key": document.c.key, "kind": chunk.c.kind, "document": document.c.id}
OF_REVISION = {"language": revision.c.language, "media_type": revision.c.media_type}
NAMES = (*OWN, *OF_REVISION, MODIFIED)  # any other is a name of the metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Values between two bounds, each left out or given: numbers, days, or moments with a zone.

    A day is the whole of it, in UTC. What is no number, or no day, is in no range of such.

    Attributes:
        at_least: The value or more; of a day, from its beginning.
        above: More than the value; of a day, from the next one.
        at_most: The value or less; of a day, to its end.
        below: Less than the value; of a day, before its beginning.

    Raises:
        AskedWrongly: No bound is given, or they are of different types, or a moment has no zone.

    Example:
        Everything that was modified in July 2026:

            Range(at_least=date(2026, 7, 1), below=date(2026, 8, 1))
    """

    at_least: Bound | None = None
    above: Bound | None = None
    at_most: Bound | None = None
    below: Bound | None = None

    def __post_init__(self) -> None:
        given = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}
        if not given:
            raise AskedWrongly("Range() has no bound: give at_least, above, at_most or below")
        for name, value in given.items():
            finite = isinstance(value, date) or (type(value) in (int, float) and math.isfinite(value))
            if not finite or (isinstance(value, datetime) and value.tzinfo is None):
                raise AskedWrongly(f"Range({name}={value!r}): a number, a day, or a moment with a zone")
        if len({isinstance(value, date) for value in given.values()}) > 1:
            raise AskedWrongly(f"{self!r} has numbers and days: one of both")

    @property
    def of_days(self) -> bool:
        """Whether its bounds are days or moments, not numbers."""
        return isinstance(next(v for f in fields(self) if (v := getattr(self, f.name)) is not None), date)


Compared = Range | date | int | float  # what is compared, and not looked up
Value = str | Compared | Sequence[str]
Filters = Mapping[str, Value]


def check(filters: Filters) -> None:
    """Raise AskedWrongly for a filter that no document could be meant by."""
    if not isinstance(filters, Mapping):
        raise AskedWrongly(f"filters={type(filters).__name__}: a mapping of names to values")
    for name, value in filters.items():
        if not isinstance(name, str) or not name.removeprefix(METADATA):
            raise AskedWrongly(f"filters[{name!r}]: {', '.join(NAMES)}, or a name of the documents' metadata")
        where = f"filters[{name!r}]"
        if isinstance(value, Range | date):
            if name in NAMES and (name != MODIFIED or not _range(value).of_days):
                raise AskedWrongly(
                    f"{where}={value!r}: {'days or moments' if name == MODIFIED else 'a text, or several'}"
                )
        elif name == MODIFIED:
            raise AskedWrongly(f"{where}={value!r}: a day, or a Range of days or moments")
        elif type(value) not in (int, float) or name in NAMES:
            _check_texts(where, name, value)


def _check_texts(where: str, name: str, value: Any) -> None:
    several = isinstance(value, Sequence | set | frozenset) and all(isinstance(v, str) for v in value)
    if not isinstance(value, str) and not several:
        allowed = "a text, or several" if name in NAMES else "a text, several texts, a number, a day, or a Range"
        raise AskedWrongly(f"{where}={value!r}: {allowed}")
    if not value and not isinstance(value, str):
        raise AskedWrongly(f"{where} names no value, so nothing matches: leave it out, or name one")
    if not isinstance(value, str) and len(value) > MOST_VALUES:
        raise AskedWrongly(f"{where} has {len(value):,} values: at the most {MOST_VALUES:,}")
    if name == "kind" and (wrong := [v for v in values_of(value) if v not in KINDS]):
        raise AskedWrongly(f"{where}={wrong[0]!r}: {' or '.join(KINDS)}{nearest(wrong[0], KINDS)}")


def nearest(name: str, names: Sequence[str]) -> str:
    """The name that is nearly this one, as a question; empty without one."""
    near = get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def values_of(value: Any) -> list[str]:
    """The texts of a filter by texts."""
    return [value] if isinstance(value, str) else list(value)


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
        return and_(*(compared(revision.c.modified_at, moment) for compared, moment in _moments(_range(value))))
    if name in OWN:
        texts = values_of(value)
        return OWN[name].in_([v.lower() for v in texts if is_id(v)] if name == "document" else texts)
    if name in OF_REVISION:
        return OF_REVISION[name].in_(values_of(value))
    pairs, name = pairs_of(connection), name.removeprefix(METADATA)
    if not isinstance(value, Compared):
        return select(pairs.c.value).where(pairs.c.value.in_([f"{name}={v}" for v in values_of(value)])).exists()
    has_name, text = value_in(pairs, name)
    bounds = _range(value)
    within = _days(connection, text, bounds) if bounds.of_days else _numbers(text, bounds)
    return select(pairs.c.value).where(has_name, *within).exists()


def _range(value: Any) -> Range:
    return value if isinstance(value, Range) else Range(at_least=value, at_most=value)


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
