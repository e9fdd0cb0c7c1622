"""Shared by all commands: consoles, options, access to ledger and runtime."""

import os
import pwd
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from typing import Annotated

import typer
from rich.console import Console

from moat.connections import Connections
from moat.errors import FatalError, MoatError
from moat.ledger import Ledger, loads
from moat.ledger.former_names import name_now
from moat.owners import sources_of
from moat.runtime import Runtime
from moat.settings import PROJECT, Settings

WIDE = 240  # columns without a terminal: nothing is cut off in a pipe
# Document text is printed unchanged: markup is interpreted only where a line says markup=True.
out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Because = Annotated[str, typer.Option("--because", help="Reason, recorded in the audit.")]
STRANGE = re.compile(r"[^\w.@+-]")  # in a name that the environment claims
Number = Annotated[int, typer.Argument(metavar="ID", help="Number, as the commands that list it print it.")]
Name = Annotated[str, typer.Argument(metavar="SOURCE", help="Name of the source.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="Key of the document, as searches and loads print it.")]
OfSource = Annotated[str | None, typer.Argument(help="Only this source; without it, every source.")]
Limit = Annotated[int, typer.Option(min=1, help="At most this many, the newest first.")]


def me() -> str:
    """Who runs the command, as recorded in the audit: the account, and beside it who it claims to be.

    The account is the system's, whatever the environment says; `sudo` and LOGNAME only claim.
    """
    uid = os.geteuid()
    try:
        account = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container may run as a number that has no name
        account = f"uid-{uid}"
    claimed = [os.environ.get(name, "") for name in ("SUDO_USER", "LOGNAME", "USER")]
    other = next((name for name in claimed if name and name != account), "")
    return f"cli:{account}" + (f" (claims {STRANGE.sub('?', other)[:64]})" if other else "")


def connections() -> Connections:
    """Airflow's connections, those made in its UI too, so that a source uses the same ones as its DAG."""
    for folder in ("plugins", "dags"):
        if str(PROJECT / folder) not in sys.path:
            sys.path.append(str(PROJECT / folder))
    # Airflow logs its hooks on standard output, which is for the command's result.
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
    found: Connections = import_module("moat_connections").AirflowConnections(outside=True)
    return found


@contextmanager
def open_runtime(quiet: bool = False) -> Iterator[Runtime]:
    runtime = Runtime.open(connections(), progress=(lambda line: None) if quiet else err.print)
    try:
        yield runtime
    finally:
        runtime.close()


@contextmanager
def opened_ledger() -> Iterator[Ledger]:
    ledger = Ledger.open(Settings.load())
    try:
        yield ledger
    finally:
        ledger.close()


def known_source(ledger: Ledger, name: str) -> str:
    """The name of a source that is declared or was loaded. Raises FatalError with the nearest names."""
    loaded = loads.sources(ledger)
    if name in loaded:
        return name
    if (now := name_now(ledger, name)) != name:  # its DAG file may declare the old name still
        raise FatalError(f"source {name} was renamed and is called {now} now")
    there = sorted({*loaded, *sources_of(ledger).sources})
    if name in there:
        return name
    near = get_close_matches(name, there, 1, 0.6)
    raise FatalError(
        f"there is no source {name!r}, neither in dags/ nor in the ledger; "
        + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(there) or 'none'}.")
    )


def ask_once(question: str, alone: MoatError, no: MoatError, json: bool = False) -> None:
    """Ask a person on the terminal.

    Args:
        question: The question, on standard error.
        alone: What is raised where nobody can answer: without a terminal, or with --json.
        no: What is raised for a no.
        json: Whether the output is for a program.
    """
    if json or not sys.stdin.isatty():
        raise alone
    if not typer.confirm(question, err=True):
        raise no


def raise_all(errors: Sequence[MoatError]) -> None:
    """Print every error but the last, and raise that one."""
    for error in errors[:-1]:
        err.print(f"{type(error).__name__}: {error}")
    if errors:
        raise errors[-1]
