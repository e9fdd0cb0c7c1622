"""moat audit verify, tail, export."""

import os
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from moat.cli import render
from moat.cli.shared import Json, err, opened_ledger, out
from moat.ledger import audit

audit_app = typer.Typer(no_args_is_help=True, help="Show and verify the audit, a hash chain of who did what.")


def add(app: typer.Typer) -> None:
    app.add_typer(audit_app, name="audit")
    for command in (verify, tail, export):
        audit_app.command()(command)


def verify(
    head: Annotated[str | None, typer.Option(help="Hash noted earlier that must be in the chain.")] = None,
    json: Json = False,
) -> None:
    """Verify every row and the chain; an error names the first invalid row."""
    with opened_ledger() as ledger:
        found = audit.verify(ledger, head, (lambda line: None) if json else err.print)
    typer.echo(render.as_json(found)) if json else out.print(
        f"{found.rows:,} rows hold; the newest has hash {found.head or 'none'}\n"
        "write it down outside of the ledger: `moat audit verify --head` finds a chain that was written anew"
    )


def tail(
    n: Annotated[int, typer.Option("-n", min=1, help="Number of rows.")] = 20,
    action: Annotated[str | None, typer.Option(help="Only this action, such as promote, reject or erase.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only this actor.")] = None,
    json: Json = False,
) -> None:
    """Show the newest rows, newest last."""
    with opened_ledger() as ledger:
        found = audit.tail(ledger, n, action, actor)
    if json:
        typer.echo(render.as_json(found))
    else:
        render.table(
            out,
            ("row", "at", "who", "did", "to", "with"),
            (
                (e.id, e.at, e.actor, e.action, e.subject, ", ".join(f"{k}: {v}" for k, v in e.detail.items()))
                for e in found
            ),
            "no row of the audit matches",
        )


def export(
    file: Annotated[str, typer.Argument(help="Output file; - is standard output.")],
    since: Annotated[datetime | None, typer.Option(help="Only rows from this time on, UTC.")] = None,
    json: Json = False,
) -> None:
    """Write the rows as JSON lines with hashes; `include/moat/ledger/audit.py` shows how to verify them."""
    if json and file == "-":
        raise typer.BadParameter("the lines are JSON already; --json is for the sum that follows a file")
    n, head, draft = 0, "", Path(f"{file}.part")
    opened = nullcontext(sys.stdout) if file == "-" else draft.open("w", encoding="utf-8")
    with opened_ledger() as ledger, opened as sink:
        for entry in audit.rows(ledger, since.replace(tzinfo=UTC) if since else None):
            sink.write(audit.exported(entry) + "\n")
            n, head = n + 1, entry.hash
            if n % audit.TELL_EVERY == 0:
                err.print(f"audit: {n:,} rows written")
    if file != "-":
        os.replace(draft, file)  # complete or not at all
    typer.echo(render.as_json({"file": file, "rows": n, "head": head})) if json else err.print(
        f"{n:,} rows; the newest has hash {head or 'none'}"
    )
