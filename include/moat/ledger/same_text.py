"""Which documents of the tenant hold a text, and who may read them; of any source."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import String, cast, exists, func, select, type_coerce

from moat.access.policy import Policy
from moat.batching import windows
from moat.ledger import Ledger
from moat.ledger.access import bodies
from moat.ledger.documents import promoted
from moat.ledger.tables import chunk, document, policy, presence
from moat.ledger.types import Guid


class Marked(NamedTuple):
    """Documents of one policy with a chunk of this mark: their number, and up to two of them."""

    mark: int
    policy: str  # digest
    n: int
    one: str
    other: str


class Holder(NamedTuple):
    """A document that holds a text, and who may read it."""

    source: str
    key: str
    policy: Policy


def policies_in_use(ledger: Ledger, most: int) -> list[Policy]:
    """Up to so many policies of the tenant's documents."""
    used = exists().where(document.c.policy == policy.c.digest)
    query = select(policy.c.body).where(policy.c.tenant == ledger.tenant, used).limit(most)
    with ledger.read() as connection:
        return [Policy.from_text(body) for body in connection.scalars(query)]


def marked(ledger: Ledger, marks: Iterable[int]) -> list[Marked]:
    """Documents that were promoted with chunks of these marks, visible or not, by mark and policy."""
    # No bare column: by its index, SQLite would go through all documents of the tenant instead of the marks.
    tenant = func.coalesce(document.c.tenant, "")
    there = exists().where(presence.c.chunk_id == chunk.c.id, promoted(presence.c.added_in))
    identity = cast(document.c.id, String)  # PostgreSQL has no min of a uuid
    first, last = (type_coerce(of(identity), Guid) for of in (func.min, func.max))
    query = (
        select(chunk.c.mark, document.c.policy, func.count(document.c.id.distinct()), first, last)
        .select_from(chunk)
        .join(document, document.c.id == chunk.c.document_id)
        .where(tenant == ledger.tenant, document.c.policy.is_not(None), document.c.erased_at.is_(None))
        .where(there)
        .group_by(chunk.c.mark, document.c.policy)
    )
    with ledger.read() as connection:
        return [
            Marked(*row)
            for window in windows(marks)
            for row in connection.execute(query.where(chunk.c.mark.in_(window)))
        ]


def holders(ledger: Ledger, documents: Iterable[str]) -> dict[str, Holder]:
    """Source, key and policy of some documents, by id; those whose access is unknown are left out."""
    query = select(document.c.id, document.c.source, document.c.key, document.c.policy).where(
        document.c.tenant == ledger.tenant, document.c.policy.is_not(None)
    )
    with ledger.read() as connection:
        rows = [
            row for window in windows(documents) for row in connection.execute(query.where(document.c.id.in_(window)))
        ]
        held = bodies(connection, {row.policy for row in rows})
    return {row.id: Holder(row.source, row.key, held[row.policy]) for row in rows}
