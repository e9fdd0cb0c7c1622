"""The page of access: how old what is known of people is, what waits, what is widest, what let somebody in, and groups."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from moat.access.policy import canonical
from moat.errors import AccessUnknown
from moat.ledger import Ledger, access, audit, groups, holds, members, passes
from moat.maintenance.access_sync import report
from moat.pages.person import Person
from moat.pages.sources import Wide

NEWEST = 20
MEMBERS = 200  # of a group, that are shown
ASKS = "held_access"  # the DAG that asks about held changes


def page(ledger: Ledger, who: Person, widest: Sequence[Wide]) -> dict[str, Any]:
    """What somebody may see of access.

    What a hold is about in full (readers, groups, examples) is for those who may decide on it.

    Args:
        ledger: The tenant's ledger.
        who: Who asks.
        widest: The policies that let the most in, of sources that they may see.
    """
    decides, now = who.may("decide", ASKS), datetime.now(UTC)
    found = [one for one in holds.listing(ledger) if one.kind == "directory" or who.sees(one.subject)]
    return {
        "decides": decides,
        "looks": who.may("ask", ""),
        "directories": [_directory(one, now) for one in members.directories(ledger)],
        "sources": [
            {
                "source": one.source,
                "read_at": _iso(one.read_at),
                "failed_at": _iso(one.failed_at),
                "masked_from": _iso(one.until),
                "error": one.error,
            }
            for one in access.states(ledger)
            if who.sees(one.source)
        ],
        "holds": [
            {
                "id": one.id,
                "kind": one.kind,
                "subject": one.subject,
                "opened_at": one.opened_at.isoformat(),
                "reason": one.reason,
                "report": report(one) if decides else "",
                "run": f"hold-{one.id}",
            }
            for one in found
        ],
        "widest": [{"source": one.source, "readers": one.words, "documents": one.documents} for one in widest],
        "passes": [
            {
                "id": one.id,
                "kind": one.kind,
                "of": one.source,
                "by": one.by,
                "at": one.at.isoformat(),
                "n": one.documents,
                "reverted_at": _iso(one.reverted_at),
            }
            for one in passes.listing(ledger, None, NEWEST)
            if one.kind == "directory" or who.sees(one.source)
        ],
    }


def principal(ledger: Ledger, by: str, words: str) -> dict[str, Any]:
    """A group or person by name, with members and groups; or those whose name has the words in it.

    Args:
        ledger: The tenant's ledger.
        by: Who looks, as the audit names them.
        words: A name, such as `group:staff`, or a part of one.

    Raises:
        LedgerError: The look cannot be recorded, so nothing is shown.
    """
    with ledger.write() as connection:
        audit.record(connection, ledger.tenant, actor=by, action="group shown", subject=words[:200], detail={})
    found = None
    with suppress(AccessUnknown):  # a part of a name is none
        name = canonical(words)
        found = groups.look(ledger, name, MEMBERS)
    if found is None:
        return {"name": "", "like": groups.like(ledger, words, NEWEST)}
    return {
        "name": name,
        "like": [],
        "members": [one._asdict() for one in found.members],
        "n_members": found.n_members,
        "groups": [one._asdict() for one in found.groups],
        "people": found.people,
    }


def _directory(one: members.DirectoryState, now: datetime) -> dict[str, Any]:
    most = timedelta(seconds=one.max_age_s) if one.max_age_s is not None else None
    return {
        "name": one.name,
        "groups": one.n_groups,
        "memberships": one.n_memberships,
        "read_at": _iso(one.read_at),
        "allowed_hours": most.total_seconds() / 3_600 if most else None,
        "old": most is not None and (one.read_at is None or now - one.read_at > most),
        "failed_at": _iso(one.failed_at),
        "error": one.error,
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
