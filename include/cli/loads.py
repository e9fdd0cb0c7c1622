"""moat loads, load show, release, reject, rollback."""

from typing import Annotated

import typer
from rich.markup import escape

from include import show
from include.airflow_api import answer_held
from include.cli.doors import Because, Json, Number, me, opened_ledger, opened_way, out
from include.dagfile import source_named
from include.ledger import checks, loads
from include.run import finish

SHOWN = ("new", "changed", "access", "vanished", "unchanged", "written", "kept", "retired", "aside")
load_app = typer.Typer(no_args_is_help=True, help="One load.")


def add(app: typer.Typer) -> None:
    app.command("loads")(loads_)
    app.add_typer(load_app, name="load")
    load_app.command("show")(load_show)
    for command in (release, reject, rollback):
        app.command()(command)


def loads_(source: Annotated[str | None, typer.Argument()] = None, limit: int = 20, json: Json = False) -> None:
    """The newest loads."""
    with opened_ledger() as ledger:
        found = loads.recent(ledger, source, limit)
    if json:
        typer.echo(show.as_json(found))
    else:
        show.table(
            out,
            ("load", "source", "state", "opened", "ended", "counts"),
            (
                (
                    one.id,
                    one.source,
                    one.state,
                    one.opened_at,
                    one.ended_at,
                    show.counted({k: v for k, v in one.counts.items() if k in SHOWN}),
                )
                for one in found
            ),
            "no load yet: trigger a source in Airflow, or `moat run dags/handbook.py`",
        )


def load_show(number: Number, json: Json = False) -> None:
    """One load with its counts and checks."""
    with opened_ledger() as ledger:
        load, results = loads.get(ledger, number), checks.of_load(ledger, number)
    if json:
        typer.echo(show.as_json({"load": load, "checks": results}))
        return
    out.print(
        f"load {load.id} of {load.source}: [bold]{load.state}[/]{f', {escape(load.reason)}' if load.reason else ''}",
        markup=True,
    )
    out.print(
        f"run {load.run}; opened {show.cell(load.opened_at)}, ended {show.cell(load.ended_at) or 'not yet'}; decided by {load.decided_by or 'the gate'}; model {load.model or 'none'}"
    )
    out.print(f"counts: {show.counted(load.counts)}")
    show.table(
        out,
        ("", "check", "seen", "allowed", "documents"),
        (
            (
                "ok" if r.passed else r.severity.upper(),
                f"{r.family}: {r.name}",
                r.seen,
                r.allowed,
                ", ".join(r.documents),
            )
            for r in results
        ),
        "no check has run",
    )


def release(number: Number, because: Because = "", json: Json = False) -> None:
    """Let a held load go on."""
    with opened_way(quiet=json) as way:
        waiting = loads.get(way.ledger, number)
        # Outside Airflow this process goes on with the load, so it must know the source before it releases anything.
        source = None if waiting.run.startswith("airflow:") else source_named(waiting.source)
        load = loads.release(way.ledger, number, me(), because)
        if not answer_held(way.settings, load, "Release", because) and source is not None:
            load = finish(way, source, number, me())
    typer.echo(show.as_json(load)) if json else out.print(
        f"load {number} of {load.source} is {'released; its Airflow run goes on' if load.state == 'open' else load.state}"
    )


def reject(number: Number, because: Because = "", json: Json = False) -> None:
    """End a load that is not visible yet; its source's next run starts afresh."""
    with opened_way(quiet=json) as way:
        was = loads.get(way.ledger, number)
        load = loads.reject(way.ledger, number, me(), because)
        if was.state == "held":
            answer_held(way.settings, was, "Reject", because)
    typer.echo(show.as_json(load)) if json else out.print(f"load {number} of {load.source} is {load.state}")


def rollback(number: Number, because: Because = "", json: Json = False) -> None:
    """Make visible again what was visible before a load. Access stays as it is now."""
    with opened_ledger() as ledger:
        load = loads.rollback(ledger, number, me(), because)
    typer.echo(show.as_json(load)) if json else out.print(
        f"load {number} of {load.source} is {load.state}; the source's next run would load it again, so pause its DAG or mend the cause first"
    )
