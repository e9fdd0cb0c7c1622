"""New documents in a further language are growth; a language that comes to documents which were there is not."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from moat.checks import languages
from moat.checks.languages import MEASURES, Languages
from moat.checks.moves import Moves
from moat.ledger import measures
from moat.ledger.checks import CheckResult
from moat.ledger.measures import PastMeasure
from moat.stages import gate

START = datetime(2027, 1, 4, 3, tzinfo=UTC)


def past(**values: float) -> dict[str, list[PastMeasure]]:
    """Twenty loads with four English documents each, and what else was measured in them."""
    usual = {"documents": 4.0, "parsing.spoken": 4.0, "language:en": 1.0, **values}
    return {
        name: [PastMeasure(n, START + timedelta(days=n), value, "usual") for n in range(20)]
        for name, value in usual.items()
    }


def judged(
    monkeypatch: pytest.MonkeyPatch,
    before: dict[str, list[PastMeasure]],
    *,
    new: dict[str, int],
    changed: dict[str, int],
    vanished: int = 0,
    moved: int = 0,
) -> tuple[CheckResult, dict[str, CheckResult], Any]:
    """The check of new documents, the departures of the shares, and the candidate; documents by their language."""
    monkeypatch.setattr(languages, "history", lambda ledger, load: before)
    monkeypatch.setattr(measures, "history", lambda ledger, load: before)
    docs = [("new", name, f"new/{name}{i}") for name, n in new.items() for i in range(n)]
    docs += [("changed", name, f"{name}{i}") for name, n in changed.items() for i in range(n)]
    pairs = {f"old{i}": key for i, (_, _, key) in zip(range(moved), docs, strict=False)}
    load = SimpleNamespace(
        counts={"vanished": vanished + moved}, options={}, opened_at=START + timedelta(days=20), id=20
    )
    candidate: Any = SimpleNamespace(
        plan=lambda: iter([SimpleNamespace(what=what, key=key) for what, _, key in docs]),
        runtime=SimpleNamespace(ledger=None), load=load, measured={}, behind={}, explained={}, n_documents=len(docs),
    )  # fmt: skip
    found = Languages(candidate, Moves(pairs=pairs))
    for _, name, key in docs:
        found.add(SimpleNamespace(key=key, language=name))  # type: ignore[arg-type]
    (told,) = found.tell()
    departed = {r.measure: r for r in gate._learned(candidate, "parsing", MEASURES) if r.failed}
    return told, departed, candidate


def test_translations_that_are_new_documents_are_told_and_hold_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    told, departed, candidate = judged(monkeypatch, past(), new={"fr": 14}, changed={"en": 5})
    assert (told.passed, told.severity) == (False, "warn")
    assert told.seen == "14 of 14 new documents are in fr, until now 0.0% of all"
    assert told.documents[0] == "new/fr0"
    assert {name: r.severity for name, r in departed.items()} == {"language:en": "warn", "language:fr": "warn"}
    assert departed["language:fr"].seen.endswith(
        "; by 14 new documents, those that were there are in the usual languages"
    )
    assert candidate.measured["new language:fr"] == 14.0
    # Once they are there, people work on them.
    there = {"new language:fr": [PastMeasure(19, START, 14.0, "usual")]}
    _, departed, _ = judged(monkeypatch, {**past(), **there}, new={"en": 1}, changed={"fr": 6, "en": 2})
    assert {name: r.severity for name, r in departed.items()} == {"language:en": "warn", "language:fr": "warn"}
    assert departed["language:fr"].seen.endswith("; 14 documents in fr were new before")


def test_a_language_that_comes_to_documents_which_were_there_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    _, departed, _ = judged(monkeypatch, past(), new={"fr": 9}, changed={"fr": 12, "en": 1})
    assert {name: r.severity for name, r in departed.items()} == {"language:en": "hold", "language:fr": "hold"}
    # Where as many vanish, new ones stand in their place; more of them than were ever new are no growth either.
    _, departed, _ = judged(monkeypatch, past(), new={"fr": 14}, changed={"en": 3}, vanished=7)
    assert departed["language:fr"].severity == "hold"
    there = {"new language:fr": [PastMeasure(19, START, 5.0, "usual")]}
    _, departed, _ = judged(monkeypatch, {**past(), **there}, new={}, changed={"fr": 9, "en": 1})
    assert departed["language:fr"].severity == "hold"


def test_what_is_usual_or_moved_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told, departed, _ = judged(monkeypatch, past(), new={"en": 12, "fr": 1}, changed={"en": 4})
    assert (told.passed, [r.severity for r in departed.values() if r.severity != "warn"]) == (True, [])
    told, departed, candidate = judged(monkeypatch, past(), new={"fr": 9}, changed={"en": 4}, moved=9)
    assert (told.state, departed) == ("not judged", {})
    assert "new language:fr" not in candidate.measured
    told, *_ = judged(monkeypatch, past(), new={"en": 244}, changed={"en": 4})
    assert told.passed, "the language of most documents is usual, however many come"
    told, *_ = judged(monkeypatch, {"documents": past()["documents"][:13]}, new={"fr": 9}, changed={})
    assert (told.state, told.seen) == ("not judged", "not learned yet (13 of 14 loads)")
