"""The shape of what a source lists: columns of its rows with their types and numbers, or its files by ending.

Counted while the reader reads, kept beside the plan as `read/shape.json`. It holds counts, types and
numbers, and never a value of a row.
"""

import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

SAMPLE = 4_096  # values of a column that are looked at; NULLs are counted in every row
MOST_NAMES = 200  # columns, or endings of files
MOST_VALUES, LEAST_SHARE = 12, 0.02  # values or forms of a column that are told apart, and how common one must be
SHORT = 40  # characters of a text that has a form
DIGIT, LETTERS = re.compile(r"\d"), re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column as this load saw it. What does not fit its type is None."""

    name: str
    type: str = ""  # integer, number, text, date, time, truth, bytes, other; empty: not read, or only NULL
    n: int = 0  # rows that were read
    nulls: int = 0
    median: float | None = None  # of numbers
    length: float | None = None  # mean characters of texts
    distinct: float | None = None  # share of the sample's values that differ
    top: float | None = None  # share of the most common value
    newest: float | None = None  # seconds since 1970 of the newest date
    hour: float | None = None  # where the times of day lie, from -6 to 18; None: spread over the day
    low: float | None = None  # of numbers, what one in twenty is below
    high: float | None = None  # and above
    forms: Mapping[str, float] = field(default_factory=dict)  # shares of the forms of short texts, by digest
    values: Mapping[str, float] = field(default_factory=dict)  # shares of values, by digest, where there are few


@dataclass(frozen=True, slots=True)
class Shape:
    """What one reading saw."""

    columns: tuple[Column, ...] = ()
    files: Mapping[str, int] = field(default_factory=dict)  # listed documents by the ending of their name

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str | bytes) -> "Shape":
        body = json.loads(text)
        return cls(tuple(Column(**column) for column in body["columns"]), dict(body["files"]))


class SeenValue(NamedTuple):
    """What is kept of one value: enough to count it, not to tell it."""

    kind: str
    digest: int
    number: float | None  # itself, its characters, or its seconds since 1970
    form: int | None  # of a short text: 9999-99-99, a99


class Counting:
    """Counts a column while its values pass by; what is looked at closely is a sample spread over all of them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._n = self._nulls = 0
        self._every, self._sample = 1, list[SeenValue]()

    def add(self, value: object) -> None:
        self._n += 1
        if value is None:
            self._nulls += 1
        elif (self._n - self._nulls) % self._every == 0:
            self._sample.append(_seen(value))
            if len(self._sample) > SAMPLE:
                self._sample, self._every = self._sample[1::2], self._every * 2

    def column(self) -> Column:
        """The column so far."""
        if not self._sample:
            return Column(name=self._name, type="", n=self._n, nulls=self._nulls)
        kind = Counter(seen.kind for seen in self._sample).most_common(1)[0][0]
        digests = Counter(seen.digest for seen in self._sample)
        numbers = sorted(seen.number for seen in self._sample if seen.kind == kind and seen.number is not None)
        numeric, n = kind in ("integer", "number") and bool(numbers), len(self._sample)
        forms = Counter(seen.form for seen in self._sample if seen.form is not None)
        return Column(
            name=self._name,
            type=kind,
            n=self._n,
            nulls=self._nulls,
            median=numbers[len(numbers) // 2] if numeric else None,
            length=sum(numbers) / len(numbers) if kind == "text" else None,
            distinct=len(digests) / n,
            top=digests.most_common(1)[0][1] / n,
            newest=max(numbers) if kind in ("date", "time") else None,
            hour=_hour(numbers) if kind == "time" else None,
            low=numbers[len(numbers) // 20] if numeric else None,
            high=numbers[-1 - len(numbers) // 20] if numeric else None,
            forms=_shares(forms, n),
            values=_shares(digests, n) if len(digests) <= min(MOST_VALUES, n // 4) else {},
        )


def ending(name: str) -> str:
    """The ending of a file's name, as a kind of file: small letters, with its dot; `none` without one."""
    stem, dot, last = name.rpartition("/")[2].rpartition(".")
    return f".{last.lower()}" if dot and stem and last.isalnum() and len(last) <= 8 else "none"


def of_files(counts: Mapping[str, int]) -> Shape:
    """The shape of a listing of files; rare endings beyond the most that are kept are dropped."""
    return Shape(files=dict(Counter(counts).most_common(MOST_NAMES)))


def of_rows(columns: Iterable[Column]) -> Shape:
    """The shape of a query's rows."""
    return Shape(columns=tuple(columns)[:MOST_NAMES])


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "truth"),
    (int, "integer"),
    ((float, Decimal), "number"),
    (str, "text"),
    (datetime, "time"),
    (date, "date"),
    ((bytes, bytearray, memoryview), "bytes"),
)


def _seen(value: object) -> SeenValue:
    kind = next((name for types, name in _KINDS if isinstance(value, types)), "other")
    same = bytes(value) if isinstance(value, bytearray | memoryview) else value
    form = zlib.crc32(_form(value).encode()) if isinstance(value, str) and len(value) <= SHORT else None
    return SeenValue(
        kind, zlib.crc32(str(same).encode("utf-8", "replace")), _number(value), form
    )  # the same in every run


def _form(text: str) -> str:
    """How a text is written: its digits as 9, its letters as one a, the rest as it is."""
    return LETTERS.sub("a", DIGIT.sub("9", text))


def _shares(counts: Mapping[int, int], n: int) -> dict[str, float]:
    """The share of each that is common at all, the most common few."""
    common = Counter(counts).most_common(MOST_VALUES)
    return {f"{digest:08x}": times / n for digest, times in common if times >= LEAST_SHARE * n}


def _number(value: object) -> float | None:
    """A number that stands for a value; a date without a time zone is taken for UTC."""
    if isinstance(value, str):
        return float(len(value))
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    number = float(value) if isinstance(value, int | float | Decimal) else math.nan
    return number if math.isfinite(number) else None


def _hour(moments: list[float]) -> float | None:
    """The mean time of day on the clock's circle, where the times lie together: office hours, a nightly batch."""
    angles = [m % 86_400 / 86_400 * math.tau for m in moments]
    x, y = sum(map(math.cos, angles)) / len(angles), sum(map(math.sin, angles)) / len(angles)
    if math.hypot(x, y) < 0.3:
        return None
    hour = math.atan2(y, x) / math.tau * 24
    return hour + 24 if hour < -6 else hour
