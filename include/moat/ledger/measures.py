"""Measures of each load, from which the bounds of later loads are learned."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import delete, func, insert, select

from moat.ledger import Ledger
from moat.ledger.audit import record
from moat.ledger.loads import Load, fenced
from moat.ledger.tables import event, load, measure

MOST_LOADS = 120  # number of loads that bounds are learned from
NEWEST = 10  # newest loads, among which extraordinary ones count: a week and its weekends


class PastMeasure(NamedTuple):
    """One measured value of an earlier load."""

    load: int
    at: datetime
    value: float
    how: Literal["usual", "released", "extraordinary"] = "usual"  # normal, released by a person, or extraordinary


@dataclass(frozen=True, slots=True)
class Event:
    """A person's declaration that a source has changed for good."""

    source: str
    at: datetime
    because: str
    by: str


def keep(ledger: Ledger, current: Load, family: str, values: Mapping[str, float]) -> None:
    """Write what one family measured; replaces an earlier try."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        connection.execute(delete(measure).where(measure.c.load_id == current.id, measure.c.family == family))
        rows = [{"load_id": current.id, "family": family, "name": n, "value": float(v)} for n, v in values.items()]
        if rows:
            connection.execute(insert(measure), rows)


def of_load(ledger: Ledger, number: int) -> dict[str, float]:
    """All measured values of a load, by name."""
    query = select(measure.c.name, measure.c.value).where(measure.c.load_id == number).order_by(measure.c.name)
    with ledger.read() as connection:
        return {row.name: row.value for row in connection.execute(query)}


def history(ledger: Ledger, current: Load) -> dict[str, list[PastMeasure]]:
    """What earlier loads of the same source measured, by name, oldest first.

    Includes only promoted loads that were never rolled back, of the whole source, since the last
    declared event. An extraordinary load is left out too, unless it is one of the newest few: what it
    left behind is the source's current state.
    """
    with ledger.read() as connection:
        mine = (event.c.tenant == ledger.tenant, event.c.source == current.source, event.c.at <= current.opened_at)
        since = connection.scalar(select(func.max(event.c.at)).where(*mine))
        query = select(load.c.id, load.c.opened_at, load.c.options, load.c.counts, load.c.decided_by).where(
            load.c.tenant == ledger.tenant,
            load.c.source == current.source,
            load.c.state == "promoted",
            load.c.id < current.id,
        )
        if since is not None:
            query = query.where(load.c.opened_at > since)
        loads: dict[int, tuple[datetime, Literal["usual", "released", "extraordinary"]]] = {}
        for row in connection.execute(query.order_by(load.c.id.desc())):
            if cut_short(row.options, row.counts):
                continue
            if not extraordinary(row.options, row.counts):
                loads[row.id] = row.opened_at, "released" if row.decided_by else "usual"
            elif len(loads) < NEWEST:
                loads[row.id] = row.opened_at, "extraordinary"
            if len(loads) == MOST_LOADS:
                break
        found: dict[str, list[PastMeasure]] = defaultdict(list)
        values = select(measure.c.load_id, measure.c.name, measure.c.value).where(measure.c.load_id.in_(loads))
        for number, name, value in connection.execute(values.order_by(measure.c.load_id)):
            found[name].append(PastMeasure(number, loads[number][0], value, loads[number][1]))
    return dict(found)


def cut_short(options: Mapping[str, Any], counts: Mapping[str, int]) -> bool:
    """Whether a load left documents out that its source has, because of its limit or its list of keys.

    What counts is what the comparison left out, never what was asked for: a limit that nothing reached cuts
    nothing. A load that does not tell what it left out counts as cut.
    """
    if options.get("only") and counts.get("unasked", 1):
        return True
    return bool(options.get("limit")) and ("listed" not in counts or counts.get("waiting", 0) > 0)


def excused(options: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    """Why departures of a load only warn, in words, or empty."""
    if said := options.get("expected"):
        return str(said)
    return "documents were prepared again by another recipe" if counts.get("again") else ""


def extraordinary(options: Mapping[str, Any], counts: Mapping[str, int]) -> str:
    """Why a load is no example of a usual one, in words, or empty."""
    if options.get("full") and not options.get("expected"):
        return "everything was read again"
    return excused(options, counts)


def declare(ledger: Ledger, source: str, by: str, because: str) -> Event:
    """Declare a permanent change of a source, so that bounds are learned anew."""
    made = Event(source, datetime.now(UTC), because, by)
    with ledger.write() as connection:
        values = {"source": source, "at": made.at, "because": because, "by": by}
        connection.execute(insert(event).values(tenant=ledger.tenant, **values))
        record(
            connection, ledger.tenant, actor=by, action="event", subject=f"source {source}", detail={"because": because}
        )
    return made


def events(ledger: Ledger, source: str | None = None) -> list[Event]:
    """Declared events, newest first, of one source or of all."""
    query = select(event.c.source, event.c.at, event.c.because, event.c.by).where(event.c.tenant == ledger.tenant)
    if source:
        query = query.where(event.c.source == source)
    with ledger.read() as connection:
        return [Event(*row) for row in connection.execute(query.order_by(event.c.at.desc()))]
