"""Access changes that wait for a person.

waiting -> released | rejected | over

A widening beyond its limits, or a directory that shrank. A hold is identified by the digest of what
waits: the same change again is the same hold and asks nobody twice. Another digest for the same
subject ends it, because the source or directory has changed. Nothing is stored to be applied later: a
released hold lets the next reading apply the change if it still finds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select, update

from moat.errors import HoldRefused
from moat.ledger import Ledger
from moat.ledger.audit import record
from moat.ledger.tables import hold
from moat.records import record_of

Kind = Literal["widening", "directory"]
State = Literal["waiting", "released", "rejected", "over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One hold; `detail` is what a person reads before deciding."""

    id: int
    kind: Kind
    subject: str  # name of the source or directory
    digest: str
    state: State
    reason: str
    detail: Mapping[str, Any]
    opened_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    because: str | None


_COLUMNS: list[Any] = [hold.c[name] for name in Hold.__dataclass_fields__]


def wait(
    connection: Connection, tenant: str, kind: Kind, subject: str, digest: str, reason: str, detail: Mapping[str, Any]
) -> tuple[Hold, bool]:
    """Return the hold with this digest, opening it if needed, and whether it is new."""
    mine = (hold.c.tenant == tenant, hold.c.kind == kind, hold.c.subject == subject)
    over(connection, tenant, kind, subject, but=digest)
    query = select(*_COLUMNS).where(*mine, hold.c.digest == digest, hold.c.state != "over")
    found = connection.execute(query.order_by(hold.c.id.desc()).limit(1)).first()
    if found is not None:
        return record_of(Hold, found), False
    values = {
        "tenant": tenant,
        "kind": kind,
        "subject": subject,
        "digest": digest,
        "state": "waiting",
        "reason": reason,
        "detail": dict(detail),
        "opened_at": datetime.now(UTC),
    }
    number = connection.execute(insert(hold).values(values).returning(hold.c.id)).scalar_one()
    record(
        connection,
        tenant,
        actor="moat",
        action="hold",
        subject=f"{kind} of {subject}",
        detail={"hold": number, "reason": reason},
    )
    return record_of(Hold, connection.execute(select(*_COLUMNS).where(hold.c.id == number)).one()), True


def over(
    connection: Connection,
    tenant: str,
    kind: Kind,
    subject: str,
    but: str = "",
    *,
    states: Sequence[State] = ("waiting", "released"),
) -> None:
    """End the subject's waiting and unused released holds, except those with the digest `but`."""
    mine = (hold.c.tenant == tenant, hold.c.kind == kind, hold.c.subject == subject)
    connection.execute(
        update(hold)
        .where(*mine, hold.c.state.in_(states), hold.c.digest != but)
        .values(state="over", decided_at=func.coalesce(hold.c.decided_at, datetime.now(UTC)))
    )


def release(ledger: Ledger, number: int, by: str, because: str = "") -> Hold:
    """Release a hold until the next reading. Raises HoldRefused."""
    return _decide(ledger, number, "released", by, because)


def reject(ledger: Ledger, number: int, by: str, because: str = "") -> Hold:
    """Reject a hold and repetitions of the same change. Raises HoldRefused."""
    return _decide(ledger, number, "rejected", by, because)


def _decide(ledger: Ledger, number: int, state: State, by: str, because: str) -> Hold:
    with ledger.write() as connection:
        found = _get(connection, ledger.tenant, number)
        if found.state == state:
            return found  # repeating a decision is no error
        if found.state not in ("waiting", "rejected"):  # a rejection can be revised
            raise HoldRefused(f"hold {number} ({found.kind} of {found.subject}) is {found.state}: it waits no more")
        values = {"state": state, "decided_at": datetime.now(UTC), "decided_by": by, "because": because}
        connection.execute(update(hold).where(hold.c.id == number).values(values))
        detail = {"hold": number, "reason": found.reason, "because": because}
        action = "release" if state == "released" else "reject"
        record(
            connection,
            ledger.tenant,
            actor=by,
            action=action,
            subject=f"{found.kind} of {found.subject}",
            detail=detail,
        )
        return _get(connection, ledger.tenant, number)


def get(ledger: Ledger, number: int) -> Hold:
    """A hold by its number. Raises HoldRefused if there is none."""
    with ledger.read() as connection:
        return _get(connection, ledger.tenant, number)


def _get(connection: Connection, tenant: str, number: int) -> Hold:
    row = connection.execute(select(*_COLUMNS).where(hold.c.tenant == tenant, hold.c.id == number)).first()
    if row is None:
        raise HoldRefused(f"there is no hold {number}; `moat access held` lists them")
    return record_of(Hold, row)


def listing(ledger: Ledger, state: State | None = "waiting") -> list[Hold]:
    """Holds in one state, or in all, newest first; waiting ones by default."""
    query = select(*_COLUMNS).where(hold.c.tenant == ledger.tenant).order_by(hold.c.id.desc())
    with ledger.read() as connection:
        return [
            record_of(Hold, row) for row in connection.execute(query.where(hold.c.state == state) if state else query)
        ]
