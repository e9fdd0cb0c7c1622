"""Each run sees whether the index still holds what the ledger says, and writes again what is lost."""

from collections.abc import Iterator
from typing import Any

import pytest

from moat.errors import IndexNotKept
from moat.index.store import WeaviateStore
from moat.ledger import incidents, index_starts
from moat.monitoring.installation import index_starts_again
from moat.stages.load import load
from tests.company import ANN, Company, stored


@pytest.fixture
def index(company: Company) -> Iterator[WeaviateStore]:
    assert company.run().load.state == "promoted"
    made = company.index()
    yield made
    made.close()


def told(company: Company) -> list[str]:
    """Messages of the index's incidents, the newest last."""
    every = sorted(incidents.listing(company.runtime.ledger, resolved=True), key=lambda one: one.id)
    happened = (h for one in every for h in incidents.happenings(company.runtime.ledger, one.id))
    return [h.message for h in happened if h.subject == "index"]


def test_a_run_with_nothing_to_do_writes_again_what_the_index_lost(company: Company, index: WeaviateStore) -> None:
    whole = stored(index)
    assert company.run().load.state == "unchanged"
    assert told(company) == [], "nothing differed"
    index.delete(sorted(whole)[:2])
    assert company.run().load.state == "unchanged"
    assert stored(index) == whole
    assert "the index lacked 2, no search found 0" in told(company)[0]
    assert incidents.listing(company.runtime.ledger) == [], "it is repaired"


def test_a_collection_that_is_gone_is_filled_again_before_a_load_counts(company: Company, index: WeaviateStore) -> None:
    whole = set(stored(index))
    operator = WeaviateStore.open(company.runtime.settings, "operator")
    operator._client.collections.delete(company.runtime.settings.collection_name)
    operator.close()
    company.write("new.md", "# New\n\nThe canteen opens at eleven.\n")
    assert company.run().load.state == "promoted"
    assert set(stored(index)) > whole
    assert f"the index lacked {len(whole)}" in told(company)[0]
    assert company.keys("leave", ANN)[0] == "leave.md"


def test_what_is_counted_and_not_found_is_seen_without_a_start(
    company: Company, index: WeaviateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, written = sorted(stored(index))[0], list[str]()
    _lose(monkeypatch, lost, written)
    assert company.run().load.state == "unchanged"
    assert written == [lost]
    assert "the index lacked 0, no search found 1" in told(company)[0]


def _lose(monkeypatch: pytest.MonkeyPatch, lost: str, written: list[str]) -> None:
    """No search finds this object until something is written, which is noted."""
    reached, write = WeaviateStore.reached, WeaviateStore.write

    def without(store: WeaviateStore, ids: Any, vector: Any) -> set[str]:
        return reached(store, ids, vector) - ({lost} if not written else set())

    def noting(store: WeaviateStore, objects: Any) -> None:
        write(store, objects)
        written.extend(o.id for o in objects)

    monkeypatch.setattr(WeaviateStore, "reached", without)
    monkeypatch.setattr(WeaviateStore, "write", noting)


def test_after_a_start_of_weaviate_all_is_compared_and_what_no_search_finds_is_written_again(
    company: Company, index: WeaviateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, ledger = index.started(), company.runtime.ledger
    assert mark
    assert index_starts.known(ledger, "docs") == mark
    assert index_starts_again(company.runtime.settings, ledger).ok
    index_starts.keep(ledger, "docs", "the one before")
    found = index_starts_again(company.runtime.settings, ledger)
    assert not found.ok
    assert "docs" in found.found
    lost, written = sorted(stored(index))[0], list[str]()
    _lose(monkeypatch, lost, written)
    assert company.run().load.state == "unchanged"
    assert written == [lost]
    assert "no search found 1" in told(company)[0]
    assert "Weaviate was started again" in told(company)[0]
    assert index_starts.known(ledger, "docs") == mark


def test_a_start_in_the_middle_of_a_load_has_all_of_it_proved_again(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, marks = company.to_the_load(), iter(["first", "second", "second"])
    monkeypatch.setattr(WeaviateStore, "started", lambda _: next(marks, "second"))
    with pytest.raises(IndexNotKept, match="was started again while load 1 of docs was written"):
        load(company.runtime, company.source, number)
    assert load(company.runtime, company.source, number)["proved"] > 0
    assert company.runtime.load(number).state == "staged"
