"""The rebuild of the index that is under way: which collection it fills, who makes it, and until when it counts as alive.

One row a tenant, from the first step to the last. A rebuild that was killed leaves it, and the next one goes on from there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Column, String, Table, and_, delete, exists, func, or_, select, update

from moat.errors import LoadInProgress, Superseded
from moat.ledger import Ledger, add
from moat.ledger.audit import record
from moat.ledger.loads import LIVE
from moat.ledger.runs import gone
from moat.ledger.tables import load, metadata, presence, source
from moat.ledger.types import Moment

LEASE_S = 300.0  # of a rebuild that nobody can see the end of, because it runs on another machine

rebuild = Table(
    "rebuild",
    metadata,
    Column("tenant", String(32), primary_key=True),
    Column("collection", String(128), nullable=False),  # which it fills
    Column("run", String(255), nullable=False),  # as loads name theirs
    Column("by", String(255), nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("lease_until", Moment, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """A rebuild that has begun and not ended."""

    collection: str
    run: str
    by: str
    begun_at: datetime
    lease_until: datetime

    @property
    def alive(self) -> bool:
        """Whether somebody may still be working on it."""
        return self.lease_until > datetime.now(UTC) and not gone(self.run)

    def __str__(self) -> str:
        doing = "is under way" if self.alive else "has begun and was not brought to its end"
        return f"a rebuild of the index {doing} (by {self.by}, since {self.begun_at:%Y-%m-%d %H:%M} UTC)"


COLUMNS = [rebuild.c[name] for name in Rebuild.__dataclass_fields__]


def under_way(ledger: Ledger) -> Rebuild | None:
    """The rebuild that has begun and not ended, alive or not."""
    with ledger.read() as connection:
        row = connection.execute(select(*COLUMNS).where(rebuild.c.tenant == ledger.tenant)).one_or_none()
    return Rebuild(**row._mapping) if row is not None else None


def take(ledger: Ledger, collection: str, run: str, by: str) -> Rebuild:
    """Begin a rebuild into this collection, or go on with the one that was not brought to its end, in its collection.

    Raises:
        LoadInProgress: Another rebuild is under way.
    """
    now = datetime.now(UTC)
    mine = rebuild.c.tenant == ledger.tenant
    until = now + timedelta(seconds=LEASE_S)
    with ledger.write() as connection:
        fresh = {"collection": collection, "run": "", "by": by, "begun_at": now, "lease_until": until}
        add(connection, rebuild, [{"tenant": ledger.tenant, **fresh}])
        found = Rebuild(**connection.execute(select(*COLUMNS).where(mine).with_for_update()).one()._mapping)
        if found.run and found.run != run and found.alive:
            raise LoadInProgress(f"{found}, by process {found.run}: wait for it, one at a time writes")
        connection.execute(update(rebuild).where(mine).values(run=run, by=by, lease_until=until))
        detail = {"collection": found.collection}
        record(connection, ledger.tenant, actor=by, action="rebuild", subject="index", detail=detail)
    return replace(found, run=run, by=by, lease_until=until)


def renew(ledger: Ledger, current: Rebuild) -> None:
    """Stay alive. Raises Superseded when another process took the rebuild over, or gave it up."""
    with ledger.write() as connection:
        mine = (rebuild.c.tenant == ledger.tenant, rebuild.c.run == current.run)
        until = datetime.now(UTC) + timedelta(seconds=LEASE_S)
        if connection.execute(update(rebuild).where(*mine).values(lease_until=until)).rowcount != 1:
            raise Superseded(
                f"another process took the rebuild of {current.collection} over, or gave it up: this one stops"
            )


def end(ledger: Ledger, current: Rebuild, started: str) -> None:
    """Note that the rebuild is done, and that each source was compared with the Weaviate of this start.

    Not so a source with a load under way, which may have written to the collection from before: its load and its next
    run compare all of it. Raises Superseded.
    """
    renew(ledger, current)
    busy = exists().where(load.c.tenant == source.c.tenant, load.c.source == source.c.name, load.c.state.in_(LIVE))
    with ledger.write() as connection:
        mine = (source.c.tenant == ledger.tenant, ~busy)
        connection.execute(update(source).where(*mine).values(index_started=started))
        connection.execute(delete(rebuild).where(rebuild.c.tenant == ledger.tenant))


def left(ledger: Ledger) -> Rebuild | None:
    """The rebuild that nobody works on any more. Raises LoadInProgress while somebody does."""
    if (found := under_way(ledger)) is not None and found.alive:
        raise LoadInProgress(f"{found}, by process {found.run}: end that process first")
    return found


def give_up(ledger: Ledger, by: str) -> None:
    """Forget a rebuild that nobody works on. Raises LoadInProgress."""
    left(ledger)
    with ledger.write() as connection:
        connection.execute(delete(rebuild).where(rebuild.c.tenant == ledger.tenant))
        record(connection, ledger.tenant, actor=by, action="rebuild given up", subject="index", detail={})


def uncompared(ledger: Ledger) -> None:
    """Forget after which start of Weaviate each source was compared: what it is compared with becomes another."""
    with ledger.write() as connection:
        connection.execute(update(source).where(source.c.tenant == ledger.tenant).values(index_started=None))


def states(ledger: Ledger) -> Mapping[str, tuple[int, int]]:
    """By source, two numbers of which one moves whenever the index must hold something else of it."""
    promoted = func.coalesce(func.max(load.c.id), 0)
    of_it = and_(load.c.tenant == source.c.tenant, load.c.source == source.c.name, load.c.state == "promoted")
    query = (
        select(source.c.name, source.c.access_seq, promoted)
        .outerjoin(load, of_it)
        .where(source.c.tenant == ledger.tenant)
        .group_by(source.c.name, source.c.access_seq)
    )
    with ledger.read() as connection:
        return {name: (seq, newest) for name, seq, newest in connection.execute(query)}


def writing(ledger: Ledger) -> list[str]:
    """Loads under way that have objects in the index which nobody sees yet, in words."""
    added = exists().where(presence.c.added_in == load.c.id)
    query = (
        select(load.c.id, load.c.source, load.c.state)
        .where(load.c.tenant == ledger.tenant, or_(load.c.state == "staged", and_(load.c.state.in_(LIVE), added)))
        .order_by(load.c.id)
    )
    with ledger.read() as connection:
        return [f"load {row.id} of {row.source}, which is {row.state}" for row in connection.execute(query)]
