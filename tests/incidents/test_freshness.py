"""How often a source brings something, and when that is overdue."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from moat.incidents.freshness import cadence, stale
from moat.ledger import Ledger
from moat.ledger.tables import load
from moat.runtime import Runtime
from moat.settings import Settings
from moat.staging import Staging
from tests.company import open_runtime

MONDAY = datetime(2026, 3, 2, 2, tzinfo=UTC)


def nights(ledger: Ledger, days: int, quiet: frozenset[int] = frozenset(), until: datetime | None = None) -> None:
    """A load a night, from a Monday on; on quiet weekdays it finds nothing."""
    with ledger.write() as connection:
        for n in range(days):
            at = MONDAY + timedelta(days=n)
            some = at.weekday() not in quiet and (until is None or at <= until)
            row: dict[str, Any] = {
                "tenant": ledger.tenant,
                "source": "s",
                "state": "promoted" if some else "unchanged",
                "fence": n,
            }
            row |= {"run": "test", "options": {}, "counts": {"new": 3} if some else {}, "opened_at": at}
            connection.execute(load.insert().values(**row))


def test_nothing_is_said_of_a_source_that_is_hardly_known(ledger: Ledger) -> None:
    nights(ledger, 14)
    assert cadence(ledger, "s", MONDAY + timedelta(days=99)) is None


def test_a_source_that_comes_every_night_is_late_after_two_and_a_half_days(ledger: Ledger) -> None:
    nights(ledger, 30)
    last = MONDAY + timedelta(days=29)
    found = cadence(ledger, "s", last + timedelta(hours=59))
    assert found is not None
    assert (found.usual, found.bound, found.late) == (timedelta(days=1), timedelta(hours=60), False)
    later = cadence(ledger, "s", last + timedelta(hours=61))
    assert later is not None
    assert later.late


@pytest.mark.parametrize(("weekday", "late"), [(4, False), (1, True)])
def test_a_weekend_is_not_late_where_no_weekend_ever_brought_anything(ledger: Ledger, weekday: int, late: bool) -> None:
    last = MONDAY + timedelta(days=28 + weekday)
    nights(ledger, 28 + 7, frozenset({5, 6}), last)
    found = cadence(ledger, "s", last + timedelta(days=3, hours=1))
    assert found is not None
    assert found.late is late


def test_nobody_looking_is_told_apart_from_nothing_coming(ledger: Ledger) -> None:
    nights(ledger, 40, until=MONDAY + timedelta(days=30))
    found = cadence(ledger, "s", MONDAY + timedelta(days=39, hours=3))
    assert found is not None
    assert (found.late, found.silent) == (True, False)
    assert found.changed_at == MONDAY + timedelta(days=30)
    later = cadence(ledger, "s", MONDAY + timedelta(days=44))
    assert later is not None
    assert later.silent


def test_a_stale_source_is_told_with_what_is_usual(settings: Settings) -> None:
    runtime: Runtime = open_runtime(settings)
    assert isinstance(runtime.staging, Staging)
    nights(runtime.ledger, 30)
    assert stale(runtime, "s").startswith("nothing new for ")
    assert "usually something every 24.0 hours, allowed: 2.5 days, as learned from 29 changes" in stale(runtime, "s")
    assert stale(runtime, "unknown") == ""
    runtime.close()
