"""Incidents: one per source and stage in trouble.

open -> acknowledged -> resolved

Any number of checks and tasks may fail because of one. A failure joins the incident of its own run:
from a later stage as noise that changes nothing, from an earlier one as the new root. Without one it
joins the incident of the same source and stage, from any run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from moat.errors import IncidentRefused
from moat.ledger import Ledger
from moat.ledger.audit import record
from moat.ledger.tables import incident, incident_event
from moat.records import record_of

State = Literal["open", "acknowledged", "resolved"]
Severity = Literal["warn", "hold", "block"]
STAGES = ("read", "parse", "clean", "chunk", "embed", "gate", "load", "promote")
SEVERITIES = ("warn", "hold", "block")
UNRESOLVED = ("open", "acknowledged")
LONGEST = 2_000  # stored characters of a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One failed check, failed task or late load, with its count."""

    kind: Literal["check", "task", "late"]
    stage: str
    subject: str  # name of the check or task
    message: str
    severity: Severity
    load_id: int | None
    n: int
    first_at: datetime
    last_at: datetime

    @classmethod
    def now(
        cls,
        kind: Literal["check", "task", "late"],
        stage: str,
        said: tuple[str, str],
        severity: Severity,
        load: int | None,
    ) -> "Happening":
        """Create a happening noticed now; `said` is its subject and its message."""
        at = datetime.now(UTC)
        return cls(
            kind=kind,
            stage=stage,
            subject=said[0][:256],
            message=said[1][:LONGEST],
            severity=severity,
            load_id=load,
            n=1,
            first_at=at,
            last_at=at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident as stored in the ledger. `detail` is its diagnosis: causes, reach, commands."""

    id: int
    source: str
    stage: str  # the first bad one
    state: State
    severity: Severity
    title: str
    detail: Mapping[str, Any]
    load_id: int | None
    run: str
    happened_at: datetime
    opened_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolved_at: datetime | None
    resolved_by: str | None
    because: str | None
    told: str | None
    told_at: datetime | None
    n_told: int

    @property
    def to_detect(self) -> timedelta:
        """Time from the start of the fault to its detection."""
        return self.opened_at - self.happened_at

    @property
    def to_mend(self) -> timedelta | None:
        """Time from the start of the fault to its end; None while it lasts."""
        return self.resolved_at - self.happened_at if self.resolved_at else None


@dataclass(frozen=True, slots=True)
class Joined:
    """The incident that a failure joined, and whether that is news."""

    incident: Incident
    news: bool


_COLUMNS: list[Any] = [incident.c[name] for name in Incident.__dataclass_fields__]
_HAPPENED: list[Any] = [incident_event.c[name] for name in Happening.__dataclass_fields__]


def join(ledger: Ledger, source: str, run: str, since: datetime, found: Sequence[Happening]) -> Joined:
    """Open an incident or join an existing one, in one transaction.

    `since` is when the fault began. An empty `run` matches any run in trouble: a late load is late because
    of it.
    """
    with ledger.write() as connection:
        _one_at_a_time(connection, ledger.tenant, source)
        query = select(*_COLUMNS).where(
            incident.c.tenant == ledger.tenant, incident.c.source == source, incident.c.state.in_(UNRESOLVED)
        )
        there = [record_of(Incident, row) for row in connection.execute(query.order_by(incident.c.id))]
        loads = {h.load_id for h in found if h.load_id is not None}
        mine = next((i for i in there if _same(i, run, loads)), None)
        stage = min((h.stage for h in found), key=STAGES.index)
        if mine is not None:
            stage = min(stage, mine.stage, key=STAGES.index)
        root = next((i for i in there if i.stage == stage), None) or mine
        severity = max((h.severity for h in found), key=SEVERITIES.index)
        if root is None:
            number, news = (
                _open(connection, ledger, source=source, run=run, since=since, stage=stage, severity=severity),
                True,
            )
        else:
            number = root.id
            worse = SEVERITIES.index(severity) > SEVERITIES.index(root.severity)
            news = worse or stage != root.stage or root.run != (run or root.run)
            if mine is not None and mine.id != root.id:
                _merge(connection, mine, root)
                news = True
            values: dict[str, Any] = {"stage": stage, "happened_at": min(root.happened_at, since)}
            values |= {"severity": severity} if worse else {}
            values |= {"run": run} if run else {}
            connection.execute(update(incident).where(incident.c.id == number).values(**values))
        for h in found:
            new = _count(connection, number, h)
            news = news or (new and STAGES.index(h.stage) <= STAGES.index(stage))
        if newest := max(loads, default=None):
            connection.execute(update(incident).where(incident.c.id == number).values(load_id=newest))
        return Joined(_get(connection, ledger, number), news)


def _one_at_a_time(connection: Connection, tenant: str, source: str) -> None:
    """Serialise writers of a source's incidents; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"incident:{tenant}:{source}"))))


def _same(one: Incident, run: str, loads: set[int]) -> bool:
    """Whether an incident is of the same run or load."""
    if not run:
        return one.severity != "warn"
    return one.run == run or one.load_id in loads


def _open(
    connection: Connection, ledger: Ledger, source: str, run: str, since: datetime, stage: str, severity: str
) -> int:
    values = {
        "tenant": ledger.tenant,
        "source": source,
        "stage": stage,
        "state": "open",
        "severity": severity,
        "title": "",
        "detail": {},
        "run": run,
        "happened_at": since,
        "opened_at": datetime.now(UTC),
    }
    return int(connection.execute(insert(incident).values(values).returning(incident.c.id)).scalar_one())


def _count(connection: Connection, number: int, h: Happening) -> bool:
    """Insert a happening or raise its count; returns whether it is new."""
    where = [incident_event.c.incident_id == number]
    where += [incident_event.c[name] == getattr(h, name) for name in ("kind", "stage", "subject")]
    values = {"message": h.message, "severity": h.severity, "load_id": h.load_id, "last_at": h.last_at}
    again = update(incident_event).where(*where).values(n=incident_event.c.n + h.n, **values)
    if connection.execute(again).rowcount:
        return False
    whole = {name: getattr(h, name) for name in Happening.__dataclass_fields__}
    connection.execute(insert(incident_event).values(incident_id=number, **whole))
    return True


def _merge(connection: Connection, noise: Incident, root: Incident) -> None:
    """Move the happenings of an incident to the older root."""
    for h in _happenings(connection, noise.id):
        _count(connection, root.id, h)
    connection.execute(delete(incident_event).where(incident_event.c.incident_id == noise.id))
    values = {"state": "resolved", "resolved_at": datetime.now(UTC), "resolved_by": "moat"}
    connection.execute(
        update(incident).where(incident.c.id == noise.id).values(because=f"it is incident {root.id}", **values)
    )


def explained(ledger: Ledger, number: int, title: str, detail: Mapping[str, Any]) -> Incident:
    """Store the diagnosis of triage."""
    with ledger.write() as connection:
        connection.execute(update(incident).where(incident.c.id == number).values(title=title, detail=dict(detail)))
        return _get(connection, ledger, number)


def acknowledge(ledger: Ledger, number: int, by: str, because: str = "") -> Incident:
    """Acknowledge an incident. Raises IncidentRefused if it is resolved."""
    with ledger.write() as connection:
        found = _get(connection, ledger, number)
        if found.state == "acknowledged":
            return found  # repeating an acknowledgement is no error
        if found.state == "resolved":
            raise IncidentRefused(
                f"incident {number} of {found.source} is resolved ({found.because or 'no reason given'})"
            )
        values = {"state": "acknowledged", "acknowledged_at": datetime.now(UTC), "acknowledged_by": by}
        connection.execute(
            update(incident).where(incident.c.id == number).values(because=because or found.because, **values)
        )
        _audited(connection, ledger, found=found, by=by, action="acknowledge", because=because)
        return _get(connection, ledger, number)


def resolve(ledger: Ledger, number: int, by: str, because: str = "") -> Incident:
    """Resolve an incident; the next failure opens another."""
    with ledger.write() as connection:
        found = _get(connection, ledger, number)
        if found.state == "resolved":
            return found
        _over(connection, [number], by, because)
        _audited(connection, ledger, found=found, by=by, action="resolve", because=because)
        return _get(connection, ledger, number)


def over(ledger: Ledger, numbers: Sequence[int], because: str) -> None:
    """Resolve incidents whose fault ended by itself: a load was promoted."""
    with ledger.write() as connection:
        _over(connection, numbers, "moat", because)


def _over(connection: Connection, numbers: Sequence[int], by: str, because: str) -> None:
    values = {"state": "resolved", "resolved_at": datetime.now(UTC), "resolved_by": by, "because": because}
    connection.execute(
        update(incident).where(incident.c.id.in_(numbers), incident.c.state.in_(UNRESOLVED)).values(**values)
    )


def _audited(connection: Connection, ledger: Ledger, found: Incident, by: str, action: str, because: str) -> None:
    detail = {"title": found.title, "because": because}
    record(
        connection,
        ledger.tenant,
        actor=by,
        action=action,
        subject=f"incident {found.id} of {found.source}",
        detail=detail,
    )


def claim_telling(ledger: Ledger, number: int, digest: str) -> bool:
    """Claim the notification of an incident's current state. True once per new digest."""
    with ledger.write() as connection:
        done = connection.execute(
            update(incident)
            .where(
                incident.c.tenant == ledger.tenant,
                incident.c.id == number,
                or_(incident.c.told.is_(None), incident.c.told != digest),
            )
            .values(told=digest, told_at=datetime.now(UTC), n_told=incident.c.n_told + 1)
        )
        return done.rowcount == 1


def give_back_telling(ledger: Ledger, number: int, digest: str) -> None:
    """Return a claim when no message was sent, to try again later."""
    with ledger.write() as connection:
        connection.execute(
            update(incident)
            .where(incident.c.tenant == ledger.tenant, incident.c.id == number, incident.c.told == digest)
            .values(told=None, n_told=incident.c.n_told - 1)
        )


def get(ledger: Ledger, number: int) -> Incident:
    """An incident by its number. Raises IncidentRefused if there is none."""
    with ledger.read() as connection:
        return _get(connection, ledger, number)


def listing(ledger: Ledger, source: str | None = None, resolved: bool = False) -> list[Incident]:
    """Unresolved incidents, newest first, of one source or all; with `resolved`, those too."""
    query = select(*_COLUMNS).where(incident.c.tenant == ledger.tenant).order_by(incident.c.id.desc())
    if source:
        query = query.where(incident.c.source == source)
    if not resolved:
        query = query.where(incident.c.state.in_(UNRESOLVED))
    with ledger.read() as connection:
        return [record_of(Incident, row) for row in connection.execute(query)]


def of_load(ledger: Ledger, number: int) -> list[Incident]:
    """Incidents that a load took part in."""
    took_part = select(incident_event.c.incident_id).where(incident_event.c.load_id == number)
    query = select(*_COLUMNS).where(
        incident.c.tenant == ledger.tenant, or_(incident.c.load_id == number, incident.c.id.in_(took_part))
    )
    with ledger.read() as connection:
        return [record_of(Incident, row) for row in connection.execute(query.order_by(incident.c.id))]


def happenings(ledger: Ledger, number: int) -> list[Happening]:
    """Happenings of an incident: the first bad stage first, then by time."""
    with ledger.read() as connection:
        _get(connection, ledger, number)
        return _happenings(connection, number)


def _happenings(connection: Connection, number: int) -> list[Happening]:
    query = select(*_HAPPENED).where(incident_event.c.incident_id == number).order_by(incident_event.c.id)
    found = [record_of(Happening, row) for row in connection.execute(query)]
    return sorted(found, key=lambda h: (STAGES.index(h.stage), h.first_at))


def _get(connection: Connection, ledger: Ledger, number: int) -> Incident:
    query = select(*_COLUMNS).where(incident.c.tenant == ledger.tenant, incident.c.id == number)
    row = connection.execute(query).first()
    if row is None:
        raise IncidentRefused(f"there is no incident {number}; `moat incidents --all` lists them")
    return record_of(Incident, row)
