"""Health of each source: freshness, waiting loads, incidents and recent trend."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Literal

from moat.incidents.freshness import Cadence, cadence, format_span
from moat.ledger import Ledger, history, incidents, loads, sources
from moat.ledger.loads import Load

Fresh = Literal["fresh", "late", "not looked at", "learning", "never loaded"]
TREND = 28  # loads
LOOKED_BACK = 120  # loads, for so many that listed the whole source
NOTHING: Mapping[str, Sequence[str]] = MappingProxyType({})
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The health of one source at this moment."""

    source: str
    fresh: Fresh
    last_load: int | None
    state: str  # of the last load
    last_at: datetime | None
    age: timedelta | None
    held: int | None  # the load that waits for a person
    quarantined: int
    incidents: tuple[int, ...]  # unresolved
    listed: tuple[int, ...]  # documents in the newest loads of the whole source, oldest first
    why: str  # what is wrong; empty if nothing is

    @property
    def well(self) -> bool:
        return not self.why

    @property
    def trend(self) -> str:
        return sparkline(self.listed)

    @property
    def aged(self) -> str:
        return format_span(self.age) if self.age is not None else ""


def health(
    ledger: Ledger,
    declared: Iterable[str],
    now: datetime | None = None,
    more: Mapping[str, Sequence[str]] = NOTHING,
) -> list[Health]:
    """Health of every declared or loaded source.

    Args:
        ledger: The ledger.
        declared: Names of the declared sources.
        now: The time to judge freshness at; the current time by default.
        more: What else is wrong with a source, in words.

    Returns:
        One entry per source, by name.

    Raises:
        LedgerError: The database did not answer.
    """
    now = now or datetime.now(UTC)
    in_use = set(loads.sources(ledger)) - set(sources.retired(ledger))
    return [_of(ledger, name, now, more.get(name, ())) for name in sorted({*declared, *in_use})]


def sparkline(values: Sequence[float]) -> str:
    """Numbers as bars from lowest to highest; equal ones are drawn in the middle."""
    if not values:
        return ""
    least, most = min(values), max(values)
    if least == most:
        return BARS[len(BARS) // 2 - 1] * len(values)
    return "".join(BARS[round((v - least) / (most - least) * (len(BARS) - 1))] for v in values)


def _of(ledger: Ledger, source: str, now: datetime, more: Sequence[str]) -> Health:
    found = loads.recent(ledger, source, LOOKED_BACK)
    last = found[0] if found else None
    open_ = incidents.listing(ledger, source)
    held = next((load.id for load in found if load.state == "held"), None)
    whole = [load.counts["listed"] for load in found if "listed" in load.counts and not load.options.get("only")]
    fresh, late = _fresh(ledger, source, last, now)
    why = [late] if late else []
    if held is not None:
        why.append(f"load {held} waits for a person")
    why += more
    why += [f"incident {i.id}: {i.title or i.stage}" for i in open_]
    return Health(
        source=source,
        fresh=fresh,
        last_load=last.id if last else None,
        state=last.state if last else "",
        last_at=last.opened_at if last else None,
        age=now - last.opened_at if last else None,
        held=held,
        quarantined=sum(h.n for h in history.quarantined(ledger, source)),
        incidents=tuple(i.id for i in open_),
        listed=tuple(whole[:TREND][::-1]),
        why="; ".join(why),
    )


def _fresh(ledger: Ledger, source: str, last: Load | None, now: datetime) -> tuple[Fresh, str]:
    """Whether a source is on its usual schedule, and a message if not."""
    return on_schedule(last is not None, cadence(ledger, source, now) if last is not None else None)


def on_schedule(loaded: bool, found: Cadence | None) -> tuple[Fresh, str]:
    """Whether a source keeps to its own rhythm, as far as it is learned, and a message if not."""
    if not loaded:
        return "never loaded", ""
    if found is None:
        return "learning", ""
    if found.silent:
        return (
            "not looked at",
            f"no load for {format_span(found.unseen)}, usually one every {format_span(found.usual_look)}",
        )
    if found.late:
        return "late", f"nothing new for {format_span(found.age)}, usually something every {format_span(found.usual)}"
    return "fresh", ""
