"""moat rollback."""

import shlex
from typing import Annotated

import typer

from moat.cli import render
from moat.cli.shared import Because, Json, Number, ask_once, me, opened_ledger, out
from moat.dagfile import in_words
from moat.errors import LoadRefused
from moat.ledger import Ledger, approvals, loads, rolled_back
from moat.ledger.loads import Load
from moat.ledger.rolled_back import Planned, Some
from moat.owners import sources_of
from moat.settings import Settings


def add(app: typer.Typer) -> None:
    app.command()(rollback)


def rollback(
    number: Number,
    because: Because = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False,
    hold: Annotated[
        bool, typer.Option("--hold", help="Hold the source's next load for a person, whatever it brings.")
    ] = False,
    json: Json = False,
) -> None:
    """Restore what was visible before a load, after showing what leaves and comes back. Access stays as it is now."""
    with opened_ledger() as ledger:
        approvals.require(ledger, Settings.load(), me(), f"rollback of load {number}")
        load = loads.can_go_back(ledger, number)
        if load.state == "promoted":
            if not json:
                out.print(_shown(load, rolled_back.planned(ledger, number)))
            if not yes:
                _confirm(load, because, hold, json)
            load = loads.rollback(ledger, number, me(), because, holding=hold)
        kept = rolled_back.asked_about(ledger, load.source)
        later = "" if json else _next(ledger, load, kept is not None and kept.id == number)
    typer.echo(render.as_json(load)) if json else out.print(f"load {number} of {load.source} is rolled back; {later}")


def _confirm(load: Load, because: str, hold: bool, json: bool) -> None:
    given = (*(("--because", because) if because else ()), *(("--hold",) if hold else ()))
    again = shlex.join(["moat", "rollback", str(load.id), *given, "--yes"])
    ask_once(
        f"Roll load {load.id} of {load.source} back?",
        LoadRefused(f"nothing was rolled back yet: `{again}` does it without asking"),
        LoadRefused(f"load {load.id} of {load.source} is not rolled back: it stays visible"),
        json,
    )


def _shown(load: Load, plan: Planned) -> str:
    """What a rollback does, in lines."""
    kinds = (("leave", plan.leave), ("come back", plan.come_back), ("have their earlier content again", plan.earlier))
    lines = [f"  documents that {what}: {some.n:,} ({_keys(some)})" for what, some in kinds if some.n]
    return "\n".join(
        [f"load {load.id} of {load.source}, rolled back:", *(lines or ["  no document leaves or comes back"])]
    )


def _keys(some: Some) -> str:
    return ", ".join(some.keys) + (f" and {some.n - len(some.keys):,} more" if some.n > len(some.keys) else "")


def _next(ledger: Ledger, load: Load, kept: bool) -> str:
    """What the source's next run does with the content that was taken back."""
    schedule = in_words(sources_of(ledger).schedules.get(load.source))
    run = f"the next run ({schedule})" if schedule else "the next run"
    if kept:
        return f"{run} holds its load for a person, until one is released"
    return (
        f"{run} would load it again, so pause the DAG {load.source} or mend the cause first; "
        "a rollback with --hold has it held for a person instead"
    )
