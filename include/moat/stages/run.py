"""Run the whole way in one process, without Airflow."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from moat.checks.verdict import Verdict, released, verdict
from moat.incidents.freshness import stale
from moat.incidents.lifecycle import late, task_failed
from moat.ledger import loads, runs
from moat.ledger.loads import Load
from moat.ledger.resume import take_over
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
    """Result of a run.

    Without a verdict there was nothing to do, or the load waits for its budget.
    """

    load: Load
    verdict: Verdict | None
    seconds: dict[str, float]  # by stage

    @property
    def passed(self) -> bool:
        """Whether the load was promoted, or there was nothing to do."""
        return self.load.state in ("promoted", "unchanged")


class _Watch:
    """Adds up the seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.stage = "read"  # the stage that runs

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started, self.stage = time.monotonic(), stage.partition(" ")[0]
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - started


def run(runtime: Runtime, source: Source, options: Options, by: str) -> RunResult:
    """Run read → parse → clean → chunk → embed → gate → load → promote.

    A held load stops: before embed if it exceeds its budget, before load if the gate holds it.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        options: What this run asks for.
        by: Who promotes, for the audit.

    Returns:
        The load as it ended, the gate's verdict, and the seconds of each stage.

    Raises:
        MoatError: A stage failed. The load gives its lease up, and the failure is recorded as an incident; so it is
            with any other error.
    """
    watch, name = _Watch(), runs.of_this_process()
    with _told(runtime, source.name, name, watch):
        with watch("read"):
            found = read(runtime, source, name, options)
        if not found.unchanged:
            return _go_on(runtime, source, found.load, by, watch)
    if quiet := stale(runtime, source.name):
        late(runtime, source.name, quiet)
    return RunResult(runtime.load(found.load), None, watch.seconds)


def resume(runtime: Runtime, source: Source, number: int, by: str, ended: bool) -> RunResult:
    """Go on with an open or staged load whose run has ended, skipping stages that are done.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        number: Number of the load.
        by: Who asks for it and promotes, for the audit.
        ended: Whether the load's run is known to have ended; else its lease is waited for.

    Returns:
        The load as it ended, the gate's verdict, and the seconds of each stage.

    Raises:
        LoadRefused: A run that lives makes it, it waits for a person, or nothing is left to go on with.
        MoatError: A stage failed, and the failure is recorded as an incident.
    """
    take_over(runtime.ledger, number, runs.of_this_process(), by, lease_s=runtime.lease_s, ended=ended)
    return finish(runtime, source, number, by)


def finish(runtime: Runtime, source: Source, number: int, by: str) -> RunResult:
    """Continue a load that a person released outside Airflow; the gate may hold it again.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        number: Number of the load.
        by: Who promotes, for the audit.

    Returns:
        The load as it ended, the gate's verdict, and the seconds of each stage.

    Raises:
        MoatError: A stage failed, and the failure is recorded as an incident.
    """
    current, watch = runtime.load(number), _Watch()
    loads.renew(runtime.ledger, current, runtime.lease_s)
    with _told(runtime, source.name, current.run, watch):
        return _go_on(runtime, source, number, by, watch)


@contextmanager
def _told(runtime: Runtime, source: str, run: str, watch: _Watch) -> Iterator[None]:
    """Whatever ends a stage gives the lease up, and is an incident or part of an open one, unless a person ended it."""
    try:
        yield
    except BaseException as error:  # a defect, a signal and an interrupt leave the load open, too
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        begun = next((one for one in loads.recent(runtime.ledger, source, 1) if one.run == run), None)
        if begun is not None and begun.state in ("open", "staged"):
            loads.give_up(runtime.ledger, begun, said)
        if not isinstance(error, KeyboardInterrupt):
            task_failed(
                runtime,
                source,
                stage=watch.stage,
                subject=watch.stage,
                error=said,
                number=begun.id if begun else None,
                run=run,
            )
        raise


def _go_on(runtime: Runtime, source: Source, number: int, by: str, watch: _Watch) -> RunResult:
    """Take a load as far as it may go, skipping stages that are done."""
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
    """Prepare and embed every batch; False if the load waits for its budget."""
    batches = range(runtime.load(number).counts["batches"])

    def prepared(batch: int) -> None:
        if not _staged(runtime, source, number, "aside", batch):  # the file that prepare writes last
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
    return runtime.staging.whole(batch_path(source.name, number, stage, batch))
