"""The ledger's tables. The ledger is the record of truth; Weaviate is a projection of it.

A chunk is visible when the load that added it is promoted and no promoted load has retired it, so
promote and rollback change one row of `load`. Data on which loads may differ (a document's content, a chunk's
position) has rows with `added_in` and `retired_in`; data with one current state (access) is a column.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    true,
)

from moat.ledger.types import Guid, Id, Moment

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _serial() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


def _load(name: str, nullable: bool = False) -> Column[int]:
    return Column(name, Id, ForeignKey("load.id"), nullable=nullable, index=True)


source = Table(
    "source",
    metadata,
    Column("tenant", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("fence", Integer, nullable=False, default=0),  # rises whenever a load takes the lease
    Column("lease_load", Id),
    Column("lease_until", Moment),
    Column("access_seq", Integer, nullable=False, default=0, server_default="0"),  # rises with every recorded access
    Column("access_read_at", Moment),  # last complete reading of access
    Column("access_failed_at", Moment),  # start of the current failure
    Column("access_error", Text),
    Column("access_until", Moment),  # documents are masked from this time; NULL: access can be read
    Column("former_names", JSON),  # oldest first; ids and index go by the first. NULL: it had none
    Column("declared_in", Text),  # the DAG file that it belongs to, by its path inside their folder
    Column("versions", String(8)),  # all or newest, as declared; NULL: all
    Column("retired_at", Moment),  # of its documents that went with it, the tombstone's time; NULL: it is in use
    Column("rolled_back", Id),  # load whose content a person took back and wants to be asked about; NULL: none
    Column("link", Text),  # address of its documents for people, with {key} in it; NULL: none is declared
    Column("index_started", String(256)),  # mark of Weaviate's start after which it was compared; NULL: never
)

load = Table(
    "load",
    metadata,
    _serial(),
    Column("tenant", String(32), nullable=False),
    Column("source", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("run", String(512), nullable=False),  # who runs it: airflow:DAG:RUN or cli:HOST:PID
    Column("options", JSON, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("model", String(64)),  # key of the embedding model
    Column("reason", Text),
    Column("decided_by", String(256)),
    Column("opened_at", Moment, nullable=False),
    Column("ended_at", Moment),  # promoted, rejected, unchanged or abandoned
    Column("proved_at", Moment),  # every object was read back and matched
    Column("removed_at", Moment),  # replaced chunks are removed: rollback is no longer possible
    Column("context", JSON),  # provenance: versions, settings and credentials, by name
    Column("held_for", String(16)),  # gate or budget, while it waits
    Column("budget_by", String(256)),  # who released it over its budget
    Column("reader_state", Text),  # what its reader keeps for the next load; NULL: nothing
    Index(None, "tenant", "source", "state"),
)

document = Table(
    "document",
    metadata,
    Column("id", Guid, primary_key=True),
    Column("tenant", String(32), nullable=False),
    Column("source", String(64), nullable=False),
    Column("key", Text, nullable=False),
    Column("policy", String(32), ForeignKey("policy.digest"), index=True),  # NULL: unknown, so invisible
    Column("access_version", Integer, nullable=False, default=0),  # rises with every change of policy
    Column("access_seen", Integer, nullable=False, default=0, server_default="0"),  # source.access_seq of that change
    Column("indexed", String(32)),  # digest of the policy whose access tokens the index holds; "?": being written
    Column("indexing", String(32)),  # mark of the writer
    Column("kept_back", Text),  # why its next widening waits for a person, whatever the limits say
    Column("first_seen", Moment, nullable=False),
    Column("erased_at", Moment),  # tombstone: never loaded again
    UniqueConstraint("tenant", "source", "key"),
    Index(None, "tenant", "source", "policy"),  # whether somebody may read anything of a source
)

revision = Table(
    "revision",
    metadata,
    _serial(),
    Column("document_id", Guid, ForeignKey("document.id"), nullable=False, index=True),
    _load("added_in"),
    _load("retired_in", nullable=True),
    Column("uri", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("media_type", String(128), nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("recipe", String(32), nullable=False),  # digest of all code and settings that turn bytes into chunks
    Column("metadata", JSON, nullable=False),
    Column("n_pages", Integer, nullable=False),
    Column("n_chunks", Integer, nullable=False),
    Column("n_words", Integer, nullable=False, server_default="0"),  # of its text by another road; 0: not compared
    Column("n_missing", Integer, nullable=False, server_default="0"),  # of these, in no chunk and not declared
    Column("words", JSON, nullable=False, server_default="{}"),  # missing: some of them; left_out: by rule
    Column("modified_at", Moment, index=True),  # as its source says; NULL: unknown, or loaded before it was kept
    Column("language", String(8)),  # ISO 639-1; empty: too little text; NULL: loaded before it was kept
)

past_content = Table(
    "past_content",
    metadata,
    Column("document_id", Guid, ForeignKey("document.id"), primary_key=True),
    Column("content_hash", String(64), primary_key=True),
    Column("at", Moment, nullable=False),  # when it was replaced; older ones are forgotten
)

chunk = Table(
    "chunk",
    metadata,
    Column("id", Guid, primary_key=True),
    Column("document_id", Guid, ForeignKey("document.id"), nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("heading", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("n_tokens", Integer, nullable=False),
    Column("text_hash", String(64), nullable=False, index=True),  # of the embedded text
    Column("mark", BigInteger, index=True),  # lowest of its runs of words; NULL: it has too few
)

presence = Table(
    "presence",
    metadata,
    _serial(),
    Column("chunk_id", Guid, ForeignKey("chunk.id"), nullable=False, index=True),
    _load("added_in"),
    _load("retired_in", nullable=True),
    Column("position", Integer, nullable=False),
    Column("page", Integer),
)

embedding = Table(
    "embedding",
    metadata,
    Column("model", String(64), primary_key=True),
    Column("text_hash", String(64), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # little-endian float32
)

policy = Table(
    "policy",
    metadata,
    Column("digest", String(32), primary_key=True),
    Column("tenant", String(32), nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON
    Column("n_layers", Integer, nullable=False),
    Column("plain", Boolean, nullable=False),  # stored in the index as its principals' own access tokens
)

policy_entry = Table(
    "policy_entry",
    metadata,
    Column("digest", String(32), ForeignKey("policy.digest"), primary_key=True),
    Column("layer", Integer, primary_key=True),  # -1: deny
    Column("principal", String(512), primary_key=True),
    Column("wide", Boolean, nullable=False, default=False, server_default=false()),  # its policy has its own token
    Index(None, "principal"),
    Index(None, "wide", "principal"),  # a search reads only these, however many documents name the asker
)

access_change = Table(
    "access_change",
    metadata,
    Column("load_id", Id, ForeignKey("load.id"), primary_key=True),
    Column("document_id", Guid, ForeignKey("document.id"), primary_key=True),
    Column("policy", String(32), ForeignKey("policy.digest"), nullable=False),  # applies from promotion
    Column("from_version", Integer, nullable=False),  # applied only if the ledger's access is unchanged since
)

member = Table(
    "member",
    metadata,
    Column("tenant", String(32), primary_key=True),
    Column("directory", String(64), primary_key=True),
    Column("group", String(512), primary_key=True),
    Column("member", String(512), primary_key=True),  # a user or another group
    Index(None, "tenant", "member"),
)

directory = Table(
    "directory",
    metadata,
    Column("tenant", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("revision", Integer, nullable=False),  # rises with every swap, so that old results are never used
    Column("digest", String(64), nullable=False),  # of its memberships
    Column("n_groups", Integer, nullable=False),
    Column("n_memberships", Integer, nullable=False),
    Column("read_at", Moment),  # last complete and valid reading
    Column("failed_at", Moment),  # start of the current failure
    Column("error", Text),
    Column("max_age_s", Integer),  # older memberships make searches refuse; NULL: maintained by hand
)

hold = Table(
    "hold",
    metadata,
    _serial(),
    Column("tenant", String(32), nullable=False),
    Column("kind", String(16), nullable=False),  # widening, directory
    Column("subject", String(64), nullable=False),  # the source's or the directory's name
    Column("digest", String(64), nullable=False),  # of the waiting change: the same change is the same hold
    Column("state", String(16), nullable=False),  # waiting, released, rejected, over
    Column("reason", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("decided_at", Moment),
    Column("decided_by", String(256)),
    Column("because", Text),
    Index(None, "tenant", "kind", "subject", "state"),
)

hold_document = Table(
    "hold_document",
    metadata,
    Column("hold_id", Id, ForeignKey("hold.id"), primary_key=True),
    Column("document_id", Guid, ForeignKey("document.id"), primary_key=True, index=True),
    Column("policy", String(32), ForeignKey("policy.digest"), nullable=False),  # what the source reports
    Column("was", String(32)),  # what the ledger had; NULL: unknown
)

erasure = Table(
    "erasure",
    metadata,
    _serial(),
    Column("tenant", String(32), nullable=False),
    Column("source", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # begun, done
    Column("receipt", JSON, nullable=False),
    Column("begun_at", Moment, nullable=False),
    Column("done_at", Moment),
)

check_result = Table(
    "check_result",
    metadata,
    Column("load_id", Id, ForeignKey("load.id"), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("family", String(32), nullable=False),
    Column("severity", String(8), nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("seen", Text, nullable=False),
    Column("allowed", Text, nullable=False),
    Column("documents", JSON, nullable=False),  # keys of some documents behind it
    Column("measure", String(160), nullable=False, default="", server_default=""),  # measure of a learned bound
    Column("judged", Boolean, nullable=False, default=True, server_default=true()),  # there was something to judge
)

measure = Table(
    "measure",
    metadata,
    Column("load_id", Id, ForeignKey("load.id"), primary_key=True),
    Column("name", String(160), primary_key=True),
    Column("family", String(32), nullable=False),
    Column("value", Float, nullable=False),
)

event = Table(
    "event",
    metadata,
    _serial(),
    Column("tenant", String(32), nullable=False),
    Column("source", String(64), nullable=False),
    Column("at", Moment, nullable=False),  # bounds are learned from the loads after it
    Column("because", Text, nullable=False),
    Column("by", String(256), nullable=False),
    Index(None, "tenant", "source", "at"),
)

spent = Table(
    "spent",
    metadata,
    Column("load_id", Id, ForeignKey("load.id"), primary_key=True),
    Column("stage", String(16), primary_key=True),
    Column("part", Integer, primary_key=True),  # a batch's number; 0 where a stage has one part
    Column("seconds", Float, nullable=False),
    Column("tokens", BigInteger, nullable=False),  # given to the model
)

incident = Table(
    "incident",
    metadata,
    _serial(),
    Column("tenant", String(32), nullable=False),
    Column("source", String(64), nullable=False),
    Column("stage", String(16), nullable=False),  # the first bad one
    Column("state", String(16), nullable=False),  # open, acknowledged, resolved
    Column("severity", String(8), nullable=False),  # warn, hold, block
    Column("title", Text, nullable=False),
    Column("detail", JSON, nullable=False),  # the diagnosis: causes, evidence, reach, commands
    Column("load_id", Id, ForeignKey("load.id"), index=True),
    Column("run", String(512), nullable=False),
    Column("happened_at", Moment, nullable=False),  # when the fault began, as far as the ledger knows
    Column("opened_at", Moment, nullable=False),
    Column("acknowledged_at", Moment),
    Column("acknowledged_by", String(256)),
    Column("resolved_at", Moment),
    Column("resolved_by", String(256)),
    Column("because", Text),
    Column("told", String(64)),  # digest of the last notification
    Column("told_at", Moment),
    Column("n_told", Integer, nullable=False, default=0, server_default="0"),
    Index(None, "tenant", "source", "state"),
)

incident_event = Table(
    "incident_event",
    metadata,
    _serial(),
    Column("incident_id", Id, ForeignKey("incident.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),  # check, task, late
    Column("stage", String(16), nullable=False),
    Column("subject", String(256), nullable=False),  # name of the check or task
    Column("message", Text, nullable=False),
    Column("severity", String(8), nullable=False),
    Column("load_id", Id),
    Column("n", Integer, nullable=False),  # number of occurrences
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    UniqueConstraint("incident_id", "kind", "stage", "subject"),
)

quarantine = Table(
    "quarantine",
    metadata,
    _serial(),
    Column("tenant", String(32), nullable=False),
    Column("source", String(64), nullable=False),
    Column("key", Text, nullable=False),
    Column("uri", Text, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("error", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("recipe", String(32), nullable=False),
    Column("raw_uri", Text),
    Column("attempts", Integer, nullable=False),
    _load("load_id"),
    Column("state", String(16), nullable=False),  # set aside, replay, resolved
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    UniqueConstraint("tenant", "source", "key"),
)

audit = Table(
    "audit",
    metadata,
    _serial(),
    Column("tenant", String(32), nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("actor", String(512), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("previous", String(64), nullable=False),  # hash of the row before
    Column("hash", String(64), nullable=False),
)

audit_head = Table(  # the newest row's hash; the lock on it orders the writers
    "audit_head", metadata, Column("tenant", String(32), primary_key=True), Column("hash", String(64), nullable=False)
)
