"""Holds what a person took back, until a person lets it through."""

from collections.abc import Iterator

from moat.checks.candidate import Candidate
from moat.ledger import rolled_back
from moat.ledger.checks import CheckResult

SHOWN = 5  # keys of documents behind a result


def run(candidate: Candidate) -> Iterator[CheckResult]:
    """Hold every load of a source since a `moat rollback --hold`; nothing where there was none."""
    ledger, load = candidate.runtime.ledger, candidate.load
    before = rolled_back.asked_about(ledger, load.source)
    if before is None:
        return
    contents = ((p.id, p.content_hash, p.key) for p in candidate.prepared())
    again = rolled_back.brought_again(ledger, before.id, contents)
    because = f": {before.reason}" if before.reason else ""
    yield CheckResult(
        name="rolled back before",
        family="volume",
        severity="hold",
        passed=False,
        seen=f"{before.decided_by} took load {before.id} back{because}; {len(again):,} documents bring the content that it brought",
        allowed="what a person releases, after a rollback with --hold",
        documents=tuple(again[:SHOWN]),
    )
