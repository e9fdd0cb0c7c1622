"""The page of access: how old what is known of people is, what waits, what is widest, and what let somebody in."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from moat.access.policy import Policy
from moat.ledger import Ledger, access, holds, members, passes
from moat.ledger.overview import Share
from moat.maintenance.access_sync import report
from moat.pages.person import Person

WIDEST, NEWEST = 20, 20
ASKS = "held_access"  # the DAG that asks about held changes


def page(ledger: Ledger, who: Person, shares: Sequence[Share]) -> dict[str, Any]:
    """What somebody may see of access.

    What a hold is about in full (readers, groups, examples) is for those who may decide on it.

    Args:
        ledger: The tenant's ledger.
        who: Who asks.
        shares: Visible documents by source and policy.
    """
    decides, now = who.may("decide", ASKS), datetime.now(UTC)
    found = [one for one in holds.listing(ledger) if one.kind == "directory" or who.sees(one.subject)]
    return {
        "decides": decides,
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
        "widest": _widest(shares, who),
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


def _widest(shares: Sequence[Share], who: Person) -> list[dict[str, Any]]:
    """The policies that let the most in, with their documents: public first, then by the size of the narrowest layer."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for one in shares:
        if one.value is not None and who.sees(one.source):
            found[one.source, one.value] += one.documents
    policies = {body: Policy.from_text(body) for _, body in found}

    def width(body: str) -> tuple[bool, int]:
        return policies[body].public, min((len(layer) for layer in policies[body].layers), default=0)

    ordered = sorted(found, key=lambda key: (*width(key[1]), found[key]), reverse=True)[:WIDEST]
    return [{"source": s, "readers": policies[body].words(), "documents": found[s, body]} for s, body in ordered]


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
