"""The `moat` command. Each command prints for people, or JSON with --json."""

import os
import signal
import sys
from collections.abc import MutableMapping
from functools import cache
from importlib import import_module
from typing import Any, NoReturn

import typer
from rich.markup import escape
from typer.core import TyperGroup
from typer.main import get_group

from moat.cli.shared import err
from moat.errors import FatalError, MoatError
from moat.settings import environment

OF_AIRFLOW = ("AIRFLOW_CONN_", "AIRFLOW_HOME")  # of the state folder's variables, those that Airflow reads
COMMANDS = {  # module of each command
    "run": "run",
    "reconcile": "run",
    "doctor": "run",
    "migrate": "run",
    "embedder": "run",
    "metrics": "metrics",
    "search": "documents",
    "count": "documents",
    "door": "door",
    "explain": "documents",
    "loads": "loads",
    "release": "decide",
    "resume": "decide",
    "reject": "decide",
    "rollback": "rollback",
    "rebuild": "rebuild",
    "incidents": "incidents",
    "health": "health",
    "event": "incidents",
    "backup": "backup",
    "restore": "backup",
    "fingerprint": "backup",
    "members": "run",
    "quarantine": "documents",
    "load": "loads",
    "incident": "incidents",
    "audit": "audit",
    "erase": "erase",
    "feedback": "feedback",
    "directory": "directories",
    "access": "access",
    "source": "sources",
}


class _Imported(TyperGroup):
    """Imports the module of a command when it is asked for: no command waits for another's libraries."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _command(cmd_name)

    @property
    def commands(self) -> MutableMapping[str, Any]:
        return {name: _command(name) for name in COMMANDS}

    @commands.setter
    def commands(self, value: MutableMapping[str, Any]) -> None:
        """Click's constructor sets it, to nothing."""


@cache
def _command(name: str) -> Any:
    """The command of this name; None if there is none."""
    if name not in COMMANDS:
        return None
    part = typer.Typer()
    import_module(f"moat.cli.{COMMANDS[name]}").add(part)
    return get_group(part).commands[name]


app = typer.Typer(cls=_Imported, no_args_is_help=True, add_completion=False)


@app.callback()
def moat() -> None:
    """Keeps a Weaviate knowledge base in step with documents and warehouse rows."""


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
