"""The whole way in one process, without Airflow: for one who writes a source, and for the command line."""

import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from moat.checks.verdict import Verdict, released, verdict
from moat.errors import MoatError
from moat.incidents.freshness import stale
from moat.incidents.lifecycle import late, task_failed
from moat.ledger import loads
from moat.ledger.loads import Load
from moat.runtime import Options, Runtime, batch_path
from moat.source import Source
from moat.stages.budget import judge
from moat.stages.embed import embed
from moat.stages.gate import check, decide
from moat.stages.load import load
from moat.stages.prepare import prepare
from moat.stages.promote import promote
from moat.stages.read import read


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to. Without a verdict there was nothing to do, or the load waits for its budget."""

    load: Load
    verdict: Verdict | None
    seconds: dict[str, float]  # by stage

    @property
    def passed(self) -> bool:
        """Whether it ended as a run should: promoted, or with nothing to do."""
        return self.load.state in ("promoted", "unchanged")


class _Watch:
    """Adds up how long each stage of a run takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.stage = "read"  # the one under way

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started, self.stage = time.monotonic(), stage.partition(" ")[0]
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - started


def run(runtime: Runtime, source: Source, options: Options, by: str) -> RunResult:
    """read → parse → clean → chunk → embed → gate → load → promote.

    A held load stops: before embed where it is over its budget, before load where the gate holds it.
    """
    watch, name = _Watch(), f"cli:{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    try:
        with watch("read"):
            found = read(runtime, source, name, options)
    except MoatError as error:
        for begun in loads.recent(runtime.ledger, source.name, 1):
            if begun.run == name and begun.state == "open":
                loads.give_up(runtime.ledger, begun, str(error))
        task_failed(
            runtime,
            source.name,
            stage="read",
            subject="read",
            error=f"{type(error).__name__}: {error}",
            number=None,
            run=name,
        )
        raise
    if found.unchanged:
        if quiet := stale(runtime, source.name):
            late(runtime, source.name, quiet)
        return RunResult(runtime.load(found.load), None, watch.seconds)
    current = runtime.load(found.load)
    with _told(runtime, current, watch):
        try:
            return _go_on(runtime, source, current.id, by, watch)
        except MoatError as error:
            loads.give_up(runtime.ledger, current, str(error))
            raise


def finish(runtime: Runtime, source: Source, number: int, by: str) -> RunResult:
    """Go on with a load that a person released outside Airflow, from where it stopped; the gate may hold it again."""
    current, watch = runtime.load(number), _Watch()
    loads.renew(runtime.ledger, current, runtime.lease_s)
    with _told(runtime, current, watch):
        return _go_on(runtime, source, number, by, watch)


@contextmanager
def _told(runtime: Runtime, current: Load, watch: _Watch) -> Iterator[None]:
    """Record the stage that fails as an incident, or as part of one."""
    try:
        yield
    except MoatError as error:
        said = f"{type(error).__name__}: {error}"
        task_failed(
            runtime,
            current.source,
            stage=watch.stage,
            subject=watch.stage,
            error=said,
            number=current.id,
            run=current.run,
        )
        raise


def _go_on(runtime: Runtime, source: Source, number: int, by: str, watch: _Watch) -> RunResult:
    """Take a load that was read as far as it may go; what is done already is left as it is."""
    if not _embedded(runtime, source, number, watch):
        return RunResult(runtime.load(number), None, watch.seconds)
    found = verdict(runtime, number)
    if found.unjudged:
        with watch("gate"):
            for family in found.unjudged:
                check(runtime, source, number, family)
        found = decide(runtime, source, number)
    if found.outcome == "block":
        loads.reject(runtime.ledger, number, "gate", found.reason)
    elif released(runtime.load(number), found):
        with watch("load"):
            load(runtime, source, number)
        with watch("promote"):
            promote(runtime, source, number, by)
    return RunResult(runtime.load(number), found, watch.seconds)


def _embedded(runtime: Runtime, source: Source, number: int, watch: _Watch) -> bool:
    """Prepare and embed every batch; False where the load waits for its budget, and nothing is embedded."""
    batches = range(runtime.load(number).counts["batches"])

    def prepared(batch: int) -> None:
        if not _staged(runtime, source, number, "aside", batch):  # the last file of a batch that is prepared
            with watch("parse → clean → chunk"):
                prepare(runtime, source, number, batch)

    if source.limits.budget and batches:
        for batch in batches:
            prepared(batch)
        with watch("budget"):
            judge(runtime, source, number)
        if runtime.load(number).state == "held":
            return False
    for batch in batches:
        prepared(batch)
        if not _staged(runtime, source, number, "embed", batch):
            with watch("embed"):
                embed(runtime, source, number, batch)
    return True


def _staged(runtime: Runtime, source: Source, number: int, stage: str, batch: int) -> bool:
    return runtime.staging.exists(batch_path(source.name, number, stage, batch))
