"""Triage: from what went wrong to why, how far it reaches, and what mends it.

`gather` asks ledger and staging, `rank` judges what came of it and needs neither.
"""

from collections.abc import Sequence

from moat.incidents.triage.commands import commands
from moat.incidents.triage.diagnosis import Cause, Diagnosis, Reach
from moat.incidents.triage.gather import gathered
from moat.incidents.triage.impact import reach_of
from moat.incidents.triage.rank import ranked
from moat.ledger.incidents import SEVERITIES, Happening
from moat.ledger.loads import Load
from moat.runtime import Runtime
from moat.source import Source

__all__ = ["Cause", "Diagnosis", "Reach", "triage"]


def triage(
    runtime: Runtime, source: Source | None, load: Load | None, happenings: Sequence[Happening], name: str = ""
) -> Diagnosis:
    """The causes of a fault, the most likely first, its reach, and the commands that mend it.

    There is at least one happening. `name` is the source's, where neither its declaration nor a load is at hand.
    """
    name = name or (source.name if source else load.source if load else "")
    evidence, touched = gathered(runtime, source, load, name, happenings)
    causes = ranked(evidence)
    severity = max((h.severity for h in happenings), key=SEVERITIES.index, default="warn")
    reach = reach_of(runtime.ledger, name, touched, min(h.first_at for h in happenings))
    rests = max(evidence.aside, key=lambda a: a.n, default=None)
    first = causes[0].name if causes else "unexplained"
    return Diagnosis(causes, reach, commands(name, load, first, severity, rests.error if rests else ""))
