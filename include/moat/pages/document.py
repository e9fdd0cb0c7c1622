"""The page of one document: its story, who may read it, and its text for those who may read every text."""

from datetime import UTC, datetime
from typing import Any

from moat.errors import AskedWrongly
from moat.ledger import Ledger, answers, audit, behind, quarantine
from moat.ledger.former_names import document_ids
from moat.ledger.quarantine import Which
from moat.ledger.second_look import parts_of
from moat.search.explain_document import Revision, Story, explain
from moat.settings import Settings

PARTS = 200  # chunks that one look shows
FIRST = "first seen"


def page(ledger: Ledger, settings: Settings, source: str, key: str) -> dict[str, Any]:
    """What the ledger knows of a document, without its text.

    Args:
        ledger: The tenant's ledger.
        settings: Settings that say whether answers are recorded.
        source: Name of the source.
        key: The source's key of the document.

    Raises:
        AskedWrongly: The ledger never saw it.
        LedgerError: The database did not answer.
    """
    story = explain(ledger, source, key)
    if story is None:
        raise AskedWrongly(
            f"the ledger never saw {key!r} of {source}: the source has not listed it, or its key is another"
        )
    aside = quarantine.listing(ledger, source, Which(key=key), resolved=True)
    policy = behind.policy_of(ledger, source, key)
    newest = story.revisions[-1] if story.revisions else None
    since = datetime.now(UTC) - answers.KEPT
    return {
        "source": source,
        "key": key,
        "title": newest.title if newest else "",
        "media_type": newest.media_type if newest else "",
        "state": story.state,
        "access": story.access,
        "layers": [sorted(layer) for layer in policy.layers] if policy else None,
        "deny": sorted(policy.deny) if policy else [],
        "read_by": answers.words(ledger, document_ids(ledger, source, [key]), since, settings.record_answers),
        "quarantine": _aside(aside[0]) if aside else None,
        "words": _words(newest) if newest else None,
        "timeline": _timeline(story, aside),
        "chunks": len(story.chunks),
        "tokens": sum(c["n_tokens"] for c in story.chunks),
        "link": behind.link_to(ledger, source, key, ""),
    }


def text(ledger: Ledger, by: str, source: str, key: str, after: int = -1) -> dict[str, Any]:
    """The visible text of a document, chunk by chunk; the look is recorded before anything is shown.

    Args:
        ledger: The tenant's ledger.
        by: Who looks, as the audit names them.
        source: Name of the source.
        key: The source's key of the document.
        after: Show the chunks behind this position.

    Raises:
        LedgerError: The look cannot be recorded, so nothing is shown.
    """
    with ledger.write() as connection:
        audit.record(
            connection,
            ledger.tenant,
            actor=by,
            action="text shown",
            subject=f"document of {source}",
            detail={"key": key, "after": after},
        )
    with ledger.read() as connection:
        found = parts_of(connection, ledger.tenant, source, key, limit=PARTS + 1, after=after)
    return {
        "parts": [{name: getattr(one, name) for name in type(one).__dataclass_fields__} for one in found[:PARTS]],
        "more": found[PARTS - 1].position if len(found) > PARTS else None,
    }


def _aside(one: quarantine.Quarantined) -> dict[str, Any]:
    return {
        "stage": one.stage,
        "error": one.error,
        "reason": one.reason,
        "attempts": one.attempts,
        "load": one.load_id,
        "state": one.state,
        "until": one.until,
        "way": one.way,
        "first_at": one.first_at.isoformat(),
        "last_at": one.last_at.isoformat(),
    }


def _words(newest: Revision) -> dict[str, Any]:
    return {"n": newest.n_words, "missing": newest.n_missing, "rules": newest.words.get("left_out", [])}


def _timeline(story: Story, aside: list[quarantine.Quarantined]) -> list[dict[str, Any]]:
    """What happened to a document, oldest first."""
    found: list[tuple[datetime | None, str, int | None, str]] = []
    if story.first_seen:
        found.append((story.first_seen, FIRST, None, ""))
    for one in story.revisions:
        what = "content loaded" if one is story.revisions[0] else "content replaced"
        found.append((one.opened_at, what, one.added_in, f"{one.added_state}, chunks: {one.n_chunks:,}"))
        if one.retired_in and all(other.added_in != one.retired_in for other in story.revisions):
            found.append((None, "retired", one.retired_in, "its source lists it no more"))
    found += [
        (failed.last_at, "set aside", failed.load_id, f"{failed.error} in {failed.stage}: {failed.reason}")
        for failed in aside
    ]
    found.sort(key=lambda one: (one[0] is None, one[1] != FIRST, one[0] or datetime.max.replace(tzinfo=UTC)))
    return [
        {"at": at.isoformat() if at else None, "what": what, "load": load, "more": more}
        for at, what, load, more in found
    ]
