"""Incidents from what a load goes through: opened or joined, diagnosed, told, and over when a load is visible.

None of this is the way itself: what cannot be recorded is said, and neither hides the error that it is about
nor keeps a load from being promoted.
"""

import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from moat.errors import MoatError
from moat.incidents.notify import tell
from moat.incidents.triage import Cause, Diagnosis, Reach, triage
from moat.ledger import checks, incidents, loads
from moat.ledger.incidents import Happening, Incident
from moat.ledger.loads import Load
from moat.runtime import Runtime
from moat.source import Source

if TYPE_CHECKING:  # the gate tells of what it judged, so it imports this module
    from moat.checks.verdict import Verdict

P = ParamSpec("P")
T = TypeVar("T")

# Whose work a family of checks looks at: there the trouble is, though the gate is where it shows.
JUDGED = {
    "volume": "read",
    "freshness": "read",
    "shape": "read",
    "access": "read",
    "parsing": "parse",
    "content": "clean",
    "chunks": "chunk",
    "duplicates": "read",
    "vectors": "embed",
    "budget": "embed",
    "golden": "embed",
}
TASKS = {"prepare": "parse", "decide": "gate", "anything": "read", "budget": "embed"}  # whose name is no stage
# How tasks end that tell of nothing new: the gate's decision does, or a person's, or the run that is at it.
BY_DESIGN = ("GateBlocked", "AirflowFailException", "LoadInProgress", "Superseded")


def _beside_the_way(work: Callable[P, T]) -> Callable[P, T | None]:
    """Do the work of an incident; where it fails, say so and go on."""

    @wraps(work)
    def done(*given: P.args, **named: P.kwargs) -> T | None:
        try:
            return work(*given, **named)
        except MoatError as error:
            runtime = given[0]
            if isinstance(runtime, Runtime):
                runtime.progress(f"the incident is not recorded: {type(error).__name__}: {error}")
            return None

    return done


@_beside_the_way
def gate_judged(runtime: Runtime, source: Source, load: Load, found: "Verdict") -> Incident | None:
    """Open or join the incident of the checks that failed; None where all passed."""
    if not found.failed:
        return None
    happened = [
        Happening.now(
            "check",
            JUDGED.get(r.family, "gate"),
            (r.name, f"{r.seen}; allowed: {r.allowed}"),
            r.severity,
            load.id,
        )
        for r in found.failed
    ]
    return _noticed(runtime, source, load, load.run, happened)


@_beside_the_way
def task_failed(
    runtime: Runtime, source: str, stage: str, subject: str, error: str, number: int | None, run: str
) -> Incident | None:
    """Open or join the incident of a task that failed for good. A gate's task that is red by design opens none."""
    if error.startswith(BY_DESIGN):
        there = incidents.of_load(runtime.ledger, number) if number is not None else []
        return next((i for i in there if i.state != "resolved"), None)
    load = runtime.load(number) if number is not None else _of_run(runtime, source, run)
    at = stage_of(stage)
    happened = [Happening.now("task", at, (subject, error), "block", load.id if load else None)]
    return _noticed(runtime, source, load, run, happened)


@_beside_the_way
def late(runtime: Runtime, source: str, message: str) -> Incident | None:
    """Join what already keeps a source from its load, or open an incident: its load is late, or nothing new comes."""
    load = next(iter(loads.recent(runtime.ledger, source, 1)), None)
    subject, stage = ("freshness", "read") if message.startswith("nothing new") else ("deadline", "promote")
    happened = [Happening.now("late", stage, (subject, message), "warn", load.id if load else None)]
    return _noticed(runtime, source, load, "", happened)


@_beside_the_way
def mended(runtime: Runtime, load: Load) -> None:
    """End the incidents of a source that a load shows to be over: it was promoted, or found everything in step.

    A warning that came from this very load stays, and a load of single documents ends only what it began.
    """
    failed = {r.name for r in checks.of_load(runtime.ledger, load.id) if not r.passed}
    how = "was promoted" if load.state == "promoted" else "found everything in step"
    ended: list[Incident] = []
    for one in incidents.listing(runtime.ledger, load.source):
        own = one.load_id == load.id
        if load.options.get("only") and not own:
            continue
        if load.state == "unchanged" and _silent(runtime, one):
            continue
        if one.severity == "warn" and own and _warned(runtime, one, failed):
            continue
        ended.append(one)
    if ended:
        incidents.over(runtime.ledger, [one.id for one in ended], f"load {load.id} {how}")
    for one in ended:
        if one.told:
            tell(runtime, incidents.get(runtime.ledger, one.id))


def stage_of(task: str) -> str:
    """The stage of a task by its id: `batch.prepare` is parse, `gate.volume` is gate."""
    group, _, name = task.rpartition(".")
    if name in incidents.STAGES:
        return name
    return TASKS.get(name, "gate" if group == "gate" else "read")


def _noticed(
    runtime: Runtime, source: Source | str, load: Load | None, run: str, happened: Sequence[Happening]
) -> Incident:
    """Record what happened; where it is news, find out why, and tell people."""
    name = source if isinstance(source, str) else source.name
    since = load.opened_at if load is not None and load.opened_at <= happened[0].first_at else datetime.now(UTC)
    joined = incidents.join(runtime.ledger, name, run, since, happened)
    if not joined.news:
        if joined.incident.title and joined.incident.told is None:
            tell(runtime, joined.incident)  # nobody could be told so far
        return joined.incident
    found = _diagnosed(runtime, source, load, incidents.happenings(runtime.ledger, joined.incident.id))
    explained = incidents.explained(runtime.ledger, joined.incident.id, found.title, found.to_dict())
    tell(runtime, explained)
    return explained


def _diagnosed(runtime: Runtime, source: Source | str, load: Load | None, every: Sequence[Happening]) -> Diagnosis:
    """What triage finds. Where it stumbles over what a broken load left, people still hear that there is trouble."""
    try:
        declared, name = (None, source) if isinstance(source, str) else (source, source.name)
        return triage(runtime, declared, load, every, name)
    except Exception as error:  # noqa: BLE001  whatever it is that broke the load may break who looks at it
        runtime.progress(traceback.format_exc())
        line = f"triage ended with {type(error).__name__}: the log has where"
        commands = (f"moat load show {load.id}",) if load is not None else ()
        return Diagnosis(
            (Cause("unexplained", "Something failed, and triage could not say why", 0.0, (line,)),), Reach(), commands
        )


def _of_run(runtime: Runtime, source: str, run: str) -> Load | None:
    """The load that a run has made so far."""
    return next((load for load in loads.recent(runtime.ledger, source, 5) if load.run == run), None)


def _warned(runtime: Runtime, one: Incident, failed: set[str]) -> bool:
    """Whether what an incident warns of was so in the load as well."""
    return any(h.kind == "check" and h.subject in failed for h in incidents.happenings(runtime.ledger, one.id))


def _silent(runtime: Runtime, one: Incident) -> bool:
    """Whether an incident is about nothing coming: that nothing came again does not end it."""
    happened = incidents.happenings(runtime.ledger, one.id)
    return bool(happened) and all(h.subject == "freshness" for h in happened)
