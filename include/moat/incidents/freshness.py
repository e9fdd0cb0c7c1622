"""Learns how often a source changes, and detects when it is overdue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median

from moat.ledger import Ledger, loads
from moat.ledger.loads import Load
from moat.runtime import Runtime

LEARNED_FROM = 14  # gaps between loads with changes
RECENT = 400  # loads considered
SAME_DAY = 3  # gaps that began on the same weekday, from which that day has its own rhythm
PATIENCE = 1.5  # of the usual gap, added to this weekday's own gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """A source's rhythm: gaps between loads with changes, and time since the last one."""

    source: str
    n_gaps: int
    usual: timedelta  # between two loads with changes, after a day like that of the last one
    bound: timedelta  # late after this
    changed_at: datetime  # opening time of the last load with changes
    age: timedelta  # since then
    looked_at: datetime  # opening time of the newest load, with or without changes
    unseen: timedelta  # since then
    usual_look: timedelta  # between two loads, with or without changes

    @property
    def late(self) -> bool:
        """Whether changes are overdue."""
        return self.age > self.bound

    @property
    def silent(self) -> bool:
        """Whether the source has not been read for far longer than usual."""
        return self.unseen > 3 * self.usual_look


def cadence(ledger: Ledger, source: str, now: datetime | None = None) -> Cadence | None:
    """The rhythm of a source; None until enough loads had changes.

    Weekends and other quiet days are learned by the weekday on which a gap began: after a change on a
    Friday the next is expected on Monday.
    """
    return cadence_of(source, loads.recent(ledger, source, RECENT), now)


def cadence_of(source: str, newest_first: Sequence[Load], now: datetime | None = None) -> Cadence | None:
    """The same from loads that were read already: the newest `RECENT` of a source."""
    now = now or datetime.now(UTC)
    found = [load for load in reversed(newest_first) if not load.options.get("only")]
    changed = [load for load in found if load.state == "promoted" and _brought(load)]
    moments = [load.opened_at for load in changed]
    if len(moments) <= LEARNED_FROM:
        return None
    gaps = [(a, b - a) for a, b in pairwise(moments)]
    last = moments[-1]
    same = [gap for at, gap in gaps if at.weekday() == last.weekday()]
    alike = [gap for at, gap in gaps if (at.weekday() >= 5) == (last.weekday() >= 5)]
    every = [gap for _, gap in gaps]
    usual = _median(same if len(same) >= SAME_DAY else alike if len(alike) >= SAME_DAY else every)
    looks = [b.opened_at - a.opened_at for a, b in pairwise(found)]
    return Cadence(
        source=source,
        n_gaps=len(gaps),
        usual=usual,
        bound=usual + PATIENCE * _median(every),
        changed_at=last,
        age=now - last,
        looked_at=found[-1].opened_at,
        unseen=now - found[-1].opened_at,
        usual_look=_median(looks),
    )


def stale(runtime: Runtime, source: str) -> str:
    """A message if a source has been quiet for too long, otherwise empty."""
    found = cadence(runtime.ledger, source)
    if found is None or not found.late:
        return ""
    return (
        f"nothing new for {format_span(found.age)}, usually something every {format_span(found.usual)}, "
        f"allowed: {format_span(found.bound)}, as learned from {found.n_gaps} changes"
    )


def format_span(span: timedelta) -> str:
    """Format a duration for people."""
    hours = span.total_seconds() / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.0f} min"


def _brought(load: Load) -> bool:
    return any(load.counts.get(name, 0) for name in ("new", "changed", "vanished"))


def _median(spans: Sequence[timedelta]) -> timedelta:
    return timedelta(seconds=median(span.total_seconds() for span in spans))
