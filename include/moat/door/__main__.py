"""`python -m moat.door`: the command `moat door` where only the door is installed."""

import logging
import os
import sys
from typing import Annotated

import typer

from moat.errors import FatalError, MoatError
from moat.settings import Settings

As = Annotated[
    str,
    typer.Option("--as", help="For development, on loopback only: whoever sends no token asks as this person."),
]
Port = Annotated[int | None, typer.Option(min=1, max=65_535, help="Port, instead of MOAT_DOOR_PORT.")]


def door(person: As = "", port: Port = None) -> None:
    """Serve search over HTTP and MCP: each asker is answered by their JWT, with what they may read."""
    from moat.door.serve import serve, url_of

    settings = Settings.load()
    settings = settings.model_copy(update={"door_port": port}) if port else settings
    url = url_of(settings, person)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if person:
        typer.echo(f"Development: whoever reaches {url} without a token asks as {person}.", err=True)
    elif not settings.jwt_issuer:
        typer.echo("No JWT is taken yet: set MOAT_JWT_ISSUER, MOAT_JWT_AUDIENCE and MOAT_JWT_JWKS.", err=True)
    typer.echo(f"The door answers at {url}; /openapi.json describes it.", err=True)
    serve(settings, person)


if __name__ == "__main__":
    os.umask(0o077)
    try:
        typer.run(door)
    except MoatError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        sys.exit(1 if isinstance(error, FatalError) else 75)
