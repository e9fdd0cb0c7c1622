"""The whole way on either ledger: SQLite for one machine, PostgreSQL for many."""

import pytest

from moat.index.store import WeaviateStore
from moat.ledger import audit, documents, holds, incidents, loads
from moat.ledger.erasure import Request
from moat.ledger.quarantine import listing, replay
from moat.maintenance.access_sync import sync_access
from moat.maintenance.erase import erase, verify
from moat.maintenance.reconcile import reconcile
from moat.source import Limits
from moat.stages.run import finish
from tests.company import ANN, HUGO, LEAVE, Company

LEAVE_TAKES, EARNS = "How long is parental leave?", "What does a crane driver earn?"


@pytest.fixture
def company(company_on_either_ledger: Company) -> Company:
    return company_on_either_ledger


def test_a_source_loads_changes_is_held_released_and_rolled_back(company: Company) -> None:
    assert company.run().load.state == "unchanged"
    assert company.keys(LEAVE_TAKES, ANN)[0] == "leave.md"
    assert "people/pay.md" not in company.keys(EARNS, ANN)

    company.write("leave.md", LEAVE.replace("twenty", "thirty"))
    company.write("copy.md", LEAVE.replace("twenty", "thirty"))  # equal texts are looked up in the ledger
    changed = company.run().load
    assert (changed.state, changed.counts["changed"], changed.counts["new"]) == ("promoted", 1, 1)
    assert company.search(LEAVE_TAKES, ANN)[0].text == "Parental leave lasts thirty weeks."

    for name in ("leave.md", "copy.md", "trips.md"):
        company.remove(name)
    cautious = company.declared(limits=Limits())
    held = company.run(cautious).load
    assert held.state == "held"
    assert company.keys(LEAVE_TAKES, ANN), "nothing of it is visible"
    assert [i.state for i in incidents.listing(company.runtime.ledger, "docs")] == ["open"]
    loads.release(company.runtime.ledger, held.id, "user:ann")
    assert finish(company.runtime, cautious, held.id, "user:ann").load.state == "promoted"
    assert company.keys(LEAVE_TAKES, ANN) == []
    assert incidents.listing(company.runtime.ledger, "docs") == []

    loads.rollback(company.runtime.ledger, held.id, "user:ann")
    assert company.search(LEAVE_TAKES, ANN)[0].text == "Parental leave lasts thirty weeks."


def test_access_moves_without_a_load_and_what_becomes_public_waits(company: Company, index: WeaviateStore) -> None:
    company.write("people/.access.yaml", "allow: ['user:nobody@example.com']")
    assert sync_access(company.runtime, company.source, "test", index).narrowed == 1
    assert company.keys(EARNS, HUGO)[:1] != ["people/pay.md"]
    company.write("people/.access.yaml", "allow: [group:people]")
    assert sync_access(company.runtime, company.source, "test", index).widened == 1
    assert company.keys(EARNS, HUGO)[0] == "people/pay.md"

    company.write("people/.access.yaml", "public: true")
    waiting = sync_access(company.runtime, company.source, "test", index)
    assert (waiting.widened, waiting.held) == (0, 1)
    assert waiting.hold is not None
    holds.release(company.runtime.ledger, waiting.hold, "user:ann", "it is published")
    assert sync_access(company.runtime, company.source, "test", index).widened == 1
    assert company.keys(EARNS, ANN)[0] == "people/pay.md"


def test_a_document_that_was_set_aside_is_replayed(company: Company) -> None:
    company.write("bad.md", b"\x7fELF")
    company.run()
    assert [(q.key, q.error) for q in listing(company.runtime.ledger)] == [("bad.md", "ParseFailed")]
    assert replay(company.runtime.ledger, "docs").marked == {"docs": ["bad.md"]}
    company.write("bad.md", "# Good\n\nNow it is a text.\n")
    assert company.run().load.state == "promoted"
    assert listing(company.runtime.ledger) == []


def test_erasure_reconciliation_and_the_audit_hold(company: Company, index: WeaviateStore) -> None:
    receipt = erase(
        company.runtime, index, Request(source="docs", keys=("people/pay.md",), by="test", because="she asked for it")
    )
    assert verify(company.runtime, index, receipt) == []
    assert company.run().load.state == "unchanged"
    assert documents.count_visible(company.runtime.ledger, "docs") == 2

    index.delete([next(iter(index.every())).id])
    sources, model = company.pending(), company.model()
    (drift,) = reconcile(company.runtime, index, model, sources, repair=True)
    assert (drift.missing, drift.repaired) == (1, True)
    (drift,) = reconcile(company.runtime, index, model, sources)
    assert drift.agrees
    assert audit.verify(company.runtime.ledger).rows > 0
