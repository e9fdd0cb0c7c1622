"""Document access in the ledger: narrowing applies at once, widening when it is allowed.

Two independent processes read access: the load of a source and its access sync. No clock decides
which of them saw the newer state. Each reading starts with the source's `access_seq`; every
recorded access raises that number and stores it with the document. A reading that finds a higher
number than its own may narrow access but never widen it, because a newer access was recorded after
it started. So the order of events never restores access that was revoked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, exists, insert, or_, select, update

from moat.access.policy import Policy
from moat.batching import windows
from moat.ledger import Ledger, add
from moat.ledger.audit import record
from moat.ledger.former_names import document_ids, refuse_former
from moat.ledger.loads import LIVE, Load, fenced
from moat.ledger.policies import keep
from moat.ledger.tables import access_change, document, hold, hold_document, load, source
from moat.ledger.tables import policy as policies
from moat.records import record_of


@dataclass(frozen=True, slots=True)
class Moved:
    """A recorded change of one document's access. Digests; None means unknown."""

    document: str
    was: str | None
    now: str | None


def begin(ledger: Ledger, name: str) -> int:
    """Return the source's access number at the start of a reading. Raises RenameRefused for a name that another had."""
    with ledger.write() as connection:
        refuse_former(connection, ledger.tenant, name)
        add(connection, source, [{"tenant": ledger.tenant, "name": name, "fence": 0}])
        where = (source.c.tenant == ledger.tenant, source.c.name == name)
        return int(connection.execute(select(source.c.access_seq).where(*where)).scalar_one())


def forget_changes(ledger: Ledger, current: Load) -> None:
    """Delete the access changes recorded by an earlier try of this load's `read`."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        connection.execute(delete(access_change).where(access_change.c.load_id == current.id))


def introduce(ledger: Ledger, current: Load, listed: Sequence[tuple[str, str]]) -> None:
    """Insert documents new to the ledger, with their policies."""
    ids = document_ids(ledger, current.source, (key for key, _ in listed))
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        seq = next_seq(connection, ledger, current.source)
        digests = keep(connection, ledger.tenant, {Policy.from_text(policy) for _, policy in listed})
        rows = [
            {
                "id": identity,
                "tenant": ledger.tenant,
                "source": current.source,
                "key": key,
                "policy": digests[policy],
                "access_version": 1,
                "access_seen": seq,
                "first_seen": datetime.now(UTC),
            }
            for identity, (key, policy) in zip(ids, listed, strict=True)
        ]
        for window in windows(rows):
            add(connection, document, window)


def narrow(ledger: Ledger, current: Load, changes: Sequence[tuple[str, str | None]], base: int) -> None:
    """Record access in a load's listing that differs from the ledger.

    Narrowing applies immediately. Widening applies when this load is promoted: readers who gain
    access to the new text must not see the old one, so until then a reader must satisfy both
    policies. Access recorded after `base` is newer and is never widened, nor is what a person has to let in
    again: that is left to access sync. Documents new to the ledger are left to `introduce`.

    Args:
        ledger: The ledger.
        current: The load that read the listing.
        changes: (key, canonical policy) of each listed document; None for unknown access.
        base: The access number returned by `begin` for this reading.
    """
    ids = document_ids(ledger, current.source, (key for key, _ in changes))
    wanted = {
        identity: Policy.from_text(policy) if policy else None
        for identity, (_, policy) in zip(ids, changes, strict=True)
    }
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        seq, moved = next_seq(connection, ledger, current.source), list[Moved]()
        for window in windows(wanted):
            rows = narrow_now(connection, ledger, {i: wanted[i] for i in window}, seq, moved)
            connection.execute(
                delete(access_change).where(
                    access_change.c.load_id == current.id, access_change.c.document_id.in_(list(rows))
                )
            )
            refused = decided(connection, ledger.tenant, "rejected", window)
            coming = [
                {"load_id": current.id, "document_id": i, "policy": row.wanted, "from_version": row.version}
                for i, row in rows.items()
                if row.wanted not in (None, row.present, refused.get(i)) and not row.kept_back and row.seen <= base
            ]
            if coming:
                connection.execute(insert(access_change), coming)
        record_audit(connection, ledger, name=current.source, by=f"load {current.id}", how="narrowed", moved=moved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A document's access after narrowing; `seen` is the one before. Digests; None means unknown."""

    present: str | None
    wanted: str | None
    version: int
    seen: int
    kept_back: bool  # its next widening waits for a person


def narrow_now(
    connection: Connection, ledger: Ledger, wanted: Mapping[str, Policy | None], seq: int, moved: list[Moved]
) -> dict[str, Row]:
    """Apply the part of each wanted access that narrows; append each change to `moved`."""
    columns = (document.c.access_version, document.c.access_seen, document.c.kept_back)
    query = select(document.c.id, document.c.policy, *columns)
    found = connection.execute(query.where(document.c.id.in_(list(wanted)), document.c.erased_at.is_(None))).all()
    held = bodies(connection, {r.policy for r in found if r.policy})
    present = {r.id: _narrower(held.get(r.policy), wanted[r.id]) for r in found}
    digests = keep(connection, ledger.tenant, {p for p in (*present.values(), *wanted.values()) if p is not None})
    rows, changed = dict[str, Row](), list[Moved]()
    for r in found:
        is_now, asked = present[r.id], wanted[r.id]
        now, want = digests[is_now.text()] if is_now else None, digests[asked.text()] if asked else None
        rows[r.id] = Row(
            present=now,
            wanted=want,
            version=r.access_version + (now != r.policy),
            seen=r.access_seen,
            kept_back=r.kept_back is not None,
        )
        if now != r.policy:
            changed.append(Moved(r.id, r.policy, now))
    write(connection, changed, seq)
    moved += changed
    return rows


def _narrower(now: Policy | None, wanted: Policy | None) -> Policy | None:
    """The access that may apply at once, never wider than now."""
    if now is None or wanted is None:
        return None
    return now.both(wanted) if wanted.widens(now) else wanted


def write(connection: Connection, moved: Sequence[Moved], seq: int) -> None:
    """Set documents' access and raise their version and access number."""
    if moved:
        connection.execute(
            update(document)
            .where(document.c.id == bindparam("of"))
            .values(policy=bindparam("now"), access_version=document.c.access_version + 1, access_seen=seq),
            [{"of": m.document, "now": m.now} for m in moved],
        )


def moving(ledger: Ledger, current: Load, keys: Sequence[str]) -> list[str]:
    """Keys whose access this load changes or the index still lacks."""
    coming = and_(access_change.c.document_id == document.c.id, access_change.c.load_id == current.id)
    query = (
        select(document.c.key)
        .outerjoin(access_change, coming)
        .where(document.c.id.in_(document_ids(ledger, current.source, keys)))
        .where(or_(access_change.c.policy.is_not(None), document.c.policy.is_distinct_from(document.c.indexed)))
    )
    with ledger.read() as connection:
        return list(connection.scalars(query))


def decided(connection: Connection, tenant: str, state: str, documents: Sequence[str]) -> dict[str, str]:
    """Policies, by document, that a person has released or rejected."""
    query = (
        select(hold_document.c.document_id, hold_document.c.policy)
        .join(hold, hold.c.id == hold_document.c.hold_id)
        .where(hold.c.tenant == tenant, hold.c.state == state, hold_document.c.document_id.in_(documents))
        .order_by(hold.c.id)
    )
    return {row.document_id: row.policy for row in connection.execute(query)}


def read_whole(ledger: Ledger, name: str) -> None:
    """Record a complete reading of a source's access; unmasks its documents."""
    now = datetime.now(UTC)
    values = {"access_read_at": now, "access_failed_at": None, "access_error": None, "access_until": None}
    with ledger.write() as connection:
        where = (source.c.tenant == ledger.tenant, source.c.name == name)
        connection.execute(update(source).where(*where).values(values))


def unreadable(ledger: Ledger, name: str, error: str, max_age_s: float) -> datetime:
    """Record that a source's access cannot be read; returns the time of masking.

    That time is `max_age_s` after the last complete reading, however often the reading fails until then.
    """
    now, where = datetime.now(UTC), (source.c.tenant == ledger.tenant, source.c.name == name)
    with ledger.write() as connection:
        row = connection.execute(
            select(source.c.access_read_at, source.c.access_failed_at).where(*where).with_for_update()
        ).one()
        until = (row.access_read_at or row.access_failed_at or now) + timedelta(seconds=max_age_s)
        since = row.access_failed_at or now
        values = {"access_failed_at": since, "access_error": error[:2_000], "access_until": until}
        connection.execute(update(source).where(*where).values(values))
        if row.access_failed_at is None:
            detail = {"error": error[:500], "masked from": until.isoformat()}
            record(
                connection,
                ledger.tenant,
                actor="moat",
                action="access unreadable",
                subject=f"source {name}",
                detail=detail,
            )
    return until


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessState:
    """Status of the access readings of a source."""

    source: str
    read_at: datetime | None  # time of the last complete reading
    failed_at: datetime | None  # start of the current failure
    until: datetime | None  # documents are masked from this time
    error: str | None


def states(ledger: Ledger) -> list[AccessState]:
    """Access status of every source, by name."""
    columns = (source.c.name, source.c.access_read_at, source.c.access_failed_at)
    query = select(*columns, source.c.access_until, source.c.access_error).where(source.c.tenant == ledger.tenant)
    with ledger.read() as connection:
        return [record_of(AccessState, row) for row in connection.execute(query.order_by(source.c.name))]


def read_at(ledger: Ledger, name: str) -> datetime | None:
    """When the access of a source was last read whole, in UTC; None: never."""
    query = select(source.c.access_read_at).where(source.c.tenant == ledger.tenant, source.c.name == name)
    with ledger.read() as connection:
        return connection.scalar(query)


def record_audit(connection: Connection, ledger: Ledger, name: str, by: str, how: str, moved: Sequence[Moved]) -> None:
    """Record access changes in the audit: document ids and policy digests, no names."""
    for window in windows(moved):
        detail = {"documents": [[m.document, m.was, m.now] for m in window], "how": how}
        record(connection, ledger.tenant, actor=by, action="access", subject=f"source {name}", detail=detail)


def live_change() -> Any:
    """Condition on `access_change`: its load is in progress and the ledger's access is unchanged."""
    alive = exists().where(load.c.id == access_change.c.load_id, load.c.state.in_(LIVE))
    return and_(alive, access_change.c.from_version == document.c.access_version)


def bodies(connection: Connection, digests: Iterable[str]) -> dict[str, Policy]:
    """Policies by digest."""
    found: dict[str, Policy] = {}
    for window in windows(digests):
        for row in connection.execute(select(policies.c.digest, policies.c.body).where(policies.c.digest.in_(window))):
            found[row.digest] = Policy.from_text(row.body)
    return found


def bodies_of(ledger: Ledger, digests: Iterable[str]) -> dict[str, Policy]:
    """Policies by digest, in a transaction of their own."""
    with ledger.read() as connection:
        return bodies(connection, digests)


def next_seq(connection: Connection, ledger: Ledger, name: str) -> int:
    """Next access number of a source. The row lock serialises its writers."""
    where = (source.c.tenant == ledger.tenant, source.c.name == name)
    connection.execute(update(source).where(*where).values(access_seq=source.c.access_seq + 1))
    return int(connection.execute(select(source.c.access_seq).where(*where)).scalar_one())
