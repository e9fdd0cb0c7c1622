"""Explain one document: its revisions, its state, and its access."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from moat.access.policy import Policy
from moat.ledger import Ledger
from moat.ledger.documents import visible
from moat.ledger.quarantine import Quarantined
from moat.ledger.second_look import masked
from moat.ledger.sources import retired
from moat.ledger.tables import chunk, document, load, policy, presence, quarantine, revision
from moat.records import record_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One content that the document had."""

    added_in: int
    added_state: str
    retired_in: int | None
    title: str
    media_type: str
    n_chunks: int
    content_hash: str
    visible: bool
    opened_at: datetime
    n_words: int  # of its text by another road than the parser's; 0: not compared
    n_missing: int  # of these, in no chunk and not declared as left out
    words: dict[str, list[str]]  # missing: some of them; left_out: "rule=n=sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What the ledger knows of a document."""

    source: str
    key: str
    first_seen: datetime | None
    state: str
    access: str
    quarantined: str | None
    revisions: tuple[Revision, ...]
    chunks: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the story as a dict of plain values."""
        return asdict(self)


def explain(ledger: Ledger, source: str, key: str) -> Story | None:
    """Explain a document from the ledger.

    Args:
        ledger: The tenant's ledger.
        source: Name of the source.
        key: The source's key of the document.

    Returns:
        Its state, access, revisions and chunks; None if the ledger never saw it.
    """
    with ledger.read() as connection:
        aside = connection.execute(
            select(*(quarantine.c[name] for name in Quarantined.__dataclass_fields__)).where(
                quarantine.c.tenant == ledger.tenant, quarantine.c.source == source, quarantine.c.key == key
            )
        ).first()
        row = connection.execute(
            select(document, policy.c.body)
            .outerjoin(policy, policy.c.digest == document.c.policy)
            .where(document.c.tenant == ledger.tenant, document.c.source == source, document.c.key == key)
        ).first()
        if row is None and aside is None:
            return None
        stale = source in masked(connection, ledger.tenant)
        revisions: tuple[Revision, ...] = ()
        chunks: tuple[dict[str, Any], ...] = ()
        if row is not None:
            revisions = tuple(
                record_of(Revision, r)
                for r in connection.execute(
                    select(
                        revision.c.added_in,
                        load.c.state,
                        revision.c.retired_in,
                        revision.c.title,
                        revision.c.media_type,
                        revision.c.n_chunks,
                        revision.c.content_hash,
                        visible(revision),
                        load.c.opened_at,
                        revision.c.n_words,
                        revision.c.n_missing,
                        revision.c.words,
                    )
                    .select_from(revision)
                    .join(load, load.c.id == revision.c.added_in)
                    .where(revision.c.document_id == row.id)
                    .order_by(revision.c.added_in)
                )
            )
            chunks = tuple(
                dict(r._mapping)
                for r in connection.execute(
                    select(
                        chunk.c.id,
                        presence.c.position,
                        presence.c.page,
                        chunk.c.heading,
                        chunk.c.n_tokens,
                        presence.c.added_in,
                    )
                    .select_from(chunk)
                    .join(presence, presence.c.chunk_id == chunk.c.id)
                    .where(chunk.c.document_id == row.id, visible(presence))
                    .order_by(presence.c.position)
                )
            )
    return Story(
        source=source,
        key=key,
        first_seen=row.first_seen if row else None,
        state=_state(row, aside, revisions, stale=stale, retired_at=retired(ledger).get(source)),
        access=_access(row),
        quarantined=_quarantined(aside) if aside is not None and aside.state != "resolved" else None,
        revisions=revisions,
        chunks=chunks,
    )


def _state(row: Any, aside: Any, revisions: tuple[Revision, ...], stale: bool, retired_at: datetime | None) -> str:
    resting = aside is not None and aside.state != "resolved"
    if row is not None and row.erased_at and row.erased_at == retired_at:
        return f"retired with its source at {retired_at:%Y-%m-%d %H:%M} UTC"
    if row is not None and row.erased_at:
        return f"erased at {row.erased_at:%Y-%m-%d %H:%M} UTC: it is never loaded again"
    live = next((r for r in revisions if r.visible), None)
    if live is not None:
        hidden = "" if row.policy else ", but masked: who may read it is unknown"
        if stale:
            hidden = ", but masked: the access of its source could not be read for too long"
        older = "; a newer content of it rests in quarantine" if resting else ""
        return f"visible since load {live.added_in}{hidden}{older}"
    if resting:
        return "never visible: it rests in quarantine" if not revisions else "not visible: it rests in quarantine"
    if revisions and revisions[-1].retired_in:
        return f"not visible: load {revisions[-1].retired_in} retired it"
    return (
        f"not visible: load {revisions[-1].added_in} is {revisions[-1].added_state}"
        if revisions
        else "not visible: no load has held it"
    )


def _access(row: Any) -> str:
    if row is None or row.body is None:
        return "unknown, so nobody may read it"
    p = Policy.from_text(row.body)
    if p.nobody:
        return "nobody may read it"
    return f"{p.words()} (version {row.access_version})"


def _quarantined(aside: Any) -> str:
    found = record_of(Quarantined, aside)
    way = f": {found.way}" if found.way else ""
    return (
        f"{found.error} in {found.stage}: {found.reason} ({found.attempts} attempts, last {found.last_at:%Y-%m-%d %H:%M} UTC, "
        f"load {found.load_id}); it rests {found.until}{way}"
    )
