"""Digests of contents that documents had, so that a restored backup is known for what it is."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, ScalarSelect, Select, delete, exists, func, insert, select

from moat.batching import windows
from moat.ledger import Ledger
from moat.ledger.documents import promoted
from moat.ledger.tables import load, past_content, revision

KEPT = timedelta(days=60)


def keep(connection: Connection, loads: "ScalarSelect[int] | Select[tuple[int]]") -> None:
    """Keep the digests of contents that these loads replaced, before their revisions are removed."""
    known = exists().where(
        past_content.c.document_id == revision.c.document_id, past_content.c.content_hash == revision.c.content_hash
    )
    replaced = (
        select(revision.c.document_id, revision.c.content_hash, func.max(load.c.opened_at))
        .join(load, load.c.id == revision.c.retired_in)
        .where(revision.c.retired_in.in_(loads), ~known)
        .group_by(revision.c.document_id, revision.c.content_hash)
    )
    connection.execute(insert(past_content).from_select(["document_id", "content_hash", "at"], replaced))
    connection.execute(delete(past_content).where(past_content.c.at < datetime.now(UTC) - KEPT))


def of(ledger: Ledger, documents: Sequence[str]) -> dict[str, dict[str, datetime]]:
    """Earlier contents of some documents: when each was replaced, by its digest, by document id."""
    still = (
        select(revision.c.document_id, revision.c.content_hash, load.c.opened_at.label("at"))
        .join(load, load.c.id == revision.c.retired_in)
        .where(promoted(revision.c.retired_in))
    )
    gone = select(past_content.c.document_id, past_content.c.content_hash, past_content.c.at)
    found: dict[str, dict[str, datetime]] = defaultdict(dict)
    with ledger.read() as connection:
        for window in windows(documents):
            for query, column in ((gone, past_content.c.document_id), (still, revision.c.document_id)):
                for row in connection.execute(query.where(column.in_(window))):
                    found[row.document_id][row.content_hash] = row.at
    return found
