"""Retiring a source: all of its documents are hidden in one step, and removed in those after it.

Its tombstones bear the moment of `source.retired_at`: a source of this name that is loaded later lifts these, and
leaves those of documents that were erased for a reason of their own. See `moat.ledger.sources.back`.
"""

from datetime import UTC, datetime

from sqlalchemy import select, update

from moat.errors import ErasureRefused
from moat.ledger import Ledger, erasure, holds, incidents, loads, sources
from moat.ledger.audit import record
from moat.ledger.receipts import Receipt, in_quarantine, pending_receipts
from moat.ledger.tables import document, event, quarantine, source


def begin(ledger: Ledger, name: str, by: str, because: str) -> None:
    """Hide all documents of a source, and end what waits in it; repeatable, and goes on where it stopped.

    Args:
        ledger: The ledger.
        name: Name of the source, which no DAG file declares any more.
        by: Who retires it.
        because: Reason for the audit.

    Raises:
        ErasureRefused: The ledger knows no such source.
        LedgerError: The database did not answer.
    """
    mine = (source.c.tenant == ledger.tenant, source.c.name == name)
    with ledger.write() as connection:
        row = connection.execute(select(source.c.retired_at).where(*mine).with_for_update()).one_or_none()
        if row is None:
            known = ", ".join(loads.sources(ledger)) or "none"
            raise ErasureRefused(f"the ledger knows no source {name!r}; there are {known}. Nothing was retired")
        at = row.retired_at or datetime.now(UTC)
        if row.retired_at is None:
            values = {"retired_at": at, "declared_in": None, "access_until": None, "access_failed_at": None}
            connection.execute(update(source).where(*mine).values(**values, access_error=None))
            # Another source of this name is not measured by this one's past.
            told = {"source": name, "at": at, "because": f"retired: {because}", "by": by}
            connection.execute(event.insert().values(tenant=ledger.tenant, **told))
            detail = {"because": because}
            record(connection, ledger.tenant, actor=by, action="retire", subject=f"source {name}", detail=detail)
    _hide(ledger, name, at=at, by=by, because=because)
    for number, _ in erasure.under_way(ledger, name):
        loads.reject(ledger, number, by, f"its source was retired: {because}")
    _hide(ledger, name, at=at, by=by, because=because)  # what a load had found meanwhile
    with ledger.write() as connection:
        holds.over(connection, ledger.tenant, "widening", name)
    incidents.over(ledger, [one.id for one in incidents.listing(ledger, name)], "its source was retired")


def unfinished(ledger: Ledger, name: str) -> list[Receipt]:
    """Receipts of a retirement whose documents are hidden and not removed yet."""
    at = sources.retired(ledger).get(name)
    if at is None:
        return []
    with ledger.read() as connection:
        return [one for one in pending_receipts(connection, ledger, name) if one.begun_at == at.isoformat()]


def _hide(ledger: Ledger, name: str, *, at: datetime, by: str, because: str) -> None:
    """Set the tombstones of all documents that have none, those among them that only rest in quarantine."""
    mine = (document.c.tenant == ledger.tenant, document.c.source == name)
    with ledger.read() as connection:
        rows = connection.execute(select(document.c.key, document.c.erased_at).where(*mine)).all()
        aside = set(connection.scalars(select(quarantine.c.key).where(*in_quarantine(ledger, name))))
    gone = {row.key for row in rows if row.erased_at is not None}
    if keys := sorted(({row.key for row in rows} | aside) - gone):
        words = f"the source was retired: {because}"
        erasure.begin(ledger, erasure.Request(source=name, keys=tuple(keys), by=by, because=words), at)
