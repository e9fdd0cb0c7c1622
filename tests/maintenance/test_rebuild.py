"""The index is written anew from the ledger, beside the live collection, and nobody notices but by what is mended."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from moat.errors import (
    ErasureRefused,
    FatalError,
    IndexUnavailable,
    LoadInProgress,
    SchemaError,
    SettingsError,
    Superseded,
)
from moat.index.collections import Collections
from moat.index.store import WeaviateStore
from moat.index.write import bring, open_writer
from moat.ledger import incidents, index_starts, loads, rebuilds
from moat.ledger.erasure import Request
from moat.maintenance import rebuild as rebuilding
from moat.maintenance.access_sync import sync_access
from moat.maintenance.erase import erase, verify
from moat.maintenance.rebuild import Rebuilt, drop, rebuild
from moat.monitoring.installation import index_starts_again
from moat.retrieve import Retriever
from moat.stages.load import load
from moat.stages.promote import promote
from tests.company import ANN, HUGO, LEAVE, Company

STEPS = {  # where a process is killed: before what
    "the collection is made": "moat.index.store.WeaviateStore.ensure",
    "a window is written": "moat.maintenance.rebuild.bring",
    "what the ledger does not know is removed": "moat.maintenance.rebuild.index_against_ledger",
    "searches read the new one": "moat.index.collections.Collections.swap",
    "what moved is compared": "moat.maintenance.rebuild._what_moved",
    "the old one is removed": "moat.index.collections.Collections.drop",
    "it is noted as done": "moat.ledger.rebuilds.end",
}


class Killed(BaseException):
    """A process that ends where it stands."""


@pytest.fixture
def loaded(company: Company) -> Company:
    """Documents of two loads, so that the index keeps what a rollback would show."""
    assert company.run().load.state == "promoted"
    company.write("leave.md", LEAVE.replace("twenty", "thirty"))
    company.remove("trips.md")
    assert company.run().load.state == "promoted"
    return company


def whole(company: Company) -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    """Every object of the live collection, with all properties and its vector, by id."""
    with opened(company) as index:
        found = list(index._collection.iterator(include_vector=True))
    return {
        str(o.uuid): ({k: _sorted(v) for k, v in o.properties.items()}, np.asarray(o.vector["default"])) for o in found
    }


def _sorted(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


@contextmanager
def opened(company: Company) -> Iterator[WeaviateStore]:
    index = WeaviateStore.open(company.runtime.settings, "operator")
    try:
        yield index
    finally:
        index.close()


def there(company: Company) -> tuple[str | None, list[str]]:
    """The live collection, and the others of this tenant."""
    collections = Collections.open(company.runtime.settings)
    try:
        return collections.live(), collections.others()
    finally:
        collections.close()


def same(one: Mapping[str, tuple[Any, np.ndarray]], other: Mapping[str, tuple[Any, np.ndarray]]) -> bool:
    """Whether two collections hold the same objects; vectors may differ by their last bit."""
    return one.keys() == other.keys() and all(
        one[i][0] == other[i][0] and np.allclose(one[i][1], other[i][1], atol=1e-6) for i in one
    )


def test_the_new_collection_equals_the_old_one_and_takes_its_place(loaded: Company) -> None:
    before, name = whole(loaded), loaded.runtime.settings.collection_name
    made = rebuild(loaded.runtime, "test")
    assert (made.collection, made.chunks, made.written) == (f"{name}_Rebuilt1", len(before), len(before))
    assert same(whole(loaded), before)
    assert there(loaded) == (f"{name}_Rebuilt1", []), "the old one is gone"
    assert rebuilds.under_way(loaded.runtime.ledger) is None
    assert index_starts_again(loaded.runtime.settings, loaded.runtime.ledger).ok
    assert loaded.shows_pay_to(HUGO)
    assert not loaded.shows_pay_to(ANN)
    assert loaded.run().load.state == "unchanged"
    assert incidents.listing(loaded.runtime.ledger, resolved=True) == [], "the run found nothing to repair"

    assert rebuild(loaded.runtime, "test").collection == f"{name}_Rebuilt2"
    assert there(loaded) == (f"{name}_Rebuilt2", [])
    loads.rollback(loaded.runtime.ledger, 2, "test")
    assert "twenty" in loaded.search("How long is parental leave?", ANN)[0].text, "what a rollback shows was copied"
    loaded.write("new.md", "# New\n\nThe canteen opens at eleven.\n")
    assert loaded.run().load.state == "promoted"
    assert loaded.keys("When does the canteen open?", ANN)[0] == "new.md"


def test_a_spoiled_collection_and_one_that_is_gone_are_made_whole(loaded: Company) -> None:
    before = whole(loaded)
    with opened(loaded) as index:
        index.delete(sorted(before)[:2])
        index.set_allow(dict.fromkeys(sorted(before)[2:], ("public",)))
        index._collection.data.update(sorted(before)[2], properties={"title": "another"})
    rebuild(loaded.runtime, "test")
    assert same(whole(loaded), before)
    live, _ = there(loaded)
    with opened(loaded) as index:
        index._client.collections.delete(str(live))
        assert not index.exists()
    rebuild(loaded.runtime, "test")
    assert same(whole(loaded), before)
    live, _ = there(loaded)
    with opened(loaded) as index:
        index._client.collections.delete(str(live))
    open_writer(loaded.runtime, loaded.model()).close()
    assert there(loaded)[0] == live, "a run makes what its alias means, and no second one under its name"


def test_a_collection_of_an_older_schema_is_replaced(loaded: Company) -> None:
    before, name = whole(loaded), loaded.runtime.settings.collection_name
    with opened(loaded) as index:
        index._client.collections.delete(name)
        index._client.collections.create(name, description=f"Moat schema 1, vectors of {loaded.model()}")
        with pytest.raises(SchemaError, match="`moat rebuild` writes it anew"):
            index.check(loaded.model())
    rebuild(loaded.runtime, "test")
    assert same(whole(loaded), before)
    with opened(loaded) as index:
        index.check(loaded.model())


def test_a_rebuild_that_is_killed_goes_on_and_searches_meanwhile_find_what_they_found(
    loaded: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = whole(loaded)
    rebuild(loaded.runtime, "test")  # from here on an alias is swapped, and the old one is one that a rebuild made
    with Retriever.from_settings(loaded.runtime.settings, loaded.runtime.connections) as retriever:
        for step in STEPS:
            _killed(loaded, step, monkeypatch)
            for asker, found in ((HUGO, ["people/pay.md"]), (ANN, [])):
                hits = retriever.search("What does a crane driver earn?", asker)
                assert [hit.document_key for hit in hits if hit.document_key == "people/pay.md"] == found, step
            assert same(whole(loaded), before), step
            begun = rebuilds.under_way(loaded.runtime.ledger)
            assert begun is not None
            _dead(loaded)
            told = index_starts_again(loaded.runtime.settings, loaded.runtime.ledger)
            assert not told.ok
            assert "`moat rebuild`" in told.found
            assert rebuild(loaded.runtime, "test").collection == begun.collection
            assert same(whole(loaded), before), step
            assert there(loaded) == (begun.collection, []), step


def _killed(company: Company, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild that ends where it stands before a step."""
    with monkeypatch.context() as killing:

        def killed(*args: Any, **kwargs: Any) -> Any:
            raise Killed(step)

        killing.setattr(STEPS[step], killed)
        with pytest.raises(Killed):
            rebuild(company.runtime, "test")


def _dead(company: Company) -> None:
    """The process that made the rebuild is no more."""
    with company.runtime.ledger.write() as connection:
        connection.execute(rebuilds.rebuild.update().values(run=f"cli:{socket.gethostname()}:{2**22 - 1}:x"))


def test_a_kill_between_the_old_collection_and_the_alias_leaves_nothing_that_a_run_fills_halfway(
    loaded: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = whole(loaded)

    def killed(collections: Collections, target: str) -> None:
        collections._client.collections.delete(collections._name)
        raise Killed

    with monkeypatch.context() as killing:
        killing.setattr(Collections, "swap", killed)
        with pytest.raises(Killed):
            rebuild(loaded.runtime, "test")
    loaded.write("new.md", "# New\n\nThe canteen opens at eleven.\n")
    with pytest.raises(IndexUnavailable, match="`moat rebuild` brings it to its end"):
        loaded.run()
    with pytest.raises(FatalError, match="`moat rebuild` brings it to its end"):
        _dead(loaded)
        drop(loaded.runtime, "test")
    loads.reject(loaded.runtime.ledger, 3, "test")
    rebuild(loaded.runtime, "test")
    assert same(whole(loaded), before)


def test_one_at_a_time_and_whoever_was_overtaken_stops(loaded: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[BaseException]()

    def other(*args: Any) -> int:
        monkeypatch.setattr("moat.maintenance.rebuild.bring", bring)
        with pytest.raises(LoadInProgress, match=r"a rebuild of the index is under way .by test, since") as refused:
            rebuild(loaded.runtime, "another")
        with pytest.raises(LoadInProgress):
            drop(loaded.runtime, "another")
        told.append(refused.value)
        _dead(loaded)
        return bring(*args)

    monkeypatch.setattr("moat.maintenance.rebuild.bring", other)
    monkeypatch.setattr(rebuilding, "TELL_S", 0.0)
    with pytest.raises(Superseded, match="this one stops"):
        rebuild(loaded.runtime, "test")
    assert told
    live = loaded.runtime.settings.collection_name
    assert drop(loaded.runtime, "test") == [f"{live}_Rebuilt1"]
    assert there(loaded) == (live, [])
    assert rebuilds.under_way(loaded.runtime.ledger) is None
    loaded.set(weaviate_operator_key=type(loaded.runtime.settings.weaviate_operator_key)(""))
    with pytest.raises(SettingsError, match="MOAT_WEAVIATE_OPERATOR_KEY"):
        rebuild(loaded.runtime, "test")


def _meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Something happens while the first window is copied, after it was read from the ledger."""

    def beside(*args: Any) -> int:
        monkeypatch.setattr("moat.maintenance.rebuild.bring", bring)
        happens()
        return bring(*args)

    monkeypatch.setattr("moat.maintenance.rebuild.bring", beside)


def test_what_is_revoked_loaded_and_removed_during_the_copy_is_so_afterwards(
    loaded: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    def happens() -> None:
        loaded.write("people/.access.yaml", "allow: [user:eva@example.com]")
        sync_access(loaded.runtime, loaded.source, "test")
        loaded.write("new.md", "# New\n\nThe canteen opens at eleven.\n")
        loaded.write("leave.md", LEAVE.replace("twenty", "forty"))
        assert loaded.run().load.state == "promoted"

    _meanwhile(monkeypatch, happens)
    rebuild(loaded.runtime, "test")
    after = whole(loaded)
    assert not loaded.shows_pay_to(HUGO)
    assert loaded.shows_pay_to("user:eva@example.com")
    assert "forty" in loaded.search("How long is parental leave?", ANN)[0].text
    assert loaded.run().load.state == "unchanged"
    assert [i for i in incidents.listing(loaded.runtime.ledger, resolved=True) if i.stage == "load"] == []
    rebuild(loaded.runtime, "test")
    assert same(whole(loaded), after), "nothing of it was missing, and nothing too much"


def test_a_load_that_has_written_is_waited_for_and_one_that_is_in_the_middle_proves_all_again(
    loaded: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "POLL_S", 0.01)
    loaded.write("new.md", "# New\n\nThe canteen opens at eleven.\n")
    number = loaded.to_the_load("cli:a:1:b")
    load(loaded.runtime, loaded.source, number)
    monkeypatch.setattr(rebuilding, "WAIT_S", 0.0)
    with pytest.raises(LoadInProgress, match=rf"load {number} of docs, which is staged.*`moat reject` it"):
        rebuild(loaded.runtime, "test")
    _dead(loaded)
    monkeypatch.setattr(rebuilding, "WAIT_S", 60.0)
    told = list[str]()

    def progress(line: str) -> None:
        told.append(line)
        if "waits for" in line:
            promote(loaded.runtime, loaded.source, number, "test")

    object.__setattr__(loaded.runtime, "progress", progress)
    rebuild(loaded.runtime, "test")
    assert any("waits for load" in line for line in told)
    assert loaded.keys("When does the canteen open?", ANN)[0] == "new.md"

    loaded.write("new.md", "# New\n\nThe canteen opens at noon.\n")
    number = loaded.to_the_load("cli:a:1:c")
    rebuild(loaded.runtime, "test")
    assert index_starts.known(loaded.runtime.ledger, "docs") is None, "it is under way, and may have written before"
    load(loaded.runtime, loaded.source, number)
    promote(loaded.runtime, loaded.source, number, "test")
    assert "noon" in loaded.search("When does the canteen open?", ANN)[0].text


def test_an_erasure_waits_until_the_copy_is_gone_or_live(loaded: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Request(source="docs", keys=("people/pay.md",), by="test")

    def happens() -> None:
        with opened(loaded) as index, pytest.raises(ErasureRefused, match="`moat rebuild --drop`"):
            erase(loaded.runtime, index, asked)
        assert not loaded.shows_pay_to(HUGO), "it is hidden at once"

    _meanwhile(monkeypatch, happens)
    rebuild(loaded.runtime, "test")
    assert not loaded.shows_pay_to(HUGO)
    with opened(loaded) as index:
        assert verify(loaded.runtime, index, erase(loaded.runtime, index, asked)) == []


def test_a_write_that_weaviate_loses_is_written_again(loaded: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    before, write, lost = whole(loaded), WeaviateStore.write, list[str]()

    def losing(index: WeaviateStore, objects: Any) -> None:
        some = list(objects)
        if some and not lost:
            lost.append(some.pop().id)
        write(index, some)

    monkeypatch.setattr(WeaviateStore, "write", losing)
    rebuild(loaded.runtime, "test")
    assert lost
    assert same(whole(loaded), before)


def test_on_either_ledger_a_text_whose_vector_is_lost_is_embedded_again(company_on_either_ledger: Company) -> None:
    from moat.ledger.tables import embedding

    company = company_on_either_ledger
    before = whole(company)
    with company.runtime.ledger.write() as connection:
        connection.execute(embedding.delete())
    made: Rebuilt = rebuild(company.runtime, "test")
    assert made.written == len(before)
    assert same(whole(company), before)
    assert index_starts.known(company.runtime.ledger, "docs")
    assert rebuilds.under_way(company.runtime.ledger) is None
