"""Incidents: one for each source and stage, whatever fails of it, however often and at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from moat.errors import IncidentRefused
from moat.ledger import Ledger, audit, incidents, loads
from moat.ledger.incidents import Happening, Joined
from moat.ledger.loads import Load

RUN, NEXT = "airflow:docs:monday", "airflow:docs:tuesday"
LONG_AGO = datetime(2026, 1, 5, 2, tzinfo=UTC)


def task(stage: str, subject: str = "", severity: str = "block", load: int | None = None) -> Happening:
    return Happening.now("task", stage, (subject or stage, "IndexUnavailable: it is away"), severity, load)  # type: ignore[arg-type]


def check(name: str, stage: str = "read", severity: str = "hold", load: int | None = None) -> Happening:
    return Happening.now("check", stage, (name, "0 listed; allowed: more"), severity, load)  # type: ignore[arg-type]


@pytest.fixture
def join(ledger: Ledger) -> Callable[..., Joined]:
    def joined(*found: Happening, run: str = RUN, source: str = "docs", since: datetime = LONG_AGO) -> Joined:
        return incidents.join(ledger, source, run, since, found)

    return joined


def opened(ledger: Ledger, run: str = RUN) -> Load:
    return loads.open_load(ledger, "docs", run, {}, 60.0)


def test_five_hundred_tasks_that_fail_at_once_are_one_incident_and_one_row(ledger: Ledger) -> None:
    def fail(n: int) -> Joined:
        return incidents.join(ledger, "docs", RUN, LONG_AGO, [task("embed", f"embed {n % 2}")])

    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(fail, range(500)))
    assert {one.incident.id for one in found} == {found[0].incident.id}
    assert sum(one.news for one in found) == 2, "the first of each task is news, the others repeat it"
    assert len(incidents.listing(ledger)) == 1
    rows = incidents.happenings(ledger, found[0].incident.id)
    assert sorted((r.subject, r.n) for r in rows) == [("embed 0", 250), ("embed 1", 250)]


def test_many_stages_that_fail_at_once_end_as_one_incident_of_the_earliest(ledger: Ledger) -> None:
    stages = ["parse", "embed", "gate", "load", "promote"] * 20
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda s: incidents.join(ledger, "docs", RUN, LONG_AGO, [task(s)]), stages))
    (one,) = incidents.listing(ledger)
    assert one.stage == "parse"
    assert {h.stage: h.n for h in incidents.happenings(ledger, one.id)} == dict.fromkeys(stages, 20)


def test_only_one_of_many_is_the_one_who_tells(ledger: Ledger, join: Callable[..., Joined]) -> None:
    number = join(task("read")).incident.id
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda n: incidents.claim_telling(ledger, number, f"digest {n % 2}"), range(2)))
        again = list(pool.map(lambda _: incidents.claim_telling(ledger, number, "digest 3"), range(64)))
    assert sum(again) == 1
    assert all(claims)
    assert incidents.get(ledger, number).n_told == 3
    incidents.give_back_telling(ledger, number, "another")
    assert incidents.get(ledger, number).told == "digest 3"
    incidents.give_back_telling(ledger, number, "digest 3")
    assert incidents.claim_telling(ledger, number, "digest 3")


def test_what_fails_later_on_the_way_is_noise(join: Callable[..., Joined]) -> None:
    first = join(task("parse"))
    assert first.news
    for stage in ("embed", "gate", "promote"):
        noise = join(task(stage))
        assert (noise.incident.id, noise.incident.stage, noise.news) == (first.incident.id, "parse", False)


def test_an_earlier_stage_that_is_heard_of_late_is_the_root(ledger: Ledger, join: Callable[..., Joined]) -> None:
    first = join(task("gate"))
    taken = join(task("parse"))
    assert (taken.incident.id, taken.incident.stage, taken.news) == (first.incident.id, "parse", True)
    assert [h.stage for h in incidents.happenings(ledger, taken.incident.id)] == ["parse", "gate"]


def test_the_next_run_joins_the_same_stage_and_opens_another_for_another(join: Callable[..., Joined]) -> None:
    first = join(task("read")).incident
    second = join(task("read"), run=NEXT)
    assert (second.incident.id, second.incident.run, second.news) == (first.id, NEXT, True)
    assert not join(task("read"), run=NEXT).news
    other = join(task("embed"), run="airflow:docs:wednesday").incident
    assert (other.id != first.id, other.stage) == (True, "embed")
    assert join(task("read"), source="others").incident.id not in (first.id, other.id)


def test_a_run_that_has_two_incidents_after_all_gets_one(ledger: Ledger, join: Callable[..., Joined]) -> None:
    older = join(task("embed")).incident
    newer = join(check("recall@5", "gate"), run=NEXT).incident
    merged = join(task("embed"), run=NEXT)
    assert (merged.incident.id, merged.incident.stage) == (older.id, "embed")
    assert [h.subject for h in incidents.happenings(ledger, older.id)] == ["embed", "recall@5"]
    gone = incidents.get(ledger, newer.id)
    assert (gone.state, gone.because) == ("resolved", f"it is incident {older.id}")
    assert [i.id for i in incidents.listing(ledger)] == [older.id]


def test_severity_only_rises(join: Callable[..., Joined]) -> None:
    assert join(check("freshness", severity="warn")).incident.severity == "warn"
    worse = join(check("listing", severity="hold"), run=NEXT)
    assert (worse.incident.severity, worse.news) == ("hold", True)
    assert join(check("freshness", severity="warn"), run=NEXT).incident.severity == "hold"


def test_a_load_of_the_same_number_is_the_same_trouble(ledger: Ledger, join: Callable[..., Joined]) -> None:
    load = opened(ledger)
    first = join(check("mass deletion", load=load.id)).incident
    assert first.load_id == load.id
    released = join(task("load", load=load.id), run="cli:here:1")
    assert released.incident.id == first.id
    assert [i.id for i in incidents.of_load(ledger, load.id)] == [first.id]


def test_what_is_late_joins_whatever_keeps_it(join: Callable[..., Joined]) -> None:
    late = Happening.now("late", "promote", ("deadline", "6 hours"), "warn", None)
    alone = join(late, run="").incident
    assert (alone.stage, alone.severity) == ("promote", "warn")
    down = join(task("read")).incident
    assert join(late, run="", source="docs").incident.id == down.id
    assert not join(late, run="").news


def test_states_go_one_way_and_people_are_in_the_audit(ledger: Ledger, join: Callable[..., Joined]) -> None:
    number = join(task("read")).incident.id
    seen = incidents.acknowledge(ledger, number, "cli:ann", "on it")
    assert (seen.state, seen.acknowledged_by, seen.because) == ("acknowledged", "cli:ann", "on it")
    assert incidents.acknowledge(ledger, number, "cli:bob").acknowledged_by == "cli:ann"
    assert join(task("read")).incident.state == "acknowledged", "a failure that is known wakes nobody"
    over = incidents.resolve(ledger, number, "cli:ann", "key renewed")
    assert (over.state, over.resolved_by, over.because) == ("resolved", "cli:ann", "key renewed")
    assert incidents.resolve(ledger, number, "cli:bob").resolved_by == "cli:ann"
    with pytest.raises(IncidentRefused, match="is resolved"):
        incidents.acknowledge(ledger, number, "cli:bob")
    assert [(e.actor, e.action, e.subject) for e in audit.tail(ledger, 10) if "incident" in e.subject] == [
        ("cli:ann", "acknowledge", f"incident {number} of docs"),
        ("cli:ann", "resolve", f"incident {number} of docs"),
    ]
    assert join(task("read")).incident.id != number, "what fails after that is another incident"
    with pytest.raises(IncidentRefused, match="there is no incident 99"):
        incidents.get(ledger, 99)


def test_times_count_from_when_the_fault_began(ledger: Ledger, join: Callable[..., Joined]) -> None:
    one = join(task("read")).incident
    assert (one.happened_at, one.to_mend) == (LONG_AGO, None)
    assert one.to_detect == one.opened_at - LONG_AGO
    earlier = join(task("read"), since=LONG_AGO - timedelta(hours=2)).incident
    assert earlier.happened_at == LONG_AGO - timedelta(hours=2)
    over = incidents.resolve(ledger, one.id, "cli:ann")
    assert over.resolved_at is not None
    assert over.to_mend == over.resolved_at - earlier.happened_at


def test_of_an_incident_that_a_load_ends_people_are_not_named(ledger: Ledger, join: Callable[..., Joined]) -> None:
    number = join(task("read")).incident.id
    incidents.over(ledger, [number], "load 7 was promoted")
    one = incidents.get(ledger, number)
    assert (one.state, one.resolved_by, one.because) == ("resolved", "moat", "load 7 was promoted")
    assert incidents.listing(ledger) == []
    assert [i.id for i in incidents.listing(ledger, resolved=True)] == [number]
