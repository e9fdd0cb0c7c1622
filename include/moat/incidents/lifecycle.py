"""Incidents in the course of a load, from opening to resolution.

None of this may disturb a load: a failure to record an incident is logged; it neither hides the
original error nor prevents a promotion.
"""

import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

from moat.errors import MoatError
from moat.incidents.notify import tell
from moat.incidents.triage import Cause, Diagnosis, Reach, triage
from moat.ledger import access_sync, checks, incidents, loads
from moat.ledger.incidents import Happening, Incident
from moat.ledger.loads import Load
from moat.runtime import Runtime
from moat.source import Source

if TYPE_CHECKING:  # the gate reports its verdict, so it imports this module
    from moat.checks.verdict import Verdict

CAUGHT = "never for its asker"  # outside of a load: a swap of a directory, whose documents are masked
P = ParamSpec("P")
T = TypeVar("T")

# The stage whose work a family of checks covers: the fault is there, although the gate shows it.
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
TASKS = {"prepare": "parse", "decide": "gate", "anything": "read", "budget": "embed"}  # tasks not named after a stage
# Task errors that are no news: the gate, a person or the other run has already reported them, or who asked is answered.
BY_DESIGN = ("GateBlocked", "AirflowFailException", "LoadInProgress", "Superseded", "AskedWrongly", "AccessNotRead")


def beside_the_way(work: Callable[P, T]) -> Callable[P, T | None]:
    """Run incident bookkeeping; log its failure and continue."""

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


@beside_the_way
def gate_judged(runtime: Runtime, source: Source, load: Load, found: "Verdict") -> Incident | None:
    """Open or join the incident of failed checks; None if all passed."""
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


@beside_the_way
def task_failed(
    runtime: Runtime, source: str, stage: str, subject: str, error: str, number: int | None, run: str
) -> Incident | None:
    """Open or join the incident of a failed task; expected gate failures open none."""
    if error.startswith(BY_DESIGN):
        there = incidents.of_load(runtime.ledger, number) if number is not None else []
        return next((i for i in there if i.state != "resolved"), None)
    load = runtime.load(number) if number is not None else _of_run(runtime, source, run)
    at = stage_of(stage)
    happened = [Happening.now("task", at, (subject, error), "block", load.id if load else None)]
    return _noticed(runtime, source, load, run, happened)


@beside_the_way
def index_differed(runtime: Runtime, load: Load, message: str) -> Incident | None:
    """Open or join the incident of an index that had lost what it held."""
    happened = [Happening.now("task", "load", ("index", message), "warn", load.id)]
    return _noticed(runtime, load.source, load, load.run, happened)


@beside_the_way
def late(runtime: Runtime, source: str, message: str) -> Incident | None:
    """Open or join the incident of a late or stale source."""
    load = next(iter(loads.recent(runtime.ledger, source, 1)), None)
    subject, stage = ("freshness", "read") if message.startswith("nothing new") else ("deadline", "promote")
    happened = [Happening.now("late", stage, (subject, message), "warn", load.id if load else None)]
    return _noticed(runtime, source, load, "", happened)


@beside_the_way
def mended(runtime: Runtime, load: Load) -> None:
    """Resolve a source's incidents after a promoted or unchanged load.

    Warnings from this very load stay, and a load of selected documents resolves only its own incidents.
    """
    failed = {r.name for r in checks.of_load(runtime.ledger, load.id) if r.failed}
    how = "was promoted" if load.state == "promoted" else "found everything in step"
    ended: list[Incident] = []
    for one in incidents.listing(runtime.ledger, load.source):
        own = one.load_id == load.id
        if load.options.get("only") and not own:
            continue
        if load.state == "unchanged" and _silent(runtime, one):
            continue
        if _waits(runtime, one):
            continue
        if one.severity == "warn" and own and _warned(runtime, one, failed):
            continue
        ended.append(one)
    if ended:
        incidents.over(runtime.ledger, [one.id for one in ended], f"load {load.id} {how}")
    for one in ended:
        if one.told:
            tell(runtime, incidents.get(runtime.ledger, one.id))


def decide(runtime: Runtime, number: int, step: Literal["acknowledge", "resolve"], by: str, because: str) -> Incident:
    """Acknowledge or resolve an incident for a person, and tell those who were told of it.

    Raises:
        IncidentRefused: There is no such incident, or it is resolved already.
    """
    take = incidents.acknowledge if step == "acknowledge" else incidents.resolve
    one = take(runtime.ledger, number, by, because)
    if one.told:  # somebody is working on it
        tell(runtime, one)
    return one


def stage_of(task: str) -> str:
    """The stage of a task by its id: `batch.prepare` is parse, `gate.volume` is gate."""
    group, _, name = task.rpartition(".")
    if name in incidents.STAGES:
        return name
    return TASKS.get(name, "gate" if group == "gate" else "read")


def _noticed(
    runtime: Runtime, source: Source | str, load: Load | None, run: str, happened: Sequence[Happening]
) -> Incident:
    """Record what happened; if it is news, diagnose and notify."""
    name = source if isinstance(source, str) else source.name
    since = load.opened_at if load is not None and load.opened_at <= happened[0].first_at else datetime.now(UTC)
    joined = incidents.join(runtime.ledger, name, run, since, happened)
    if not joined.news:
        if joined.incident.title and joined.incident.told is None:
            tell(runtime, joined.incident)  # no notification has been delivered yet
        return joined.incident
    found = _diagnosed(runtime, source, load, incidents.happenings(runtime.ledger, joined.incident.id))
    explained = incidents.explained(runtime.ledger, joined.incident.id, found.title, found.to_dict())
    tell(runtime, explained)
    return explained


def _diagnosed(runtime: Runtime, source: Source | str, load: Load | None, every: Sequence[Happening]) -> Diagnosis:
    """Run triage; if it fails, people are still notified."""
    try:
        declared, name = (None, source) if isinstance(source, str) else (source, source.name)
        return triage(runtime, declared, load, every, name)
    except Exception as error:  # noqa: BLE001  whatever broke the load may break triage too
        runtime.progress(traceback.format_exc())
        line = f"triage ended with {type(error).__name__}: the log has where"
        commands = (f"moat load show {load.id}",) if load is not None else ()
        return Diagnosis(
            (Cause("unexplained", "Something failed, and triage could not say why", 0.0, (line,)),), Reach(), commands
        )


def _of_run(runtime: Runtime, source: str, run: str) -> Load | None:
    """The newest load of a run."""
    return next((load for load in loads.recent(runtime.ledger, source, 5) if load.run == run), None)


def _warned(runtime: Runtime, one: Incident, failed: set[str]) -> bool:
    """Whether the load still has what an incident warns of."""
    return any(h.kind == "check" and h.subject in failed for h in incidents.happenings(runtime.ledger, one.id))


def _waits(runtime: Runtime, one: Incident) -> bool:
    """Whether an incident is about documents that a swap of a directory masked, and a person has to decide yet."""
    caught = any(h.subject == CAUGHT and h.load_id is None for h in incidents.happenings(runtime.ledger, one.id))
    return caught and bool(access_sync.kept_back_keys(runtime.ledger, one.source))


def _silent(runtime: Runtime, one: Incident) -> bool:
    """Whether an incident is about missing updates, which an unchanged load does not resolve."""
    happened = incidents.happenings(runtime.ledger, one.id)
    return bool(happened) and all(h.subject == "freshness" for h in happened)
