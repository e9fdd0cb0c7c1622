"""moat feedback."""

from typing import Annotated

import typer

from moat.cli import render
from moat.cli.shared import Json, Limit, OfSource, known_source, opened_ledger, out
from moat.errors import FatalError
from moat.ledger.feedback import listing


def add(app: typer.Typer) -> None:
    app.command()(feedback)


def feedback(
    source: OfSource = None,
    verdict: Annotated[str | None, typer.Option(help="Only up or down.")] = None,
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List what askers said of passages at the door: up or down, and why."""
    if verdict not in (None, "up", "down"):
        raise FatalError(f"--verdict {verdict}: up or down")
    with opened_ledger() as ledger:
        found = listing(ledger, known_source(ledger, source) if source else None, verdict, limit)  # type: ignore[arg-type]
    if json:
        typer.echo(render.as_json(found))
        return
    rows = ((one.at, one.verdict, one.source, one.key, one.asker, one.why, one.chunk_id) for one in found)
    render.table(out, ("at", "verdict", "source", "key", "asker", "why", "chunk"), rows, "nobody has said anything yet")
