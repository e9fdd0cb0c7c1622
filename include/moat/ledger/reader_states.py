"""What a reader keeps from one load to the next, such as a delta token, and what it listed by then.

The state stands in the row of its load and counts once that load is promoted. So a load that was held, rejected or
rolled back leaves the token before it in use, and what it had brought is brought again.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import and_, null, select, update

from moat.ledger import Ledger
from moat.ledger.documents import visible
from moat.ledger.loads import Load, fenced
from moat.ledger.tables import document, load, quarantine, revision
from moat.ledger.tables import policy as policies
from moat.records import Listed


def keep(ledger: Ledger, current: Load, state: str) -> None:
    """Keep the state of the reader with its load; another try of the load replaces it."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        connection.execute(update(load).where(load.c.id == current.id).values(reader_state=state))


def newest(ledger: Ledger, name: str) -> str:
    """The state of the newest promoted load of a source that has one; empty if none has."""
    mine = (load.c.tenant == ledger.tenant, load.c.source == name, load.c.state == "promoted")
    query = select(load.c.reader_state).where(*mine, load.c.reader_state.is_not(None)).order_by(load.c.id.desc())
    with ledger.read() as connection:
        return connection.scalar(query.limit(1)) or ""


def listed_before(ledger: Ledger, name: str) -> Iterator[Listed]:
    """The documents of a source as they were last listed: those that are visible, and those in quarantine.

    Yields:
        Listed documents, in no order, each once. `size` is 0. Of one whose access is unknown, `policy` is None.
    """
    mine = (document.c.tenant == ledger.tenant, document.c.source == name, document.c.erased_at.is_(None))
    seen = (
        select(document.c.key, revision.c.uri, revision.c.fingerprint, policies.c.body, null().label("reason"))
        .select_from(document)
        .join(revision, and_(revision.c.document_id == document.c.id, visible(revision)))
        .outerjoin(policies, policies.c.digest == document.c.policy)
        .where(*mine)
    )
    aside = (
        select(quarantine.c.key, quarantine.c.uri, quarantine.c.fingerprint, policies.c.body, quarantine.c.reason)
        .select_from(quarantine)
        .outerjoin(document, and_(document.c.source == quarantine.c.source, document.c.key == quarantine.c.key, *mine))
        .outerjoin(policies, policies.c.digest == document.c.policy)
        .where(quarantine.c.tenant == ledger.tenant, quarantine.c.source == name, quarantine.c.state != "resolved")
    )
    with ledger.read() as connection:
        newer = {row.key: row for row in connection.execute(aside)}
        rows = connection.execution_options(yield_per=2_000).execute(seen)
        yield from (_listed(row) for row in rows if row.key not in newer)
    yield from map(_listed, newer.values())


def _listed(row: Any) -> Listed:
    why = "" if row.body else row.reason or "it was unknown when it was last listed"
    return Listed(key=row.key, uri=row.uri, fingerprint=row.fingerprint or "", size=0, policy=row.body, reason=why)
