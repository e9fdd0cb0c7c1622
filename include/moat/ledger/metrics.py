"""The numbers behind the metrics, per source, by a few grouped queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from moat.ledger import Ledger
from moat.ledger.documents import visible
from moat.ledger.tables import check_result, document, incident, load, quarantine, revision, source, spent

READ_WHOLE = ("promoted", "unchanged")  # states of loads that read their source to the end


class Numbered(NamedTuple):
    """A number of one source, with one or two labels."""

    source: str
    by: tuple[str, ...]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """All counts at one moment. Times are absolute; the caller computes ages."""

    loads: tuple[Numbered, ...]  # by state
    held: tuple[Numbered, ...]  # by what they wait for
    newest: Mapping[str, Mapping[str, int]]  # of each source's newest load that read something
    failed: tuple[Numbered, ...]  # failed checks of the newest judged load, by severity
    spent: tuple[Numbered, ...]  # seconds by stage
    tokens: tuple[Numbered, ...]  # given to the model, by stage
    incidents: tuple[Numbered, ...]  # unresolved, by severity and state
    quarantined: tuple[Numbered, ...]  # by stage and error
    read_at: Mapping[str, datetime]
    promoted_at: Mapping[str, datetime]
    access_read_at: Mapping[str, datetime]


def totals(ledger: Ledger) -> Totals:
    """The numbers of this tenant. Independent of the number of documents, except for quarantine."""
    mine = load.c.tenant == ledger.tenant
    aside = (quarantine.c.tenant == ledger.tenant, quarantine.c.state != "resolved")
    open_ = (incident.c.tenant == ledger.tenant, incident.c.state != "resolved")
    in_use = (source.c.tenant == ledger.tenant, source.c.retired_at.is_(None))
    aging = (mine, load.c.source.in_(select(source.c.name).where(*in_use)))  # a retired source has no age
    with ledger.read() as connection:
        held = func.coalesce(load.c.held_for, "gate")
        return Totals(
            loads=_grouped(connection, load.c.source, (load.c.state,), mine),
            held=_grouped(connection, load.c.source, (held,), mine, load.c.state == "held"),
            newest=_newest(connection, ledger),
            failed=_failed(connection, ledger),
            spent=_spent(connection, ledger, func.sum(spent.c.seconds)),
            tokens=_spent(connection, ledger, func.sum(spent.c.tokens)),
            incidents=_grouped(connection, incident.c.source, (incident.c.severity, incident.c.state), *open_),
            quarantined=_grouped(connection, quarantine.c.source, (quarantine.c.stage, quarantine.c.error), *aside),
            read_at=_moments(connection, func.max(load.c.opened_at), *aging, load.c.state.in_(READ_WHOLE)),
            promoted_at=_moments(connection, func.max(load.c.ended_at), *aging, load.c.state == "promoted"),
            access_read_at={
                name: at
                for name, at in connection.execute(select(source.c.name, source.c.access_read_at).where(*in_use))
                if at is not None
            },
        )


def last_read(ledger: Ledger) -> dict[str, datetime]:
    """When each source was last read to its end, also if nothing of it had changed."""
    mine = (load.c.tenant == ledger.tenant, load.c.state.in_(READ_WHOLE))
    with ledger.read() as connection:
        return _moments(connection, func.max(load.c.opened_at), *mine)


def in_sight(ledger: Ledger) -> dict[str, tuple[int, int]]:
    """Visible documents and chunks by source; scans every revision."""
    query = (
        select(document.c.source, func.count(), func.sum(revision.c.n_chunks))
        .join(revision, revision.c.document_id == document.c.id)
        .where(document.c.tenant == ledger.tenant, visible(revision))
        .group_by(document.c.source)
    )
    with ledger.read() as connection:
        return {name: (int(documents), int(chunks)) for name, documents, chunks in connection.execute(query)}


def _grouped(connection: Connection, name: Any, by: tuple[Any, ...], *where: Any) -> tuple[Numbered, ...]:
    query = select(name, *by, func.count()).where(*where).group_by(name, *by).order_by(name, *by)
    return tuple(Numbered(row[0], tuple(row[1:-1]), row[-1]) for row in connection.execute(query))


def _spent(connection: Connection, ledger: Ledger, what: Any) -> tuple[Numbered, ...]:
    query = select(load.c.source, spent.c.stage, what).join(load, load.c.id == spent.c.load_id)
    query = query.where(load.c.tenant == ledger.tenant).group_by(load.c.source, spent.c.stage)
    rows = connection.execute(query.order_by(load.c.source, spent.c.stage))
    return tuple(Numbered(name, (stage,), float(value)) for name, stage, value in rows)


def _newest(connection: Connection, ledger: Ledger) -> dict[str, dict[str, int]]:
    """Counts of each source's newest load, in any state, once it has read."""
    last = (
        select(func.max(load.c.id))
        .where(load.c.tenant == ledger.tenant, load.c.state.not_in(("abandoned", "open")))
        .group_by(load.c.source)
    )
    query = select(load.c.source, load.c.counts).where(load.c.id.in_(last))
    return {name: dict(counts or {}) for name, counts in connection.execute(query)}


def _failed(connection: Connection, ledger: Ledger) -> tuple[Numbered, ...]:
    """Failed checks of each source's newest judged load; none if all passed."""
    judged = (
        select(func.max(load.c.id))
        .join(check_result, check_result.c.load_id == load.c.id)
        .where(load.c.tenant == ledger.tenant)
        .group_by(load.c.source)
    )
    query = (
        select(load.c.source, check_result.c.severity, func.count())
        .join(check_result, check_result.c.load_id == load.c.id)
        .where(load.c.id.in_(judged), ~check_result.c.passed, check_result.c.judged)
        .group_by(load.c.source, check_result.c.severity)
    )
    return tuple(Numbered(name, (severity,), n) for name, severity, n in connection.execute(query))


def _moments(connection: Connection, moment: Any, *where: Any) -> dict[str, datetime]:
    query = select(load.c.source, moment).where(*where).group_by(load.c.source)
    return {name: at for name, at in connection.execute(query) if at is not None}
