"""Fallback causes: recent changes, a part that stands out, or none."""

from collections.abc import Callable

from moat.incidents.triage.evidence import Evidence, Signs, signs
from moat.incidents.triage.signature import AGAIN, CLEAR, DECLARE, LOOK, REJECT, ROLLBACK, Signature


def _change(*prefixes: str, score: int = 44) -> Callable[[Evidence], Signs]:
    def look(e: Evidence) -> Signs:
        return signs(score, [words for prefix in prefixes for words in e.changed(prefix)])

    return look


def _part(e: Evidence) -> Signs:
    """One folder, file type, author or batch has most of the bad documents."""
    best = max(e.segments, key=lambda s: s.lift * s.share, default=None)
    if best is None or best.share < 0.5 or best.lift < 0.25 or best.bad < 3:
        return Signs()
    return signs(50, best, [s for s in e.segments if s is not best and s.lift >= 0.25])


def _unexplained(e: Evidence) -> Signs:
    first = [f for f in e.faults if f.stage == e.stage] or list(e.faults)
    return signs(5, first, [s for s in e.shifts.values() if s.unusual()][:4])


CHANGES = (
    Signature("package_upgraded", "A package was upgraded", _change("package"), ("take the package back to its version before", AGAIN, ROLLBACK)),
    Signature("settings_changed", "A setting or the declaration changed", _change("setting", "declared", "query", "recipe", score=42), ("set it back, or go on if it was meant", DECLARE, AGAIN, ROLLBACK)),
    Signature("credentials_changed", "A connection's credentials changed", _change("credentials", score=40), ("see the connection in Airflow", CLEAR)),
    Signature("code_changed", "The code of Moat or of dags/ changed", _change("code", score=38), ("take the code back to its version before, or go on if it was meant", AGAIN, ROLLBACK)),
    Signature("one_segment", "One part of the source has most of the bad documents", _part, (LOOK, REJECT, AGAIN)),
    Signature("unexplained", "No known cause fits", _unexplained, (LOOK, REJECT, CLEAR)),
)  # fmt: skip
