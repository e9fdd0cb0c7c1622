"""moat access sync, state, held, release, reject."""

from typing import Annotated

import typer

from moat.airflow_api import answer_hold
from moat.cli import render
from moat.cli.shared import Because, Json, Number, me, open_runtime, opened_ledger, out, raise_all
from moat.dagfile import declared, source_named
from moat.errors import MoatError
from moat.ledger import access, holds, projection
from moat.ledger.holds import Hold
from moat.maintenance.access_sync import SyncedAccess, report, settle, summary, sync_access, undeclared

access_app = typer.Typer(no_args_is_help=True, help="Read who may read what, and decide held changes.")


def add(app: typer.Typer) -> None:
    app.add_typer(access_app, name="access")
    for command in (access_sync, access_state, access_held, access_release, access_reject):
        access_app.command(command.__name__.removeprefix("access_"))(command)


def access_sync(source: Annotated[str | None, typer.Argument()] = None, json: Json = False) -> None:
    """Sync access of one source, or of all loaded ones, to ledger and index."""
    synced, broken = list[SyncedAccess](), list[MoatError]()
    with open_runtime(quiet=json) as runtime:
        if source:
            wanted = [source_named(source)]
        else:
            found, loaded = declared(), set(projection.sources(runtime.ledger))
            broken += found.broken.values()
            undeclared(runtime, found.sources)
            wanted = [one for one in found.sources.values() if one.name in loaded]
        for one in wanted:
            try:
                synced.append(sync_access(runtime, one, me()))
            except MoatError as error:  # revocations of other sources do not wait for this one
                broken.append(error)
    if json:
        typer.echo(render.as_json(synced))
    for each in () if json else synced:
        out.print(summary(each))
        if each.hold is not None:
            out.print(
                f"`moat access held {each.hold}` shows what waits, `moat access release {each.hold}` lets it through"
            )
    if not synced and not broken and not json:
        out.print("no source is loaded yet")
    raise_all(broken)


def access_state(json: Json = False) -> None:
    """Show when each source's access was last read, and the error if it failed."""
    with opened_ledger() as ledger:
        found = access.states(ledger)
    if json:
        typer.echo(render.as_json(found))
    else:
        render.table(
            out,
            ("source", "access read", "fails since", "masked from", "error"),
            ((s.source, s.read_at, s.failed_at, s.until, s.error) for s in found),
            "no source is loaded yet",
        )


def access_held(
    number: Annotated[int | None, typer.Argument(metavar="[ID]")] = None,
    every: Annotated[bool, typer.Option("--all", help="Include decided ones.")] = False,
    json: Json = False,
) -> None:
    """List held access changes; with an ID, show one."""
    with opened_ledger() as ledger:
        found = [holds.get(ledger, number)] if number else holds.listing(ledger, None if every else "waiting")
    if json:
        typer.echo(render.as_json(found))
    elif number:
        out.print(report(found[0]))
    else:
        render.table(
            out,
            ("hold", "what", "of", "state", "since", "decided by", "reason"),
            ((h.id, h.kind, h.subject, h.state, h.opened_at, h.decided_by, h.reason) for h in found),
            "nothing waits",
        )


def access_release(number: Number, because: Because = "", json: Json = False) -> None:
    """Release a held access change, as far as it is still the same."""
    _settled(number, True, because, json)


def access_reject(number: Number, because: Because = "", json: Json = False) -> None:
    """Reject a held access change, for as long as it is requested."""
    _settled(number, False, because, json)


def _settled(number: int, let: bool, because: str, json: bool) -> None:
    with open_runtime(quiet=json) as runtime:
        hold: Hold = settle(runtime, number, let, me(), because)
        if (
            runtime.settings.airflow_url and hold.state != "waiting"
        ):  # else Airflow's answer would be the second person's
            answer_hold(runtime.settings, number, "Release" if let else "Reject", because)
    typer.echo(render.as_json(hold)) if json else out.print(
        f"hold {hold.id} ({hold.kind} of {hold.subject}) is {hold.state}"
        + (": a second person has to release it too" if let and hold.state in ("waiting", "rejected") else "")
    )
