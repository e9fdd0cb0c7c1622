"""An edited document is told from one that holds another's text, on documents that are visible for real."""

from pathlib import Path
from typing import Any

import pytest

from moat.checks import rewritten
from moat.checks.candidate import Candidate
from moat.runtime import Options, Runtime
from moat.stages.prepare import prepare
from moat.stages.read import read
from tests.company import Company

N = 10


def page(n: int) -> str:
    """A text of its own for every number: no two share a run of three words."""
    return f"# Page {n}\n\n" + " ".join(f"pier{n} crane{n}x{i} quay{i}y{n}." for i in range(30)) + "\n"


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    company = Company(runtime, tmp_path / "docs")
    for n in range(N):
        company.write(f"{n}.md", page(n))
    assert company.run().load.state == "promoted"
    return company


def measured(company: Company, **options: Any) -> Candidate:
    found = read(company.runtime, company.source, "test", Options(**options))
    for batch in found.batches:
        prepare(company.runtime, company.source, found.load, batch.number)
    candidate = Candidate(runtime=company.runtime, source=company.source, load=company.runtime.load(found.load))
    rewritten.measure(candidate)
    return candidate


def test_an_edit_keeps_a_text_and_a_swapped_body_does_not(company: Company) -> None:
    for n in range(4):
        company.write(f"{n}.md", page(n) + "\nA line that somebody added at the end of the page.\n")
    for n in range(4, 8):
        company.write(f"{n}.md", page(11 - n))
    found = measured(company)
    assert (found.measured["volume.compared"], found.measured["volume.rewritten"]) == (8, 0.5)
    assert set(found.behind["volume.rewritten"]) == {f"{n}.md" for n in range(4, 8)}


def test_a_page_that_was_cut_or_has_grown_is_the_same_page(company: Company) -> None:
    company.write("1.md", page(1)[: len(page(1)) // 3])
    company.write("2.md", page(2) + page(12) + page(13))
    found = measured(company)
    assert (found.measured["volume.compared"], found.measured["volume.rewritten"]) == (2, 0.0)


def test_new_documents_and_texts_too_short_to_tell_are_compared_with_nothing(company: Company) -> None:
    company.write("new.md", page(20))
    company.write("1.md", "# Page 1\n\nGone.\n")
    company.remove("2.md")
    assert "volume.rewritten" not in measured(company).measured


def test_documents_that_are_prepared_again_by_another_recipe_have_not_changed(company: Company) -> None:
    assert "volume.compared" not in measured(company, full=True).measured


def test_of_many_changed_documents_a_sample_is_compared(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewritten, "MOST_COMPARED", 3)
    for n in range(N):
        company.write(f"{n}.md", page(n + N))
    found = measured(company)
    assert (found.measured["volume.compared"], found.measured["volume.rewritten"]) == (3, 1.0)
