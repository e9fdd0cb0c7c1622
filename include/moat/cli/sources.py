"""moat source list, source new, source rename, source retire."""

from typing import Annotated

import typer

from moat.cli import render
from moat.cli.erase import opened_index
from moat.cli.new_source import new
from moat.cli.shared import Because, Json, ask_once, me, open_runtime, opened_ledger, out, raise_all
from moat.errors import ErasureRefused
from moat.ledger import approvals, documents, retiring
from moat.maintenance.rename import check_new_name
from moat.maintenance.rename import rename as rename_source
from moat.maintenance.retire import refuse_declared, remove
from moat.maintenance.sources import listing
from moat.owners import sources_of

source_app = typer.Typer(no_args_is_help=True, help="List, begin, rename and retire sources.")


def add(app: typer.Typer) -> None:
    app.add_typer(source_app, name="source")
    source_app.command("list")(list_)
    source_app.command()(new)
    source_app.command()(rename)
    source_app.command()(retire)


def list_(json: Json = False) -> None:
    """List every source with its DAG file, visible documents, last load and state."""
    with opened_ledger() as ledger:
        declared = sources_of(ledger)
        found = listing(ledger, declared)
    if json:
        typer.echo(render.as_json(found))
    else:
        rows = ((f.source, f.file or "no DAG file", f.documents, f.last_load, f.last_at, f.state) for f in found)
        render.table(out, ("source", "DAG file", "documents", "last load", "at", "state"), rows, "no source")
    raise_all(list(declared.broken.values()))


def rename(
    old: Annotated[str, typer.Argument(help="Name of the source.")],
    new: Annotated[str, typer.Argument(help="Its new name, which no source has or had.")],
    json: Json = False,
) -> None:
    """Give a source another name. Its documents, vectors, loads, bounds and erasures stay; nothing is loaded again."""
    with open_runtime(quiet=json) as runtime:
        ledger = runtime.ledger
        approvals.require(ledger, runtime.settings, me(), f"renaming of {old}")
        check_new_name(ledger, old, new)
        n = rename_source(runtime, old, new, me())
        file = sources_of(ledger).files.get(old)
    if json:
        typer.echo(render.as_json({"was": old, "source": new, "documents": n, "declared_by_the_old_name_in": file}))
        return
    out.print(f"{old} is called {new} now: {n:,} documents keep their ids, vectors and history")
    if file:
        out.print(
            f'dags/{file} still declares {old}: write Source(name="{new}", …) there; until then its runs are refused'
        )
    out.print(f"Airflow keeps the runs of before under the DAG {old}: `airflow dags delete {old}` removes them")


def retire(
    name: Annotated[str, typer.Argument(help="Name of a source that no DAG file declares any more.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    because: Because = "",
    json: Json = False,
) -> None:
    """Hide all documents of a source at once, remove them, and print a receipt."""
    with open_runtime(quiet=json) as runtime:
        ledger = runtime.ledger
        approvals.require(ledger, runtime.settings, me(), f"retirement of {name}")
        refuse_declared(ledger, name)
        if not yes:
            n = documents.count_visible(ledger, name)
            ask_once(
                f"Hide and remove all {n:,} visible documents of {name}?",
                ErasureRefused(
                    f"nothing was retired: give the same command with --yes to remove {n:,} documents of {name}"
                ),
                ErasureRefused("nothing was retired"),
                json,
            )
        retiring.begin(ledger, name, me(), because)  # before the index is called: from here on nobody finds them
        with opened_index(runtime) as index:
            done = remove(runtime, index, name)
    if json:
        typer.echo(render.as_json(done))
        return
    for receipt in done:
        out.print(
            f"{name} is retired: {len(receipt.documents):,} documents are gone; {render.counted(receipt.removed)} "
            f"removed\n`moat erase verify {receipt.id}` looks again, as long as no source of this name is loaded"
        )
    if not done:
        out.print(f"{name} is retired: nothing of it is left")
