"""moat directory sync, list, remove."""

from typing import Annotated, Any

import typer

from moat.cli import render
from moat.cli.shared import Json, me, open_runtime, opened_ledger, out, raise_all
from moat.dagfile import all_directories, directory_named
from moat.directories.sync import SyncedDirectory
from moat.errors import FatalError, MoatError
from moat.ledger.members import DirectoryState, directories
from moat.maintenance.swaps import load_members, sync_directory

directory_app = typer.Typer(no_args_is_help=True, help="Read and list directories of people and groups.")


def add(app: typer.Typer) -> None:
    app.add_typer(directory_app, name="directory")
    directory_app.command("sync")(directory_sync)
    directory_app.command("list")(directory_list)
    directory_app.command("remove")(directory_remove)


def directory_sync(
    name: Annotated[str | None, typer.Argument(help="Only this directory; without it, every one.")] = None,
    json: Json = False,
) -> None:
    """Read one directory, or all, and replace its groups in the ledger."""
    synced, broken = list[SyncedDirectory](), list[MoatError]()
    if name:
        wanted = [directory_named(name)]
    else:
        found = all_directories()
        wanted, broken = list(found.directories.values()), list(found.broken.values())
    with open_runtime(quiet=json) as runtime:
        for directory in wanted:
            try:
                synced.append(sync_directory(runtime, directory, me()))
            except MoatError as error:  # other directories do not wait for this one
                broken.append(error)
    if json:
        typer.echo(render.as_json(synced))
    else:
        render.table(
            out,
            ("directory", "is", "groups", "memberships", "left out", "hold"),
            ((s.directory, s.outcome, s.n_groups, s.n_memberships, s.n_left_out, s.hold) for s in synced),
            "" if broken else "no DAG file declares a directory",
        )
        for one in synced:
            if one.number:
                out.print(f"{one.directory}: `moat access revert {one.number}` takes back who came")
            if not one.passed:
                out.print(f"{one.directory}: {one.reason}\n`moat access release {one.hold}` lets it pass")
    raise_all(broken)
    if not all(one.passed for one in synced):
        raise typer.Exit(3)


def directory_list(json: Json = False) -> None:
    """List every directory, declared or in the ledger."""
    found = all_directories()
    declared = found.directories
    with opened_ledger() as ledger:
        states = {state.name: state for state in directories(ledger)}
    if json:
        names = sorted({*declared, *states})
        typer.echo(render.as_json([{"name": n, "declared": n in declared, "state": states.get(n)} for n in names]))
    else:
        render.table(
            out,
            ("directory", "reader", "groups", "memberships", "last read", "fails since", "error"),
            (_row(name, declared, states.get(name)) for name in sorted({*declared, *states})),
            "" if found.broken else "no DAG file declares a directory, and none was loaded",
        )
    raise_all(list(found.broken.values()))


def _row(name: str, declared: dict[str, Any], state: DirectoryState | None) -> tuple[object, ...]:
    reader = type(declared[name].reader).__name__ if name in declared else "kept by hand"
    if state is None:
        return name, reader, 0, 0, "never", None, None
    return name, reader, state.n_groups, state.n_memberships, state.read_at, state.failed_at, state.error


def directory_remove(name: Annotated[str, typer.Argument(help="Name of the directory.")], json: Json = False) -> None:
    """Empty an undeclared directory, so that searches stop waiting for it."""
    found = all_directories()
    raise_all(list(found.broken.values()))  # one of these may declare it
    if name in found.directories:
        raise FatalError(f"a DAG file declares directory {name}, which would bring it back: take it out there first")
    with open_runtime(quiet=json) as runtime:
        state = {state.name: state for state in directories(runtime.ledger)}.get(name)
        if state is None:
            raise FatalError(f"the ledger has no directory {name}; `moat directory list` shows those that it has")
        load_members(runtime, name, {}, me())
    typer.echo(render.as_json({"memberships": state.n_memberships})) if json else out.print(
        f"{state.n_memberships:,} memberships of {name} are gone"
    )
