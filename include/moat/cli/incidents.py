"""moat incidents, incident show, ack, resolve, event."""

from collections.abc import Iterator
from typing import Annotated, Literal

import typer
from rich.text import Text

from moat.cli import render
from moat.cli.shared import (
    Because,
    Json,
    Number,
    OfSource,
    known_source,
    me,
    open_runtime,
    opened_ledger,
    out,
)
from moat.errors import FatalError
from moat.incidents.freshness import format_span
from moat.ledger import Ledger, approvals, incidents, measures
from moat.ledger.incidents import Happening, Incident
from moat.settings import Settings

Source = Annotated[str | None, typer.Option(help="Only this source.")]
incident_app = typer.Typer(no_args_is_help=True, help="One incident.")
COLOURS = {"warn": "yellow", "hold": "yellow", "block": "red"}


def add(app: typer.Typer) -> None:
    app.command("incidents")(incidents_)
    app.add_typer(incident_app, name="incident")
    incident_app.command("show")(incident_show)
    incident_app.command("ack")(incident_ack)
    incident_app.command("resolve")(incident_resolve)
    app.command()(event)


def incidents_(
    source: Source = None,
    every: Annotated[bool, typer.Option("--all", help="Include resolved ones.")] = False,
    json: Json = False,
) -> None:
    """List incidents, newest first."""
    with opened_ledger() as ledger:
        found = incidents.listing(ledger, _known(ledger, source), every)
    if json:
        typer.echo(render.as_json([_plain(one) for one in found]))
        return
    render.narrow(
        out,
        ("id", "source", "stage", "state", "severity", "load", "since", "what"),
        (
            (i.id, i.source, i.stage, i.state, Text(i.severity, COLOURS[i.severity]), i.load_id, i.happened_at, i.title)
            for i in found
        ),
        "no incident" if every else "no incident is open",
    )


def incident_show(number: Number, json: Json = False) -> None:
    """Show an incident: causes, reach, commands that mend it, and all failures."""
    with opened_ledger() as ledger:
        one, happened = incidents.get(ledger, number), incidents.happenings(ledger, number)
    if json:
        typer.echo(render.as_json({**_plain(one), "happenings": happened}))
        return
    for line in _told(one):
        out.print(line)
    render.narrow(
        out,
        ("stage", "what", "times", "last", "message"),
        ((h.stage, f"{h.kind} {h.subject}", h.n, h.last_at, _short(h)) for h in happened),
        "",
    )


def incident_ack(number: Number, because: Because = "", json: Json = False) -> None:
    """Acknowledge an incident: further failures join it silently."""
    _decided(number, "acknowledge", because, json)


def incident_resolve(number: Number, because: Because = "", json: Json = False) -> None:
    """Resolve an incident; the next failure opens another.

    A promoted load resolves incidents by itself.
    """
    _decided(number, "resolve", because, json)


def event(source: OfSource = None, because: Because = "", json: Json = False) -> None:
    """Declare a permanent change of a source, to learn its bounds anew; without --because, list them."""
    with opened_ledger() as ledger:
        name = _known(ledger, source)
        if because and name is None:
            raise FatalError("an event is about a source: `moat event SOURCE --because …`")
        if because and name is not None:
            approvals.require(ledger, Settings.load(), me(), f"event of {name}")
            made = measures.declare(ledger, name, me(), because)
            typer.echo(render.as_json(made)) if json else out.print(
                f"{name} is another from now on: its bounds are learned from the loads after {made.at:%Y-%m-%d %H:%M} UTC"
            )
            return
        found = measures.events(ledger, name)
    if json:
        typer.echo(render.as_json(found))
    else:
        render.narrow(
            out, ("source", "since", "by", "because"), ((e.source, e.at, e.by, e.because) for e in found), "no event"
        )


def _known(ledger: Ledger, name: str | None) -> str | None:
    """The name of a declared or loaded source. Raises FatalError listing the known names."""
    return known_source(ledger, name) if name is not None else None


def _decided(number: int, step: Literal["acknowledge", "resolve"], because: str, json: bool) -> None:
    from moat.incidents.lifecycle import decide  # brings numpy and httpx, which looking has no use for

    with open_runtime(quiet=True) as runtime:
        one = decide(runtime, number, step, me(), because)
    typer.echo(render.as_json(_plain(one))) if json else out.print(f"incident {number} of {one.source} is {one.state}")


def _plain(one: Incident) -> dict[str, object]:
    fields = {name: getattr(one, name) for name in one.__dataclass_fields__}
    return {**fields, "detect_s": render.seconds(one.to_detect), "mend_s": render.seconds(one.to_mend)}


def _told(one: Incident) -> Iterator[str]:
    """An incident as lines of text."""
    yield f"incident {one.id} of {one.source}: {one.state}, {one.severity}: {one.title}"
    yield (
        f"since {one.happened_at:%Y-%m-%d %H:%M}, noticed after {format_span(one.to_detect)}, at {one.stage}"
        + (f", load {one.load_id}" if one.load_id else "")
        + f"; run {one.run or 'none'}"
    )
    if one.acknowledged_by:
        yield f"acknowledged by {one.acknowledged_by} at {one.acknowledged_at:%Y-%m-%d %H:%M}"
    if one.resolved_by:
        mend = f", {format_span(one.to_mend)} after it began" if one.to_mend else ""
        yield f"resolved by {one.resolved_by}{mend}"
    if one.because:
        yield f"because: {one.because}"
    for n, cause in enumerate(one.detail.get("causes", ()), 1):
        yield f"{n}. {cause['title']} ({cause['name']}, {cause['score']:.0%})"
        yield from (f"   {line}" for line in cause["evidence"])
    reach = one.detail.get("reach")
    if reach:
        yield "reaches " + ", ".join(f"{n:,} {name}" for name, n in reach.items())
    if one.detail.get("commands") and one.state != "resolved":
        yield "what mends it:"
        yield from (f"   {line}" for line in one.detail["commands"])


def _short(h: Happening) -> str:
    text = " ".join(h.message.split())
    return text if len(text) <= 160 else f"{text[:159]}…"
