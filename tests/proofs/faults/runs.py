"""A run of the source in a fork, in one of three ways; people who search meanwhile; and what must hold in the end."""

import contextlib
import hashlib
import json
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

import moat.stages.prepare
from moat.checks import FAMILIES
from moat.errors import GateBlocked, MoatError, StagingError
from moat.index.store import Query, WeaviateStore
from moat.index.write import unfound
from moat.ledger import documents, embeddings, incidents, loads, projection, quarantine
from moat.ledger.loads import invisible
from moat.maintenance.fingerprint import fingerprints
from moat.maintenance.reconcile import reconcile
from moat.monitoring import metrics
from moat.retrieve import Retriever
from moat.runtime import Options, Runtime
from moat.source import Source
from moat.stages.compare import next_runs
from moat.stages.embed import embed
from moat.stages.gate import check, decide
from moat.stages.load import load
from moat.stages.prepare import prepare
from moat.stages.promote import promote
from moat.stages.read import read
from moat.stages.run import resume, run
from tests.proofs.faults import corpus
from tests.proofs.faults.forks import Fork, done, warmed
from tests.proofs.faults.points import Points
from tests.proofs.faults.world import Place, World

Mode = Literal["run", "resume", "tasks"]
Seen = frozenset[tuple[str, str]]  # key and digest of the text of each hit
LIMIT_S = 180.0  # of one try; a run that takes longer hangs


def nothing() -> None:
    """Do nothing."""


class Answers(NamedTuple):
    """What people found while a run went on: the distinct answers by asker, and how many there were."""

    by: dict[str, set[Seen]]
    n: int
    refused: Counter[str]


@dataclass(frozen=True, kw_only=True)
class State:
    """What a world is in the end, in values that are equal for equal input."""

    load: str  # state of the newest load
    fingerprint: str
    index: Counter[tuple[str, str, tuple[str, ...]]]  # key, text and readers of what searches may find in the index
    vectors: dict[str, bytes]  # by text, rounded
    problems: tuple[str, ...]
    shown: str  # all that people are shown beside documents: incidents and metrics


def begin(
    world: World, place: Place, mode: Mode, points: Points, *, second: bool = False, more: Callable[[], None] = nothing
) -> Fork:
    """A try of the run, in a fork; `second` while another is under way.

    Its result are the moments that it came by, and the state of the newest load.
    """
    sandbox = world.parser(int(second))

    def work() -> tuple[list[str], str]:
        vars(moat.stages.prepare)["Sandbox"] = lambda _: contextlib.nullcontext(sandbox)
        points.watch()
        more()
        with closing(world.runtime(place, place.settings, _Lines(place.home / "lines.txt"))) as runtime:
            _way(runtime, place, mode, place.home / f"tasks{int(second)}.json")
            (newest,) = loads.recent(runtime.ledger, corpus.NAME, 1)
        return points.seen, newest.state

    return Fork(work)


class _Lines(list[str]):
    """Lines of progress, kept in a file that outlives the process."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def append(self, line: str) -> None:
        with self._path.open("a") as file:
            file.write(f"{line}\n")


def _way(runtime: Runtime, place: Place, mode: Mode, tasks: Path) -> None:
    (newest,) = loads.recent(runtime.ledger, corpus.NAME, 1)
    if mode == "tasks":
        _tasks(runtime, place.source, tasks)
    elif mode == "resume" and newest.state in ("open", "staged") and "batches" in newest.counts:
        resume(runtime, place.source, newest.id, "test", ended=True)
    else:
        run(runtime, place.source, Options(), "test")


def one_run() -> dict[str, Any]:
    """A DAG run of which nothing is done."""
    return {"run": f"airflow:faults:{uuid.uuid4().hex}", "done": []}


def _tasks(runtime: Runtime, source: Source, file: Path) -> None:
    """The tasks of a DAG run, each done once: a task that failed or died is the next one that runs."""
    known = json.loads(file.read_text()) if file.exists() else one_run()

    def task(name: str, work: Callable[[], Any]) -> Any:
        if name not in known["done"]:
            file.write_text(json.dumps(known))
            try:
                known[name] = work()
            except StagingError as error:  # its message: clear the task that writes it
                known["done"] = [] if name.startswith("prepare") or "/read/" in str(error) else ["read"]
                file.write_text(json.dumps(known))
                raise
            known["done"].append(name)
            file.write_text(json.dumps(known))
        return known[name]

    def begun() -> dict[str, Any]:
        found = read(runtime, source, known["run"], Options())
        return {"load": found.load, "batches": len(found.batches), "unchanged": found.unchanged}

    found = task("read", begun)
    number = found["load"]
    if not found["unchanged"]:
        for batch in range(found["batches"]):
            task(f"prepare {batch}", lambda batch=batch: prepare(runtime, source, number, batch))  # type: ignore[misc]
            task(f"embed {batch}", lambda batch=batch: embed(runtime, source, number, batch))  # type: ignore[misc]
        for family in FAMILIES:
            task(f"gate {family.name}", lambda name=family.name: len(check(runtime, source, number, name)))  # type: ignore[misc]
        if task("decide", lambda: decide(runtime, source, number).outcome) != "pass":
            file.unlink()
            loads.reject(runtime.ledger, number, "gate")
            raise GateBlocked(f"load {number} is blocked")
        task("load", lambda: load(runtime, source, number))
        task("promote", lambda: promote(runtime, source, number, "test").id)
    file.unlink()


def lease_ends(world: World, place: Place) -> None:
    """Let the lease of the source's load run out."""

    def end() -> None:
        with closing(world.runtime(place, place.plain)) as runtime:
            (newest,) = loads.recent(runtime.ledger, corpus.NAME, 1)
            if newest.state in ("open", "staged"):
                loads.renew(runtime.ledger, newest, -1.0)

    done(end)


def watching(world: World, place: Place) -> Fork:
    """People who search, until they are asked to stop."""

    def work() -> Answers:
        going, by, refused, n = [True], dict[str, set[Seen]](), Counter[str](), 0
        signal.signal(signal.SIGUSR1, lambda *_: going.clear())
        with Retriever.from_settings(place.plain, place.connections) as retriever:
            while going:
                for asker in (corpus.ANN, corpus.HUGO):
                    for question in corpus.QUESTIONS:
                        found = retriever.search(question, asker, limit=100)
                        n += 1
                        if found.refused:
                            refused[found.refused] += 1
                        else:
                            by.setdefault(asker, set()).add(_seen(found))
                time.sleep(0.1)
        return Answers(by, n, refused)

    return Fork(work)


def answers_of(world: World, place: Place) -> dict[str, Seen]:
    """Everything that each asker finds now."""

    def work() -> dict[str, Seen]:
        with Retriever.from_settings(place.plain, place.connections) as retriever:
            return {
                asker: _seen(retriever.search(corpus.QUESTIONS[0], asker, limit=100))
                for asker in (corpus.ANN, corpus.HUGO)
            }

    found: dict[str, Seen] = warmed(work)
    return found


def _seen(hits: Any) -> Seen:
    return frozenset((hit.document_key.removeprefix("docs/"), _digest(hit.text)) for hit in hits)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def state_of(world: World, place: Place) -> State:
    """Look at everything, around the proxy."""

    def work() -> State:
        problems: list[str] = []
        with (
            closing(world.runtime(place, place.plain)) as runtime,
            closing(WeaviateStore.open(place.plain, "writer")) as index,
        ):
            (newest,) = loads.recent(runtime.ledger, corpus.NAME, 1)
            visible = {o.id: o for o in projection.visible_objects(runtime.ledger, corpus.NAME)}
            kept = embeddings.vectors(runtime.ledger, world.model, [o.text_hash for o in visible.values()])
            problems += _of_documents(runtime, place)
            problems += _of_index(runtime, index, visible, kept)
            for drift in reconcile(runtime, index, world.model, next_runs(runtime, {corpus.NAME: place.source})):
                if not drift.agrees or drift.ahead:
                    problems.append(f"reconcile: {drift}")
            (print_,) = fingerprints(runtime.ledger, corpus.NAME)
            with runtime.ledger.read() as connection:
                hidden = set(invisible(connection, runtime.ledger.tenant))
            there = [o for o in index.every() if o.load not in hidden and o.id in visible]
            vectors = index.vectors(list(visible))
            shown = _shown(runtime)
        return State(
            load=newest.state,
            fingerprint=print_.hash,
            index=Counter((visible[o.id].key, o.text_hash, o.allow) for o in there),
            vectors={visible[i].text_hash: np.round(v, 4).tobytes() for i, v in vectors.items()},
            problems=tuple(problems),
            shown=shown,
        )

    found: State = warmed(work)
    return found


def _of_documents(runtime: Runtime, place: Place) -> list[str]:
    """Whether each document of the source is visible or in quarantine, and nothing else is; and no incident is left."""
    prefix = getattr(place.source.reader, "prefix", "")
    visible = {key.removeprefix(prefix) for key in documents.visible_keys(runtime.ledger, corpus.NAME)}
    aside = {q.key.removeprefix(prefix) for q in quarantine.listing(runtime.ledger)}
    problems = []
    if visible != corpus.DOCUMENTS - corpus.QUARANTINED:
        problems.append(f"visible are {sorted(visible)}")
    if aside != corpus.QUARANTINED:
        problems.append(f"in quarantine are {sorted(aside)}")
    if left := [i.title for i in incidents.listing(runtime.ledger) if i.severity == "block"]:
        problems.append(f"incidents are left open: {left}")
    return problems


def _shown(runtime: Runtime) -> str:
    """Everything that incidents and metrics say."""
    ledger, said = runtime.ledger, [metrics.text(metrics.registry_of(runtime.ledger)).decode()]
    for one in incidents.listing(ledger, resolved=True):
        said += [repr(one), *(repr(h) for h in incidents.happenings(ledger, one.id))]
    return "\n".join(said)


def _of_index(runtime: Runtime, index: WeaviateStore, visible: dict[str, Any], kept: dict[str, bytes]) -> list[str]:
    """Whether each visible chunk is found by its vector and by its words, with the ledger's vector."""
    problems, vectors = [], index.vectors(list(visible))
    first = next(iter(kept.values()), None)
    if first is None or (lost := unfound(index, list(visible), np.frombuffer(first, "<f4"))):
        problems.append(f"no vector search finds {sorted(lost) if first else 'anything'}")
    for id_, o in visible.items():
        wanted = np.frombuffer(kept[o.text_hash], "<f4")
        if id_ not in vectors or float(vectors[id_] @ wanted) < 0.9999:
            problems.append(f"the vector of {id_} of {o.key} is missing or another")
        query = Query(
            mode="keyword", text=o.text, vector=None, tokens=o.allow, hidden_loads=(), filters={}, limit=100
        )  # fmt: skip
        if id_ not in {found for found, _ in index.search(query)}:
            problems.append(f"its own words do not find {id_} of {o.key}")
    return problems


def errors_that_name_their_cause() -> set[str]:
    """Names of the errors that a run may end with."""
    todo, names = [MoatError], set[str]()
    while todo:
        kind = todo.pop()
        names.add(kind.__name__)
        todo += kind.__subclasses__()
    return names
