"""moat run, reconcile, doctor, members load, migrate, embedder."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from moat.cli import render
from moat.cli.shared import Json, connections, me, open_runtime, out, raise_all
from moat.dagfile import sources_in
from moat.directories.files import groups_in_yaml
from moat.errors import FatalError
from moat.ledger import Ledger, approvals
from moat.maintenance.doctor import examine
from moat.maintenance.swaps import load_members
from moat.owners import claim, sources_of
from moat.runtime import Options
from moat.settings import Settings
from moat.stages.dry_run import dry_run
from moat.stages.run import RunResult
from moat.stages.run import run as run_way

members_app = typer.Typer(no_args_is_help=True, help="Load group memberships.")


def add(app: typer.Typer) -> None:
    for command in (run, reconcile, doctor, migrate, embedder):
        app.command()(command)
    app.add_typer(members_app, name="members")
    members_app.command("load")(members_load)


def run(
    dag_file: Annotated[Path, typer.Argument(help="DAG file that declares one or more sources.")],
    dry: Annotated[bool, typer.Option("--dry-run", help="Show the plan and its cost; write nothing.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Read everything again, changed or not.")] = False,
    only: Annotated[list[str] | None, typer.Option("--only", help="Only this key; repeatable.")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Maximum number of new and changed documents.")
    ] = None,
    expected: Annotated[str, typer.Option("--expected", help="Reason of an expected change, such as a backfill.")] = "",
    json: Json = False,
) -> None:
    """Run all stages for the sources of a DAG file, without Airflow."""
    options, results = Options(full, tuple(only or ()), limit, expected), list[Any]()
    with open_runtime(quiet=json) as runtime:
        if expected and not dry:
            approvals.require(runtime.ledger, runtime.settings, me(), f"an expected change in {dag_file.name}")
        for source in sources_in(dag_file):
            claim(runtime.ledger, source.name, dag_file, only_look=dry)
            if dry:
                results.append(dry_run(runtime, source, options))
                if not json:
                    out.print(render.estimate(source.name, results[-1]))
            else:
                results.append(run_way(runtime, source, options, me()))
                if not json:
                    _told(results[-1])
    if json:
        typer.echo(render.as_json(results))
    if any(isinstance(r, RunResult) and not r.passed for r in results):
        raise typer.Exit(3)


def _told(result: RunResult) -> None:
    load, verdict = result.load, result.verdict
    for stage, seconds in result.seconds.items():
        out.print(f"  {stage:<24}{seconds:8.1f} s")
    out.print(f"{load.source} load {load.id}: [bold]{load.state}[/]; {render.counted(load.counts)}", markup=True)
    if load.state == "held":
        out.print(f"held: {load.reason}\n`moat release {load.id}` goes on, `moat reject {load.id}` ends it")
    if verdict is not None and verdict.outcome == "block":
        out.print(f"blocked: {verdict.reason}")


def reconcile(
    repair: Annotated[bool, typer.Option("--repair", help="Correct the index from the ledger.")] = False,
    json: Json = False,
) -> None:
    """Compare sources, ledger and Weaviate."""
    from moat.embedding.client import model_of
    from moat.index.write import open_writer
    from moat.maintenance.reconcile import reconcile as compare
    from moat.stages.compare import next_runs

    with open_runtime(quiet=json) as runtime:
        model, found = model_of(runtime.settings, runtime.connections), sources_of(runtime.ledger)
        index = open_writer(runtime, model)
        try:
            drifts = compare(runtime, index, model, next_runs(runtime, found.sources), repair)
        finally:
            index.close()
    if json:
        typer.echo(render.as_json(drifts))
    else:
        render.table(
            out,
            (
                "source",
                "documents",
                "chunks",
                "missing",
                "text",
                "access",
                "not found",
                "orphans",
                "the source is ahead by",
                "",
            ),
            (
                (
                    d.source,
                    d.visible_documents,
                    d.visible_chunks,
                    d.missing,
                    d.text,
                    d.access,
                    d.unfound,
                    d.orphans,
                    d.unreadable or render.counted(d.ahead),
                    "repaired" if d.repaired else "" if d.agrees else "; ".join(d.examples),
                )
                for d in drifts
            ),
            "no source yet",
        )
    raise_all(list(found.broken.values()))
    if not repair and not all(d.agrees for d in drifts):
        raise typer.Exit(3)


def doctor(json: Json = False) -> None:
    """Check settings, servers, versions, schema and model; print what to do."""
    found = examine(connections)
    if json:
        typer.echo(render.as_json(found))
    else:
        render.table(
            out,
            ("", "what", "found"),
            (("ok" if f.ok else Text("WRONG", "red") if f.needed else "-", f.what, f.found) for f in found),
            "",
        )
    if not all(f.ok or not f.needed for f in found):
        raise typer.Exit(1)


def members_load(
    file: Annotated[Path, typer.Argument(help="YAML file that maps each group to its members.")],
    directory: Annotated[str, typer.Option(help="Name of the directory whose groups these are.")] = "file",
    json: Json = False,
) -> None:
    """Replace a directory's groups from a YAML file: {group:NAME: \\[user:… or group:…]}."""
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FatalError(f"{file} cannot be read: {error}") from error
    groups = {f"group:{found.id}": found.members for found in groups_in_yaml(text, str(file))}
    with open_runtime(quiet=json) as runtime:
        n, number = load_members(runtime, directory, groups, me())
    typer.echo(render.as_json({"groups": len(groups), "memberships": n, "number": number})) if json else out.print(
        f"{len(groups):,} groups with {n:,} memberships"
        + (f"; `moat access revert {number}` takes back who came" if number else "")
    )


def migrate(json: Json = False) -> None:
    """Create or migrate the ledger's schema."""
    settings = Settings.load()
    ledger = Ledger(settings.ledger, settings.tenant)
    ledger.migrate()
    typer.echo(render.as_json({"ledger": repr(ledger.engine.url)})) if json else out.print(
        "the ledger is at this version's schema"
    )


def embedder() -> None:
    """Serve the embedding model of this machine until stopped."""
    from moat.embedding.server import serve

    serve(Settings.load().model_copy(update={"embedder_idle_minutes": 0.0}))
