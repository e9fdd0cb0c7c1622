"""Tracks which policy's access tokens the index holds for a document.

Weaviate has no transactions, and a load and the access sync may write the same object's `allow` at
once; which write came last cannot be seen from outside. So a writer sets a mark before it writes,
and records what the index holds only if its mark is still there afterwards. A writer that finds
another mark, or none, leaves the document dirty, and the next access sync writes it again. A writer
that is killed leaves it dirty as well.
"""

import uuid
from collections.abc import Iterable, Mapping
from itertools import groupby

from sqlalchemy import update

from moat.batching import windows
from moat.ledger import Ledger
from moat.ledger.loads import Load, fenced
from moat.ledger.tables import document

DIRTY = "?"  # no digest: unknown what the index holds


def begin(ledger: Ledger, documents: Iterable[str], current: Load | None = None) -> str:
    """Mark documents before their access tokens are written. Raises Superseded."""
    mark = uuid.uuid4().hex
    with ledger.write() as connection:
        if current is not None:
            fenced(connection, ledger, current)
        for window in windows(documents):
            connection.execute(update(document).where(document.c.id.in_(window)).values(indexed=DIRTY, indexing=mark))
    return mark


def end(ledger: Ledger, mark: str, holds: Mapping[str, str | None], current: Load | None = None) -> None:
    """Record whose access tokens the index now holds, as policy digests; None for no reader."""
    with ledger.write() as connection:
        if current is not None:
            fenced(connection, ledger, current)
        for digest, group in groupby(sorted(holds, key=lambda i: holds[i] or ""), holds.__getitem__):
            for window in windows(group):
                mine = document.c.id.in_(window)
                other = document.c.indexing.is_distinct_from(mark)
                connection.execute(update(document).where(mine, other).values(indexed=DIRTY, indexing=None))
                own = document.c.indexing == mark
                connection.execute(update(document).where(mine, own).values(indexed=digest, indexing=None))
