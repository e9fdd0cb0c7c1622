"""Triage: from failures to probable causes, reach, and commands that mend them.

`gather` reads ledger and staging; `rank` judges the evidence without either.
"""

from collections.abc import Sequence

from moat.incidents.triage.commands import commands
from moat.incidents.triage.diagnosis import Cause, Diagnosis, Reach
from moat.incidents.triage.gather import gathered
from moat.incidents.triage.impact import reach_of
from moat.incidents.triage.opened import widened
from moat.incidents.triage.rank import ranked
from moat.ledger import sources
from moat.ledger.incidents import SEVERITIES, Happening
from moat.ledger.loads import Load
from moat.runtime import Runtime
from moat.source import Source

__all__ = ["Cause", "Diagnosis", "Reach", "triage"]


def triage(
    runtime: Runtime, source: Source | None, load: Load | None, happenings: Sequence[Happening], name: str = ""
) -> Diagnosis:
    """Diagnose a fault: causes by likelihood, reach, and commands that mend it.

    Needs at least one happening. `name` is the source's, if neither its declaration nor a load is known.
    """
    name = name or (source.name if source else load.source if load else "")
    evidence, touched = gathered(runtime, source, load, name, happenings)
    causes, before = widened(runtime.ledger, name, load, ranked(evidence), runtime.settings.record_answers)
    severity = max((h.severity for h in happenings), key=SEVERITIES.index, default="warn")
    reach = reach_of(runtime.ledger, name, touched, min(h.first_at for h in happenings))
    rests = max(evidence.aside, key=lambda a: a.n, default=None)
    first = causes[0].name if causes else "unexplained"
    file = sources.owners(runtime.ledger).get(name, "")
    after = commands(name, load, first, severity=severity, error=rests.error if rests else "", file=file)
    return Diagnosis(causes, reach, (*before, *after))
