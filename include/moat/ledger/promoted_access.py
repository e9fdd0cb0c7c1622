"""Access that a load brings: applied with its promotion, in the same transaction."""

from sqlalchemy import Connection, bindparam, select, update

from moat.batching import windows
from moat.ledger.audit import record
from moat.ledger.tables import access_change, document, source


def widen(connection: Connection, tenant: str, name: str, number: int, by: str) -> None:
    """Apply the access changes of a load of a source, except where newer access exists."""
    coming = (
        select(document.c.id, document.c.policy.label("was"), access_change.c.policy.label("now"))
        .join(access_change, access_change.c.document_id == document.c.id)
        .where(access_change.c.load_id == number, access_change.c.from_version == document.c.access_version)
        .order_by(document.c.id)
    )
    # Recorded under a new number: a reading of the source that began earlier does not know it.
    mine = (source.c.tenant == tenant, source.c.name == name)
    connection.execute(update(source).where(*mine).values(access_seq=source.c.access_seq + 1))
    seq = connection.execute(select(source.c.access_seq).where(*mine)).scalar_one()
    for window in windows(connection.execute(coming).all()):
        connection.execute(
            update(document)
            .where(document.c.id == bindparam("of"))
            .values(policy=bindparam("policy_now"), access_version=document.c.access_version + 1, access_seen=seq),
            [{"of": row.id, "policy_now": row.now} for row in window],
        )
        detail = {"documents": [[row.id, row.was, row.now] for row in window], "how": f"promoted by load {number}"}
        record(connection, tenant, actor=by, action="access", subject=f"source {name}", detail=detail)
