"""Golden questions: what they must be, how sure their mean is, and that each asker is answered from their own documents."""

from pathlib import Path

import pytest

from moat.checks import golden
from moat.checks.candidate import Candidate
from moat.checks.golden import Question, interval, questions_of
from moat.errors import FatalError
from moat.ledger import loads
from moat.ledger.checks import CheckResult
from moat.source import Golden
from tests.company import ANN, HUGO, Company

PAY = "What does a crane driver earn in a month?"


def ask(company: Company, body: str, **changed: float) -> None:
    file = company.folder.parent / "golden.yaml"
    file.write_text(body, "utf-8")
    company.source = company.declared(golden=Golden(file=str(file), **{"k": 2, "min_recall": 1.0, **changed}))  # type: ignore[arg-type]


def judged(company: Company, number: int) -> tuple[dict[str, CheckResult], Candidate]:
    candidate = Candidate(runtime=company.runtime, source=company.source, load=company.runtime.load(number))
    return {r.name: r for r in golden.run(candidate)}, candidate


def test_a_question_with_an_asker_is_answered_from_what_they_may_read(company: Company) -> None:
    number = company.to_the_gate()
    ask(company, f"""- {{question: "{PAY}", documents: [people/pay.md], asker: '{HUGO}'}}""")
    found, candidate = judged(company, number)
    assert found["recall@2"].passed
    assert (candidate.measured["golden.recall"], candidate.measured["golden.mrr"]) == (1.0, 1.0)
    ask(company, f"""- {{question: "{PAY}", documents: [people/pay.md], asker: '{ANN}'}}""")
    found, candidate = judged(company, number)
    assert not found["recall@2"].passed
    assert found["recall@2"].seen.startswith(
        f"1 of 1 test questions do not find their documents: {PAY}; recall@2 0.000,"
    )
    assert "over 4 chunks" in found["recall@2"].seen
    assert candidate.behind["golden.recall"] == ("people/pay.md",)
    ask(company, f"""- {{question: "{PAY}", documents: [people/pay.md], asker: 'user:stranger@example.com'}}""")
    assert not judged(company, number)[0]["recall@2"].passed


def test_what_an_asker_must_never_get_blocks_once_they_could_read_it(company: Company) -> None:
    ask(company, f"""- {{question: "{PAY}", asker: '{ANN}', never: [people/pay.md]}}""")
    assert company.run().load.state == "promoted"
    company.write("people/.access.yaml", "allow: [group:everyone]")
    # Its content is as before: the load brings nothing but the access, and the question is asked of what holds then.
    number = company.to_the_gate()
    found, candidate = judged(company, number)
    assert list(found) == ["never for its asker"]
    assert "golden.recall" not in candidate.measured
    leak = found["never for its asker"]
    assert (leak.passed, leak.severity, leak.documents) == (False, "block", ("people/pay.md",))
    assert leak.seen == f"1 documents could be read by an asker whom they are kept from; {ANN}: people/pay.md"
    loads.reject(company.runtime.ledger, number, "test")
    assert company.run().load.state == "rejected"
    assert company.keys(PAY, ANN)[:1] != ["people/pay.md"]


def test_a_new_document_is_judged_by_the_access_that_it_brings(company: Company) -> None:
    company.run()
    company.write("bonus.md", "# Bonus\n\nA crane driver earns a bonus of one month at the end of the year.\n")
    ask(company, f"""- {{question: "{PAY}", documents: [bonus.md], asker: '{ANN}', never: [people/pay.md]}}""")
    found, _ = judged(company, company.to_the_gate())
    assert not any(r.failed for r in found.values()), found


def test_reciprocal_rank_tells_what_recall_does_not(company: Company) -> None:
    ask(
        company,
        "- {question: Parental leave, documents: [trips.md]}\n- {question: Trips by train, documents: [trips.md]}",
        k=3,
    )
    _, candidate = judged(company, company.to_the_gate())
    assert candidate.measured["golden.recall"] == 1.0
    assert candidate.measured["golden.mrr"] in (pytest.approx(0.75), pytest.approx((1 / 3 + 1) / 2))


def test_the_interval_is_narrow_where_many_questions_agree() -> None:
    assert interval([1.0] * 5) == (1.0, 1.0)
    few, many = interval([1.0, 0.0, 1.0, 1.0]), interval([1.0, 0.0, 1.0, 1.0] * 50)
    assert few[0] < many[0] < 0.75 < many[1] < few[1]
    assert interval([1.0, 0.0, 1.0]) == interval([1.0, 0.0, 1.0])


WRONG = {
    "{}": "must be a list of",
    "[]": "must be a list of",
    "- one": "number 1: it must be",
    "- {question: q, documents: [a]}\n- {documents: [a]}": "number 2: it must be",
    "- {question: q}": "documents names none that must answer",
    "- {question: q, documents: a}": "documents must be a list",
    "- {question: q, documents: [1]}": "documents must be a list of documents' keys, as texts",
    "- {question: q, documents: [a], never: [b]}": "never needs one",
    "- {question: q, documents: [a], never: [a], asker: 'user:x'}": "a must answer and must not",
    "- {question: q, documents: [a], asker: Ann Smith}": "has no kind",
    "- {question: q, documents: [a], asker: 7}": "asker must be a principal",
    "- {question: q, documents: [a], user: ann}": "user is unknown; a question has asker, documents, never, question",
}


@pytest.mark.parametrize("body", WRONG)
def test_a_wrong_question_is_told_by_its_number(tmp_path: Path, body: str) -> None:
    (tmp_path / "golden.yaml").write_text(body, "utf-8")
    with pytest.raises(FatalError, match=WRONG[body]):
        questions_of(tmp_path / "golden.yaml")


def test_a_question_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "golden.yaml").write_text(
        "- {question: q, documents: [a, b], asker: 'user:Ann@X.org', never: [c]}", "utf-8"
    )
    assert questions_of(tmp_path / "golden.yaml") == [Question("q", ("a", "b"), "user:ann@x.org", ("c",))]
