"""moat release, resume, reject."""

import typer

from moat.airflow_api import Making, answer_held, making
from moat.cli import render
from moat.cli.shared import Because, Json, Number, me, open_runtime, out
from moat.errors import DeclarationError, LoadRefused, MoatError
from moat.ledger import approvals, documents, loads
from moat.ledger.loads import Load
from moat.owners import source_of
from moat.runtime import Runtime
from moat.source import Source
from moat.stages.listed_again import keep_listed
from moat.stages.run import finish
from moat.stages.run import resume as resume_way


def add(app: typer.Typer) -> None:
    for command in (release, resume, reject):
        app.command()(command)


def release(number: Number, because: Because = "", json: Json = False) -> None:
    """Release a held load, and say what goes on; documents that are listed again stay."""
    with open_runtime(quiet=json) as runtime:
        waiting = loads.get(runtime.ledger, number)
        approvals.require(runtime.ledger, runtime.settings, me(), f"release of load {number} of {waiting.source}")
        # Asked first: nothing is released before Airflow is known to answer.
        run = making(runtime.settings, waiting) if waiting.state in ("held", "open") else None
        # Outside Airflow this process continues the load, so it must know the source before it releases anything.
        needed = waiting.state in ("held", "open") and run is None
        source = source_of(runtime.ledger, waiting.source) if needed else _declared(runtime, waiting)
        again = keep_listed(runtime, source, number) if source is not None else None
        load = approvals.release_load(runtime.ledger, runtime.settings, number, me(), because)
        if load.state == "open" and run is None and source is not None:
            load = finish(runtime, source, number, me()).load
        elif load.state == "open" and run is not None and not run.ended:
            answer_held(runtime.settings, waiting, "Release", because)
    if json:
        typer.echo(render.as_json(load))
    else:
        if again is not None and again.told:
            out.print(again.told)
        out.print(_standing(load, run))
    if load.state in ("held", "rejected") or (load.state == "open" and run is not None and run.ended):
        raise typer.Exit(3)


def resume(number: Number, json: Json = False) -> None:
    """Go on here with a load whose run has ended, as far as the gate lets it."""
    with open_runtime(quiet=json) as runtime:
        begun = loads.get(runtime.ledger, number)
        source, ended = source_of(runtime.ledger, begun.source), False
        if begun.state in ("open", "staged") and (run := _making(runtime, begun)) is not None:
            if not run.ended:
                raise LoadRefused(f"load {number} of {begun.source} is not taken up: {run.told}, and goes on there")
            ended = True
        load = resume_way(runtime, source, number, me(), ended).load
    typer.echo(render.as_json(load)) if json else out.print(_standing(load, None))
    if load.state in ("held", "rejected"):
        raise typer.Exit(3)


def _making(runtime: Runtime, load: Load) -> Making | None:
    """The Airflow run that makes a load; None where no answer is to be had, so that its lease is waited for."""
    try:
        return making(runtime.settings, load)
    except MoatError as error:
        runtime.progress(f"whether its Airflow run goes on is not known: {error}")
        return None


def _declared(runtime: Runtime, load: Load) -> Source | None:
    """The source of a load, as a DAG file declares it; None where none does, which keeps no release waiting."""
    try:
        return source_of(runtime.ledger, load.source)
    except DeclarationError as error:
        if load.counts.get("vanished"):
            runtime.progress(f"whether documents that it removes are listed again is not known: {error}")
        return None


def _standing(load: Load, run: Making | None) -> str:
    """State of a load after its release, and the next step."""
    name = f"load {load.id} of {load.source}"
    if load.state == "open" and run is not None and run.ended:
        return (
            f"{name} is released, and nothing goes on by itself: {run.told}\n"
            f"`moat resume {load.id}` goes on here, or clear its task {run.task} in Airflow; `moat reject {load.id}` ends it"
        )
    if load.state == "open":
        return f"{name} is released; its Airflow run goes on"
    if load.state == "held":
        again = load.held_for == "gate" and load.budget_by
        held = "was embedded and is held again, by the gate" if again else "is held"
        return f"{name} {held}: {load.reason}\n`moat release {load.id}` goes on, `moat reject {load.id}` ends it"
    return f"{name} is {load.state}" + (f": the gate blocked it, {load.reason}" if load.state == "rejected" else "")


def reject(number: Number, because: Because = "", json: Json = False) -> None:
    """Reject a load that is not visible yet; the source's next run starts anew."""
    with open_runtime(quiet=json) as runtime:
        was = loads.get(runtime.ledger, number)
        load = approvals.reject_load(runtime.ledger, runtime.settings, number, me(), because)
        run = _making(runtime, was) if was.state == "held" else None
        if run is not None and not run.ended:
            answer_held(runtime.settings, was, "Reject", because)
        elif run is None and was.state == "held" and was.run.startswith("airflow:"):
            runtime.progress("its task in Airflow waits still: answer it there too, under Required Actions")
        visible = documents.count_visible(runtime.ledger, load.source)
    typer.echo(render.as_json(load)) if json else out.print(
        f"load {number} of {load.source} is {load.state}"
        + (f", because: {load.reason}" if load.reason else "")
        + f"; the {visible:,} documents that were visible stay"
    )
