"""moat backup, restore and fingerprint."""

from typing import Annotated

import typer

from moat.cli import render
from moat.cli.shared import Json, OfSource, connections, err, known_source, me, open_runtime, opened_ledger, out
from moat.ledger import Ledger
from moat.maintenance import backup as copies
from moat.maintenance.fingerprint import fingerprints
from moat.runtime import Progress, staging_at, staging_of
from moat.settings import Settings

Conn = Annotated[
    str,
    typer.Option("--conn", help="Connection with the keys of an s3:// place; without it, those of the environment."),
]


def add(app: typer.Typer) -> None:
    for command in (backup, restore, fingerprint):
        app.command()(command)


def backup(
    to: Annotated[str, typer.Argument(metavar="TO", help="A new folder, or s3://bucket/prefix.")],
    conn: Conn = "",
    json: Json = False,
) -> None:
    """Copy ledger and staging to a new folder or to S3, while loads go on."""
    with open_runtime(quiet=json) as runtime:
        target = staging_at(to, conn, runtime.connections)
        made = copies.backup(runtime.ledger, runtime.staging, target, runtime.progress)
    if json:
        typer.echo(render.as_json(made))
        return
    out.print(f"{to} holds {made.rows:,} rows of the ledger and {made.files:,} files of staging")


def restore(
    source: Annotated[str, typer.Argument(metavar="FROM", help="Folder or s3:// place of a backup.")],
    conn: Conn = "",
    json: Json = False,
) -> None:
    """Bring a backup into an empty ledger and staging area, and compare the fingerprints."""
    settings, found = Settings.load(), connections()
    ledger = Ledger(settings.ledger, settings.tenant)
    progress: Progress = (lambda line: None) if json else err.print
    try:
        made = copies.restore(
            ledger, staging_of(settings, found), staging_at(source, conn, found), actor=me(), progress=progress
        )
    finally:
        ledger.close()
    if json:
        typer.echo(render.as_json(made))
        return
    out.print(f"restored as of {made.made_at}: every fingerprint is as it was")
    out.print("what was erased after that is there again: erase it again before anybody searches (`moat erase`)")
    out.print("then `moat reconcile --repair` makes the index agree with the ledger")


def fingerprint(source: OfSource = None, json: Json = False) -> None:
    """Print one hash of what people can find, by source: equal for equal documents and access."""
    with opened_ledger() as ledger:
        found = fingerprints(ledger, known_source(ledger, source) if source else None)
    if json:
        typer.echo(render.as_json(found))
        return
    render.table(
        out, ("source", "chunks", "fingerprint"), [(f.source, f.chunks, f.hash) for f in found], "nothing is visible"
    )
