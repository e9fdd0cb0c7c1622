"""Evidence -> causes, the most likely first.

A known signature with strong evidence comes before the part of a source that stands out, that before what
changed just before, and last what is said of any fault.
"""

from moat.incidents.triage.changes import CHANGES
from moat.incidents.triage.content import CONTENT
from moat.incidents.triage.diagnosis import Cause
from moat.incidents.triage.evidence import Evidence
from moat.incidents.triage.signature import Signature
from moat.incidents.triage.supply import SUPPLY
from moat.incidents.triage.systems import SYSTEMS
from moat.incidents.triage.vectors import VECTORS

SIGNATURES: tuple[Signature, ...] = (*SYSTEMS, *SUPPLY, *CONTENT, *VECTORS, *CHANGES)
MOST = 6  # causes that are told
LINES = 6  # of evidence, each


def ranked(evidence: Evidence) -> tuple[Cause, ...]:
    """The causes that are seen in the evidence. One that two rules see has the better one's score, and both's lines."""
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
    """How a cause is mended, in words and commands to fill in."""
    return tuple(dict.fromkeys(step for s in SIGNATURES if s.name == name for step in s.mend))
