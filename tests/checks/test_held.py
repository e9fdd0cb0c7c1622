"""A load that waits says why in its title, and what Release and Reject will do, with numbers."""

from dataclasses import fields, replace
from typing import Any

import pytest

from moat.airflow_api import NOTE, noted
from moat.checks.golden import _found
from moat.checks.held import choices, form, short, title
from moat.ledger.checks import CheckResult
from moat.ledger.holds import Hold
from moat.ledger.loads import Load
from moat.maintenance.access_sync import report
from moat.maintenance.access_sync import title as title_of_hold
from moat.stages.budget import report as report_of_budget
from moat.stages.gate import refused


def held(held_for: str = "gate", **counts: int) -> Load:
    none: dict[str, Any] = dict.fromkeys(field.name for field in fields(Load))
    made = {"id": 5, "source": "contracts", "state": "held", "counts": counts, "held_for": held_for, "reason": "why"}
    return Load(**{**none, **made})


def failed(name: str, seen: str, family: str, severity: Any = "hold", measure: str = "") -> CheckResult:
    return CheckResult(
        name=name,
        family=family,
        severity=severity,
        passed=False,
        seen=seen,
        allowed="at most 30% (Limits.x)",
        documents=("a.md", "b`.md", "c.md"),
        measure=measure,
    )


ASIDE = failed("quarantined share", "8 of 8 documents were set aside (100%)", "parsing")
GONE = failed("mass deletion", "35 of 60 visible documents vanish (58%)", "volume")
LEARNED = failed("share of documents that vanish", "58%, usually 0% to 2%", "volume", measure="volume.vanished")
TOLD = failed("documents moved", "4 moved", "volume", "warn")


def test_a_title_says_what_the_check_that_counts_most_has_seen() -> None:
    assert title(held(), [ASIDE]) == "Load 5 of contracts is held: 8 of 8 documents were set aside (100%)"
    both = "Load 5 of contracts is held: 35 of 60 visible documents vanish (58%), and 2 more"
    assert title(held(), [LEARNED, TOLD, ASIDE, GONE]) == both, "a fixed limit before a bound, as the families stand"
    assert title(held(), [LEARNED]).endswith("is held: share of documents that vanish: 58%, usually 0% to 2%")
    assert title(held(), [TOLD]).endswith("is held: why")
    long = title(held(), [replace(ASIDE, seen="word " * 100)])
    assert len(long) < 200
    assert long.endswith("word …")
    assert short("one\n two `three`") == "one two 'three'"


def test_a_form_is_short_and_its_answers_are_told_with_numbers() -> None:
    load = held(new=3, changed=2, access=1, vanished=35)
    text = form(
        load, [LEARNED, TOLD, ASIDE, GONE, *[replace(ASIDE, name=f"other {n}") for n in range(4)]], 60, ["hint"]
    )
    assert text.index("mass deletion") < text.index("quarantined share")
    assert "documents moved" not in text, "what only warns is no reason to wait"
    assert "and 2 more: `moat load show 5`" in text
    assert "Such as `a.md`, `b'.md`." in text
    assert text.endswith("hint")
    release, reject = choices(load, 60)
    assert release == (
        "- **Release** makes 3 new documents visible, replaces 2 documents by a changed version, changes who may read 1 document, "
        "removes 35 documents from every answer: 28 documents will be visible, 60 are now."
    )
    assert "nothing of it becomes visible, the 60 documents that are visible now stay" in reject
    assert len(text.splitlines()) < 14, "its buttons are in view"


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (held(new=8, aside=8), "makes 8 new documents visible, leaves 8 documents out, which cannot be read"),
        (held(new=1), "makes 1 new document visible: 1 documents will be visible, 0 are now"),
        (held(), "records that nothing changes"),
        (held("budget", new=4, changed=1), "embeds 5 documents and goes on to the gate, which may hold the load again"),
    ],
)
def test_a_release_does_what_its_counts_say(load: Load, words: str) -> None:
    release, reject = choices(load, 0)
    assert words in release
    assert "the source stays empty" in reject
    if load.held_for == "budget":
        assert release in report_of_budget(load, "budget: 9 tokens, allowed: 5", 0)


def test_a_change_of_access_that_waits_says_why_and_what_each_answer_does() -> None:
    none: dict[str, Any] = dict.fromkeys(field.name for field in fields(Hold))
    hold = Hold(
        **{**none, "id": 3, "kind": "widening", "reason": "source docs: 4 documents would become public", "detail": {}}
    )
    assert title_of_hold(hold) == "Hold 3: source docs: 4 documents would become public"
    groups = replace(hold, kind="directory")
    for one, words in ((hold, "more people read these documents"), (groups, "makes its groups what they are there")):
        told = report(one)
        assert words in told.partition("**Release**")[2].partition("**Reject**")[0]
        assert "**Reject** leaves" in told


def test_a_check_that_only_holds_turns_no_task_red() -> None:
    good = replace(GONE, name="listing", passed=True)
    assert refused([good, GONE, TOLD]) == ["listing"]
    with pytest.raises(Exception, match=r"mass deletion \(hold\).*; schema \(block\)"):
        refused([good, GONE, failed("schema", "2 documents lack a field", "parsing", "block")])


def test_golden_questions_are_told_in_words() -> None:
    assert _found(9, 12, 1.0) == "9 of 12 test questions no longer find their documents, where 1 did not until now"
    assert _found(9, 12, 0.0) == "9 of 12 test questions no longer find their documents"
    assert _found(9, 12, None) == "9 of 12 test questions do not find their documents"
    assert _found(9, 12, 9.0) == "9 of 12 test questions do not find their documents"
    assert _found(0, 12, 3.0) == "all 12 test questions find their documents"


def test_a_note_keeps_what_people_wrote_and_has_moats_last_word() -> None:
    first = noted("", "waits for a person")
    assert first == "Moat: waits for a person"
    assert noted(first, "load 5 was released") == "Moat: load 5 was released"
    assert noted("asked Ann", "waits") == "Moat: waits\n\nasked Ann", "a list of runs shows the first line"
    assert noted("Moat: waits\n\nasked Ann\n\ntwice", "released") == "Moat: released\n\nasked Ann\n\ntwice"
    long = noted("asked Ann", "x\n\n" * 5_000)
    assert (len(long), long[-11:]) == (NOTE, "\n\nasked Ann")
    assert noted(long, "over") == "Moat: over\n\nasked Ann"
