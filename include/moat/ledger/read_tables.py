"""Tables of what a search says beside a text, of who was answered from what, and of what they said to it."""

from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text

from moat.ledger.tables import metadata
from moat.ledger.types import Guid, Id, Moment

older_version = Table(  # holds while both documents are visible with these contents
    "older_version",
    metadata,
    Column("older_id", Guid, ForeignKey("document.id"), primary_key=True),
    Column("newer_id", Guid, ForeignKey("document.id"), primary_key=True, index=True),
    Column("load_id", Id, ForeignKey("load.id"), primary_key=True),
    Column("older_hash", String(64), nullable=False),  # content_hash of their revisions
    Column("newer_hash", String(64), nullable=False),
)

answered = Table(
    "answered",
    metadata,
    Column("document_id", Guid, ForeignKey("document.id"), primary_key=True),
    Column("asker", String(512), primary_key=True),
    Column("day", String(10), primary_key=True, index=True),  # UTC, ISO 8601
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("n", Integer, nullable=False),  # answers with this document among the hits
)

feedback = Table(
    "feedback",
    metadata,
    Column("document_id", Guid, ForeignKey("document.id"), primary_key=True),
    Column("chunk_id", Guid, primary_key=True),  # stays when the chunk is retired and cleared
    Column("asker", String(512), primary_key=True),
    Column("at", Moment, nullable=False, index=True),
    Column("verdict", String(8), nullable=False),  # up or down
    Column("why", Text, nullable=False),
)
