"""moat access sync, state, held, release, reject, passes, revert."""

from typing import Annotated

import typer

from moat.airflow_api import answer_hold
from moat.cli import render
from moat.cli.shared import Because, Json, Limit, Number, OfSource, me, open_runtime, opened_ledger, out, raise_all
from moat.dagfile import all_directories
from moat.errors import DeclarationError, MoatError
from moat.ledger import access, holds, passes, projection
from moat.ledger.holds import Hold
from moat.ledger.passes import Pass
from moat.maintenance import revert_swap
from moat.maintenance.access_sync import SyncedAccess, report, settle, summary, sync_access, undeclared
from moat.maintenance.revert import Reverted, planned, revert
from moat.owners import source_of, sources_of
from moat.runtime import Runtime
from moat.settings import Settings
from moat.source import Source

access_app = typer.Typer(no_args_is_help=True, help="Read who may read what, and decide held changes.")


def add(app: typer.Typer) -> None:
    app.add_typer(access_app, name="access")
    own = (access_sync, access_state, access_held, access_release, access_reject, access_passes, access_revert)
    for command in own:
        access_app.command(command.__name__.removeprefix("access_"))(command)


def access_sync(source: OfSource = None, json: Json = False) -> None:
    """Sync access of one source, or of all loaded ones, to ledger and index."""
    synced, broken = list[SyncedAccess](), list[MoatError]()
    with open_runtime(quiet=json) as runtime:
        if source:
            wanted = [source_of(runtime.ledger, source)]
        else:
            found = sources_of(runtime.ledger)
            loaded = set(projection.sources(runtime.ledger))
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
        if each.number:
            out.print(f"`moat access revert {each.number}` takes back what it let in")
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
    number: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="Number of one hold; without it, all are listed.")
    ] = None,
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


def access_passes(source: OfSource = None, limit: Limit = 20, json: Json = False) -> None:
    """List the newest passes that let somebody in: of access sync, and swaps of directories."""
    with opened_ledger() as ledger:
        found = passes.listing(ledger, source, limit)
    if json:
        typer.echo(render.as_json(found))
    else:
        render.table(
            out,
            ("pass", "of", "at", "by", "let in", "taken back", "by whom"),
            ((p.id, _of(p), p.at, p.by, _let_in(p), p.reverted_at, p.reverted_by) for p in found),
            "no pass has let anybody in",
        )


def access_revert(
    number: Annotated[int, typer.Argument(metavar="PASS", help="Number of the pass, from `moat access passes`.")],
    because: Because = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be taken back.")] = False,
    json: Json = False,
) -> None:
    """Take back what one pass let in; it opens again only when a person releases it."""
    if dry_run:
        with opened_ledger() as ledger:
            swap = passes.get(ledger, number).kind == "directory"
            plan, recorded = revert_swap.planned if swap else planned, Settings.load().record_answers
            found = plan(ledger, number, recorded)
    else:
        with open_runtime(quiet=json) as runtime:
            if passes.get(runtime.ledger, number).kind == "directory":
                found = revert_swap.revert(runtime, number, me(), because)
            else:
                found = revert(runtime, _declared(runtime, number), number, me(), because)
    if json:
        typer.echo(render.as_json(found))
        return
    _listed(found, "would be taken back" if dry_run else "are taken back")
    if found.read_by:
        out.print(found.read_by)
    if found.taken and not dry_run:
        if found.kind == "directory" and found.source not in all_directories().directories:
            out.print(f"The groups of {found.source} are kept by hand: whoever loads them again lets it in")
            return
        shown = (
            f"`moat access held {found.hold}` shows it, `moat access release {found.hold}` lets it in"
            if found.hold is not None
            else f"the next {_sync(found)} holds it, and `moat access held` shows it"
        )
        these = "of these members" if found.kind == "directory" else "for these documents"
        out.print(f"What {found.source} still asks {these} waits for a person: {shown}")


def _sync(found: Reverted) -> str:
    return (
        f"`moat directory sync {found.source}`" if found.kind == "directory" else f"`moat access sync {found.source}`"
    )


def _of(one: Pass) -> str:
    return f"directory {one.source}" if one.kind == "directory" else one.source


def _let_in(one: Pass) -> str:
    return f"{one.documents:,} {'members' if one.kind == 'directory' else 'documents'}"


def _declared(runtime: Runtime, number: int) -> Source | None:
    """The source of a pass, as a DAG file declares it; None where none does, which keeps no revert waiting."""
    try:
        return source_of(runtime.ledger, passes.get(runtime.ledger, number).source)
    except DeclarationError as error:
        runtime.progress(str(error))
        return None


def _listed(found: Reverted, are: str) -> None:
    if found.kind == "directory":
        out.print(
            f"pass {found.number} of directory {found.source}, {found.at}, by {found.by}: {len(found.taken):,} memberships "
            f"{are}, of {found.people:,} people"
        )
        render.table(
            out, ("membership", "stays, because"), ((one.key, one.stays) for one in (*found.taken, *found.stays)), ""
        )
        return
    out.print(
        f"pass {found.number} of {found.source}, {found.at}, by {found.by}: {len(found.taken):,} documents {are}, from "
        f"{found.people:,} people who read them since"
    )
    if found.taken:
        rows = ((one.key, one.since, one.before) for one in found.taken)
        render.table(out, ("document", "read since by", "before by"), rows, "")
    if found.stays:
        out.print(f"{len(found.stays):,} documents stay as they are:")
        render.table(out, ("document", "why"), ((one.key, one.stays) for one in found.stays), "")
