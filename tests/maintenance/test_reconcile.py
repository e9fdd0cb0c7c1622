"""Source against ledger against index: what drifted is counted, and mended from the ledger."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from moat.errors import SchemaError
from moat.index.objects import Stored
from moat.index.store import WeaviateStore
from moat.index.write import open_writer, prove
from moat.ledger import documents, loads, projection
from moat.maintenance import reconcile as reconciling
from moat.maintenance.access_sync import sync_access
from moat.maintenance.reconcile import Drift, reconcile
from moat.records import IndexObject
from moat.runtime import Runtime
from tests.company import ANN, HUGO, Company, stored
from tests.contracts.store import an_object


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    made = Company(runtime, tmp_path / "docs")
    made.run()
    return made


def drift(company: Company, index: WeaviateStore, repair: bool = False) -> Drift:
    return next(
        d for d in reconcile(company.runtime, index, company.model(), company.pending(), repair) if d.source == "docs"
    )


def test_what_agrees_is_said_to_agree_and_left_alone(company: Company, index: WeaviateStore) -> None:
    before = stored(index)
    found = drift(company, index, repair=True)
    assert found.agrees
    assert not found.repaired
    assert (found.visible_documents, found.visible_chunks) == (3, len(before))
    assert stored(index) == before


class Crashed(WeaviateStore):
    """A real index that lost one object to searches, or to all but its id, as after a kill: written again, it is skipped."""

    lost = hidden = ""

    def read_back(self, ids: Sequence[str]) -> dict[str, Stored]:
        return {i: found for i, found in super().read_back(ids).items() if i != self.hidden}

    def reached(self, ids: Sequence[str], vector: np.ndarray) -> set[str]:
        return super().reached(ids, vector) - {self.lost}

    def discard(self, ids: Sequence[str]) -> None:
        super().discard(ids)
        self.lost = "" if self.lost in ids else self.lost
        self.hidden = "" if self.hidden in ids else self.hidden


def test_what_is_kept_and_not_found_is_counted_and_written_as_new(
    company: Company, index: WeaviateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moat.index.write.PAUSES", ())
    before = stored(index)
    crashed = Crashed(index._client, index._settings)
    crashed.lost = sorted(before)[0]
    assert drift(company, crashed).unfound == 1
    assert drift(company, crashed, repair=True).repaired
    assert stored(index) == before
    assert drift(company, crashed).agrees

    o = an_object()
    crashed.write([o])
    crashed.lost = o.id
    assert prove(crashed, {o.id: o}) == 1
    assert crashed.lost == ""
    crashed.hidden = o.id
    assert prove(crashed, {o.id: o}) == 1
    assert crashed.hidden == ""


def test_access_that_moves_while_an_object_is_written_again_is_what_the_index_has_in_the_end(
    company: Company, index: WeaviateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pay,) = [o.id for o in projection.visible_objects(company.runtime.ledger, "docs") if o.key == "people/pay.md"]
    index.delete([pay])
    with_vectors = reconciling.with_vectors

    def meanwhile(runtime: Runtime, wanted: list[IndexObject]) -> list[IndexObject]:
        company.write("people/.access.yaml", "allow: [user:eva@example.com]")
        sync_access(company.runtime, company.source, "test")
        return with_vectors(runtime, wanted)

    monkeypatch.setattr(reconciling, "with_vectors", meanwhile)
    assert drift(company, index, repair=True).missing == 1
    monkeypatch.undo()
    assert company.shows_pay_to("user:eva@example.com")
    assert drift(company, index).agrees


def test_a_source_is_not_ahead_by_what_it_only_lists() -> None:
    assert Drift(source="docs", behind={"listed": 8}).ahead == {}
    assert Drift(source="docs", behind={"listed": 60, "new": 1}).ahead == {"new": 1}


def test_every_kind_of_drift_is_counted_and_only_repaired_when_asked(company: Company, index: WeaviateStore) -> None:
    before = stored(index)
    lost, retold, open_writer, *_ = sorted(before)
    index.delete([lost])
    index._collection.data.update(retold, properties={"text": "other words"})
    index.set_allow({open_writer: ("public",)})
    stray = an_object()
    index.write([stray])
    found = drift(company, index)
    assert (found.missing, found.text, found.access) == (1, 1, 1)
    assert len(found.examples) == 3
    strays = {
        d.source: d.orphans for d in reconcile(company.runtime, index, company.model(), company.pending()) if d.orphans
    }
    assert strays == {stray.source: 1}
    assert stored(index) != before

    assert drift(company, index, repair=True).repaired
    assert stored(index) == before
    assert drift(company, index).agrees
    assert company.keys("What does a crane driver earn?", HUGO)[0] == "people/pay.md"
    assert "people/pay.md" not in company.keys("What does a crane driver earn?", ANN)


def test_an_index_that_was_lost_is_written_anew_from_the_ledger(company: Company, index: WeaviateStore) -> None:
    before = stored(index)
    operator = WeaviateStore.open(company.runtime.settings, "operator")
    operator._client.collections.delete(company.runtime.settings.collection_name)
    operator.close()
    open_writer(company.runtime, company.model()).close()  # as the command and the DAG do
    found = drift(company, index, repair=True)
    assert (found.missing, found.repaired) == (len(before), True)
    assert stored(index) == before
    assert company.keys("How long is parental leave?", ANN)[0] == "leave.md"
    company.write("new.md", "# New\n\nNew.\n")
    assert company.run().load.state == "promoted"


def test_what_the_source_has_beyond_the_ledger_is_told_and_left_to_the_next_run(
    company: Company, index: WeaviateStore
) -> None:
    company.write("new.md", "# New\n\nA new page.\n")
    company.write("leave.md", "# Leave\n\nChanged.\n")
    company.remove("trips.md")
    found = drift(company, index, repair=True)
    assert found.behind == {"listed": 3, "new": 1, "changed": 1, "vanished": 1}
    assert found.agrees
    assert documents.count_visible(company.runtime.ledger, "docs") == 3


def test_a_source_that_cannot_be_asked_is_told_and_the_rest_is_compared(
    company: Company, index: WeaviateStore, tmp_path: Path
) -> None:
    company.folder.rename(tmp_path / "elsewhere")
    lost = sorted(stored(index))[0]
    index.delete([lost])
    found = drift(company, index)
    assert "docs" in found.unreadable
    assert found.missing == 1
    assert not found.agrees


def test_an_index_of_another_model_is_not_compared_and_not_filled(company: Company, index: WeaviateStore) -> None:
    operator = WeaviateStore.open(company.runtime.settings, "operator")
    operator._client.collections.delete(company.runtime.settings.collection_name)
    operator.ensure("another-model@1/768")
    operator.grant()
    operator.close()
    with pytest.raises(SchemaError, match="vectors of two models do not compare"):
        drift(company, index, repair=True)


def test_a_visible_chunk_that_a_search_leaves_out_is_missing(company: Company, index: WeaviateStore) -> None:
    company.run(full=True)
    company.write("leave.md", "# Leave\n\nOther.\n")
    company.run()
    loads.rollback(company.runtime.ledger, 3, "test")
    one = next(o.id for o in index.every() if o.load != 3)
    index._collection.data.update(one, properties={"load": 3})
    assert drift(company, index, repair=True).missing == 1
    assert drift(company, index).agrees


def test_a_load_that_waits_is_no_drift(company: Company, index: WeaviateStore) -> None:
    company.source = company.declared(limits=company.source.limits)
    for name in ("leave.md", "trips.md"):
        company.remove(name)
    from moat.source import Limits

    company.source = company.declared(limits=Limits(max_vanished_ratio=0.1))
    assert company.run().load.state == "held"
    assert drift(company, index).agrees


def test_a_source_that_is_no_longer_declared_is_still_compared(company: Company, index: WeaviateStore) -> None:
    found = reconcile(company.runtime, index, company.model(), {})
    assert [(d.source, d.visible_documents, d.behind) for d in found] == [("docs", 3, {})]
