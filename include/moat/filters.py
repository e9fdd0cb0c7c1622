"""Filters of a question, as a program gives them; the ledger makes conditions of them (`ledger/filters.py`).

A filter only narrows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from moat.errors import AskedWrongly

MOST_VALUES = 1_000  # of one filter
METADATA = "metadata."  # before a name, so that it is one of metadata whatever it is called
KINDS = ("text", "table")  # of chunks
MODIFIED = "modified"
NAMES = ("source", "key", "kind", "document", "language", "media_type", MODIFIED)  # any other is a name of the metadata

Bound = int | float | date | datetime


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
            if name in NAMES and (name != MODIFIED or not bounds_of(value).of_days):
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


def bounds_of(value: Any) -> Range:
    """A compared value as a range; a value alone is both of its ends."""
    return value if isinstance(value, Range) else Range(at_least=value, at_most=value)
