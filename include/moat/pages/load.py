"""The page of one load: what went in and came out, what the gate saw, what changed, and what a person can do."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from moat.checks import FAMILIES
from moat.checks.baselines import Range, ranges
from moat.errors import StagingError
from moat.ledger import Ledger, behind, checks, history, incidents, loads, measures, rolled_back, spending
from moat.ledger.checks import CheckResult
from moat.ledger.incidents import SEVERITIES
from moat.ledger.loads import LIVE, Load
from moat.pricing import Spending, money
from moat.provenance import changed
from moat.records import Planned
from moat.runtime import path
from moat.settings import Settings
from moat.staging import Staging

WORST = 5  # documents that lost words
NEAR = 10  # loads of the same source, beside this one
FUNNEL = (  # name in the counts, what people read, the documents behind it
    ("listed", "listed", None),
    ("new", "new", "new"),
    ("changed", "changed", "changed"),
    ("access", "with other readers", "access"),
    ("unchanged", "unchanged", None),
    ("vanished", "gone", "vanished"),
    ("aside", "set aside", "aside"),
    ("unknown", "access unknown", None),
    ("chunks", "chunks", None),
    ("written", "chunks written", None),
    ("kept", "chunks kept", None),
    ("proved", "chunks proved", None),
    ("retired", "chunks retired", None),
)


def of_run(ledger: Ledger, dag: str, run: str) -> int | None:
    """Number of the load that a run of Airflow makes or made; None if it made none."""
    wanted = f"airflow:{dag}:{run}"
    return next((one.id for one in loads.recent(ledger, dag, 500) if one.run == wanted), None)


def page(ledger: Ledger, settings: Settings, number: int) -> dict[str, Any]:
    """Everything about a load as plain values.

    Args:
        ledger: The tenant's ledger.
        settings: Settings with the prices.
        number: Number of the load.

    Raises:
        LoadRefused: There is no such load.
        LedgerError: The database did not answer.
    """
    load = loads.get(ledger, number)
    last = history.before(ledger, load.source, number)
    results = sorted(checks.of_load(ledger, number), key=_first_the_worst)
    spent = Spending.of_load(ledger, settings, number)
    past = measures.history(ledger, load)
    return {
        "load": _plain(load),
        "near": [
            {"id": one.id, "state": one.state, "opened_at": one.opened_at.isoformat()}
            for one in loads.recent(ledger, load.source, NEAR)
        ],
        "funnel": [
            {"name": name, "words": words, "n": load.counts[name], "kind": kind if load.counts[name] else None}
            for name, words, kind in FUNNEL
            if name in load.counts
        ],
        "checks": [_check(r) for r in results],
        "measures": [_measure(r, past, results) for r in _ranges(load, measures.of_load(ledger, number), past)],
        "changes": {
            "since": last.id if last else None,
            "what": list(changed(last.context or {}, load.context or {}) if last else ()),
        },
        "stages": [
            {"stage": stage, "seconds": round(seconds, 2), "tokens": tokens}
            for stage, (seconds, tokens) in sorted(spending.of_load(ledger, number).items(), key=lambda kv: -kv[1][0])
        ],
        "tokens": spent.tokens,
        "cost": money(settings, spent.cost),
        "incidents": [{"id": i.id, "title": i.title, "state": i.state} for i in incidents.of_load(ledger, number)],
        "words_lost": [lost._asdict() for lost in history.words_lost(ledger, number, WORST)],
        "can": _can(ledger, load),
    }


def behind_plan(staging: Staging, load: Load, kind: behind.Kind, limit: int, after: str) -> behind.Some:
    """Documents that a load is going to bring or retire, from its plan in staging; none where that is gone or unreachable.

    Args:
        staging: The staging area.
        load: A load of which nothing is in the ledger yet.
        kind: Which of them.
        limit: At most so many.
        after: Only keys behind this one.
    """
    where = path(load.source, load.id, "read", "plan.parquet")
    try:
        keys = sorted(one.key for one in staging.read(where, Planned) if one.what == kind)
    except StagingError:
        return behind.Some(0, [])
    found = [key for key in keys if key > after][:limit]
    return behind.Some(len(keys), [behind.Behind(load.source, key, "", None, "") for key in found])


def _first_the_worst(result: CheckResult) -> tuple[bool, int, bool, str, str]:
    severity = SEVERITIES.index(result.severity) if result.failed else 0
    return not result.failed, -severity, not result.judged, result.family, result.name


def _plain(load: Load) -> dict[str, Any]:
    """A load without its provenance, whose digests are for comparing."""
    named = ("id", "source", "state", "run", "reason", "decided_by", "budget_by", "held_for", "model")
    times = ("opened_at", "ended_at", "proved_at", "removed_at")
    return {
        **{name: getattr(load, name) for name in named},
        **{name: at.isoformat() if (at := getattr(load, name)) else None for name in times},
        "options": {name: value for name, value in load.options.items() if value},
    }


def _check(result: CheckResult) -> dict[str, Any]:
    titles = {family.name: family.title for family in FAMILIES}
    return {
        "state": result.state,
        "family": titles.get(result.family, result.family),
        "name": result.name,
        "seen": result.seen,
        "allowed": result.allowed,
        "documents": list(result.documents),
        "measure": result.measure,
    }


def _ranges(
    load: Load, measured: Mapping[str, float], past: Mapping[str, Sequence[measures.PastMeasure]]
) -> list[Range]:
    every = [m for family in FAMILIES for m in getattr(import_module(family.module), "MEASURES", ())]
    found = {one.name: one for one in ranges(every, measured, past, load.opened_at) if one.name in measured}
    return list(found.values())


def _measure(
    one: Range, past: Mapping[str, Sequence[measures.PastMeasure]], results: Sequence[CheckResult]
) -> dict[str, Any]:
    departed = next((r.state for r in results if r.measure == one.name and r.failed), "")
    return {
        "name": one.name,
        "title": one.title,
        "scale": one.scale,
        "value": one.value,
        "low": one.low,
        "high": one.high,
        "n": one.n,
        "days": one.days,
        "departed": departed,
        "history": [{"load": p.load, "at": p.at.isoformat(), "value": p.value} for p in past.get(one.name, ())],
    }


def _can(ledger: Ledger, load: Load) -> dict[str, Any]:
    """What a person can do about a load now, and where."""
    in_airflow = load.run.startswith("airflow:")
    _, dag, run = load.run.split(":", 2) if in_airflow else ("", "", "")
    found: dict[str, Any] = {"airflow": {"dag": dag, "run": run} if in_airflow else None}
    if load.state == "held":
        found["answer"] = {
            "release": f"moat release {load.id} --because …",
            "reject": f"moat reject {load.id} --because …",
        }
    elif load.state in LIVE:
        found["reject"] = f"moat reject {load.id} --because …"
    if load.state == "promoted" and _newest(ledger, load):
        plan = rolled_back.planned(ledger, load.id)
        found["roll_back"] = {
            "command": f"moat rollback {load.id} --because …",
            "leave": plan.leave.n,
            "come_back": plan.come_back.n,
            "earlier": plan.earlier.n,
            "keys": [*plan.leave.keys, *plan.come_back.keys, *plan.earlier.keys][:5],
        }
    return found


def _newest(ledger: Ledger, load: Load) -> bool:
    """Whether a rollback of it is possible, as far as the ledger says without trying."""
    newest = history.before(ledger, load.source, None)
    return newest is not None and newest.id == load.id and load.removed_at is None
