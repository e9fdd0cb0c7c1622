"""The evidence of a fault as one frozen record.

No rule needs a server. Evidence lines contain numbers and names, never document text or what a risk
check found.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from moat.errors import DocumentError, MoatError

LINE = 200  # characters of an evidence line
TOO_FAR = 3.5  # robust z-score from which a measure is unusual


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A failed check or task, or a late load."""

    kind: Literal["check", "task", "late"]
    stage: str
    subject: str
    severity: str
    error: str  # class of the error; empty for a check
    message: str
    n: int = 1
    measure: str = ""  # measure of the check's learned bound

    @property
    def line(self) -> str:
        times = f" ({self.n:,} times)" if self.n > 1 else ""
        if self.kind == "check":
            return _cut(f"check {self.subject}: {self.message}")
        return _cut(f"{self.subject} failed{times}: {self.error or self.message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One measure of the load and its usual value."""

    name: str
    value: float
    usual: float | None = None  # median of the loads before; None: there are none
    z: float = 0.0  # robust and signed; 0 if too little is known
    failed: bool = False  # whether a check of it failed

    @property
    def line(self) -> str:
        was = f", usually {_number(self.usual)}" if self.usual is not None else ""
        return f"{self.name} {_number(self.value)}{was}"

    def unusual(self, side: Literal["high", "low", "both"] = "both") -> bool:
        """Whether it departs to that side, according to a check or the history."""
        up = self.value > self.usual if self.usual is not None else self.z >= 0
        right = side == "both" or (side == "high") == up
        return right and (self.failed or abs(self.z) >= TOO_FAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a source with more than its share of bad documents."""

    of: str
    value: str
    bad: int
    bad_all: int
    whole: int
    whole_all: int

    @property
    def share(self) -> float:
        return self.bad / self.bad_all if self.bad_all else 0.0

    @property
    def lift(self) -> float:
        """Share of the bad documents minus share of all, from 0 to 1."""
        return self.share - (self.whole / self.whole_all if self.whole_all else 0.0)

    @property
    def line(self) -> str:
        expected = self.whole / self.whole_all if self.whole_all else 0.0
        return _cut(
            f"{self.of} {self.value}: {self.bad:,} of {self.bad_all:,} bad documents ({self.share:.0%}), "
            f"{expected:.0%} of all documents"
        )


@dataclass(frozen=True, slots=True)
class Aside:
    """Quarantined documents that share stage, error and reason."""

    stage: str
    error: str
    reason: str  # for rules only: it may contain document text, so no line includes it
    n: int


@dataclass(frozen=True, slots=True)
class ColumnEvidence:
    """A column of the rows, or a field of the records."""

    name: str
    type: str
    nulls: float  # share


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything known about a fault."""

    source: str
    stage: str = ""  # the first bad one
    load: int | None = None
    faults: tuple[Fault, ...] = ()
    shifts: Mapping[str, Shift] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    counts_before: Mapping[str, int] = field(default_factory=dict)  # of the last promoted load
    changes: tuple[str, ...] = ()  # of code, packages, settings, declaration, credentials, in words
    segments: tuple[Segment, ...] = ()
    aside: tuple[Aside, ...] = ()
    columns: tuple[ColumnEvidence, ...] = ()
    columns_before: tuple[ColumnEvidence, ...] = ()
    clock: tuple[int, float] | None = None  # minutes by which most dates moved, and their share
    empty_sizes: int = 0  # listed documents of size 0
    missed: int = 0  # vanishing documents behind a failed golden question
    empty_groups: tuple[str, ...] = ()  # empty groups that many documents name
    copies: float | None = None  # share of the documents that checks of duplicates name which are new; None: no name
    moved_keys: float = 0.0  # share of the vanished documents whose content has a new key
    newest: float | None = None  # share of the vanished documents that were among the newest tenth

    def said(self, pattern: str) -> list[Fault]:
        """Failed tasks whose error or message matches, of the first bad stage or any."""
        found = [f for f in self.faults if f.kind != "check" and re.search(pattern, f"{f.error} {f.message}", re.I)]
        first = [f for f in found if f.stage == self.stage]
        return first or found

    def raised(self, *kinds: type[MoatError]) -> list[Fault]:
        """Failed tasks of the first bad stage, or of any, that ended with one of these errors."""
        names = {kind.__name__ for kind in kinds}
        found = [f for f in self.faults if f.kind != "check" and f.error in names]
        return [f for f in found if f.stage == self.stage] or found

    def failed(self, pattern: str) -> list[Fault]:
        """Failed checks whose name or measure matches the pattern."""
        return [
            f for f in self.faults if f.kind == "check" and re.search(pattern, f"{f.subject}\n{f.measure}", re.I | re.M)
        ]

    def moved(self, pattern: str, side: Literal["high", "low", "both"] = "both") -> list[Shift]:
        """Measures that depart to a side and whose name matches the pattern, farthest first."""
        found = [s for name, s in self.shifts.items() if re.search(pattern, name, re.I) and s.unusual(side)]
        return sorted(found, key=lambda s: (-s.failed, -abs(s.z)))

    def changed(self, prefix: str) -> list[str]:
        """Changes since the previous load whose name has the prefix."""
        return [words for words in self.changes if words.startswith(prefix)]

    def aside_by(self, *kinds: type[DocumentError]) -> list[Aside]:
        """Quarantined documents that were set aside by one of these errors."""
        names = {kind.__name__ for kind in kinds}
        return [a for a in self.aside if a.error in names]

    def part(self, *of: str) -> Segment | None:
        """The segment of these kinds that stands out most."""
        return max((s for s in self.segments if s.of in of), key=lambda s: s.lift, default=None)

    def count(self, name: str) -> int:
        return self.counts.get(name, 0)

    def ratio(self, name: str, of: str) -> float:
        """One count of the load divided by another; 0 if the latter is missing."""
        return self.count(name) / self.count(of) if self.count(of) else 0.0


@dataclass(frozen=True, slots=True)
class Signs:
    """How strongly one cause is indicated, from 0 to 100, and by which lines."""

    score: int = 0
    lines: tuple[str, ...] = ()


NONE = Signs()


def signs(score: int, because: object, *beside: object) -> Signs:
    """Signs of a cause from its evidence; none if `because` is empty."""
    lines = tuple(dict.fromkeys((*_lines(because), *_lines(beside)))) if because else ()
    return Signs(min(score, 100), lines) if lines else NONE


def _lines(found: object) -> Iterator[str]:
    if isinstance(found, str):
        if found:
            yield _cut(found)
    elif isinstance(found, Aside):
        yield f"{found.n:,} documents set aside at {found.stage}: {found.error}"
    elif isinstance(found, list | tuple):
        for one in found[:6]:
            yield from _lines(one)
    elif found is not None:
        yield str(getattr(found, "line", ""))


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LINE else f"{text[: LINE - 1]}…"


def _number(value: float | None) -> str:
    if value is None:
        return "nothing"
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1_000 else f"{value:.3g}"
