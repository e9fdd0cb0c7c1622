"""A search says of a document that a newer version of it is known, to those who may read that, or leaves it out."""

import pytest
from sqlalchemy import func, select

from moat.index.store import WeaviateStore
from moat.ledger import loads
from moat.ledger.erasure import Request
from moat.ledger.read_tables import older_version
from moat.maintenance.access_sync import sync_access
from moat.maintenance.erase import erase, verify
from moat.retrieve import Retriever
from moat.search.result_types import NewerVersion
from tests.company import ANN, HUGO, Company

ASKED = "What does a berth cost?"
TEXT = (
    "# {what} {year}\n\nThe quay charges these {what} from January {year} on, for every ship that calls at the harbour.\n\n"
    "A berth costs {berth} euros a day, a crane {crane} euros an hour, and water for each cubic metre is free.\n"
)


@pytest.fixture
def company(company_on_either_ledger: Company) -> Company:
    return company_on_either_ledger


def newer_of(company: Company, asker: str) -> dict[str, str | None]:
    """Keys of the priced documents that somebody finds, with the key of the newer version that they are told."""
    found = company.search(ASKED, asker, limit=50)
    assert found.refused is None
    return {
        hit.document_key: hit.newer_version.key if hit.newer_version else None for hit in found if "berth" in hit.text
    }


def n_pairs(company: Company) -> int:
    with company.runtime.ledger.read() as connection:
        return connection.execute(select(func.count()).select_from(older_version)).scalar_one()


def test_an_older_version_is_told_or_left_out_for_those_who_may_read_the_newer(
    company: Company, index: WeaviateStore
) -> None:
    company.write("prices-2020.md", TEXT.format(what="prices", year=2020, berth=410, crane="95.50"))
    company.write("prices-2021.md", TEXT.format(what="prices", year=2021, berth=455, crane="99.00"))
    company.write("fees-2020.md", TEXT.format(what="fees", year=2020, berth=510, crane="75.50"))
    company.write("people/fees-2021.md", TEXT.format(what="fees", year=2021, berth=555, crane="79.00"))  # by its title
    first = company.run().load
    assert first.state == "promoted"
    everyones = {"prices-2020.md": "prices-2021.md", "prices-2021.md": None, "fees-2020.md": None}
    theirs = {**everyones, "fees-2020.md": "people/fees-2021.md", "people/fees-2021.md": None}
    assert newer_of(company, ANN) == everyones, "nothing is said of a newer one that she may not read"
    assert newer_of(company, HUGO) == theirs

    newest = company.declared(versions="newest")
    assert company.run(newest).load.state == "unchanged", "what is declared counts from the next run on"
    assert newer_of(company, ANN) == {"prices-2021.md": None, "fees-2020.md": None}
    assert newer_of(company, HUGO) == {"prices-2021.md": None, "people/fees-2021.md": None}
    assert [h.document_key for h in company.search(ASKED, ANN, limit=1)] != ["prices-2020.md"], "made up for"
    sync_access(company.runtime, company.source, "test", index)
    assert newer_of(company, ANN) == everyones
    with Retriever.from_settings(company.runtime.settings, company.runtime.connections) as r:
        (old,) = (h.chunk_id for h in r.search(ASKED, ANN, limit=50) if h.document_key == "prices-2020.md")
        (hit,) = r.get([old], ANN)
    assert hit.newer_version == NewerVersion("prices-2021.md", "prices 2021")


def test_a_pair_holds_while_both_are_as_they_were_when_it_was_found(company: Company, index: WeaviateStore) -> None:
    company.write("prices-2020.md", TEXT.format(what="prices", year=2020, berth=410, crane="95.50"))
    company.write("prices-2021.md", TEXT.format(what="prices", year=2021, berth=455, crane="99.00"))
    assert company.run().load.state == "promoted"
    company.write("prices-2021.md", "# A berth\n\nNobody knows what a berth will cost from here on.\n")
    other = company.run().load
    assert newer_of(company, ANN) == {"prices-2020.md": None, "prices-2021.md": None}
    loads.rollback(company.runtime.ledger, other.id, "test")
    assert newer_of(company, ANN) == {"prices-2020.md": "prices-2021.md", "prices-2021.md": None}
    company.write("prices-2021.md", TEXT.format(what="prices", year=2021, berth=465, crane="99.90"))
    company.run()
    assert newer_of(company, ANN)["prices-2020.md"] == "prices-2021.md"
    company.write("trips.md", "# Trips\n\nTake the bus.\n")
    company.run()
    assert n_pairs(company) == 1, "one that no kept content makes hold again is deleted"

    receipt = erase(company.runtime, index, Request(source="docs", keys=("prices-2021.md",), by="test"))
    assert verify(company.runtime, index, receipt) == []
    assert n_pairs(company) == 0
    assert newer_of(company, ANN) == {"prices-2020.md": None}
