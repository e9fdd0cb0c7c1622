"""moat health."""

import typer
from rich.text import Text

from moat.cli import render
from moat.cli.shared import Json, connections, opened_ledger, out, raise_all
from moat.errors import MoatError
from moat.ledger import history, loads
from moat.maintenance.sources import orphans
from moat.monitoring.health import Health
from moat.monitoring.health import health as standing
from moat.monitoring.installation import (
    Airflows,
    asked_of_airflow,
    directories,
    index_starts_again,
    looked_at,
    open_incidents,
    paused_dags,
    source_troubles,
)
from moat.monitoring.servers import Looked
from moat.owners import sources_of
from moat.settings import Settings


def add(app: typer.Typer) -> None:
    app.command()(health)


def health(json: Json = False) -> None:
    """Show what is wrong: servers, disk, directories, DAGs, and each source; exit with 1 on trouble.

    It waits some seconds for servers that do not answer, and names them.
    """
    settings = Settings.load()
    servers = looked_at(settings, connections)
    parts, every, broken = list(servers.values()), list[Health](), list[MoatError]()
    if servers["ledger"].ok:
        with opened_ledger() as ledger:
            found = sources_of(ledger)
            broken = list(found.broken.values())
            under_way, airflow = history.under_way(ledger), Airflows()
            if settings.airflow_url and servers["airflow"].ok:
                airflow, unasked = asked_of_airflow(settings, found.sources, under_way)
                parts += unasked or [paused_dags(airflow, loads.sources(ledger))]
            parts += [*directories(ledger), open_incidents(ledger)]
            if servers["weaviate"].ok:
                parts.append(index_starts_again(settings, ledger))
            more = source_troubles(ledger, orphans(ledger, found), under_way, airflow)
            every = standing(ledger, found.sources, more=more)
    well = all(one.ok for one in parts) and all(h.well for h in every) and not broken
    if json:
        plain = ({**{n: getattr(h, n) for n in h.__dataclass_fields__}, "age": render.seconds(h.age)} for h in every)
        rows = [{**one, "well": h.well, "trend": h.trend} for one, h in zip(plain, every, strict=True)]
        typer.echo(render.as_json({"well": well, "installation": parts, "sources": rows}))
    else:
        _show(every, servers["ledger"])
        render.narrow(
            out,
            ("", "installation", "found"),
            ((Text("ok", "green") if p.ok else Text("NOT WELL", "red"), p.what, p.found) for p in parts),
            "",
        )
    raise_all(broken)
    if not well:
        raise typer.Exit(1)


def _show(every: list[Health], ledger: Looked) -> None:
    """One row for each source, then what is wrong with it."""
    empty = "no source is declared, and none was ever loaded"
    render.narrow(
        out,
        ("", "source", "fresh", "last load", "age", "held", "aside", "trouble", "documents listed"),
        (
            (
                Text("ok", "green") if h.well else Text("NOT WELL", "red"),
                h.source,
                h.fresh,
                f"{h.last_load} {h.state}" if h.last_load else "",
                h.aged,
                h.held,
                h.quarantined or "",
                ", ".join(map(str, h.incidents)),
                f"{h.trend} {h.listed[-1]:,}" if h.listed else "",
            )
            for h in every
        ),
        empty if ledger.ok else "the sources are not known: the ledger cannot be read",
    )
    for h in every:
        if h.why:
            out.print(f"{h.source}: {h.why}")
