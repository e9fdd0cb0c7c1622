"""What stands open of a source since passes of access sync, and what of it waits for a person."""

from dataclasses import replace
from datetime import UTC, datetime

from moat.checks.audience import Audience
from moat.checks.widening import gained, let_in
from moat.incidents.triage.diagnosis import Cause
from moat.ledger import Ledger, checks, history, holds, passes
from moat.ledger.loads import Load
from moat.ledger.passes import Pass

WIDENED = "access_widened"
MOST = 3  # passes named
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
UNHEARD = "who asked meanwhile is not known: only questions that got nothing are in the audit"


def widened(ledger: Ledger, source: str, load: Load | None, causes: tuple[Cause, ...]) -> tuple[Cause, ...]:
    """The causes; a widening says what people can read already, and since when."""
    if not causes or causes[0].name != WIDENED or not (lines := _lines(ledger, _open(ledger, source, load))):
        return causes
    return replace(causes[0], evidence=(*lines, UNHEARD, *causes[0].evidence)), *causes[1:]


def commands_of(ledger: Ledger, source: str, load: Load | None, causes: tuple[Cause, ...]) -> tuple[str, ...]:
    """Commands that take back what stands open, and show what waits."""
    if not causes or causes[0].name != WIDENED:
        return ()
    waits = [one for one in holds.listing(ledger) if (one.kind, one.subject) == ("widening", source)]
    return (
        *(
            f'moat access revert {one.id} --because "access widened"  # with --dry-run it only lists'
            for one in _open(ledger, source, load)
        ),
        *(f"moat access held {one.id}" for one in waits),
    )


def _open(ledger: Ledger, source: str, load: Load | None) -> list[Pass]:
    """The newest passes since the last promoted load, or about a document that a check names, that let somebody in."""
    last = history.before(ledger, source, load.id if load else None)
    results = checks.of_load(ledger, load.id) if load else []
    keys = {key for r in results if r.family in ("access", "golden") and not r.passed for key in r.documents}
    audience = Audience(ledger)
    found = passes.open_since(ledger, source, last.opened_at if last else NEVER, sorted(keys))
    return [one for one in found if let_in(audience, passes.documents(ledger, one.id))][:MOST]


def _lines(ledger: Ledger, found: list[Pass]) -> tuple[str, ...]:
    audience, lines = Audience(ledger), list[str]()
    for one in found:
        some = let_in(audience, passes.documents(ledger, one.id))
        lines.append(
            f"people can read it: pass {one.id} of access sync opened {len(some):,} documents to "
            f"{len(gained(audience, some)):,} more people, since {one.at:%Y-%m-%d %H:%M} UTC"
        )
    return tuple(lines)
