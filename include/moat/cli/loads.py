"""moat loads, load show, release, reject, rollback."""

from typing import Annotated

import typer
from rich.markup import escape

from moat.airflow_api import answer_held
from moat.cli import render
from moat.cli.shared import Because, Json, Number, me, open_runtime, opened_ledger, out
from moat.ledger import approvals, checks, history, incidents, loads
from moat.ledger.loads import Load
from moat.owners import source_of
from moat.pricing import Spending
from moat.pricing import spending_line as spending_told
from moat.provenance import changed
from moat.settings import Settings
from moat.stages.run import finish

SHOWN = ("new", "changed", "access", "vanished", "unchanged", "written", "kept", "retired", "aside")
WORST = 5  # documents that lost words, shown with their load
load_app = typer.Typer(no_args_is_help=True, help="One load.")


def add(app: typer.Typer) -> None:
    app.command("loads")(loads_)
    app.add_typer(load_app, name="load")
    load_app.command("show")(load_show)
    for command in (release, reject, rollback):
        app.command()(command)


def loads_(source: Annotated[str | None, typer.Argument()] = None, limit: int = 20, json: Json = False) -> None:
    """List the newest loads."""
    with opened_ledger() as ledger:
        found = loads.recent(ledger, source, limit)
    if json:
        typer.echo(render.as_json(found))
    else:
        render.table(
            out,
            ("load", "source", "state", "opened", "ended", "counts"),
            (
                (
                    one.id,
                    one.source,
                    one.state,
                    one.opened_at,
                    one.ended_at,
                    render.counted({k: v for k, v in one.counts.items() if k in SHOWN}),
                )
                for one in found
            ),
            "no load yet: trigger a source in Airflow, or `moat run dags/handbook.py`",
        )


def load_show(number: Number, json: Json = False) -> None:
    """Show a load: counts, checks, changes before it, cost, and its incident."""
    settings = Settings.load()
    with opened_ledger() as ledger:
        load, results = loads.get(ledger, number), checks.of_load(ledger, number)
        last = history.before(ledger, load.source, number)
        changes = changed(last.context or {}, load.context or {}) if last else ()
        spent, found = Spending.of_load(ledger, settings, number), incidents.of_load(ledger, number)
        lost = history.words_lost(ledger, number, WORST)
    if json:
        told = {"changes": changes, "spent": spent, "incidents": [i.id for i in found], "words lost": lost}
        typer.echo(render.as_json({"load": load, "checks": results, **told}))
        return
    out.print(
        f"load {load.id} of {load.source}: [bold]{load.state}[/]{f', {escape(load.reason)}' if load.reason else ''}",
        markup=True,
    )
    out.print(
        f"run {load.run}; opened {render.cell(load.opened_at)}, ended {render.cell(load.ended_at) or 'not yet'}; decided by {load.decided_by or 'the gate'}; model {load.model or 'none'}"
    )
    out.print(f"counts: {render.counted(load.counts)}")
    out.print(f"spent: {spending_told(settings, spent)}")
    if last:
        out.print(f"changed since load {last.id}, promoted last: {'; '.join(changes) or 'nothing'}")
    for one in found:
        out.print(f"incident {one.id}, {one.state}: {one.title}; `moat incident show {one.id}`")
    render.table(
        out,
        ("", "check", "seen", "allowed", "documents"),
        (
            (
                "ok" if r.passed else r.severity.upper(),
                f"{r.family}: {r.name}" + (f" ({r.measure}, learned)" if r.measure else ""),
                r.seen,
                r.allowed,
                ", ".join(r.documents),
            )
            for r in sorted(results, key=lambda r: r.passed)
        ),
        "no check has run",
    )
    if lost:
        render.table(
            out,
            ("words lost in", "of", "lost", "among others"),
            ((one.key, one.n_words, one.n_missing, ", ".join(one.missing)) for one in lost),
            "",
        )


def release(number: Number, because: Because = "", json: Json = False) -> None:
    """Release a held load."""
    with open_runtime(quiet=json) as runtime:
        waiting = loads.get(runtime.ledger, number)
        approvals.require(runtime.ledger, runtime.settings, me(), f"release of load {number} of {waiting.source}")
        # Outside Airflow this process continues the load, so it must know the source before it releases anything.
        source = None if waiting.run.startswith("airflow:") else source_of(runtime.ledger, waiting.source)
        load = approvals.release_load(runtime.ledger, runtime.settings, number, me(), because)
        if (
            load.state != "held"
            and not answer_held(runtime.settings, waiting, "Release", because)
            and source is not None
        ):
            load = finish(runtime, source, number, me()).load
    typer.echo(render.as_json(load)) if json else out.print(_standing(load))
    if load.state in ("held", "rejected"):
        raise typer.Exit(3)


def _standing(load: Load) -> str:
    """State of a load after its release, and the next step."""
    name = f"load {load.id} of {load.source}"
    if load.state == "open":
        return f"{name} is released; its Airflow run goes on"
    if load.state == "held":
        return (
            f"{name} was embedded and is held again, by the gate: {load.reason}\n"
            f"`moat release {load.id}` goes on, `moat reject {load.id}` ends it"
        )
    return f"{name} is {load.state}" + (f": the gate blocked it, {load.reason}" if load.state == "rejected" else "")


def reject(number: Number, because: Because = "", json: Json = False) -> None:
    """Reject a load that is not visible yet; the source's next run starts anew."""
    with open_runtime(quiet=json) as runtime:
        was = loads.get(runtime.ledger, number)
        load = approvals.reject_load(runtime.ledger, runtime.settings, number, me(), because)
        if was.state == "held":
            answer_held(runtime.settings, was, "Reject", because)
    typer.echo(render.as_json(load)) if json else out.print(f"load {number} of {load.source} is {load.state}")


def rollback(number: Number, because: Because = "", json: Json = False) -> None:
    """Restore what was visible before a load. Access stays as it is now."""
    with opened_ledger() as ledger:
        approvals.require(ledger, Settings.load(), me(), f"rollback of load {number}")
        load = loads.rollback(ledger, number, me(), because)
    typer.echo(render.as_json(load)) if json else out.print(
        f"load {number} of {load.source} is {load.state}; the source's next run would load it again, so pause its DAG or mend the cause first"
    )
