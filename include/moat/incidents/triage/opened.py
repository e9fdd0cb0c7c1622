"""What stands open of a source since passes of access sync, and what of it waits for a person."""

from dataclasses import replace
from datetime import UTC, datetime

from moat.checks.audience import Audience
from moat.checks.widening import gained, let_in
from moat.incidents.triage.diagnosis import Cause
from moat.ledger import Ledger, checks, history, holds, passes
from moat.ledger.loads import Load
from moat.ledger.passes import LetIn, Pass

WIDENED = "access_widened"
MOST = 3  # passes named
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
UNHEARD = "who asked meanwhile is not known: only questions that got nothing are in the audit"


def widened(
    ledger: Ledger, source: str, load: Load | None, causes: tuple[Cause, ...]
) -> tuple[tuple[Cause, ...], tuple[str, ...]]:
    """The causes and the first commands; a widening says what people can read already, and how to take it back."""
    if not causes or causes[0].name != WIDENED:
        return causes, ()
    audience = Audience(ledger)
    passes_open = _open(ledger, audience, source, load)
    waits = [one for one in holds.listing(ledger) if (one.kind, one.subject) == ("widening", source)]
    steps = (
        *(
            f'moat access revert {one.id} --because "access widened"  # with --dry-run it only lists'
            for one in passes_open
        ),
        *(f"moat access held {one.id}" for one in waits),
    )
    if not passes_open:
        return causes, steps
    lines = (
        f"people can read it: pass {one.id} of access sync opened {len(some):,} documents to "
        f"{len(gained(audience, some)):,} more people, since {one.at:%Y-%m-%d %H:%M} UTC"
        for one, some in passes_open.items()
    )
    return (replace(causes[0], evidence=(*lines, UNHEARD, *causes[0].evidence)), *causes[1:]), steps


def _open(ledger: Ledger, audience: Audience, source: str, load: Load | None) -> dict[Pass, list[LetIn]]:
    """The newest passes since the last promoted load, or about a document that a check names, with what they opened."""
    last = history.before(ledger, source, load.id if load else None)
    results = checks.of_load(ledger, load.id) if load else []
    keys = {key for r in results if r.family in ("access", "golden") and not r.passed for key in r.documents}
    found = dict[Pass, list[LetIn]]()
    for one in passes.open_since(ledger, source, last.opened_at if last else NEVER, sorted(keys)):
        if len(found) < MOST and (some := let_in(audience, passes.documents(ledger, one.id))):
            found[one] = some
    return found
