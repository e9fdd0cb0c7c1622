"""A Weaviate that is killed while it takes objects: afterwards a search finds each of them.

A killed server keeps objects that its vector index lost, and takes them, written again, for unchanged. KILLS says how often
one is killed, and CUTS how often its answer is cut off after it has committed; few without them.
"""

import contextlib
import os
import signal
import threading
import time
import uuid
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Literal, get_args

import numpy as np
import pytest

from moat.errors import IndexUnavailable
from moat.ids import text_hash
from moat.index.connected import Role
from moat.index.store import WeaviateStore
from moat.index.write import prove, unfound
from moat.local.binaries import WEAVIATE, program
from moat.local.servers import Server, WeaviateKeys, free_ports, weaviate
from moat.records import IndexObject, embedded_text
from moat.settings import Settings
from tests.proofs.faults.proxy import Break, Fault, Proxy

pytestmark = pytest.mark.timeout(10_800)
OBJECTS, TOGETHER, TRIALS = 600, 100, 3
KILLS, CUTS = int(os.environ.get("KILLS", "4")), int(os.environ.get("CUTS", "8"))
FEW = 120  # objects of one kill or cut, so that many fit into an hour
Step = Literal["insert", "update", "delete", "promote"]
STEPS = get_args(Step)


class Killed:
    """A Weaviate of this test's own, that is killed and started again on its data."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self._keys, self._ports = WeaviateKeys.new(), free_ports(2)
        self._folder, self._binary = folder / "weaviate", program(WEAVIATE, binaries, print)
        self._running = self._started()
        given = {"home": folder / "home", "weaviate_port": self._ports[0], "weaviate_grpc_port": self._ports[1]}
        keys = {f"weaviate_{role}_key": getattr(self._keys, role) for role in get_args(Role)}
        self.settings = Settings.model_validate({**given, **keys})

    def _started(self) -> Server:
        port, grpc_port = self._ports
        return weaviate(self._binary, self._folder, port, grpc_port, self._keys).wait()

    def kill_in(self, seconds: float) -> threading.Thread:
        def kill() -> None:
            time.sleep(seconds)
            os.killpg(self._running.process.pid, signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        return thread

    def again(self) -> None:
        self._running.process.wait()
        self._running = self._started()

    def stop(self) -> None:
        self._running.stop()


def objects(trial: int) -> list[IndexObject]:
    dice = np.random.default_rng(trial)
    return [
        IndexObject(
            id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{trial} {n}")), source="docs", document=str(uuid.uuid4()), key=f"{n}.md",
            load=1, kind="text", title="", heading="", text=f"passage {n}", metadata=(), allow=("public",),
            vector=dice.standard_normal(64).astype("<f4").tobytes(),
        )
        for n in range(OBJECTS)
    ]  # fmt: skip


def test_what_a_killed_server_kept_is_found_after_the_load_goes_on(tmp_path: Path, binaries: Path) -> None:
    repaired = 0
    for trial in range(TRIALS):
        place = Killed(tmp_path / str(trial), binaries)
        try:
            wanted = objects(trial)
            with closing(WeaviateStore.open(place.settings, "operator")) as index:
                index.ensure("m@1/64")
                thread = place.kill_in(0.02 + 0.05 * trial)
                with contextlib.suppress(IndexUnavailable):
                    for n in range(0, OBJECTS, TOGETHER):
                        index.write(wanted[n : n + TOGETHER])
                thread.join()
            place.again()
            with closing(WeaviateStore.open(place.settings, "operator")) as index:
                index.write(wanted)  # as the task's next try does
                expected = {o.id: o for o in wanted}
                vector = np.frombuffer(wanted[0].vector, "<f4")
                lost = unfound(index, list(expected), vector)
                assert prove(index, expected) == len(lost)
                assert unfound(index, list(expected), vector) == set()
                repaired += len(lost)
        finally:
            place.stop()
    print(f"{TRIALS} kills, {repaired} of {TRIALS * OBJECTS} objects were kept and not found")


def held(index: WeaviateStore, expected: dict[str, IndexObject]) -> list[str]:
    """What differs between the collection and what it must hold: ids, text, load, access, vectors, and what a search finds."""
    there = {o.id: o for o in index.every()}
    vectors, wrong = index.vectors(list(expected)), [f"{i} is too much" for i in there.keys() - expected.keys()]
    wrong += [f"{i} is missing" for i in expected.keys() - there.keys()]
    for i, o in expected.items():
        if i not in there:
            continue
        vector = np.frombuffer(o.vector, "<f4")
        alike = float(vectors[i] @ vector) / float(np.linalg.norm(vectors[i]) * np.linalg.norm(vector))
        right = (text_hash(embedded_text("", o.text)), o.load, tuple(sorted(o.allow)))
        if (there[i].text_hash, there[i].load, there[i].allow) != right or alike < 0.9999:
            wrong.append(f"{i} differs")
    some = next(iter(expected.values()), None)
    if some is not None:
        wrong += [f"{i} is not found" for i in unfound(index, list(expected), np.frombuffer(some.vector, "<f4"))]
    return wrong


class Steps:
    """A collection of few objects, and a step of a load on it that is tried until it succeeds, as a task is."""

    def __init__(self, settings: Settings, trial: int) -> None:
        self.settings = settings.model_copy(update={"collection": f"Trial{trial}"})
        self.step: Step = STEPS[trial % len(STEPS)]
        every = objects(trial)
        self.before = {o.id: o for o in every[:FEW]}
        own = list(self.before.values())
        self.gone = [o.id for o in (own[: FEW // 3] if self.step == "delete" else own[-FEW // 4 :])]
        self.after = dict(self.before)
        if self.step == "insert":
            self.after |= {o.id: o for o in every[FEW : 2 * FEW]}
        elif self.step == "update":
            self.after |= {o.id: replace(o, allow=("g:" + "a" * 32,)) for o in own[: FEW // 2]}
        else:
            self.after = {i: o for i, o in self.before.items() if i not in self.gone}

    def begin(self) -> None:
        with closing(WeaviateStore.open(self.settings, "operator")) as index:
            index.ensure("m@1/64")
            index.write(list(self.before.values()))
            prove(index, self.before)

    def take(self, settings: Settings) -> None:
        """The step, whole. What a promotion replaced goes after all that is visible was compared."""
        here = settings.model_copy(update={"collection": self.settings.collection})
        with closing(WeaviateStore.open(here, "operator")) as index:
            if self.step == "insert":
                index.write([o for i, o in self.after.items() if i not in self.before])
            elif self.step == "update":
                index.set_allow({i: o.allow for i, o in self.after.items() if o != self.before[i]})
            elif self.step == "delete":
                index.delete(self.gone)
            prove(index, self.after)
            if self.step == "promote":
                index.delete(self.gone)

    def end(self) -> list[str]:
        """What differs in the end; the collection goes."""
        with closing(WeaviateStore.open(self.settings, "operator")) as index:
            found = held(index, self.after)
            index._client.collections.delete(self.settings.collection_name)
        return found


def test_a_server_killed_in_any_step_holds_in_the_end_what_it_must(tmp_path: Path, binaries: Path) -> None:
    place, hit, wrong = Killed(tmp_path, binaries), Counter[str](), dict[str, list[str]]()
    try:
        for trial in range(KILLS):
            steps, dice = Steps(place.settings, trial), Random(trial)
            steps.begin()
            thread = place.kill_in(dice.uniform(0.0, 0.3))
            try:
                steps.take(place.settings)
            except IndexUnavailable:
                hit[steps.step] += 1
            thread.join()
            place.again()
            steps.take(place.settings)  # as the task's next try, or the run that sees that the server was started again
            if found := steps.end():
                wrong[f"{trial} {steps.step}"] = found[:3]
    finally:
        place.stop()
    print(
        f"{KILLS} kills, in the middle of: {', '.join(f'{n} {step}' for step, n in hit.items())}; {len(wrong)} differ"
    )
    assert wrong == {}


def test_an_answer_that_is_lost_after_the_commit_changes_nothing_in_the_end(tmp_path: Path, binaries: Path) -> None:
    place, hit, wrong = Killed(tmp_path, binaries), Counter[str](), dict[str, list[str]]()
    ports = {"weaviate_port": place.settings.weaviate_port, "weaviate_grpc_port": place.settings.weaviate_grpc_port}
    proxy = Proxy({name: ("127.0.0.1", port) for name, port in ports.items()})
    through = place.settings.model_copy(update={**proxy.ports, "weaviate_timeout_s": 5.0})
    try:
        for trial in range(CUTS):
            steps, dice = Steps(place.settings, trial), Random(trial)
            steps.begin()
            kind: Break = dice.choice(("reset", "cut"))
            for line in ports:  # the server has done what was asked when its answer comes
                proxy.set(line, Fault(kind=kind, after=dice.choice((0, 0, 200, 2_000, 20_000))))
            for _ in range(4):
                try:
                    steps.take(through)
                    break
                except IndexUnavailable:
                    hit[steps.step] += 1
            else:
                wrong[f"{trial} {steps.step}"] = ["it did not end"]
            for line in ports:
                proxy.set(line)
            if found := steps.end():
                wrong[f"{trial} {steps.step}"] = found[:3]
    finally:
        proxy.close()
        place.stop()
    print(f"{CUTS} answers cut, seen by: {', '.join(f'{n} {step}' for step, n in hit.items())}; {len(wrong)} differ")
    assert wrong == {}
