"""A document's access in the ledger: what narrows holds at once, what widens holds from promotion."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from include.access import Policy
from include.ids import document_id
from include.ledger import Ledger, windows
from include.ledger.loads import Load, fenced
from include.ledger.policies import keep
from include.ledger.tables import access_change, document
from include.ledger.tables import policy as policies


def forget_changes(ledger: Ledger, current: Load) -> None:
    """Drop the changes of access that an earlier try of this load's `read` had noted."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        connection.execute(delete(access_change).where(access_change.c.load_id == current.id))


def narrow(ledger: Ledger, current: Load, changes: Sequence[tuple[str, str | None]]) -> None:
    """Record access that a listing shows differently from the ledger: (key, policy or None for unknown).

    What narrows holds from this moment. What widens holds from the promotion of this load: the
    old text must not be seen by those who were let in to the new one. Until then a reader must
    satisfy both. Documents that the ledger never saw are left for `stage`.
    """
    wanted = {document_id(ledger.tenant, current.source, key): policy for key, policy in changes}
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        for window in windows(wanted):
            rows = connection.execute(
                select(document.c.id, document.c.policy, document.c.access_version).where(document.c.id.in_(window))
            ).all()
            bodies = keep(connection, ledger.tenant, {Policy.from_text(wanted[r.id]) for r in rows if wanted[r.id]})  # type: ignore[arg-type]
            held = _bodies(connection, {r.policy for r in rows if r.policy})
            for r in rows:
                _narrow_one(connection, ledger, current, r, wanted[r.id], held, bodies)


def moving(ledger: Ledger, current: Load, keys: Sequence[str]) -> list[str]:
    """Those of the keys whose access this load changes, or whose access the index does not hold yet."""
    coming = and_(access_change.c.document_id == document.c.id, access_change.c.load_id == current.id)
    query = (
        select(document.c.key)
        .outerjoin(access_change, coming)
        .where(document.c.id.in_([document_id(ledger.tenant, current.source, key) for key in keys]))
        .where(or_(access_change.c.policy.is_not(None), document.c.policy.is_distinct_from(document.c.indexed)))
    )
    with ledger.read() as connection:
        return list(connection.scalars(query))


def _narrow_one(
    connection: Connection,
    ledger: Ledger,
    current: Load,
    row: Any,
    wanted: str | None,
    held: dict[str, Policy],
    digests: dict[str, str],
) -> None:
    now: str | None = row.policy
    if wanted is None:
        present = None
    elif now is None:
        present = None  # masked until this load is promoted
    else:
        new = Policy.from_text(wanted)
        meet = held[now].both(new) if new.widens(held[now]) else new
        present = keep(connection, ledger.tenant, {meet})[meet.text()]
    version = row.access_version
    if present != now:
        version += 1
        connection.execute(
            update(document).where(document.c.id == row.id).values(policy=present, access_version=version)
        )
    connection.execute(
        delete(access_change).where(access_change.c.load_id == current.id, access_change.c.document_id == row.id)
    )
    if wanted is not None and digests[wanted] != present:
        connection.execute(
            insert(access_change).values(
                load_id=current.id, document_id=row.id, policy=digests[wanted], from_version=version
            )
        )


def _bodies(connection: Connection, digests: Iterable[str]) -> dict[str, Policy]:
    found: dict[str, Policy] = {}
    for window in windows(digests):
        for row in connection.execute(select(policies.c.digest, policies.c.body).where(policies.c.digest.in_(window))):
            found[row.digest] = Policy.from_text(row.body)
    return found
