"""The shape of a listing: statistics of its columns, or its files by extension.

Counted while the reader reads, and stored beside the plan as `read/shape.json`. It holds counts, types
and numbers, and never a value of a row.
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

SAMPLE = 4_096  # values of a column in the sample; NULLs are counted in every row
MOST_NAMES = 200  # columns, or extensions of files
MOST_VALUES, LEAST_SHARE = 12, 0.02  # distinct values or forms of a column, and the least share of one
SHORT = 40  # maximum characters of a text that has a form
DIGIT, LETTERS = re.compile(r"\d"), re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Statistics of one column in this load; None where they do not fit its type."""

    name: str
    type: str = ""  # integer, number, text, date, time, truth, bytes, other; empty: not read, or only NULL
    n: int = 0  # rows that were read
    nulls: int = 0
    median: float | None = None  # of numbers
    length: float | None = None  # mean characters of texts
    distinct: float | None = None  # share of the sample's values that differ
    top: float | None = None  # share of the most common value
    newest: float | None = None  # seconds since 1970 of the newest date
    hour: float | None = None  # mean time of day, from -6 to 18; None: spread over the day
    low: float | None = None  # of numbers, the 5th percentile
    high: float | None = None  # of numbers, the 95th percentile
    forms: Mapping[str, float] = field(default_factory=dict)  # shares of the forms of short texts, by digest
    values: Mapping[str, float] = field(default_factory=dict)  # shares of values, by digest, where there are few
    moved: Mapping[str, int] = field(default_factory=dict)  # rows that were fetched, by digest of the value, if few


@dataclass(frozen=True, slots=True)
class Shape:
    """What one reading saw: columns of rows, or extensions of files."""

    columns: tuple[Column, ...] = ()
    files: Mapping[str, int] = field(default_factory=dict)  # listed documents by extension

    def text(self) -> str:
        """Serialize as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str | bytes) -> "Shape":
        """Read a shape from its JSON."""
        body = json.loads(text)
        return cls(tuple(Column(**column) for column in body["columns"]), dict(body["files"]))


class SeenValue(NamedTuple):
    """What is kept of one value: enough to count it, too little to reveal it."""

    kind: str
    digest: int
    number: float | None  # the number, a text's characters, or a date's seconds since 1970
    form: int | None  # of a short text: 9999-99-99, a99


class Counting:
    """Counts a column as its values pass by, from a sample spread over all of them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._n = self._nulls = 0
        self._every, self._sample = 1, list[SeenValue]()

    def add(self, value: object) -> None:
        """Count one value."""
        self._n += 1
        if value is None:
            self._nulls += 1
        elif (self._n - self._nulls) % self._every == 0:
            self._sample.append(_seen(value))
            if len(self._sample) > SAMPLE:
                self._sample, self._every = self._sample[1::2], self._every * 2

    def column(self) -> Column:
        """Return the column's statistics so far."""
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


class FewValues:
    """Counts the rows of each value of a column, as long as there are few values; NULLs are left out."""

    def __init__(self) -> None:
        self._counts: Counter[str] | None = Counter()

    def add(self, value: object) -> None:
        """Count one value."""
        if self._counts is not None and value is not None:
            self._counts[digest(value)] += 1
            if len(self._counts) > MOST_VALUES:
                self._counts = None

    def counts(self) -> dict[str, int]:
        """Rows by digest of the value; empty if there are more than a few values."""
        return dict(self._counts or {})


def digest(value: object) -> str:
    """Digest of a value, as shares and counts are kept by it; the same in every run."""
    return f"{_digest(value):08x}"


def ending(name: str) -> str:
    """Extension of a file's name in lower case with its dot; `none` without one."""
    stem, dot, last = name.rpartition("/")[2].rpartition(".")
    return f".{last.lower()}" if dot and stem and last.isalnum() and len(last) <= 8 else "none"


def of_files(counts: Mapping[str, int]) -> Shape:
    """Shape of a listing of files, with its most common extensions."""
    return Shape(files=dict(Counter(counts).most_common(MOST_NAMES)))


def of_rows(columns: Iterable[Column]) -> Shape:
    """Shape of a query's rows."""
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
    form = zlib.crc32(_form(value).encode()) if isinstance(value, str) and len(value) <= SHORT else None
    return SeenValue(kind, _digest(value), _number(value), form)


def _digest(value: object) -> int:
    same = bytes(value) if isinstance(value, bytearray | memoryview) else value
    return zlib.crc32(str(same).encode("utf-8", "replace"))


def _form(text: str) -> str:
    """Form of a text: digits as 9, a run of letters as a."""
    return LETTERS.sub("a", DIGIT.sub("9", text))


def _shares(counts: Mapping[int, int], n: int) -> dict[str, float]:
    """Shares of the most common values, without rare ones."""
    common = Counter(counts).most_common(MOST_VALUES)
    return {f"{digest:08x}": times / n for digest, times in common if times >= LEAST_SHARE * n}


def _number(value: object) -> float | None:
    """A number that stands for a value; UTC unless a zone is given."""
    if isinstance(value, str):
        return float(len(value))
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
    number = float(value) if isinstance(value, int | float | Decimal) else math.nan
    return number if math.isfinite(number) else None


def _hour(moments: list[float]) -> float | None:
    """Mean time of day; None if the times are spread over the day."""
    angles = [m % 86_400 / 86_400 * math.tau for m in moments]
    x, y = sum(map(math.cos, angles)) / len(angles), sum(map(math.sin, angles)) / len(angles)
    if math.hypot(x, y) < 0.3:
        return None
    hour = math.atan2(y, x) / math.tau * 24
    return hour + 24 if hour < -6 else hour
