"""What rests in quarantine, what a replay takes and what it leaves until somebody asks."""

from datetime import UTC, datetime, timedelta

import pytest

from moat.errors import AskedWrongly, FatalError
from moat.ledger import Ledger, incidents, loads
from moat.ledger.loads import Load
from moat.ledger.quarantine import Which, known_source, listing, put, replay
from moat.records import SetAside
from moat.source import Limits
from moat.timeparse import moment
from tests.company import ANN, Company

NOW = datetime(2026, 7, 5, 12, tzinfo=UTC)


def aside(key: str, fingerprint: str = "f", error: str = "ParseFailed", stage: str = "parse") -> SetAside:
    return SetAside(key=key, uri=f"u/{key}", stage=stage, error=error, reason="why", fingerprint=fingerprint)


def opened(ledger: Ledger, run: str, source: str = "s") -> Load:
    return loads.open_load(ledger, source, run, {}, 3_600)


def failed(ledger: Ledger, run: str, *of: SetAside, recipe: str = "r", source: str = "s") -> None:
    """One load that sets documents aside, and ends."""
    load = opened(ledger, run, source)
    put(ledger, load, recipe, of)
    loads.unchanged(ledger, load)


def attempts(ledger: Ledger) -> dict[str, int]:
    return {q.key: q.attempts for q in listing(ledger)}


def test_attempts_count_failures_of_the_same_bytes_by_the_same_recipe(ledger: Ledger) -> None:
    for run in "12":
        failed(ledger, run, aside("same"), aside("bytes"), aside("recipe"))
    failed(ledger, "3", aside("same"), aside("bytes", fingerprint="g"))
    failed(ledger, "4", aside("recipe"), recipe="r2")
    assert attempts(ledger) == {"same": 3, "bytes": 1, "recipe": 1}


def test_a_task_that_is_tried_again_counts_once(ledger: Ledger) -> None:
    load = opened(ledger, "1")
    for _ in range(3):
        put(ledger, load, "r", [aside("a")])
    assert attempts(ledger) == {"a": 1}


def test_what_failed_three_times_rests_until_it_is_asked_for(ledger: Ledger) -> None:
    for run in "123":
        failed(ledger, run, aside("poison"), aside("late") if run == "3" else aside("other"))
    poison = {q.key: (q.rests, q.until) for q in listing(ledger)}
    assert poison["poison"] == (True, "until it is asked for")
    assert poison["other"] == poison["late"] == (False, "until it changes")
    broad = replay(ledger, "s")
    assert (broad.marked, broad.resting) == ({"s": ["late", "other"]}, {"s": 1})
    assert replay(ledger, which=Which(key="poison")).marked == {"s": ["poison"]}
    assert {q.until for q in listing(ledger)} == {"until the next run"}

    failed(ledger, "4", aside("poison"))
    assert attempts(ledger)["poison"] == 4
    everything = replay(ledger, "s", resting="taken")
    assert ("poison" in everything.marked["s"], everything.resting) == (True, {})


def test_other_bytes_under_the_same_key_start_anew(ledger: Ledger) -> None:
    for run in "123":
        failed(ledger, run, aside("a"))
    failed(ledger, "4", aside("a", fingerprint="mended, they say"))
    assert replay(ledger).marked == {"s": ["a"]}


def test_unknown_access_says_nothing_of_bytes_and_never_rests(ledger: Ledger) -> None:
    for run in "1234":
        failed(ledger, run, aside("a", error="AccessUnknown", stage="read"))
    (waiting,) = listing(ledger)
    assert (waiting.attempts, waiting.rests, waiting.until) == (4, False, "until its access is known")
    assert replay(ledger).resting == {}
    failed(ledger, "5", aside("a"))
    assert attempts(ledger) == {"a": 1}, "its bytes have failed once"


def test_what_is_meant_is_told_by_source_key_stage_error_and_time(ledger: Ledger) -> None:
    failed(ledger, "1", aside("a"), aside("b", error="TooLarge", stage="read"))
    failed(ledger, "1", aside("c"), source="t")
    (last,) = {q.last_at for q in listing(ledger, "s")}
    second = timedelta(seconds=1)

    def keys(source: str | None = None, **which: object) -> list[str]:
        return sorted(q.key for q in listing(ledger, source, Which(**which)))  # type: ignore[arg-type]

    assert keys() == ["a", "b", "c"]
    assert keys("s") == ["a", "b"]
    assert keys(key="c") == ["c"]
    assert keys(stage="read") == keys(error="TooLarge") == ["b"]
    failed(ledger, "2", aside("crashed", error="ParseCrashed"), source="u")
    assert keys("u", error="ParseFailed") == keys("u", error="ParseCrashed") == ["crashed"]
    assert keys("u", error="ParseTimedOut") == []
    assert keys("s", since=last) == keys("s", until=last + second) == ["a", "b"]
    assert keys(since=last + timedelta(days=1)) == keys("s", until=last) == []
    assert replay(ledger, "s", Which(stage="parse", since=last - second)).marked == {"s": ["a"]}
    assert replay(ledger, which=Which(until=last - timedelta(days=1))).marked == {}


def test_a_source_that_does_not_exist_is_told_with_those_that_do(ledger: Ledger) -> None:
    failed(ledger, "1", aside("a"), source="handbook")
    failed(ledger, "1", aside("a"), source="contracts")
    assert known_source(ledger, "handbook") == "handbook"
    assert known_source(ledger, None) is None
    with pytest.raises(AskedWrongly, match=r"no load of a source 'hanbook' .* there are contracts, handbook"):
        known_source(ledger, "hanbook")


@pytest.mark.parametrize(
    ("words", "means"),
    [
        ("2026-07-04", datetime(2026, 7, 4, tzinfo=UTC)),
        ("2026-07-04T14:30", datetime(2026, 7, 4, 14, 30, tzinfo=UTC)),
        ("2026-07-04T14:30+02:00", datetime(2026, 7, 4, 12, 30, tzinfo=UTC)),
        ("90m", NOW - timedelta(minutes=90)),
        ("24h", NOW - timedelta(days=1)),
        ("7d", NOW - timedelta(days=7)),
        (" 2w ", NOW - timedelta(days=14)),
    ],
)
def test_a_moment_is_a_date_a_time_or_how_long_ago(words: str, means: datetime) -> None:
    assert moment(words, NOW) == means


@pytest.mark.parametrize("words", ["", "yesterday", "24", "h", "-3d", "2026-13-01", "12345d"])
def test_what_is_no_moment_is_told_with_what_would_be(words: str) -> None:
    with pytest.raises(FatalError, match=r"is no moment: write a date such as .* or how long ago"):
        moment(words, NOW)


def test_poisoned_bytes_rest_through_a_full_run_and_new_bytes_do_not(company: Company) -> None:
    company.write("bad.md", b"\x7fELF")
    for _ in range(3):
        company.run(only=("bad.md",))
    full = company.run(full=True).load.counts
    assert (full["new"], full["resting"]) == (3, 1)
    assert [q.attempts for q in listing(company.runtime.ledger)] == [3], "it was not tried"
    assert company.run(only=("bad.md",)).load.counts["new"] == 1, "it was asked for by its key"
    company.write("bad.md", b"\x7fELF, another")
    assert company.run().load.counts["new"] == 1
    assert [(q.attempts, q.rests) for q in listing(company.runtime.ledger)] == [(1, False)]


def test_fewer_failures_do_not_outlast_a_full_run(company: Company) -> None:
    company.write("bad.md", b"\x7fELF")
    company.run()
    assert company.run(full=True).load.counts.get("resting", 0) == 0
    assert [q.attempts for q in listing(company.runtime.ledger)] == [2]


def test_a_replay_tries_a_document_again_whose_older_content_is_visible(company: Company) -> None:
    """Its bytes are those that are visible: only the replay says that there is something to do."""
    company.run()
    runtime = company.runtime
    company.set(max_document_mb=0)
    company.run(only=("leave.md",))
    assert [q.key for q in listing(runtime.ledger)] == ["leave.md"]
    assert company.run().load.counts["resting"] == 1
    company.set(max_document_mb=64)
    replay(runtime.ledger)
    assert company.run().load.counts["changed"] == 1
    assert listing(runtime.ledger) == []
    assert company.keys("How long is parental leave?", ANN)[0] == "leave.md"


def test_a_load_of_which_reading_leaves_nothing_comes_before_the_gate(company: Company) -> None:
    company.run()
    runtime, declared = company.runtime, company.declared(limits=Limits(max_failed_ratio=0.5))
    for name in ("leave.md", "trips.md", "people/pay.md"):
        company.write(name, "# Rules" + " " * (1 << 20))
    company.set(max_document_mb=1)
    load = company.run(declared).load
    assert (load.state, load.counts["batches"], load.counts["aside"]) == ("held", 0, 3)
    assert load.reason is not None
    assert "quarantined share" in load.reason
    assert [i.state for i in incidents.listing(runtime.ledger, declared.name)] == ["open"]


def test_a_single_document_that_is_too_large_holds_nothing(company: Company) -> None:
    company.run()
    company.write("large.md", b" " * (1 << 20) + b"too large")
    company.set(max_document_mb=1)
    load = company.run(company.declared(limits=Limits(max_failed_ratio=0.5))).load
    assert (load.state, load.counts["aside"]) == ("promoted", 1)
    assert company.run().load.state == "unchanged", "it rests"


def test_half_a_surrogate_pair_is_one_broken_character_and_no_broken_load(company: Company) -> None:
    company.write("half.json", rb'{"note": "before \ud83d after, and a whole one: \ud83d\ude00"}')
    assert company.run().load.state == "promoted"
    text = company.search("before after a whole one", ANN)[0].text
    assert "before \ufffd after, and a whole one: \U0001f600" in text
