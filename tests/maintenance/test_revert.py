"""What one pass of access sync let in is taken back in one step, and opens again only by a person."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from moat.errors import DecisionRefused, PassRefused
from moat.index.store import WeaviateStore
from moat.ledger import access, audit, holds, passes
from moat.ledger import access_sync as queries
from moat.ledger.erasure import Request
from moat.ledger.pass_tables import access_pass, pass_document
from moat.ledger.policies import clear
from moat.ledger.tables import document
from moat.maintenance.access_sync import SyncedAccess, settle, sync_access
from moat.maintenance.erase import erase, verify
from moat.maintenance.revert import Reverted, planned, revert
from tests.company import ANN, HUGO, PAY, Company, stored

EARNS = "What does a crane driver earn?"
NOBODY = "user:nobody@example.com"


@pytest.fixture
def company(company_on_either_ledger: Company) -> Company:
    return company_on_either_ledger


def opened(company: Company, allow: str = "[group:everyone]") -> SyncedAccess:
    """A pass that opens the pay to other readers."""
    company.write("people/.access.yaml", f"allow: {allow}")
    return sync_access(company.runtime, company.source, "test")


def taken_back(company: Company, number: int, because: str = "a mistake") -> Reverted:
    return revert(company.runtime, company.source, number, "cli:ines", because)


def test_what_a_pass_let_in_is_gone_at_once_and_waits_for_a_person(
    company: Company, index: WeaviateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moat.maintenance.access_sync.source_of", lambda ledger, name: company.source)
    before = [tokens for _, tokens in stored(index).values()]
    everyones = max(before, key=before.count)
    company.write(".access.yaml", "allow: [group:people]")
    narrower = opened(company)
    assert (narrower.narrowed, company.shows_pay_to(ANN)) == (3, True)
    would = planned(company.runtime.ledger, narrower.number)
    assert [(one.key, one.before, one.since) for one in would.taken] == [
        ("people/pay.md", "any of group:everyone and any of group:people", "any of group:everyone")
    ]
    assert (would.people, company.shows_pay_to(ANN)) == (1, True)
    assert [(one.key, one.stays) for one in would.stays] == [
        (key, "nobody reads it who did not before") for key in ("leave.md", "trips.md")
    ]

    done = taken_back(company, narrower.number)
    assert ([one.key for one in done.taken], done.people) == (["people/pay.md"], 1)
    assert (company.shows_pay_to(ANN), company.shows_pay_to(HUGO)) == (False, True)
    assert "leave.md" not in company.keys("parental leave", ANN), "what the pass narrowed stays"
    assert everyones not in {tokens for _, tokens in stored(index).values()}, "the index has nothing of it either"
    assert done.hold is not None, "it waits at once"
    assert (opened(company).widened, company.shows_pay_to(ANN)) == (0, False)
    (waits,) = holds.listing(company.runtime.ledger)
    assert waits.id == done.hold
    assert f"was taken back by the revert of pass {narrower.number}" in waits.reason
    settle(company.runtime, waits.id, True, "cli:ines", "it is for all after all")
    assert company.shows_pay_to(ANN)
    (newest, *_) = passes.listing(company.runtime.ledger)
    assert (newest.id > narrower.number, newest.documents, newest.reverted_at) == (True, 1, None)


def test_who_took_what_back_and_why_is_in_the_audit(company: Company) -> None:
    number = opened(company).number
    taken_back(company, number, "ticket 7")
    ledger = company.runtime.ledger
    (row,) = audit.tail(ledger, 9, action="revert")
    assert (row.actor, row.subject) == ("cli:ines", "access of docs")
    assert row.detail == {"pass": number, "documents": 1, "because": "ticket 7"}
    widened, back = audit.tail(ledger, 2, action="access")
    assert back.detail["how"] == f"taken back, pass {number}: ticket 7"
    ((document, was, now),) = widened.detail["documents"]
    assert back.detail["documents"] == [[document, now, was]]
    found = passes.get(ledger, number)
    assert (found.reverted_by, found.reverted_at is not None) == ("cli:ines", True)


def test_what_changed_again_since_is_left_alone_and_named(company: Company) -> None:
    first = opened(company, f"[group:people, '{NOBODY}']").number
    second = opened(company, f"[group:everyone, '{NOBODY}']").number
    done = taken_back(company, first)
    assert (done.taken, company.shows_pay_to(ANN)) == ((), True)
    assert [(one.key, one.stays) for one in done.stays] == [
        ("people/pay.md", f"pass {second} opened it again since: `moat access revert {second}` first")
    ]
    assert [one.key for one in taken_back(company, second).taken] == ["people/pay.md"]
    assert not company.shows_pay_to(ANN)
    assert [one.key for one in taken_back(company, first).taken] == ["people/pay.md"], "then the one before"
    ledger = company.runtime.ledger
    with ledger.read() as connection:
        now = connection.execute(select(document.c.policy).where(document.c.key == "people/pay.md")).scalar_one()
    policy = access.bodies_of(ledger, [now])[now]
    assert policy.allows(frozenset({"group:people", "group:everyone"}))
    assert not policy.allows(frozenset({NOBODY, "group:everyone"}))


def test_a_load_lets_in_nothing_that_was_taken_back(company: Company) -> None:
    taken_back(company, opened(company).number)
    assert company.run().load.state in ("promoted", "unchanged")
    assert not company.shows_pay_to(ANN)
    company.write("people/pay.md", PAY.replace("four", "five"))
    assert company.run().load.state == "promoted"
    assert "five thousand" in company.search(EARNS, HUGO)[0].text
    assert not company.shows_pay_to(ANN)


def test_a_source_that_takes_it_back_too_is_free_again(company: Company) -> None:
    taken_back(company, opened(company).number)
    assert opened(company, "[group:people]").held == 0
    assert holds.listing(company.runtime.ledger) == []
    assert opened(company).widened == 1


def test_a_reading_that_began_before_a_revert_does_not_free_what_it_took_back(company: Company) -> None:
    number = opened(company).number
    began = access.begin(company.runtime.ledger, "docs")
    taken = [one.document for one in passes.documents(company.runtime.ledger, number)]
    passes.take_back(company.runtime.ledger, number, taken, "cli:ines", "")
    queries.in_step(company.runtime.ledger, "docs", ["people/pay.md"], began)
    assert queries.kept_back_keys(company.runtime.ledger, "docs") == ["people/pay.md"]
    queries.in_step(company.runtime.ledger, "docs", ["people/pay.md"], access.begin(company.runtime.ledger, "docs"))
    assert queries.kept_back_keys(company.runtime.ledger, "docs") == []


def test_a_release_that_was_not_used_yet_opens_nothing_again(company: Company) -> None:
    company.write("people/.access.yaml", "public: true")
    waits = sync_access(company.runtime, company.source, "test")
    assert waits.hold is not None
    holds.release(company.runtime.ledger, waits.hold, "cli:ines")
    widened = sync_access(company.runtime, company.source, "test")
    with company.runtime.ledger.write() as connection:  # as if the pass had been killed before it ended the hold
        connection.exec_driver_sql("UPDATE hold SET state = 'released'")
    taken_back(company, widened.number)
    sync_access(company.runtime, company.source, "test")
    assert not company.shows_pay_to(ANN)


def test_what_was_masked_before_the_pass_is_masked_again(company: Company) -> None:
    company.write("people/.access.yaml", "no access file")
    assert sync_access(company.runtime, company.source, "test").masked == 1
    number = opened(company, "[group:people]").number
    done = taken_back(company, number)
    assert [one.before for one in done.taken] == ["nobody, for its access was unknown"]
    assert not company.shows_pay_to(HUGO)


def test_only_approvers_take_back_and_a_wrong_number_is_told(company: Company) -> None:
    number = opened(company).number
    company.set(approvers="airflow:ann")
    with pytest.raises(DecisionRefused, match=f"revert of pass {number} of docs"):
        taken_back(company, number)
    assert company.shows_pay_to(ANN)
    with pytest.raises(PassRefused, match=r"no pass 99 .*`moat access passes`"):
        planned(company.runtime.ledger, 99)


def test_a_source_that_cannot_be_read_keeps_no_revert_waiting(company: Company) -> None:
    number = opened(company).number
    company.folder.rename(company.folder.with_name("away"))
    done = taken_back(company, number)
    assert (len(done.taken), done.hold, company.shows_pay_to(ANN)) == (1, None, False)


def test_the_access_before_is_kept_as_long_as_the_pass(company: Company) -> None:
    number = opened(company).number
    clear(company.runtime.ledger)
    assert planned(company.runtime.ledger, number).taken[0].before == "any of group:everyone and any of group:people"
    with company.runtime.ledger.write() as connection:
        connection.execute(update(access_pass).values(at=datetime.now(UTC) - 2 * passes.KEPT))
    opened(company, "[group:people]")
    opened(company)
    assert [one.id for one in passes.listing(company.runtime.ledger)] == [number + 2, number + 1]
    with company.runtime.ledger.read() as connection:
        assert number not in set(connection.scalars(select(pass_document.c.pass_id)))


def test_an_erased_document_is_in_no_pass(company: Company, index: WeaviateStore) -> None:
    number = opened(company).number
    asked = Request(source="docs", keys=("people/pay.md",), by="test", because="x")
    assert verify(company.runtime, index, erase(company.runtime, index, asked)) == []
    assert planned(company.runtime.ledger, number).taken == ()
