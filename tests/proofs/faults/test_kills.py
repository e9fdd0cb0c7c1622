"""A Weaviate that is killed while it takes objects: afterwards a search finds each of them.

A killed server keeps objects that its vector index lost, and takes them, written again, for unchanged.
"""

import contextlib
import os
import signal
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import get_args

import numpy as np

from moat.errors import IndexUnavailable
from moat.index.connected import Role
from moat.index.store import WeaviateStore
from moat.index.write import prove, unfound
from moat.local.binaries import WEAVIATE, program
from moat.local.servers import Server, WeaviateKeys, free_ports, weaviate
from moat.records import IndexObject
from moat.settings import Settings

OBJECTS, TOGETHER, TRIALS = 600, 100, 3


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
