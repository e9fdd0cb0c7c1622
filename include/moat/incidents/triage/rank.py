"""Evidence -> causes, the most likely first.

The order is: a known signature with strong evidence, a part of the source that stands out, a recent
change, and at last what applies to any fault.
"""

from moat.incidents.triage.changes import CHANGES
from moat.incidents.triage.compared import COMPARED
from moat.incidents.triage.content import CONTENT
from moat.incidents.triage.diagnosis import Cause
from moat.incidents.triage.evidence import Evidence
from moat.incidents.triage.signature import Signature
from moat.incidents.triage.supply import SUPPLY
from moat.incidents.triage.systems import SYSTEMS
from moat.incidents.triage.vectors import VECTORS

SIGNATURES: tuple[Signature, ...] = (*SYSTEMS, *SUPPLY, *COMPARED, *CONTENT, *VECTORS, *CHANGES)
MOST = 6  # causes reported
LINES = 6  # lines of evidence per cause


def ranked(evidence: Evidence) -> tuple[Cause, ...]:
    """Causes indicated by the evidence; merges duplicates, keeping the higher score."""
    found: dict[str, Cause] = {}
    for signature in SIGNATURES:
        seen = signature.look(evidence)
        if seen.score <= 0 or not seen.lines:
            continue
        made = Cause(signature.name, signature.title, seen.score / 100, seen.lines[:LINES])
        there = found.get(made.name)
        if there is not None:
            lines = tuple(dict.fromkeys((*there.evidence, *made.evidence)))[:LINES]
            made = Cause(made.name, made.title, max(made.score, there.score), lines)
        found[made.name] = made
    best = sorted(found.values(), key=lambda cause: -cause.score)
    known = [cause for cause in best if cause.name != "unexplained"]
    return tuple((known or best)[:MOST])


def steps_of(name: str) -> tuple[str, ...]:
    """Steps that mend a cause: words and command templates."""
    return tuple(dict.fromkeys(step for s in SIGNATURES if s.name == name for step in s.mend))
