"""The `moat` command. Each command prints for people, or JSON with --json."""

import os
import signal
import sys
from typing import NoReturn

import typer
from rich.markup import escape

from moat.cli import (
    access,
    audit,
    backup,
    directories,
    documents,
    erase,
    incidents,
    loads,
    metrics,
    rollback,
    run,
    sources,
)
from moat.cli.shared import err
from moat.errors import FatalError, MoatError
from moat.settings import environment

OF_AIRFLOW = ("AIRFLOW_CONN_", "AIRFLOW_HOME")  # of the state folder's variables, those that Airflow reads
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Keeps a Weaviate knowledge base in step with documents and warehouse rows.",
)
for commands in (
    run,
    metrics,
    documents,
    loads,
    rollback,
    incidents,
    audit,
    erase,
    directories,
    access,
    sources,
    backup,
):
    commands.add(app)


def _stopped(number: int, frame: object) -> NoReturn:
    """End as by an error, so that what a command holds is given up."""
    raise SystemExit(f"stopped by {signal.Signals(number).name}")


def main() -> None:
    """Entry point of the console script; prints Moat's errors as one line."""
    signal.signal(signal.SIGTERM, _stopped)
    os.umask(0o077)  # what a command writes lies in the state folder, or holds texts
    os.environ.update({name: value for name, value in environment().items() if name.startswith(OF_AIRFLOW)})
    try:
        app()
    except MoatError as error:
        err.print(f"[bold red]{type(error).__name__}[/]: {escape(str(error))}", markup=True)
        sys.exit(1 if isinstance(error, FatalError) else 75)  # 75: EX_TEMPFAIL, retrying may succeed
