"""moat loads, load show."""

import typer
from rich.markup import escape

from moat.cli import render
from moat.cli.shared import Json, Limit, Number, OfSource, known_source, opened_ledger, out
from moat.ledger import checks, history, incidents, loads
from moat.pricing import Spending
from moat.pricing import spending_line as spending_told
from moat.provenance import changed
from moat.settings import Settings

SHOWN = ("new", "changed", "access", "vanished", "unchanged", "written", "kept", "retired", "aside")
WORST = 5  # documents that lost words, shown with their load
load_app = typer.Typer(no_args_is_help=True, help="One load.")


def add(app: typer.Typer) -> None:
    app.command("loads")(loads_)
    app.add_typer(load_app, name="load")
    load_app.command("show")(load_show)


def loads_(source: OfSource = None, limit: Limit = 20, json: Json = False) -> None:
    """List the newest loads."""
    with opened_ledger() as ledger:
        found = loads.recent(ledger, known_source(ledger, source) if source else None, limit)
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
                r.state,
                f"{r.family}: {r.name}" + (f" ({r.measure}, learned)" if r.measure else ""),
                r.seen,
                r.allowed,
                ", ".join(r.documents),
            )
            for r in sorted(results, key=lambda r: (not r.failed, r.passed))
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
