"""moat door."""

import typer

from moat.door.__main__ import door


def add(app: typer.Typer) -> None:
    app.command()(door)
