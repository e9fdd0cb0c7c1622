"""The page of the quarantine: what is set aside, why, and what has it tried again."""

from collections import Counter
from typing import Any

from moat.ledger import Ledger, audit, quarantine
from moat.ledger.quarantine import Quarantined, Which
from moat.pages.asked import Replayed
from moat.pages.person import Person

SHOWN = 500  # documents of one answer, the newest


def page(ledger: Ledger, who: Person, source: str, *, stage: str, error: str, resolved: bool) -> dict[str, Any]:
    """Quarantined documents that somebody may see, newest first, and how many there are of each kind.

    Args:
        ledger: The tenant's ledger.
        who: Who asks.
        source: Only this source; empty for all.
        stage: Only those that failed at this stage; empty for all.
        error: Only those of this error; empty for all.
        resolved: Include those that have left quarantine.
    """
    rights: dict[str, dict[str, bool]] = {}

    def seen(name: str) -> bool:
        if name not in rights:
            rights[name] = {"see": who.sees(name), "trigger": who.may("trigger", name)}
        return rights[name]["see"]

    every = [one for one in quarantine.listing(ledger, None, resolved=resolved) if seen(one.source)]
    wanted = {"source": source, "stage": stage, "error": error}
    found = [one for one in every if all(not value or getattr(one, name) == value for name, value in wanted.items())]
    return {
        "n": len(found),
        "documents": [{**_plain(one), "trigger": rights[one.source]["trigger"]} for one in found[:SHOWN]],
        "by": {name: dict(Counter(getattr(one, name) for one in every).most_common()) for name in wanted},
    }


def replay(ledger: Ledger, by: str, asked: Replayed) -> dict[str, Any]:
    """Mark documents of a source to be tried again, as `moat quarantine replay` does, and record who asked.

    Raises:
        AskedWrongly: There is no such source, stage, error or key.
    """
    name = quarantine.known_source(ledger, asked.source)
    which = quarantine.known_filter(ledger, name, Which(key=asked.key, stage=asked.stage, error=asked.error))
    done = quarantine.replay(ledger, name, which, "taken" if asked.again else "left")
    marked = done.marked.get(asked.source, [])
    with ledger.write() as connection:
        detail = {"marked": len(marked), "key": asked.key, "stage": asked.stage, "error": asked.error}
        audit.record(connection, ledger.tenant, by, "replay", subject=f"quarantine of {asked.source}", detail=detail)
    resting = done.resting.get(asked.source, 0)
    return {
        "marked": marked,
        "resting": resting,
        "told": quarantine.left_resting(asked.source, resting) if resting else "",
    }


def _plain(one: Quarantined) -> dict[str, Any]:
    named = ("source", "key", "stage", "error", "reason", "attempts", "load_id", "state", "rests", "until", "way")
    return {
        **{name: getattr(one, name) for name in named},
        "first_at": one.first_at.isoformat(),
        "last_at": one.last_at.isoformat(),
    }
