"""Who was answered from what is kept where that is asked for, told where it matters, and erased with the document."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from moat.index.store import WeaviateStore
from moat.ledger import answers, passes
from moat.ledger.erasure import Request
from moat.ledger.read_tables import answered
from moat.ledger.tables import document
from moat.maintenance import revert_swap
from moat.maintenance.access_sync import sync_access
from moat.maintenance.erase import erase, verify
from moat.maintenance.revert import planned
from moat.maintenance.swaps import load_members
from moat.retrieve import Retriever
from tests.company import ANN, HUGO, Company

EARNS = "What does a crane driver earn?"


@pytest.fixture
def company(company_on_either_ledger: Company) -> Company:
    return company_on_either_ledger


def kept(company: Company, key: str = "people/pay.md") -> dict[str, int]:
    """How often each asker was answered from a document today."""
    query = select(answered).join(document, document.c.id == answered.c.document_id).where(document.c.key == key)
    with company.runtime.ledger.read() as connection:
        rows = connection.execute(query).all()
    assert all(row.day == f"{datetime.now(UTC):%Y-%m-%d}" and row.first_at <= row.last_at for row in rows)
    return {row.asker: row.n for row in rows}


def test_who_was_answered_since_a_pass_is_told_where_answers_are_kept(company: Company, index: WeaviateStore) -> None:
    ledger = company.runtime.ledger
    company.write("people/.access.yaml", "allow: [group:everyone]")
    number = sync_access(company.runtime, company.source, "test").number
    assert company.shows_pay_to(ANN)
    assert (kept(company), planned(ledger, number).read_by) == ({}, answers.UNKNOWN), "off, unless it is asked for"

    company.set(record_answers=True)
    since = f"since {passes.get(ledger, number).at:%Y-%m-%d %H:%M} UTC"
    assert planned(ledger, number, recorded=True).read_by == f"read by nobody {since}"
    for asker in (ANN, HUGO, ANN):
        assert company.shows_pay_to(asker)
    with Retriever.from_settings(company.runtime.settings, company.runtime.connections) as r:
        (pay,) = (hit for hit in r.search(EARNS, ANN) if hit.document_key == "people/pay.md")
        assert [hit.chunk_id for hit in r.get([pay.chunk_id], HUGO)] == [pay.chunk_id]
    assert kept(company) == {ANN: 3, HUGO: 2}
    assert planned(ledger, number).read_by == f"read by 1 people {since}: {ANN}", "he could read it before"

    receipt = erase(company.runtime, index, Request(source="docs", keys=("people/pay.md",), by="test"))
    assert verify(company.runtime, index, receipt) == []
    assert kept(company) == {}


def test_who_was_answered_since_a_swap_is_told(company: Company) -> None:
    company.set(record_answers=True)
    groups = {"group:everyone": [ANN, "group:people"], "group:people": [HUGO, ANN]}
    load_members(company.runtime, "test", groups, "test")
    swap = passes.listing(company.runtime.ledger, "test")[0]
    since = f"since {swap.at:%Y-%m-%d %H:%M} UTC"
    company.keys(EARNS, HUGO)
    assert revert_swap.planned(company.runtime.ledger, swap.id).read_by == f"read by nobody {since}"
    assert company.shows_pay_to(ANN)
    done = revert_swap.revert(company.runtime, swap.id, "test")
    assert done.read_by == f"read by 1 people {since}: {ANN}"


def test_it_is_forgotten_in_time_and_an_answer_that_cannot_be_recorded_is_not_given(company: Company) -> None:
    company.set(record_answers=True)
    company.keys("parental leave", ANN)
    assert kept(company, "leave.md") == {ANN: 1}
    ledger, old = company.runtime.ledger, f"{datetime.now(UTC) - 2 * answers.KEPT:%Y-%m-%d}"
    with ledger.write() as connection:
        connection.execute(update(answered).values(day=old))
    company.keys("parental leave", HUGO)
    sync_access(company.runtime, company.source, "test")
    assert kept(company, "leave.md") == {HUGO: 1}
    with ledger.write() as connection:
        connection.exec_driver_sql("ALTER TABLE answered RENAME TO away")
    found = company.search("parental leave", ANN)
    assert (list(found), found.refused is not None) == ([], True)
    with ledger.write() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO answered")
