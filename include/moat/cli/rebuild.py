"""moat rebuild."""

from typing import Annotated

import typer

from moat.cli import render
from moat.cli.shared import Json, ask_once, me, open_runtime, out
from moat.errors import LoadRefused
from moat.ledger import approvals, documents, projection, rebuilds
from moat.runtime import Runtime


def add(app: typer.Typer) -> None:
    app.command()(rebuild)


def rebuild(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False,
    drop: Annotated[
        bool, typer.Option("--drop", help="Give up a rebuild that did not end, and remove its copy.")
    ] = False,
    json: Json = False,
) -> None:
    """Write the index anew from the ledger, beside the old one, and swap; goes on where it was broken off."""
    from moat.maintenance import rebuild as rebuilding

    with open_runtime(quiet=json) as runtime:
        approvals.require(runtime.ledger, runtime.settings, me(), "rebuild of the index")
        if drop:
            gone = rebuilding.drop(runtime, me())
            typer.echo(render.as_json({"removed": gone})) if json else out.print(
                f"given up; {', '.join(gone) or 'no collection'} removed"
            )
            return
        if not yes:
            _confirm(runtime, json)
        made = rebuilding.rebuild(runtime, me())
    typer.echo(render.as_json(made)) if json else out.print(
        f"searches read {made.collection}: {made.chunks:,} chunks, {made.written:,} of them written now, in {made.seconds:,.0f} s"
    )


def _confirm(runtime: Runtime, json: bool) -> None:
    names = projection.sources(runtime.ledger)
    n = sum(documents.count_visible(runtime.ledger, name) for name in names)
    begun = rebuilds.under_way(runtime.ledger)
    what = (
        f"{begun}: it goes on"
        if begun is not None
        else f"{n:,} documents of {len(names):,} sources are written from the ledger into a new collection, beside the old one"
    )
    ask_once(
        f"{what}. Weaviate needs room for both until the end; searches read the old one meanwhile\nRebuild the index?",
        LoadRefused(f"nothing was rebuilt yet: {what}. `moat rebuild --yes` does it without asking"),
        LoadRefused("the index stays as it is"),
        json,
    )
