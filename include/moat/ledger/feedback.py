"""What askers say of passages that they were answered with: up or down, and why.

One word of an asker to a passage: the newest. Erasing the document removes it. No question is kept.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import delete, insert, select

from moat.ledger import Ledger
from moat.ledger.read_tables import feedback
from moat.ledger.tables import document
from moat.records import record_of

Verdict = Literal["up", "down"]
MOST_WHY = 2_000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What an asker said of a passage."""

    source: str
    key: str
    chunk_id: str
    asker: str
    at: datetime
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class Said:
    """A word to a passage, as it is given."""

    chunk_id: str
    verdict: Verdict
    why: str = ""


def give(ledger: Ledger, asker: str, document_id: str, said: Said) -> None:
    """Keep what an asker says of a passage of a document, in the place of what they said before."""
    theirs = (feedback.c.document_id == document_id, feedback.c.chunk_id == said.chunk_id, feedback.c.asker == asker)
    row = {"document_id": document_id, "chunk_id": said.chunk_id, "asker": asker, "at": datetime.now(UTC)}
    with ledger.write() as connection:
        connection.execute(delete(feedback).where(*theirs))
        connection.execute(insert(feedback).values(**row, verdict=said.verdict, why=said.why[:MOST_WHY]))


def listing(
    ledger: Ledger, source: str | None = None, verdict: Verdict | None = None, limit: int = 100
) -> list[Feedback]:
    """What was said of the passages of a source or of all, the newest first."""
    where = [document.c.tenant == ledger.tenant]
    where += [document.c.source == source] if source else []
    where += [feedback.c.verdict == verdict] if verdict else []
    columns = (feedback.c.chunk_id, feedback.c.asker, feedback.c.at, feedback.c.verdict, feedback.c.why)
    query = (
        select(document.c.source, document.c.key, *columns)
        .join(document, document.c.id == feedback.c.document_id)
        .where(*where)
        .order_by(feedback.c.at.desc(), feedback.c.chunk_id)
        .limit(limit)
    )
    with ledger.read() as connection:
        return [record_of(Feedback, row) for row in connection.execute(query)]
