"""moat metrics."""

import typer

from moat.cli import render
from moat.cli.shared import Json, opened_ledger


def add(app: typer.Typer) -> None:
    app.command()(metrics)


def metrics(json: Json = False) -> None:
    """Print the ledger's numbers in Prometheus' text format, such as for its textfile collector."""
    from moat.monitoring.metrics import registry_of, text

    with opened_ledger() as ledger:
        registry = registry_of(ledger)
        if json:
            samples = [sample for metric in registry.collect() for sample in metric.samples]
            typer.echo(render.as_json([{"name": s.name, "labels": s.labels, "value": s.value} for s in samples]))
        else:
            typer.echo(text(registry).decode(), nl=False)
