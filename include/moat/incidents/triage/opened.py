"""What stands open of a source since passes of access sync, and what of it waits for a person."""

from dataclasses import replace
from datetime import UTC, datetime

from moat.checks.audience import Audience
from moat.checks.widening import gained, let_in
from moat.incidents.triage.diagnosis import Cause
from moat.ledger import Ledger, answers, checks, history, holds, member_passes, passes
from moat.ledger.loads import Load
from moat.ledger.member_passes import Came
from moat.ledger.passes import LetIn, Pass

WIDENED = "access_widened"
MOST = 3  # passes named
LOOKED_AT = 50  # of the newest passes, for swaps of directories
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def widened(
    ledger: Ledger, source: str, load: Load | None, causes: tuple[Cause, ...], recorded: bool
) -> tuple[tuple[Cause, ...], tuple[str, ...]]:
    """The causes and the first commands; a widening says what people can read already, who did, and how to take it back."""
    if not causes or causes[0].name != WIDENED:
        return causes, ()
    audience = Audience(ledger)
    passes_open = _open(ledger, audience, source, load)
    waits = [one for one in holds.listing(ledger) if (one.kind, one.subject) == ("widening", source)]
    swaps = _swaps(ledger, source, load)
    steps = (
        *(
            f'moat access revert {one.id} --because "access widened"  # with --dry-run it only lists'
            for one in (*passes_open, *swaps)
        ),
        *(f"moat access held {one.id}" for one in waits),
    )
    if not passes_open and not swaps:
        return causes, steps
    lines = dict[str, None]()  # in order, each once
    for one, some in passes_open.items():
        people = gained(audience, some)
        lines[
            f"people can read it: pass {one.id} of access sync opened {len(some):,} documents to "
            f"{len(people):,} more people, since {one.at:%Y-%m-%d %H:%M} UTC"
        ] = None
        lines[answers.words(ledger, [each.document for each in some], one.at, recorded, people)] = None
    for one, came in swaps.items():
        lines[
            f"people can read it: pass {one.id}, a swap of directory {one.source}, brought {len(came):,} members into groups "
            f"that may read documents of it, since {one.at:%Y-%m-%d %H:%M} UTC"
        ] = None
    return (replace(causes[0], evidence=(*lines, *causes[0].evidence)), *causes[1:]), steps


def _open(ledger: Ledger, audience: Audience, source: str, load: Load | None) -> dict[Pass, list[LetIn]]:
    """The newest passes since the last promoted load, or about a document that a check names, with what they opened."""
    last = history.before(ledger, source, load.id if load else None)
    results = checks.of_load(ledger, load.id) if load else []
    keys = {key for r in results if r.family in ("access", "golden") and r.failed for key in r.documents}
    found = dict[Pass, list[LetIn]]()
    for one in passes.open_since(ledger, source, last.opened_at if last else NEVER, sorted(keys)):
        if len(found) < MOST and (some := let_in(audience, passes.documents(ledger, one.id))):
            found[one] = some
    return found


def _swaps(ledger: Ledger, source: str, load: Load | None) -> dict[Pass, list[Came]]:
    """The newest swaps of directories since the last promoted load by which somebody reads documents of a source."""
    last = history.before(ledger, source, load.id if load else None)
    found = dict[Pass, list[Came]]()
    for one in passes.listing(ledger, limit=LOOKED_AT):
        if one.kind != "directory" or one.at < (last.opened_at if last else NEVER) or len(found) == MOST:
            continue
        came = [each for each in member_passes.gains(ledger, one) if not each.stays]
        if answers.readable_by(ledger, sorted({each.group for each in came}), source):
            found[one] = came
    return found
