"""moat audit verify, anchor, tail, export."""

import os
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from moat.cli import render
from moat.cli.shared import Json, err, open_runtime, opened_ledger, out
from moat.ledger import audit
from moat.maintenance import anchors

audit_app = typer.Typer(no_args_is_help=True, help="Show and verify the audit, a hash chain of who did what.")


def add(app: typer.Typer) -> None:
    app.add_typer(audit_app, name="audit")
    for command in (verify, anchor, tail, export):
        audit_app.command()(command)


def verify(
    head: Annotated[str | None, typer.Option(help="Hash noted earlier that must be in the chain.")] = None,
    json: Json = False,
) -> None:
    """Verify every row, the chain and its anchors; an error names the first that is wrong."""
    with open_runtime(quiet=True) as runtime:
        compared = anchors.compare(runtime, head, (lambda line: None) if json else err.print)
    found, missing = compared.verified, compared.missing
    if json:
        told = {"rows": found.rows, "head": found.head, "anchors": compared.anchors, "missing": missing}
        typer.echo(render.as_json(told))
    else:
        out.print(f"{found.rows:,} rows hold; the newest has hash {found.head or 'none'}")
        if compared.anchors:
            out.print(f"{compared.anchors:,} anchors outside of the ledger fit")
        else:
            out.print(
                "no anchor is there: a chain that was written anew is not found without --head, or `moat audit anchor`"
            )
    if missing:
        err.print(f"anchors {', '.join(map(str, missing))} are missing: they were written, and are removed")
        raise typer.Exit(1)


def anchor(json: Json = False) -> None:
    """Write the newest hash outside of the ledger, as the DAG anchor_audit does."""
    with open_runtime(quiet=json) as runtime:
        made = anchors.anchor(runtime)
    typer.echo(render.as_json(made)) if json else out.print(
        f"anchor {made.number} covers {made.rows:,} rows; hash {made.head}" if made else "the audit has no row yet"
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
