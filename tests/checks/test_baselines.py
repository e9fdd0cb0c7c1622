"""Bounds that are learned: series of clean loads are left alone, what breaks one is told or held."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from moat.checks.baselines import LEARNED_FROM, SUMMARY, judge
from moat.checks.measures import Measure
from moat.errors import FatalError
from moat.ledger.checks import CheckResult
from moat.ledger.measures import PastMeasure

START = datetime(2026, 1, 5, 2, tzinfo=UTC)  # a Monday
LISTED = Measure(name="listed", title="documents listed", scale="count", least=0.1, side="low")
SHARE = Measure(
    name="language:", title="share of documents in language", scale="share", least=0.1, of="documents", absent="zero"
)
PLAIN = Measure(name="level", title="level", scale="plain", least=0.1)
DAYS = 150
Series = Sequence[float] | np.ndarray


def day(n: int) -> datetime:
    return START + timedelta(days=n)


def history(**series: Series) -> dict[str, list[PastMeasure]]:
    """One load a day."""
    return {name: [PastMeasure(n, day(n), float(v)) for n, v in enumerate(values)] for name, values in series.items()}


def departures(
    measure: Measure,
    past: Mapping[str, Sequence[PastMeasure]],
    measured: Mapping[str, float],
    when: int,
    expected: str = "",
) -> list[CheckResult]:
    return [r for r in judge([measure], measured, past, day(when), expected) if r.failed]


def over_time(measure: Measure, values: Series, of: Series | None = None) -> list[str]:
    """The severities that a series of days would have met, each day judged by those before it."""
    name = measure.name + ("en" if measure.name.endswith(":") else "")
    past: dict[str, list[PastMeasure]] = {name: [], **({measure.of: []} if of is not None else {})}
    found = list[str]()
    for n, value in enumerate(values):
        measured = {name: float(value), **({measure.of: float(of[n])} if of is not None else {})}
        found += [r.severity for r in departures(measure, past, measured, n)]
        for key, passed in past.items():
            passed.append(PastMeasure(n, day(n), measured[key]))
    return found


def by_weekday(rng: np.random.Generator) -> np.ndarray:
    """Documents that change a day: forty, on weekends four, and next to none on a few holidays."""
    usual = np.array([40.0 if day(n).weekday() < 5 else 4.0 for n in range(DAYS)])
    usual[rng.choice(DAYS, 8, replace=False)] = 2.0
    return np.maximum(rng.poisson(usual * rng.lognormal(0, 0.2, DAYS)), 1)


# --- what is left alone


def test_nothing_is_judged_before_fourteen_loads_of_the_kind() -> None:
    past = history(listed=[4000.0] * (LEARNED_FROM - 1))
    (told,) = judge([LISTED], {"listed": 1.0}, past, day(14), "")
    assert (told.passed, told.failed, told.seen) == (False, False, "not learned yet (13 of 14 loads)")
    (found, _) = judge([LISTED], {"listed": 1.0}, history(listed=[4000.0] * 21), day(21), "")
    assert (found.passed, found.severity) == (False, "hold")


@pytest.mark.parametrize("growth", [0.001, 0.01, 0.03])
def test_steady_growth_and_shrinking_are_never_told(growth: float) -> None:
    both = Measure(name="listed", title="documents listed", scale="count", least=0.01)
    assert over_time(both, 4000 * np.exp(growth * np.arange(DAYS))) == []
    assert over_time(both, 400_000 * np.exp(-growth * np.arange(DAYS))) == []
    assert over_time(both, 4000 + 40 * np.arange(DAYS)) == []


@pytest.mark.parametrize("seed", range(3))
def test_clean_days_with_a_rhythm_and_holidays_are_hardly_ever_told(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = by_weekday(rng)
    assert over_time(Measure(name="new", title="new documents", scale="count", least=2.0, side="high"), n) == []
    noise = 1.2 * rng.standard_normal(DAYS) / np.sqrt(n)
    assert (
        len(
            over_time(
                Measure(name="size", title="size", scale="count", least=0.3, of="documents"), 3000 * np.exp(noise), n
            )
        )
        <= 1
    )
    for p in (0.0, 0.01, 0.1, 0.5):
        assert len(over_time(SHARE, rng.binomial(n.astype(int), p) / n, n)) <= 1
    warned = [len(over_time(PLAIN, 5 + 0.3 * rng.standard_normal(DAYS))) for _ in range(5)]
    assert sum(warned) <= 3
    quiet = Measure(
        name="week", title="documents new or changed in a week", scale="count", least=4.0, side="low", severity="warn"
    )
    assert over_time(quiet, np.convolve(n, np.ones(7))[6:DAYS]) == []


def test_one_wild_load_among_those_before_is_no_excuse() -> None:
    values = [4000.0] * 20
    values[3] = 12.0
    assert [r.severity for r in departures(LISTED, history(listed=values), {"listed": 1000.0}, 21)] == ["hold"]


def test_a_change_that_does_not_matter_is_not_told_however_steady_the_source_was() -> None:
    assert departures(LISTED, history(listed=[4000.0] * 60), {"listed": 3700.0}, 60) == []
    assert departures(PLAIN, history(level=[1.0] * 60), {"level": 1.09}, 60) == []


def test_the_side_that_is_not_bad_is_not_told() -> None:
    assert departures(LISTED, history(listed=[4000.0] * 60), {"listed": 90_000.0}, 60) == []


def test_few_documents_tell_little_of_a_share() -> None:
    past = history(**{"language:en": [1.0] * 60, "documents": [50.0] * 60})
    two = {"language:de": 1.0, "documents": 2.0}
    many = {"language:de": 1.0, "documents": 20.0}
    assert {r.severity for r in departures(SHARE, past, two, 60)} <= {"warn"}
    assert {r.severity for r in departures(SHARE, past, many, 60)} == {"hold"}


def test_the_same_day_of_the_week_is_what_a_load_is_compared_with() -> None:
    values = [4000.0 if day(n).weekday() < 5 else 400.0 for n in range(100)]
    saturday, monday = 103, 105
    assert day(saturday).weekday() == 5
    assert departures(LISTED, history(listed=values), {"listed": 400.0}, saturday) == []
    assert [r.severity for r in departures(LISTED, history(listed=values), {"listed": 400.0}, monday)] == ["hold"]
    fridays = [400.0 if day(n).weekday() == 4 else 4000.0 + n % 7 for n in range(120)]
    assert day(123).weekday() == 4
    (found,) = departures(LISTED, history(listed=fridays), {"listed": 100.0}, 123)
    assert "on a Friday" in found.seen


# --- what is told, and how


def test_half_a_listing_holds_and_says_what_is_usual() -> None:
    rng = np.random.default_rng(7)
    values = 4000 + np.cumsum(rng.poisson(3, 60))
    (found,) = departures(LISTED, history(listed=values), {"listed": 1204.0}, 60)
    assert (found.name, found.severity, found.measure) == ("documents listed", "hold", "listed")
    assert found.seen.startswith("1,204, usually 4,")
    assert "loads from Monday to Friday" in found.seen
    assert found.allowed.startswith("at least 3,")


def test_a_milder_departure_only_warns() -> None:
    past = history(listed=[4000.0] * 60)
    assert [r.severity for r in departures(LISTED, past, {"listed": 3500.0}, 60)] == ["warn"]
    assert [r.severity for r in departures(LISTED, past, {"listed": 3000.0}, 60)] == ["hold"]
    gentle = Measure(name="listed", title="documents listed", scale="count", least=0.1, side="low", severity="warn")
    assert [r.severity for r in departures(gentle, past, {"listed": 100.0}, 60)] == ["warn"]


def test_a_language_that_was_never_there_holds_and_one_that_is_gone_too() -> None:
    past = history(**{"language:en": [0.6] * 60, "language:de": [0.4] * 60, "documents": [50.0] * 60})
    found = {r.name: r for r in departures(SHARE, past, {"language:fr": 1.0, "documents": 40.0}, 60)}
    assert set(found) == {f"share of documents in language {name}" for name in ("en", "de", "fr")}
    assert found["share of documents in language fr"].severity == "hold"
    assert found["share of documents in language en"].severity == "hold"


def test_a_column_that_was_never_there_has_no_usual_range() -> None:
    nulls = Measure(name="nulls:", title="share of NULL in", scale="share", least=0.05, of="rows:")
    past = history(**{"nulls:a": [0.0] * 60, "rows:a": [500.0] * 60})
    new = {"nulls:b": 1.0, "rows:b": 500.0, "nulls:a": 0.0, "rows:a": 500.0}
    assert departures(nulls, past, new, 60) == []
    (found,) = departures(nulls, past, {**new, "nulls:a": 0.5}, 60)
    assert (found.name, found.severity) == ("share of NULL in a", "hold")


def test_a_run_out_of_the_ordinary_only_warns() -> None:
    (found,) = departures(LISTED, history(listed=[4000.0] * 60), {"listed": 4.0}, 60, expected="the archive moved")
    assert found.severity == "warn"
    assert "an expected change" in found.allowed


def test_what_an_extraordinary_load_left_behind_is_what_the_source_is_now() -> None:
    both = Measure(name="listed", title="documents listed", scale="count", least=0.1)
    past = history(listed=[4000.0] * 60)
    past["listed"].append(PastMeasure(60, day(60), 9000.0, "extraordinary"))
    assert departures(both, past, {"listed": 9010.0}, 61) == []
    assert [r.severity for r in departures(both, past, {"listed": 30_000.0}, 61)] == ["hold"]
    for n in range(61, 75):
        assert departures(both, past, {"listed": 9000.0 + n}, n) == []
        past["listed"].append(PastMeasure(n, day(n), 9000.0 + n))


def test_what_a_person_released_is_not_asked_about_again_the_next_night() -> None:
    past = history(listed=[4000.0] * 60)
    past["listed"].append(PastMeasure(60, day(60), 2000.0, "released"))
    assert departures(LISTED, past, {"listed": 1990.0}, 61) == []
    assert [r.severity for r in departures(LISTED, past, {"listed": 900.0}, 61)] == ["hold"]


def test_those_within_their_range_are_summed_up() -> None:
    past = history(listed=[4000.0] * 60, level=[1.0] * 60)
    found = judge([LISTED, PLAIN], {"listed": 1.0, "level": 1.0}, past, day(60), "")
    assert [r.name for r in found] == ["documents listed", SUMMARY]
    assert found[-1].seen.startswith("1 measures within their usual range over ")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_measure_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(FatalError, match="measured what is no number: level"):
        judge([PLAIN], {"level": value}, {}, day(0), "")
