"""An incident of widened access says what people can read already, or what waits, and how it is taken back."""

from pathlib import Path

import pytest

from moat.ledger import answers, incidents, passes
from moat.ledger.incidents import Incident
from moat.maintenance.access_sync import sync_access
from moat.maintenance.revert import revert
from moat.maintenance.swaps import load_members
from moat.runtime import Runtime
from moat.source import Golden
from tests.company import ANN, PAY, Company


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    made = Company(runtime, tmp_path / "documents")
    assert made.run().load.state == "promoted"
    return made


def only(company: Company) -> Incident:
    (one,) = incidents.listing(company.runtime.ledger)
    return one


def test_a_live_widening_says_that_people_can_read_it_and_how_it_is_taken_back(company: Company) -> None:
    company.write("people/.access.yaml", "allow: [group:everyone]")
    number = sync_access(company.runtime, company.source, "test").number
    file = company.folder.parent / "golden.yaml"
    file.write_text(f"- {{question: 'What is paid?', asker: '{ANN}', never: [people/pay.md]}}", "utf-8")
    company.write("people/pay.md", PAY.replace("four", "five"))
    strict = company.declared(golden=Golden(file=str(file)))
    assert company.run(strict).load.state == "rejected"
    one = only(company)
    first, unheard, *_ = one.detail["causes"][0]["evidence"]
    assert one.detail["causes"][0]["name"] == "access_widened"
    assert first.startswith(
        f"people can read it: pass {number} of access sync opened 1 documents to 1 more people, since "
    )
    assert unheard == answers.UNKNOWN
    command, *others = one.detail["commands"]
    assert command == f'moat access revert {number} --because "access widened"  # with --dry-run it only lists'
    assert not any("access held" in line for line in others), "nothing is held"

    company.set(record_answers=True)
    assert company.shows_pay_to(ANN)
    company.run(strict)
    when = f"{passes.get(company.runtime.ledger, number).at:%Y-%m-%d %H:%M} UTC"
    assert f"read by 1 people since {when}: {ANN}" in only(company).detail["causes"][0]["evidence"]

    revert(company.runtime, company.source, number, "cli:ines")
    assert company.run(strict).load.state == "promoted"
    assert incidents.listing(company.runtime.ledger) == []


def test_a_swap_by_which_people_read_it_is_named_with_how_it_is_taken_back(company: Company) -> None:
    groups = {"group:everyone": [ANN, "group:people"], "group:people": ["user:hugo@example.com", ANN]}
    load_members(company.runtime, "test", groups, "test")
    swap = passes.listing(company.runtime.ledger)[0]
    company.write("people/.access.yaml", "public: true")
    assert company.run().load.state == "held"
    one = only(company)
    assert any(line.startswith(f"people can read it: pass {swap.id}, a swap of directory test, brought 1 members into "
               "groups that may read") for line in one.detail["causes"][0]["evidence"])  # fmt: skip
    assert one.detail["commands"][0].startswith(f"moat access revert {swap.id} ")


def test_a_widening_that_waits_names_what_waits_and_nothing_to_take_back(company: Company) -> None:
    company.write("people/.access.yaml", "public: true")
    hold = sync_access(company.runtime, company.source, "test").hold
    assert company.run().load.state == "held"
    one = only(company)
    assert one.detail["causes"][0]["name"] == "access_widened"
    assert f"moat access held {hold}" in one.detail["commands"]
    assert not any("revert" in line for line in one.detail["commands"])
    assert not any("people can read it" in line for line in one.detail["causes"][0]["evidence"])
