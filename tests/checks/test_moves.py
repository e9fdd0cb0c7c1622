"""A document whose content stands under another key is a move: it is no deletion, and golden questions follow it."""

from pathlib import Path

import pytest

from moat.checks import moves, swapped
from moat.checks.candidate import Candidate
from moat.checks.golden import promises_of
from moat.ledger import checks as results
from moat.ledger.checks import CheckResult
from moat.maintenance.access_sync import sync_access
from moat.runtime import Runtime
from moat.source import Golden, Limits
from moat.stages.run import RunResult
from tests.company import ANN, HUGO, Company

QUESTIONS = f"""
- {{question: "How long is parental leave?", documents: [leave.md]}}
- {{question: "Do I take the train on trips?", documents: [trips.md]}}
- {{question: "What does a crane driver earn?", asker: '{ANN}', never: [people/pay.md]}}
"""


def declare(company: Company, **limits: float) -> None:
    file = company.folder.parent / "golden.yaml"
    file.write_text(QUESTIONS, "utf-8")
    changed = {"limits": Limits(**limits)} if limits else {}  # type: ignore[arg-type]
    company.source = company.declared(golden=Golden(str(file), k=2, min_recall=1.0), **changed)


def move(company: Company, old: str, new: str) -> None:
    target = company.folder / new
    target.parent.mkdir(parents=True, exist_ok=True)
    (company.folder / old).rename(target)


def told(company: Company, run: RunResult) -> dict[str, CheckResult]:
    return {r.name: r for r in results.of_load(company.runtime.ledger, run.load.id)}


def test_golden_questions_follow_what_moved_for_good(company_on_either_ledger: Company) -> None:
    company = company_on_either_ledger
    declare(company)
    move(company, "leave.md", "rules/leave.md")
    move(company, "trips.md", "rules/trips.md")
    run = company.run()
    assert run.load.state == "promoted", run.load.reason
    found = told(company, run)
    assert found["mass deletion"].seen == "0 of 3 visible documents vanish (0%), 2 moved"
    assert found["recall@2"].passed
    assert found["recall@2"].seen.startswith("all 2 test questions find their documents")
    moved = found["keys that moved"]
    assert (moved.passed, moved.severity, moved.documents) == (False, "warn", ("leave.md", "trips.md"))
    assert moved.seen == "2 questions name keys that moved: leave.md → rules/leave.md; trips.md → rules/trips.md"
    # On later nights, too, over a second move, and told without an alarm.
    move(company, "rules/leave.md", "rules/old/leave.md")
    assert told(company, company.run())["recall@2"].passed
    company.write("new.md", "# New\n\nThere is a new crane at pier nine.\n")
    found = told(company, company.run())
    assert (found["recall@2"].passed, found["keys that moved"].passed) == (True, True)
    assert "leave.md → rules/leave.md, rules/old/leave.md" in found["recall@2"].seen
    # Where the old key is a document again, it has to answer by itself.
    company.write("leave.md", "# Boats\n\nBoats are painted in spring.\n")
    run = company.run()
    assert (run.load.state, told(company, run)["recall@2"].passed) == ("held", False)


def test_what_is_kept_from_somebody_is_kept_from_them_wherever_it_moves(company_on_either_ledger: Company) -> None:
    company, text = company_on_either_ledger, "people/pay.md"
    declare(company)
    move(company, text, "pay.md")
    run = company.run()
    assert run.load.state == "rejected"
    never = told(company, run)["never for its asker"]
    assert (never.severity, never.documents, never.seen.endswith(f"{ANN}: pay.md")) == ("block", ("pay.md",), True)
    # Into a place of the same readers it may go, and to several at once; from then on all of them are kept.
    move(company, "pay.md", "board/pay.md")
    company.write("board/.access.yaml", "allow: [group:people]")
    company.write("board/copy.md", (company.folder / "board/pay.md").read_text())
    assert company.run().load.state == "promoted"
    kept = {text, "board/pay.md", "board/copy.md"}
    assert [p.never for p in promises_of(company.runtime.ledger, company.source)] == [kept]
    joins = frozenset([("group:everyone", ANN), ("group:people", ANN), ("group:people", HUGO)])
    caught = swapped.caught_by(company.runtime.ledger, company.source, "test", joins)
    assert {one.key for one in caught} >= kept - {text}
    company.write("board/.access.yaml", "allow: [group:everyone]")
    assert sync_access(company.runtime, company.source, "test").held == 2
    run = company.run()
    assert run.load.state == "rejected", run.load.reason
    assert told(company, run)["never for its asker"].documents == ("board/copy.md", "board/pay.md")


@pytest.fixture
def shelf(runtime: Runtime, tmp_path: Path) -> Company:
    company = Company(runtime, tmp_path / "docs")
    for n in range(7):
        company.write(f"notes/{n}.md", f"# Note {n}\n\nPier {n} has {n + 3} cranes today.\n")
    assert company.run().load.state == "promoted"
    declare(company, max_vanished_ratio=0.3)
    company.source = company.declared(limits=Limits(max_vanished_ratio=0.3))
    return company


def judged(company: Company) -> tuple[dict[str, CheckResult], Candidate]:
    from moat.checks import volume

    candidate = Candidate(
        runtime=company.runtime, source=company.source, load=company.runtime.load(company.to_the_gate())
    )
    return {r.name: r for r in volume.run(candidate)}, candidate


def test_what_moved_is_counted_apart_from_what_vanished(shelf: Company) -> None:
    for n in range(5):
        move(shelf, f"notes/{n}.md", f"papers/{n}.md")
    shelf.remove("notes/5.md")
    shelf.write("notes/8.md", "# Note 8\n\nAnother one.\n")
    found, candidate = judged(shelf)
    assert {name for name, r in found.items() if r.failed} == {"documents moved"}
    assert found["mass deletion"].seen == "1 of 10 visible documents vanish (10%), 5 moved"
    assert found["documents moved"].severity == "warn"
    assert found["documents moved"].seen.startswith(
        "5 of 10 visible documents moved to another folder, 1 vanished: notes/0.md → papers/0.md; "
    )
    names = ("new", "vanished", "growth", "elsewhere", "renamed")
    assert {n: candidate.measured[f"volume.{n}"] for n in names} == {
        "new": 1, "vanished": 0.1, "growth": 0.1, "elsewhere": 0.5, "renamed": 0.0
    }  # fmt: skip


def test_a_source_of_which_all_moves_waits_for_a_person(shelf: Company) -> None:
    for n in range(7):
        move(shelf, f"notes/{n}.md", f"papers/{n}.md")
    for name in ("leave.md", "trips.md"):
        move(shelf, name, f"papers/{name}")
    found, _ = judged(shelf)
    assert (found["documents moved"].severity, found["documents moved"].failed) == ("hold", True)


def test_other_names_for_many_documents_wait_for_a_person(shelf: Company) -> None:
    for n in range(5):
        move(shelf, f"notes/{n}.md", f"notes/note%20{n}.md")
    found, candidate = judged(shelf)
    assert {name for name, r in found.items() if r.failed} == {"mass renaming"}
    assert (found["mass renaming"].severity, candidate.measured["volume.renamed"]) == ("hold", 0.5)


def test_one_content_counts_as_often_as_it_left_its_keys(shelf: Company) -> None:
    same = "# Form\n\nFill this in by Friday.\n"
    for key in ("forms/a.md", "forms/b.md", "forms/c.md", "copied.md"):
        shelf.write(key, same)
    shelf.run()
    for key in ("forms/a.md", "forms/b.md", "forms/c.md"):
        shelf.remove(key)
    for key in ("x/b.md", "x/d.md"):
        shelf.write(key, same)
    shelf.write("copy.md", (shelf.folder / "notes/6.md").read_text())  # a copy: the old key stays
    _, candidate = judged(shelf)
    found = moves.found(candidate)
    assert found.pairs == {"forms/b.md": "x/b.md", "forms/a.md": "x/d.md"}
    assert found.renamed == {"forms/a.md": "x/d.md"}
    assert {key: set(new) for key, new in found.targets.items()} == {
        f"forms/{name}.md": {"x/b.md", "x/d.md"} for name in "abc"
    }
    assert candidate.measured["volume.vanished"] == pytest.approx(1 / 14)
