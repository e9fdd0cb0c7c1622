"""A swap of a directory asks the golden questions before it holds, and tells of groups that nobody is left in."""

from typing import Any

import pytest

from moat.connections import EnvironmentConnections
from moat.dagfile import Declared
from moat.directories.directory import Directory
from moat.directories.reader import DirectoryGroup
from moat.ledger import access_sync, audit, holds, incidents, passes
from moat.ledger.members import replace_members
from moat.maintenance.access_sync import settle, sync_access
from moat.maintenance.swaps import load_members, sync_directory
from moat.source import Golden
from tests.company import ANN, HUGO, PAY, Company
from tests.directories.test_sync import Told

JOB = "What does a crane driver earn?"


@pytest.fixture
def company(company_on_either_ledger: Company) -> Company:
    return company_on_either_ledger


@pytest.fixture
def asking(company: Company, monkeypatch: pytest.MonkeyPatch) -> Company:
    """The company, whose golden questions keep the pay from Ann."""
    file = company.folder.parent / "golden.yaml"
    file.write_text(f"- {{question: '{JOB}', asker: '{ANN}', never: [people/pay.md, gone.md]}}", "utf-8")
    company.source = company.declared(golden=Golden(file=str(file)))
    monkeypatch.setattr("moat.maintenance.swaps.sources_of", lambda ledger: Declared({"docs": company.source}, {}))
    monkeypatch.setattr("moat.maintenance.access_sync.source_of", lambda ledger, name: company.source)
    return company


def swapped(company: Company, people: list[str]) -> None:
    load_members(company.runtime, "test", {"group:everyone": [ANN, "group:people"], "group:people": people}, "cli:ines")


def test_somebody_who_comes_into_a_group_finds_nothing_that_a_question_keeps_from_them(asking: Company) -> None:
    assert asking.shows_pay_to(HUGO)
    swapped(asking, [HUGO, ANN])
    assert (asking.shows_pay_to(ANN), asking.shows_pay_to(HUGO)) == (False, False), "it is masked"
    assert asking.keys("train", ANN) == asking.keys("train", HUGO), "and nothing else is"
    (one,) = incidents.listing(asking.runtime.ledger, "docs")
    assert (one.stage, one.severity) == ("read", "block")
    told, line = one.detail["causes"][0]["evidence"]
    assert told == "1 documents are masked until a person decides: directory test would have opened them"
    assert line == f'"{JOB}" keeps people/pay.md from {ANN}'
    assert one.detail["reach"]["documents"] == 1
    (swap,) = passes.listing(asking.runtime.ledger, "test")[:1]
    assert one.detail["commands"][0].startswith(f"moat access revert {swap.id} ")
    assert f"moat explain docs people/pay.md --as {ANN}" in one.detail["commands"]
    assert "moat access held" in one.detail["commands"]
    newest = audit.tail(asking.runtime.ledger, 1, action="access")[0]
    assert (newest.actor, newest.detail["how"]) == ("cli:ines", "masked by a golden question")


def test_what_is_masked_waits_for_a_person_through_syncs_and_loads_and_swaps(asking: Company) -> None:
    swapped(asking, [HUGO, ANN])
    waits = sync_access(asking.runtime, asking.source, "test")
    assert (waits.widened, waits.held) == (0, 1)
    assert waits.hold is not None
    assert (
        f"could be read by {ANN} through directory test, from whom a golden question"
        in holds.get(asking.runtime.ledger, waits.hold).reason
    )
    asking.write("people/pay.md", PAY.replace("four", "five"))
    assert asking.run().load.state == "promoted"
    assert not asking.shows_pay_to(HUGO)
    assert [one.state for one in incidents.listing(asking.runtime.ledger)] == ["open"], "nobody has decided yet"

    swapped(asking, [HUGO])
    waits = sync_access(asking.runtime, asking.source, "test")
    assert waits.held == 1, "also where the directory is corrected"
    assert waits.hold is not None
    settle(asking.runtime, waits.hold, True, "cli:ines", "she is out again")
    assert (asking.shows_pay_to(ANN), asking.shows_pay_to(HUGO)) == (False, True)
    assert access_sync.kept_back_keys(asking.runtime.ledger, "docs") == []
    asking.run()
    assert incidents.listing(asking.runtime.ledger) == []


def test_what_a_person_has_let_in_is_not_masked_by_the_next_swap(asking: Company) -> None:
    swapped(asking, [HUGO, ANN])
    hold = sync_access(asking.runtime, asking.source, "test").hold
    assert hold is not None
    settle(asking.runtime, hold, True, "cli:ines", "she works there now")
    assert asking.shows_pay_to(ANN)
    swapped(asking, [HUGO, ANN, "user:ida@example.com"])
    assert asking.shows_pay_to(ANN)


def test_a_deny_that_a_swap_empties_is_a_widening_too(asking: Company) -> None:
    asking.write("people/.access.yaml", "allow: [group:everyone]\ndeny: [group:kept-out]")
    groups = {"group:everyone": [ANN, HUGO], "group:kept-out": [ANN]}
    replace_members(asking.runtime.ledger, "test", groups, "test")
    sync_access(asking.runtime, asking.declared(), "test")
    assert (asking.shows_pay_to(ANN), asking.shows_pay_to(HUGO)) == (False, True)
    load_members(asking.runtime, "test", {"group:everyone": [ANN, HUGO]}, "test")
    assert (asking.shows_pay_to(ANN), asking.shows_pay_to(HUGO)) == (False, False)


def test_it_is_masked_before_the_swap_holds_and_a_directory_asks_as_a_file_does(
    asking: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[Any]()
    reader = Told()
    directory = Directory(name="okta", reader=reader, own_names=False)
    object.__setattr__(asking.runtime, "connections", EnvironmentConnections({}))
    load_members(asking.runtime, "test", {"group:people": [HUGO, "group:okta/crew"], "group:everyone": [ANN]}, "test")

    def watched(*given: Any, **named: Any) -> Any:
        seen.append(access_sync.kept_back_keys(asking.runtime.ledger, "docs"))
        return replace_members(*given, **named)

    monkeypatch.setattr("moat.directories.sync.members.replace_members", watched)
    reader.groups = [DirectoryGroup("crew", (ANN,))]
    assert sync_directory(asking.runtime, directory, "test").outcome == "swapped"
    assert seen == [["people/pay.md"]]
    assert not asking.shows_pay_to(ANN)


def test_a_group_that_documents_name_and_that_nobody_is_left_in_is_told_once(asking: Company) -> None:
    for _ in range(2):
        load_members(asking.runtime, "test", {"group:everyone": [ANN, HUGO], "group:people": []}, "test")
    (one,) = incidents.listing(asking.runtime.ledger)
    assert (one.severity, one.title) == ("warn", "Nobody is left in a group that documents name")
    assert one.detail["causes"][0]["evidence"] == [
        "nobody is left in group:people, which 1 visible documents name; nobody can read 1 of them now"
    ]
    (happened,) = incidents.happenings(asking.runtime.ledger, one.id)
    assert happened.n == 1
    assert asking.shows_pay_to(HUGO) is False


def test_a_group_is_left_with_nobody_by_the_groups_of_all_directories(asking: Company) -> None:
    ledger = asking.runtime.ledger
    everyone = {"group:everyone": [ANN, HUGO]}
    load_members(asking.runtime, "okta", {"group:okta/crew": ["user:ida@example.com"]}, "test")
    load_members(asking.runtime, "test", {**everyone, "group:people": [HUGO, "group:okta/crew"]}, "test")
    load_members(asking.runtime, "test", {**everyone, "group:people": ["group:okta/crew"]}, "test")
    assert incidents.listing(ledger) == [], "somebody is left in it by another directory's group"
    load_members(asking.runtime, "okta", {"group:okta/crew": []}, "test")
    (one,) = incidents.listing(ledger)
    assert one.detail["causes"][0]["evidence"] == [
        "nobody is left in group:people, which 1 visible documents name; nobody can read 1 of them now"
    ]
