"""Who may read what a load brings: how widely, how many are public or nobody's, and that nothing becomes public unseen."""

from moat.checks import access
from moat.checks.candidate import Candidate
from moat.ledger import loads
from moat.ledger.checks import CheckResult
from moat.ledger.members import replace_members
from moat.runtime import Options
from moat.source import Public
from moat.stages.dry_run import dry_run
from tests.company import Company


def judged(company: Company, number: int) -> tuple[dict[str, CheckResult], Candidate]:
    candidate = Candidate(runtime=company.runtime, source=company.source, load=company.runtime.load(number))
    return {r.name: r for r in access.run(candidate) if r.failed}, candidate


def test_how_widely_documents_may_be_read_is_measured(company: Company) -> None:
    company.write("open/.access.yaml", "public: true")
    company.write("open/map.md", "# Map\n\nThe gate is in the north.\n")
    company.write("none/.access.yaml", "allow: []")
    company.write("none/draft.md", "# Draft\n\nNot for anyone.\n")
    company.write("lost/.access.yaml", "allow: [people]")
    company.write("lost/x.md", "# Lost\n\nNobody knows whose.\n")
    found, candidate = judged(company, company.to_the_gate())
    assert found == {}, "in its first load a source may bring public documents"
    assert {name: round(value, 3) for name, value in candidate.measured.items()} == {
        "access.listed": 6,
        "access.documents": 5,
        "access.unknown": round(1 / 6, 3),
        "access.public": 0.2,
        "access.nobody": 0.2,
        "access.readers": 2,  # ann, and hugo of group:people, which is in group:everyone
        "access.widest": 2,
        "access.opened": 0,
    }
    assert candidate.behind["access.public"] == ("open/map.md",)
    assert candidate.behind["access.nobody"] == ("none/draft.md",)
    assert candidate.behind["access.widest"][0] in ("leave.md", "trips.md")
    told = {m.name for m in access.MEASURES} - {"access.emptied"}  # of visible documents, and none is yet
    assert told <= set(candidate.measured)


def test_the_first_public_document_of_a_known_source_holds_though_it_is_new(company: Company) -> None:
    company.run()
    company.write("open/.access.yaml", "public: true")
    company.write("open/map.md", "# Map\n\nThe gate is in the north.\n")
    number = company.to_the_gate()
    found, _ = judged(company, number)
    assert list(found) == ["newly public"]
    assert (found["newly public"].severity, found["newly public"].documents) == ("hold", ("open/map.md",))
    loads.reject(company.runtime.ledger, number, "test")
    assert company.run().load.state == "held"


def test_a_source_that_has_public_documents_may_have_more(company: Company) -> None:
    company.write("open/.access.yaml", "public: true")
    company.write("open/map.md", "# Map\n\nThe gate is in the north.\n")
    assert company.run().load.state == "promoted"
    company.write("open/bus.md", "# Bus\n\nLine 7 stops at the gate.\n")
    found, candidate = judged(company, company.to_the_gate())
    assert found == {}
    assert candidate.measured["access.public"] == 1.0


def test_a_source_that_is_public_by_its_rule_is_not_held(company: Company) -> None:
    company.run()
    company.source = company.declared(access=Public())
    company.write("new.md", "# New\n\nFor everyone.\n")
    found, _ = judged(company, company.to_the_gate())
    assert "newly public" not in found
    assert "access widened" in found, "what people see already becomes public, and that always holds"


def test_a_load_that_nobody_can_read_waits_and_names_the_group_that_was_meant(company: Company) -> None:
    company.write(".access.yaml", "allow: [group:everyon]")
    company.write("people/.access.yaml", "allow: [group:people]")
    found, _ = judged(company, number := company.to_the_gate())
    assert list(found) == ["unknown groups"]
    assert found["unknown groups"].documents in [("leave.md",), ("trips.md",)]
    assert "no directory has a member of group:everyon (did you mean group:everyone?)" in found["unknown groups"].seen
    loads.reject(company.runtime.ledger, number, "test")

    company.write("people/.access.yaml", "allow: []")
    found, _ = judged(company, number := company.to_the_gate("again"))
    assert (found["nobody reads"].severity, list(found)) == ("hold", ["nobody reads", "unknown groups"])
    told = dry_run(company.runtime, company.source, Options()).warnings
    assert told == (
        "no directory has a member of group:everyon (did you mean group:everyone?), which 2 documents let in",
        "3 documents are for nobody who is known",
    )
    loads.reject(company.runtime.ledger, number, "test")

    company.write(".access.yaml", "allow: [group:everyone]")
    assert company.run().load.state == "promoted", "that some documents are for nobody may be meant"
    company.write("people/draft.md", "# Draft\n\nFor nobody yet.\n")
    assert judged(company, company.to_the_gate("later"))[0] == {}, "one document of nobody is no misspelt source"


def test_without_directories_groups_are_not_judged(company: Company) -> None:
    replace_members(company.runtime.ledger, "test", {}, "test")
    found, _ = judged(company, company.to_the_gate())
    assert found == {}, "the groups may come with the asker"
    assert dry_run(company.runtime, company.source, Options()).warnings == ()
