"""learn: what a load measured against earlier loads -> departures from the usual range.

A measure is compared with earlier promoted loads on the same kind of day. It departs if it lies
outside what their spread, their trend and the number of things measured explain, and if the change
is large enough to matter.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from moat.checks.measures import Measure
from moat.errors import FatalError
from moat.ledger.checks import CheckResult
from moat.ledger.measures import PastMeasure

LEARNED_FROM = 14  # number of loads to compare with
TREND_FROM = 28  # number of loads from which a trend is fitted
MILD, SEVERE = 4.0, 7.0  # robust standard deviations; the first warns, the second has the measure's severity
LEAST_SPREAD = 4.0  # a change of `Measure.least` is at least that many, so that no smaller change departs
FEWEST = 4  # sample size of a share or mean needed to hold a load, or to warn of a milder departure
NEWEST = 3  # loads that together show a permanent change of level
SUMMARY = "learned bounds"

History = Mapping[str, Sequence[PastMeasure]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """The usual range of a measure, on its own scale."""

    low: float
    high: float
    spread: float
    extremes: tuple[float, float]  # range of those loads without outliers
    n: int
    days: str  # which loads these are, in words
    one: float  # spread of a single thing, if the measure is a mean or share of many
    n_things: float  # sample size over all those loads


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A measure of a load beside what is usual, as values: for people to look at, nothing is judged by it."""

    name: str
    title: str
    scale: str  # count, share or plain
    value: float
    low: float | None  # None: not learned yet
    high: float | None
    n: int  # loads that it is learned from
    days: str


def ranges(
    measures: Sequence[Measure], measured: Mapping[str, float], history: History, when: datetime
) -> Iterator[Range]:
    """What a load measured, each with its usual range as far as that is learned."""
    for measure in measures:
        for name in _names(measure, measured, history):
            past = _past(measure, name, history)
            usual = _usual(measure, past, _of(measure, name, history), when)
            band = (usual.low - 2 * usual.spread, usual.high + 2 * usual.spread) if usual is not None else None
            yield Range(
                name=name,
                title=_title(measure, name),
                scale=measure.scale,
                value=measured.get(name, 0.0),
                low=_value(measure, band[0]) if band else None,
                high=_value(measure, band[1]) if band else None,
                n=usual.n if usual is not None else len(past),
                days=usual.days if usual is not None else "",
            )


def judge(
    measures: Sequence[Measure], measured: Mapping[str, float], history: History, when: datetime, expected: str
) -> list[CheckResult]:
    """Compare measures with their usual range: one result per departure and one summary.

    The caller sets the family. `expected` is the reason for an expected change: departures then only
    warn. Raises FatalError for a measured value that is not a number.
    """
    if wrong := sorted(name for name, value in measured.items() if not math.isfinite(value)):
        raise FatalError(f"measured what is no number: {', '.join(wrong)}")
    departed: list[CheckResult] = []
    judged, fewest, learned = set[str](), 0, 0
    for measure in measures:
        for name in _names(measure, measured, history):
            value = measured.get(name, 0.0)
            past = _past(measure, name, history)
            usual = _usual(measure, past, _of(measure, name, history), when)
            if usual is None:
                fewest = max(fewest, sum(p.how != "extraordinary" for p in past))
                continue
            judged.add(name)
            learned = max(learned, usual.n)
            n = measured.get(_of_name(measure, name))
            if found := _compared(measure, name, value, usual, n):
                departed.append(found)
    if expected:
        because = "; only a warning, because the run declares an expected change"
        departed = [replace(r, severity="warn", allowed=r.allowed + because) for r in departed]
    within = len(judged - {r.measure for r in departed})
    told = (
        f"{within} measures within their usual range over {learned} loads"
        if judged
        else f"not learned yet ({min(fewest, LEARNED_FROM)} of {LEARNED_FROM} loads)"
    )
    summary = CheckResult(
        name=SUMMARY, family="", severity="warn", passed=bool(judged), seen=told, allowed="", judged=bool(judged)
    )
    return [*departed, summary] if measures else []


def _names(measure: Measure, measured: Mapping[str, float], history: History) -> Iterator[str]:
    """Names of a measure in this load."""
    if not measure.name.endswith(":"):
        yield from [measure.name] if measure.name in measured else []
        return
    here = {name for name in measured if name.startswith(measure.name)}
    before = {name for name in history if name.startswith(measure.name)} if here and measure.absent == "zero" else set()
    yield from sorted(here | before)


def _past(measure: Measure, name: str, history: History) -> Sequence[PastMeasure]:
    """Earlier values of a measure; a missing share may count as zero."""
    if measure.absent == "unknown" or not measure.name.endswith(":"):
        return history.get(name, ())
    loads = {p.load: p for n, past in history.items() if n.startswith(measure.name) for p in past}
    there = {p.load: p for p in history.get(name, ())}
    return [there.get(number, loads[number]._replace(value=0.0)) for number in sorted(loads)]


def _of_name(measure: Measure, name: str) -> str:
    """Name of this measure's sample size, which may be per column."""
    return measure.of + name.removeprefix(measure.name) if measure.of.endswith(":") else measure.of


def _of(measure: Measure, name: str, history: History) -> dict[int, float]:
    """Sample size of a measure, by load."""
    return {p.load: p.value for p in history.get(_of_name(measure, name), ())} if measure.of else {}


def _weekend(at: datetime) -> bool:
    return at.weekday() >= 5


def _usual(measure: Measure, past: Sequence[PastMeasure], of: Mapping[int, float], when: datetime) -> Usual | None:
    """The usual range for a load on such a day, if already known."""
    ordinary = [p for p in past if p.how != "extraordinary"]
    alike = [p for p in ordinary if _weekend(p.at) == _weekend(when)]
    if len(alike) >= LEARNED_FROM:
        days = "on weekends" if _weekend(when) else "from Monday to Friday"
        found = _fitted(measure, alike, of, when, days)
        same_day = [p for p in alike if p.at.weekday() == when.weekday()]
        if len(same_day) >= LEARNED_FROM:
            finer = _fitted(measure, same_day, of, when, f"on a {when:%A}")
            found = finer if finer.spread < found.spread / 2 else found
    elif len(ordinary) >= LEARNED_FROM and len(alike) >= 2:
        found = _fitted(measure, ordinary, of, when, "like this one")
        # Where the two kinds of day lie apart, the other days say little about this one.
        apart = abs(_median([_scaled(measure, p.value) for p in alike]) - (found.low + found.high) / 2)
        found = replace(found, spread=found.spread + apart)
    else:
        return None
    if measure.severity == "warn":  # no warning for a value seen on any other day
        values = _trimmed([_scaled(measure, p.value) for p in ordinary])
        found = replace(found, extremes=values)
    # Released values stay usual until loads of this kind of day show the level themselves.
    since = alike[-NEWEST:][0].load
    accepted = [_scaled(measure, p.value) for p in past if p.load >= since and p.how != "usual"]
    return replace(found, low=min([found.low, *accepted]), high=max([found.high, *accepted]))


def _fitted(measure: Measure, pool: Sequence[PastMeasure], of: Mapping[int, float], when: datetime, days: str) -> Usual:
    """Centre and spread of some loads, around their trend or median."""
    values = np.array([_scaled(measure, p.value) for p in pool])
    if len(pool) >= TREND_FROM:
        x = np.array([(p.at - pool[0].at).total_seconds() for p in pool]) / 86_400
        slope, level = _theil_sen(x, values)
        gap = float(x[-1]) / (len(x) - 1)
        at = min(
            (when - pool[0].at).total_seconds() / 86_400, float(x[-1]) + 4 * gap
        )  # no trend is extrapolated without limit
        centre, residuals = level + slope * at, values - (level + slope * x)
    else:
        centre = float(np.median(values))
        residuals = values - centre
    off = np.abs(residuals)
    # With long tails the median alone would call half of all loads unusual.
    spread = max(1.4826 * float(np.median(off)), float(np.quantile(off, 0.9)) / 1.645) * (1 + 6 / len(pool))
    newest = float(np.median(values[-NEWEST:]))  # after a permanent change of level, the new usual value
    things = np.array([of.get(p.load, 0.0) for p in pool])
    one = 1.4826 * float(np.median(off * np.sqrt(things))) if measure.of else 0.0
    low, high = min(centre, newest), max(centre, newest)
    return Usual(
        low=low,
        high=high,
        spread=spread,
        extremes=_trimmed(values),
        n=len(pool),
        days=days,
        one=one,
        n_things=float(things.sum()),
    )


def _theil_sen(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and level of a robust line through points; tolerates a quarter of outliers."""
    i, j = np.triu_indices(len(x), 1)
    apart = x[j] > x[i]
    slope = float(np.median((y[j] - y[i])[apart] / (x[j] - x[i])[apart])) if apart.any() else 0.0
    return slope, float(np.median(y - slope * x))


def _compared(measure: Measure, name: str, value: float, usual: Usual, n: float | None) -> CheckResult | None:
    """The result for a value that departs, otherwise None."""
    x = _scaled(measure, value)
    side, edge, off = ("high", usual.high, x - usual.high) if x > usual.high else ("low", usual.low, usual.low - x)
    if off <= 0 or measure.side not in (side, "both") or usual.extremes[0] <= x <= usual.extremes[1]:
        return None
    spread = max(usual.spread, _least(measure, edge, side) / LEAST_SPREAD)
    if n and measure.scale != "share":
        spread = max(spread, usual.one / math.sqrt(n))
    z = off / spread
    if n and measure.scale == "share":
        z = min(z, _surprise(value, math.sin(edge) ** 2, n, usual))
    few = bool(measure.of) and (n or 0) < FEWEST
    if z < (SEVERE if few else MILD):
        return None
    holds = z >= SEVERE and not few
    low, high = usual.low - 2 * usual.spread, usual.high + 2 * usual.spread
    title = _title(measure, name)
    limit = _shown(measure, edge + MILD * spread if side == "high" else edge - MILD * spread)
    return CheckResult(
        name=title[:128],
        family="",
        severity=measure.severity if holds else "warn",
        passed=False,
        seen=f"{_shown(measure, x)}, usually {_shown(measure, low)} to {_shown(measure, high)} "
        f"over {usual.n} loads {usual.days}",
        allowed=f"{'at most' if side == 'high' else 'at least'} {limit}, as learned",
        measure=name,
    )


def _surprise(share: float, usual_share: float, n: float, usual: Usual) -> float:
    """Distance of a share of n things from chance, in standard deviations (a deviance)."""
    least = 1 / (usual.n_things + 2)  # never seen so far does not mean impossible
    p, q = share, min(max(usual_share, least), 1 - least)
    distance = sum(a * math.log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 0)
    together = max(1.0, 2 * usual.one)  # correlated things count as fewer
    return math.sqrt(2 * n * max(distance, 0.0)) / together


def _least(measure: Measure, edge: float, side: str) -> float:
    """The smallest change that matters, from the edge of the usual range."""
    if measure.scale == "count":
        return math.log1p(measure.least)
    if measure.scale == "plain":
        return measure.least
    share = math.sin(edge) ** 2
    room = share if side == "low" else 1 - share  # room left towards 0 or 1
    start = max(room, measure.least)
    return math.asin(math.sqrt(min(1.0, start))) - math.asin(math.sqrt(max(0.0, start - measure.least)))


def _scaled(measure: Measure, value: float) -> float:
    if measure.scale == "count":
        return math.log1p(max(value, 0.0))
    return math.asin(math.sqrt(min(max(value, 0.0), 1.0))) if measure.scale == "share" else value


def _title(measure: Measure, name: str) -> str:
    return f"{measure.title} {name.removeprefix(measure.name)}" if measure.name.endswith(":") else measure.title


def _value(measure: Measure, x: float) -> float:
    """A value of the measure's own scale as it was measured."""
    if measure.scale == "share":
        return math.sin(min(max(x, 0.0), math.pi / 2)) ** 2
    return max(math.expm1(min(x, 700.0)), 0.0) if measure.scale == "count" else x


def _shown(measure: Measure, x: float) -> str:
    """A value on the measure's own scale, formatted for people."""
    value = _value(measure, x)
    if measure.scale == "share":
        return f"{value:.1%}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))


def _trimmed(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """The range of some values without outliers: one in fourteen on each side."""
    ordered = np.sort(values)
    cut = max(1, len(ordered) // LEARNED_FROM)
    return float(ordered[cut]), float(ordered[-1 - cut])
