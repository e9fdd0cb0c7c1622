"""Who was answered from which document, by UTC day, where MOAT_RECORD_ANSWERS asks for it.

No question is kept: asker, document, first and last time of the day, and how many answers had the document in them.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, func, select

from moat.batching import windows
from moat.ledger import Ledger
from moat.ledger.members import expanded
from moat.ledger.read_tables import answered
from moat.ledger.tables import document, policy_entry

KEPT = timedelta(days=90)
NAMED = 5  # askers
UNKNOWN = "who was answered meanwhile is not recorded: MOAT_RECORD_ANSWERS=1 keeps who was answered from what"


class Reader(NamedTuple):
    """Somebody who was answered from some documents."""

    asker: str
    first_at: datetime
    last_at: datetime
    n: int


def note(ledger: Ledger, asker: str, documents: Collection[str]) -> None:
    """Record an answer that has these documents, at most 1,000, among its hits; in one statement."""
    if not documents:
        return
    now = datetime.now(UTC)
    rows = [
        {"document_id": one, "asker": asker, "day": f"{now:%Y-%m-%d}", "first_at": now, "last_at": now, "n": 1}
        for one in sorted(documents)  # in one order, so that two answers never wait for each other
    ]
    with ledger.write() as connection:
        made = _insert(connection).values(rows)
        again = {"last_at": made.excluded.last_at, "n": answered.c.n + 1}
        connection.execute(made.on_conflict_do_update(index_elements=["document_id", "asker", "day"], set_=again))


def forget(ledger: Ledger) -> None:
    """Delete what is older than 90 days."""
    oldest = f"{datetime.now(UTC) - KEPT:%Y-%m-%d}"
    with ledger.read() as connection:
        old = connection.execute(select(answered.c.day).where(answered.c.day < oldest).limit(1)).first()
    if old is not None:
        with ledger.write() as connection:
            connection.execute(delete(answered).where(answered.c.day < oldest))


def readers(ledger: Ledger, documents: Iterable[str], since: datetime) -> list[Reader]:
    """Who was answered from any of these documents since then, the first of them first."""
    n = func.sum(answered.c.n).label("n")
    query = (
        select(answered.c.asker, func.min(answered.c.first_at), func.max(answered.c.last_at), n)
        .where(answered.c.last_at >= since)
        .group_by(answered.c.asker)
    )
    found: dict[str, Reader] = {}
    with ledger.read() as connection:
        for window in windows(documents):
            for asker, first, last, times in connection.execute(query.where(answered.c.document_id.in_(window))):
                was = found.get(asker, Reader(asker, first, last, 0))
                found[asker] = Reader(asker, min(was.first_at, first), max(was.last_at, last), was.n + int(times))
    return sorted(found.values(), key=lambda one: (one.first_at, one.asker))


def words(
    ledger: Ledger, documents: Sequence[str], since: datetime, recorded: bool, among: frozenset[str] | None = None
) -> str:
    """Who was answered from these documents since then, in words.

    Args:
        ledger: The ledger.
        documents: Their ids.
        since: From when on.
        recorded: Whether MOAT_RECORD_ANSWERS is on here; what another process recorded is told without it.
        among: The people who are meant; services are told as well. None: everybody.
    """
    every = readers(ledger, documents, since)
    found = [one for one in every if among is None or one.asker in among or not one.asker.startswith("user:")]
    if not found and not recorded and not _any(ledger):
        return UNKNOWN
    when = f"since {since:%Y-%m-%d %H:%M} UTC"
    if not found:
        return f"read by nobody {when}"
    names = ", ".join(one.asker for one in found[:NAMED])
    more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
    return f"read by {len(found):,} people {when}: {names}{more}"


def readable_by(ledger: Ledger, groups: Sequence[str], source: str = "") -> list[str]:
    """Ids of the documents, of a source or of all, whose access lets one of these groups in, or one that they are in."""
    if not groups:
        return []
    found = set[str]()
    with ledger.read() as connection:
        above = expanded(connection, ledger.tenant, groups)
        query = (
            select(document.c.id)
            .join(policy_entry, policy_entry.c.digest == document.c.policy)
            .where(document.c.tenant == ledger.tenant, policy_entry.c.layer >= 0)
        )
        query = query.where(document.c.source == source) if source else query
        for window in windows(above):
            found.update(connection.scalars(query.where(policy_entry.c.principal.in_(window))))
    return sorted(found)


def _any(ledger: Ledger) -> bool:
    """Whether any answer of the tenant is recorded."""
    query = select(answered.c.day).join(document, document.c.id == answered.c.document_id)
    with ledger.read() as connection:
        return connection.execute(query.where(document.c.tenant == ledger.tenant).limit(1)).first() is not None


def _insert(connection: Connection) -> Any:
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as pg_insert

        return pg_insert(answered)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(answered)
