"""Triage: from what went wrong to why, how far it reaches, and what mends it.

`gather` asks ledger and staging, `rank` judges what came of it and needs neither.
"""

from collections.abc import Sequence

from include.ledger.incidents import SEVERITIES, Happening
from include.ledger.loads import Load
from include.source import Source
from include.triage.diagnosis import Cause, Diagnosis, Reach
from include.triage.gather import gathered
from include.triage.mend import commands
from include.triage.rank import ranked
from include.triage.reach import reach_of
from include.way import Way

__all__ = ["Cause", "Diagnosis", "Reach", "triage"]


def triage(
    way: Way, source: Source | None, load: Load | None, happenings: Sequence[Happening], name: str = ""
) -> Diagnosis:
    """The causes of a fault, the most likely first, its reach, and the commands that mend it.

    There is at least one happening. `name` is the source's, where neither its declaration nor a load is at hand.
    """
    name = name or (source.name if source else load.source if load else "")
    evidence, touched = gathered(way, source, load, name, happenings)
    causes = ranked(evidence)
    severity = max((h.severity for h in happenings), key=SEVERITIES.index, default="warn")
    reach = reach_of(way.ledger, name, touched, min(h.first_at for h in happenings))
    rests = max(evidence.aside, key=lambda a: a.n, default=None)
    first = causes[0].name if causes else "unexplained"
    return Diagnosis(causes, reach, commands(name, load, first, severity, rests.error if rests else ""))
