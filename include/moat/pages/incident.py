"""The pages of incidents: what is wrong or was, why, whom it reaches and what mends it."""

from collections.abc import Callable
from typing import Any, Literal

from moat.incidents.lifecycle import decide
from moat.ledger import Ledger, incidents
from moat.ledger.incidents import Incident

Step = Literal["acknowledge", "resolve"]
__all__ = ["Step", "decide", "listing", "page"]


def listing(ledger: Ledger, sees: Callable[[str], bool], resolved: bool) -> dict[str, Any]:
    """Incidents of the sources that somebody may see, newest first; with `resolved`, those too."""
    found = [one for one in incidents.listing(ledger, None, resolved) if sees(one.source)]
    return {"incidents": [_plain(one) for one in found]}


def page(ledger: Ledger, one: Incident) -> dict[str, Any]:
    """One incident with its diagnosis, and what happened in the order of the stages."""
    return {
        "incident": {**_plain(one), "because": one.because, "run": one.run, "told_at": _iso(one.told_at)},
        "causes": list(one.detail.get("causes", ())),
        "reach": dict(one.detail.get("reach") or {}),
        "commands": list(one.detail.get("commands", ())),
        "happenings": [
            {
                **{
                    name: getattr(h, name)
                    for name in ("kind", "stage", "subject", "message", "severity", "load_id", "n")
                },
                "first_at": h.first_at.isoformat(),
                "last_at": h.last_at.isoformat(),
            }
            for h in incidents.happenings(ledger, one.id)
        ],
    }


def _plain(one: Incident) -> dict[str, Any]:
    return {
        **{name: getattr(one, name) for name in ("id", "source", "stage", "state", "severity", "title", "load_id")},
        "happened_at": one.happened_at.isoformat(),
        "opened_at": one.opened_at.isoformat(),
        "acknowledged_at": _iso(one.acknowledged_at),
        "acknowledged_by": one.acknowledged_by,
        "resolved_at": _iso(one.resolved_at),
        "resolved_by": one.resolved_by,
        "detect_s": one.to_detect.total_seconds(),
        "mend_s": one.to_mend.total_seconds() if one.to_mend is not None else None,
    }


def _iso(at: Any) -> str | None:
    return at.isoformat() if at else None
