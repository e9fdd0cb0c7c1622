"""Tables of what a pass let in, so that it can be taken back: of access sync, or a swap of a directory."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, false

from moat.ledger.tables import metadata
from moat.ledger.types import Guid, Id, Moment

access_pass = Table(
    "access_pass",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("tenant", String(32), nullable=False),
    Column("kind", String(16), nullable=False, default="access", server_default="access"),  # or directory
    Column("source", String(64), nullable=False),  # or the directory
    Column("by", String(512), nullable=False),
    Column("at", Moment, nullable=False),
    Column("reverted_at", Moment),
    Column("reverted_by", String(512)),
    Index(None, "tenant", "source"),
    sqlite_autoincrement=True,  # the number of a pass that is forgotten is never another one's
)

pass_document = Table(
    "pass_document",
    metadata,
    Column("pass_id", Id, ForeignKey("access_pass.id"), primary_key=True),
    Column("document_id", Guid, ForeignKey("document.id"), primary_key=True, index=True),
    Column("was", String(32), ForeignKey("policy.digest")),  # NULL: it was masked
    Column("now", String(32), nullable=False),
    Column("from_version", Integer, nullable=False),  # its access_version before the pass
    Column("version", Integer, nullable=False),  # the document's access_version since: another one is a newer access
)

pass_member = Table(  # of a swap: who became member of what
    "pass_member",
    metadata,
    Column("pass_id", Id, ForeignKey("access_pass.id"), primary_key=True),
    Column("group", String(512), primary_key=True),
    Column("member", String(512), primary_key=True),  # a user or another group
    Column("kept_out", Boolean, nullable=False, default=False, server_default=false()),  # until a person lets it in
)
