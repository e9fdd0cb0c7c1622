"""A check that had nothing to judge has neither passed nor failed, and says so."""

from dataclasses import replace
from datetime import UTC, datetime

from moat.checks.baselines import judge
from moat.checks.measures import Measure
from moat.checks.verdict import Verdict
from moat.ledger import Ledger, checks, loads
from moat.ledger.checks import CheckResult, over, unjudged
from moat.ledger.measures import PastMeasure
from moat.ledger.metrics import totals
from moat.stages.gate import refused, report, table

GOOD = CheckResult(name="tokens", family="chunks", severity="block", passed=True, seen="0 of 0", allowed="256")
BAD = replace(GOOD, name="access lost", passed=False, seen="access of all 9 listed documents is unknown")
DAY = datetime(2026, 7, 1, tzinfo=UTC)


def test_without_anything_to_judge_only_what_failed_all_the_same_is_kept() -> None:
    assert over(1, "chunks", [GOOD, BAD]) == [GOOD, BAD]
    idle, bad = over(0, "chunks", [GOOD, BAD])
    assert bad == BAD
    assert (idle.state, idle.passed, idle.failed, idle.seen) == ("not judged", False, False, "not judged (0 chunks)")
    assert (GOOD.state, BAD.state) == ("ok", "BLOCK")


def test_bounds_that_are_not_learned_say_from_how_many_loads() -> None:
    past = [PastMeasure(n, DAY, 9.0, "usual") for n in range(2)]
    (told,) = judge([Measure(name="m", title="m", scale="count", least=0.2)], {"m": 9.0}, {"m": past}, DAY, "")
    assert (told.state, told.seen) == ("not judged", "not learned yet (2 of 14 loads)")


def test_what_was_not_judged_counts_nowhere(ledger: Ledger) -> None:
    load = loads.open_load(ledger, "docs", "run", {}, 60)
    idle = unjudged(replace(GOOD, name="recall"), "not judged (0 documents)")
    checks.keep(ledger, load, "chunks", [GOOD, idle])
    kept = checks.of_load(ledger, load.id)
    assert [(r.name, r.state) for r in kept] == [("recall", "not judged"), ("tokens", "ok")]
    found = Verdict("pass", tuple(kept))
    assert (found.failed, found.reason) == ((), "")
    told = report(load, found, None)
    assert "### What passed: 1 of 1 that judged something\n\n- chunks: tokens\n" in told
    assert "### Not judged: 1\n\n- chunks: recall: not judged (0 documents)" in told
    assert "not judged  chunks: recall" in table(kept)
    assert refused(kept) == ["tokens"]
    assert totals(ledger).failed == ()
