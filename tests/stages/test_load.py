"""load and promote on a real Weaviate that loses, cuts off and refuses: noticed, mended or failed, never promoted."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moat.checks import FAMILIES
from moat.embedding.client import embedder_of
from moat.errors import IndexUnavailable, LoadRefused, SchemaError, Superseded
from moat.index.store import Store, WeaviateStore
from moat.index.write import open_writer
from moat.ledger import documents, loads
from moat.records import IndexObject
from moat.runtime import Options
from moat.stages.embed import embed
from moat.stages.gate import check, decide
from moat.stages.load import load
from moat.stages.prepare import prepare
from moat.stages.promote import promote
from moat.stages.read import read
from tests.company import ANN, HUGO, Company, environment_of, keyed, remove_collection, stored


@pytest.fixture
def index(company: Company) -> Iterator[WeaviateStore]:
    embedder = embedder_of(company.runtime.settings, company.runtime.connections)
    made = open_writer(company.runtime, embedder.info().key)
    embedder.close()
    yield made
    made.close()


class Faulty:
    """The real index, with one fault for a number of writes."""

    def __init__(self, inner: Store, times: int) -> None:
        self.inner, self.times = inner, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def write(self, objects: Sequence[IndexObject]) -> None:
        if objects and self.times > 0:
            self.times -= 1
            self.fail(objects)
        else:
            self.inner.write(objects)

    def fail(self, objects: Sequence[IndexObject]) -> None:
        raise NotImplementedError


class Dropped(Faulty):
    """Acknowledged, and not there."""

    def fail(self, objects: Sequence[IndexObject]) -> None:
        return None


class Partial(Faulty):
    """All acknowledged, every other one there; of a single one, none."""

    def fail(self, objects: Sequence[IndexObject]) -> None:
        self.inner.write(objects[1::2])


class LostAnswer(Faulty):
    """All there, and the answer never came."""

    def fail(self, objects: Sequence[IndexObject]) -> None:
        self.inner.write(objects)
        raise IndexUnavailable("the connection was closed before the answer")


class OtherText(Faulty):
    def fail(self, objects: Sequence[IndexObject]) -> None:
        self.inner.write([replace(o, text=o.text + "?") for o in objects])


class OtherReaders(Faulty):
    def fail(self, objects: Sequence[IndexObject]) -> None:
        self.inner.write([replace(o, allow=("public",)) for o in objects])

    def set_allow(self, allow: dict[str, tuple[str, ...]]) -> None:
        if self.times <= 0:
            self.inner.set_allow(allow)


class OtherVectors(Faulty):
    def fail(self, objects: Sequence[IndexObject]) -> None:
        backwards = [np.frombuffer(o.vector, "<f4")[::-1].tobytes() for o in objects]
        self.inner.write([replace(o, vector=v) for o, v in zip(objects, backwards, strict=True)])


@pytest.mark.parametrize("fault", [Dropped, Partial, OtherText, OtherReaders])
def test_a_write_that_went_wrong_once_is_found_and_mended(
    company: Company, index: WeaviateStore, fault: type[Faulty]
) -> None:
    number = company.to_the_load()
    counts = load(company.runtime, company.source, number, fault(index, 1))  # type: ignore[arg-type]
    assert counts["repaired"] >= 2
    promote(company.runtime, company.source, number, "test", index)
    assert company.keys("What does a crane driver earn?", HUGO)[0] == "people/pay.md"
    assert "people/pay.md" not in company.keys("What does a crane driver earn?", ANN)
    assert len(stored(index)) == counts["written"]


@pytest.mark.parametrize("fault", [Dropped, Partial, OtherText, OtherReaders, OtherVectors])
def test_a_write_that_stays_wrong_fails_and_is_never_promoted(
    company: Company, index: WeaviateStore, fault: type[Faulty]
) -> None:
    number = company.to_the_load()
    with pytest.raises(IndexUnavailable):
        load(company.runtime, company.source, number, fault(index, 99))  # type: ignore[arg-type]
    assert company.runtime.load(number).state == "open"
    with pytest.raises(LoadRefused, match="open"):
        promote(company.runtime, company.source, number, "test", index)
    assert company.search("leave", ANN) == []
    # The fault is gone: the same task, run again, comes to the state it would have come to at once.
    load(company.runtime, company.source, number, index)
    promote(company.runtime, company.source, number, "test", index)
    assert company.keys("leave", ANN)[0] == "leave.md"


def test_an_answer_that_was_lost_costs_another_try_and_nothing_twice(company: Company, index: WeaviateStore) -> None:
    number = company.to_the_load()
    with pytest.raises(IndexUnavailable):
        load(company.runtime, company.source, number, LostAnswer(index, 1))  # type: ignore[arg-type]
    before = stored(index)
    counts = load(company.runtime, company.source, number, index)
    assert stored(index) == before
    assert counts["proved"] == len(before)


def test_a_shard_that_became_read_only_stops_the_load(
    company: Company, index: WeaviateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moat.index.store.time.sleep", lambda s: None)
    number = company.to_the_load()
    operator = WeaviateStore.open(company.runtime.settings, "operator")
    collection = operator._client.collections.use(company.runtime.settings.collection_name)
    open_writer(company.runtime, company.runtime.load(number).model or "").close()
    collection.config.update_shards(status="READONLY")
    with pytest.raises(IndexUnavailable, match="read-only"):
        load(company.runtime, company.source, number)
    assert company.runtime.load(number).state == "open"
    collection.config.update_shards(status="READY")
    load(company.runtime, company.source, number)
    assert promote(company.runtime, company.source, number, "test").state == "promoted"
    operator.close()


def test_a_load_that_was_overtaken_writes_nothing_and_promotes_nothing(company: Company, index: WeaviateStore) -> None:
    zombie = company.to_the_load("first")
    loads.give_up(company.runtime.ledger, company.runtime.load(zombie), "its machine is gone")
    newer = company.to_the_load("second")
    with pytest.raises(Superseded, match="no longer holds the lease"):
        load(company.runtime, company.source, zombie, index)
    assert stored(index) == {}
    load(company.runtime, company.source, newer, index)
    with pytest.raises((Superseded, LoadRefused)):
        promote(company.runtime, company.source, zombie, "zombie", index)
    assert promote(company.runtime, company.source, newer, "test", index).state == "promoted"


def test_a_collection_that_changed_under_the_load_is_no_place_for_it(company: Company, index: WeaviateStore) -> None:
    number = company.to_the_load()
    operator = WeaviateStore.open(company.runtime.settings, "operator")
    operator._client.collections.delete(company.runtime.settings.collection_name)
    operator.ensure("another-model@1/768")
    operator.grant()
    with pytest.raises(SchemaError, match="vectors of two models do not compare"):
        load(company.runtime, company.source, number)
    operator.close()


def test_nothing_of_a_load_is_seen_before_its_promotion(company: Company, index: WeaviateStore) -> None:
    load(company.runtime, company.source, number := company.to_the_load(), index)
    assert len(stored(index)) > 0
    for mode in ("vector", "keyword", "hybrid"):
        assert company.search("leave", ANN, mode=mode) == []
    promote(company.runtime, company.source, number, "test", index)
    for mode in ("vector", "keyword", "hybrid"):
        assert company.keys("parental leave", ANN, mode=mode)[0] == "leave.md"


def test_what_changes_is_never_missing_and_never_twice_while_it_changes(company: Company, index: WeaviateStore) -> None:
    company.run()
    company.write("leave.md", "# Leave\n\nParental leave lasts thirty weeks.\n")
    load(company.runtime, company.source, number := company.to_the_load(), index)
    hits = [h.text for h in company.search("How long is parental leave?", ANN, limit=50) if "Parental" in h.text]
    assert hits == ["Parental leave lasts twenty weeks."]
    promote(company.runtime, company.source, number, "test", index)
    hits = [h.text for h in company.search("How long is parental leave?", ANN, limit=50) if "Parental" in h.text]
    assert hits == ["Parental leave lasts thirty weeks."]


WORKER = """
import sys
from moat.connections import EnvironmentConnections
from moat.settings import environment
from moat.runtime import Runtime
from moat.stages.load import load
from moat.stages.embed import embed
from moat.stages.prepare import prepare
from moat.stages.promote import promote
from include.source import AccessFiles, Limits, LocalFiles, Source

stage, number, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
source = Source(name="docs", reader=LocalFiles(path=folder), access=AccessFiles())
runtime = Runtime.open(EnvironmentConnections(environment()))
print("ready", flush=True)
if stage == "prepare":
    prepare(runtime, source, number, 0)
elif stage == "embed":
    embed(runtime, source, number, 0)
elif stage == "load":
    load(runtime, source, number)
else:
    promote(runtime, source, number, "worker")
"""


def killed_after(company: Company, stage: str, number: int, seconds: float) -> None:
    """Run a stage in a process of its own and kill it with its children after some seconds."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MOAT_")}
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, stage, str(number), str(company.folder)],
        env={**env, **environment_of(company.runtime.settings)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"ready\n"
    time.sleep(seconds)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdout.close()


@pytest.mark.parametrize("seconds", [0.1, 0.8])
def test_a_task_killed_at_any_moment_and_run_again_comes_to_the_same_state(
    company: Company, index: WeaviateStore, seconds: float, tmp_path: Path, make_runtime: Any
) -> None:
    for i in range(20):
        company.write(
            f"more/{i:02}.md", f"# Note {i}\n\n" + " ".join(f"Line {j} of note {i}." for j in range(i * 9 + 1))
        )
    settings = company.runtime.settings.model_copy(
        update={"home": tmp_path / "calm", "collection": f"{company.runtime.settings.collection}calm"}
    )
    calm = Company(make_runtime(settings), company.folder)
    for one in (company, calm):
        keyed(one.runtime)
    calm.run()
    number = read(company.runtime, company.source, "test", Options()).load
    for stage in ("prepare", "embed"):
        killed_after(company, stage, number, seconds)
        again = {"prepare": prepare, "embed": embed}[stage]
        again(company.runtime, company.source, number, 0)
    for family in FAMILIES:
        check(company.runtime, company.source, number, family.name)
    decide(company.runtime, company.source, number)
    killed_after(company, "load", number, seconds)
    load(company.runtime, company.source, number)
    killed_after(company, "promote", number, seconds)
    promote(company.runtime, company.source, number, "test")
    undisturbed = calm.index()
    assert stored(index) == stored(undisturbed)
    assert len(stored(index)) > 20
    assert documents.count_visible(company.runtime.ledger, "docs") == 23
    undisturbed.close()
    remove_collection(settings)


def test_a_document_that_is_gone_when_the_same_run_reads_again_is_not_loaded(
    company: Company, index: WeaviateStore
) -> None:
    """Somebody clears `read` of a run whose load was staged already; meanwhile a file was removed."""
    company.write("gone.md", "# Gone\n\nThis page is removed before the run goes on.\n")

    def staged() -> int:
        found = read(company.runtime, company.source, "one run", Options())
        for batch in found.batches:
            prepare(company.runtime, company.source, found.load, batch.number)
            embed(company.runtime, company.source, found.load, batch.number)
        for family in FAMILIES:
            check(company.runtime, company.source, found.load, family.name)
        decide(company.runtime, company.source, found.load)
        load(company.runtime, company.source, found.load, index)
        return found.load

    number = staged()
    before = len(stored(index))
    company.remove("gone.md")
    assert staged() == number
    promote(company.runtime, company.source, number, "test", index)
    assert len(stored(index)) == before - 1
    assert "gone.md" not in documents.visible_keys(company.runtime.ledger, "docs")
