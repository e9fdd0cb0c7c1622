"""Loads and their states, one lease per source, and promote and rollback.

open -> held -> open -> staged -> promoted -> rolled back
  \\________ rejected, abandoned, unchanged

A load takes its source's lease when it opens, with a fence: a number that rises with every load of
the source. Each write for a load checks that its fence is still the newest, so that a leftover
process of an earlier run can change nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update

from moat.errors import AccessUnknown, LoadInProgress, LoadRefused, Superseded
from moat.ledger import Ledger, add
from moat.ledger.audit import record
from moat.ledger.promoted_access import widen
from moat.ledger.runs import gone
from moat.ledger.sources import back
from moat.ledger.tables import access_change, document, load, quarantine, revision, source

State = Literal["open", "held", "staged", "promoted", "rejected", "rolled back", "unchanged", "abandoned"]
LIVE = ("open", "held", "staged")
NOT_HELD = {  # what the release of a load that waits for nobody is told
    "promoted": "is promoted already: nothing to release",
    "staged": "is released and on its way: nothing to release",
    "open": "is under way and not held: nothing to release",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One load as stored in the ledger."""

    id: int
    source: str
    state: State
    fence: int
    run: str
    options: Mapping[str, Any]
    counts: Mapping[str, int]
    model: str | None
    reason: str | None
    decided_by: str | None
    opened_at: datetime
    ended_at: datetime | None
    proved_at: datetime | None
    removed_at: datetime | None
    context: Mapping[str, str] | None
    held_for: Literal["gate", "budget"] | None
    budget_by: str | None


_COLUMNS = [load.c[name] for name in Load.__dataclass_fields__]


def _now() -> datetime:
    return datetime.now(UTC)


def _of(row: Row[Any]) -> Load:
    return Load(**row._mapping)


def open_load(ledger: Ledger, name: str, run: str, options: Mapping[str, Any], lease_s: float) -> Load:
    """Take the source's lease and open a load, or resume the one that this run has open.

    Args:
        name: Name of the source.
        run: Identity of the run, such as `airflow:DAG:RUN_ID`.
        options: What the run asks for, stored with the load.
        lease_s: Duration of the lease in seconds.

    Raises:
        LoadInProgress: Another run holds the lease.
    """
    with ledger.write() as connection:
        add(connection, source, [{"tenant": ledger.tenant, "name": name, "fence": 0}])
        where = (source.c.tenant == ledger.tenant, source.c.name == name)
        row = connection.execute(select(source).where(*where).with_for_update()).one()
        if row.lease_load is not None:
            holder = _get(connection, ledger, row.lease_load)
            if holder.state in LIVE and holder.run == run:
                _lease(connection, ledger, holder, lease_s)
                return holder
            if holder.state == "held":
                raise LoadInProgress(
                    f"source {name}: load {holder.id} waits for a person ({holder.reason}): "
                    f"`moat release {holder.id}` or `moat reject {holder.id}`, then run again"
                )
            if holder.state in LIVE and row.lease_until > _now() and not gone(holder.run):
                raise LoadInProgress(
                    f"source {name}: load {holder.id} is being made by {holder.run}; its lease ends at "
                    f"{row.lease_until:%Y-%m-%d %H:%M} UTC. Wait for it, or free it by `moat reject {holder.id}`"
                )
            if holder.state in LIVE:
                _end(connection, holder, "abandoned", f"taken over by {run}")
        back(connection, ledger, name)
        connection.execute(update(source).where(*where).values(fence=row.fence + 1))
        values = {
            "tenant": ledger.tenant,
            "source": name,
            "state": "open",
            "fence": row.fence + 1,
            "run": run,
            "options": dict(options),
            "counts": {},
            "opened_at": _now(),
        }
        identity = connection.execute(insert(load).values(values).returning(load.c.id)).scalar_one()
        opened = _get(connection, ledger, identity)
        connection.execute(update(source).where(*where).values(lease_load=opened.id))
        _lease(connection, ledger, opened, lease_s)
        return opened


def get(ledger: Ledger, number: int) -> Load:
    """A load by its number. Raises LoadRefused if there is none."""
    with ledger.read() as connection:
        return _get(connection, ledger, number)


def recent(ledger: Ledger, name: str | None = None, limit: int = 20) -> list[Load]:
    """The newest loads, of one source or of all."""
    query = select(*_COLUMNS).where(load.c.tenant == ledger.tenant).order_by(load.c.id.desc()).limit(limit)
    with ledger.read() as connection:
        return [_of(row) for row in connection.execute(query.where(load.c.source == name) if name else query)]


def sources(ledger: Ledger) -> list[str]:
    """Names of all sources that ever had a load, sorted."""
    with ledger.read() as connection:
        return list(connection.scalars(select(source.c.name).where(source.c.tenant == ledger.tenant).order_by("name")))


def invisible(connection: Connection, tenant: str) -> list[int]:
    """Loads whose objects may be in the index but are not visible."""
    states = (*LIVE, "rejected", "rolled back", "abandoned")
    query = select(load.c.id).where(load.c.tenant == tenant, load.c.state.in_(states), load.c.removed_at.is_(None))
    return list(connection.scalars(query))


def renew(ledger: Ledger, current: Load, lease_s: float) -> None:
    """Renew the lease of a load. Raises Superseded when another run took over."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        _lease(connection, ledger, current, lease_s)


def fenced(connection: Connection, ledger: Ledger, current: Load) -> None:
    """Check in a transaction that the load holds its source's lease. Raises Superseded."""
    row = connection.execute(
        select(source.c.fence, source.c.lease_load)
        .where(source.c.tenant == ledger.tenant, source.c.name == current.source)
        .with_for_update()
    ).one()
    state = connection.execute(select(load.c.state).where(load.c.id == current.id)).scalar_one()
    if (row.fence, row.lease_load) != (current.fence, current.id) or state not in LIVE:
        raise Superseded(
            f"load {current.id} of {current.source} ({current.run}) is {state} and no longer holds the lease, "
            f"load {row.lease_load} does: this run stops, nothing of it is visible"
        )


def give_up(ledger: Ledger, current: Load, reason: str) -> None:
    """Release the lease at once; this run may continue until another takes over."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        _lease(connection, ledger, current, 0)
        connection.execute(update(load).where(load.c.id == current.id).values(reason=reason))


def note(ledger: Ledger, current: Load, counts: Mapping[str, int], model: str | None = None) -> None:
    """Add counts to a load, and the model that embeds it."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        merged = {**_get(connection, ledger, current.id).counts, **counts}
        values: dict[str, Any] = {"counts": merged} | ({"model": model} if model else {})
        connection.execute(update(load).where(load.c.id == current.id).values(values))


def made_with(ledger: Ledger, current: Load, context: Mapping[str, str]) -> None:
    """Record a load's provenance: versions of code and packages, settings, credentials, by name."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        connection.execute(update(load).where(load.c.id == current.id).values(context=dict(context)))


def unchanged(ledger: Ledger, current: Load) -> None:
    """End a load that found nothing to do."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        _end(connection, current, "unchanged", None)


def hold(ledger: Ledger, current: Load, reason: str, held_for: Literal["gate", "budget"] = "gate") -> None:
    """Hold the load until a person decides."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        _step(connection, ledger, current, ("open", "held"), state="held", reason=reason, held_for=held_for)


def release(ledger: Ledger, number: int, by: str, reason: str = "") -> Load:
    """Release a held load. Raises LoadRefused in any other state."""
    with ledger.write() as connection:
        current = _get(connection, ledger, number)
        if current.state == "open" and (current.decided_by or current.budget_by):
            return current  # released already; repeating it is no error
        # Budget and gate are released separately: a cost that is accepted says nothing about the content.
        decided = {"budget_by": by} if current.held_for == "budget" else {"decided_by": by}
        _step(connection, ledger, current, ("held",), state="open", held_for=None, **decided)
        _record(
            connection, ledger, current, by, action="release", detail={"held for": current.reason, "because": reason}
        )
        return _get(connection, ledger, number)


def reject(ledger: Ledger, number: int, by: str, reason: str = "") -> Load:
    """Reject a load that is not visible yet. Raises LoadRefused."""
    with ledger.write() as connection:
        current = _get(connection, ledger, number)
        if current.state == "rejected":
            return current
        if current.state not in LIVE:
            raise LoadRefused(
                f"load {number} of {current.source} is {current.state}: only {', '.join(LIVE)} can be rejected"
                + (f"; `moat rollback {number}` takes it back" if current.state == "promoted" else "")
            )
        _end(connection, current, "rejected", reason or current.reason, decided_by=by)
        _record(connection, ledger, current, by, action="reject", detail={"because": reason})
        return _get(connection, ledger, number)


def staged(ledger: Ledger, current: Load) -> None:
    """Record that everything was read back from the index and matches."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        _step(connection, ledger, current, ("open", "staged"), state="staged", proved_at=_now())


def promote(ledger: Ledger, current: Load, by: str) -> Load:
    """Make a staged load and its access changes visible in one transaction.

    Idempotent for a promoted load. Raises Superseded or LoadRefused.
    """
    with ledger.write() as connection:
        if _get(connection, ledger, current.id).state == "promoted":
            return _get(connection, ledger, current.id)
        fenced(connection, ledger, current)
        _step(connection, ledger, current, ("staged",), state="promoted", ended_at=_now())
        widen(connection, ledger.tenant, current.source, current.id, by)
        loaded = (
            select(document.c.key)
            .join(revision, revision.c.document_id == document.c.id)
            .where(revision.c.added_in == current.id)
        )
        gone = (
            select(document.c.key)
            .join(revision, revision.c.document_id == document.c.id)
            .where(revision.c.retired_in == current.id)
        )
        known = (
            select(document.c.key)
            .join(access_change, access_change.c.document_id == document.c.id)
            .where(access_change.c.load_id == current.id)
        )
        connection.execute(
            update(quarantine)
            .where(
                quarantine.c.tenant == ledger.tenant,
                quarantine.c.source == current.source,
                quarantine.c.load_id <= current.id,
                quarantine.c.state != "resolved",
                or_(
                    quarantine.c.key.in_(loaded.union(gone)),
                    and_(quarantine.c.error == AccessUnknown.__name__, quarantine.c.key.in_(known)),
                ),
            )
            .values(state="resolved", last_at=_now())
        )
        whole = not current.options.get("only") and current.options.get("limit") is None
        mark = {"rolled_back": None} if whole else {}  # while it stood, a person has released this load
        connection.execute(
            update(source).where(source.c.lease_load == current.id).values(lease_load=None, lease_until=None, **mark)
        )
        _record(connection, ledger, current, by, action="promote", detail=dict(current.counts))
        return _get(connection, ledger, current.id)


def rollback(ledger: Ledger, number: int, by: str, reason: str = "", *, holding: bool = False) -> Load:
    """Restore what was visible before a load was promoted. Access stays as it is now.

    With `holding`, the gate holds the source's loads until a whole one was released and promoted.
    Raises LoadRefused when a later load was promoted (what this one replaced is gone), or when
    another load of the source is in progress.
    """
    with ledger.write() as connection:
        current = _get(connection, ledger, number)
        if current.state == "rolled back":
            return current
        _can_go_back(connection, ledger, current)
        _step(connection, ledger, current, ("promoted",), state="rolled back", decided_by=by, reason=reason)
        # Restored objects have their old access in the index: the next run updates it.
        back = select(revision.c.document_id).where(revision.c.retired_in == number)
        connection.execute(update(document).where(document.c.id.in_(back)).values(indexed="?"))
        if holding:
            mine = (source.c.tenant == ledger.tenant, source.c.name == current.source)
            connection.execute(update(source).where(*mine).values(rolled_back=number))
        _record(connection, ledger, current, by, action="rollback", detail={"because": reason, "holding": holding})
        return _get(connection, ledger, number)


def can_go_back(ledger: Ledger, number: int) -> Load:
    """A load that can be rolled back, or was already. Raises LoadRefused."""
    with ledger.read() as connection:
        current = _get(connection, ledger, number)
        if current.state != "rolled back":
            _can_go_back(connection, ledger, current)
        return current


def _can_go_back(connection: Connection, ledger: Ledger, current: Load) -> None:
    name = f"load {current.id} of {current.source}"
    if current.state != "promoted":
        raise LoadRefused(f"{name} is {current.state}: only a promoted load can be rolled back")
    mine = (source.c.tenant == ledger.tenant, source.c.name == current.source)
    holder = connection.execute(select(source.c.lease_load).where(*mine).with_for_update()).scalar_one()
    newest = connection.execute(
        select(func.max(load.c.id)).where(
            load.c.tenant == ledger.tenant, load.c.source == current.source, load.c.state == "promoted"
        )
    ).scalar_one()
    if newest != current.id:
        raise LoadRefused(
            f"{name} has been followed by load {newest}: what it replaced is removed; `moat rollback {newest}` takes that one back, or run the source again"
        )
    if current.removed_at is not None:
        raise LoadRefused(f"{name}: what it replaced is removed already; run the source again")
    if holder is not None and _get(connection, ledger, holder).state in LIVE:
        raise LoadRefused(
            f"load {holder} of {current.source} is under way and builds on load {current.id}: wait for it, or `moat reject {holder}` first"
        )


def removed(ledger: Ledger, numbers: list[int]) -> None:
    """Record that objects held only by these loads are gone from the index."""
    with ledger.write() as connection:
        connection.execute(update(load).where(load.c.id.in_(numbers)).values(removed_at=_now()))


def _record(
    connection: Connection, ledger: Ledger, current: Load, by: str, *, action: str, detail: Mapping[str, Any]
) -> None:
    """Record a load's new state in the audit."""
    subject = f"load {current.id} of {current.source}"
    record(connection, ledger.tenant, actor=by, action=action, subject=subject, detail=detail)


def _get(connection: Connection, ledger: Ledger, number: int) -> Load:
    row = connection.execute(select(*_COLUMNS).where(load.c.tenant == ledger.tenant, load.c.id == number)).one_or_none()
    if row is None:
        raise LoadRefused(f"there is no load {number}; `moat loads` lists them")
    return _of(row)


def _lease(connection: Connection, ledger: Ledger, current: Load, lease_s: float) -> None:
    connection.execute(
        update(source)
        .where(source.c.tenant == ledger.tenant, source.c.name == current.source)
        .values(lease_until=_now() + timedelta(seconds=lease_s))
    )


def _step(connection: Connection, ledger: Ledger, current: Load, allowed: tuple[str, ...], **values: Any) -> None:
    """Move a load to the next state if its current one allows it."""
    done = connection.execute(update(load).where(load.c.id == current.id, load.c.state.in_(allowed)).values(values))
    if done.rowcount != 1:
        state = _get(connection, ledger, current.id).state
        name = f"load {current.id} of {current.source}"
        if values["state"] == "open":  # a person releases it
            raise LoadRefused(
                f"{name} {NOT_HELD.get(state, f'is {state}: only a held load is released; run the source again for a new one')}"
            )
        raise LoadRefused(f"{name} is {state}: it must be {' or '.join(allowed)} to become {values['state']}")


def _end(connection: Connection, current: Load, state: State, reason: str | None, **values: Any) -> None:
    """End a load without promotion and release its source's lease, if it holds it."""
    connection.execute(
        update(load).where(load.c.id == current.id).values(state=state, reason=reason, ended_at=_now(), **values)
    )
    connection.execute(
        update(source).where(source.c.lease_load == current.id).values(lease_load=None, lease_until=None)
    )
