"""Taking back what one pass of access sync let in.

the ledger → the index → the source is read again, and what it still asks for waits for a person
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from moat.access.policy import Policy
from moat.checks.audience import Audience
from moat.checks.widening import gained, let_in
from moat.errors import MoatError
from moat.ledger import Ledger, answers, approvals, passes
from moat.ledger.passes import Kind, LetIn, Pass
from moat.maintenance.access_sync import sync_access, to_index
from moat.runtime import Runtime
from moat.source import Source

UNKNOWN = "nobody, for its access was unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A document that a pass opened, or a membership that came, in words; `stays` says why a revert leaves it as it is, "" where it does not."""

    key: str
    before: str
    since: str
    stays: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reverted:
    """What a revert of a pass takes back, or would take back."""

    number: int
    kind: Kind
    source: str  # or the directory
    by: str  # whose pass it was
    at: str
    taken: tuple[Opening, ...]
    stays: tuple[Opening, ...]
    people: int  # known people who read any of the taken ones only since the pass, or who came by it
    hold: int | None  # what waits for a person now; None: nothing, or it is not read yet
    read_by: str  # who was answered from it since the pass, in words


def planned(ledger: Ledger, number: int, recorded: bool = False) -> Reverted:
    """What a revert of a pass would take back; `recorded` is MOAT_RECORD_ANSWERS. Raises PassRefused where there is no such pass."""
    found, every, audience = passes.get(ledger, number), passes.documents(ledger, number), Audience(ledger)
    ids = {one.document for one in let_in(audience, every)}
    return _told(ledger, found, every=every, ids=ids, audience=audience, recorded=recorded)


def revert(runtime: Runtime, source: Source | None, number: int, by: str, because: str = "") -> Reverted:
    """Give the documents of a pass the access that they had before it, in the ledger and in the index.

    It holds from the ledger's commit. Nothing is widened: a document whose access changed again since, and one
    that the pass narrowed, stay as they are.

    Args:
        runtime: Ledger, settings and connections.
        source: The source as declared, to be read again; None: it is left to its next pass.
        number: Number of the pass.
        by: Who takes it back, as recorded in the audit.
        because: Reason for the audit.

    Raises:
        DecisionRefused: They are not among MOAT_APPROVERS.
        PassRefused: There is no such pass.
        IndexUnavailable: The index is behind; the ledger is up to date, and the next pass continues.
    """
    ledger, found = runtime.ledger, passes.get(runtime.ledger, number)
    approvals.require(ledger, runtime.settings, by, f"revert of pass {number} of {found.source}")
    every, audience = passes.documents(ledger, number), Audience(ledger)
    open_now = [one.document for one in let_in(audience, every)]
    moved = passes.take_back(ledger, number, open_now, by, because)
    ids = {m.document for m in moved}
    recorded = runtime.settings.record_answers
    done = _told(ledger, found, every=every, ids=ids, audience=audience, recorded=recorded)
    to_index(runtime, done.source, moved)
    return _asked(runtime, source, done, by)


def _asked(runtime: Runtime, source: Source | None, done: Reverted, by: str) -> Reverted:
    """Read the source, so that a person is asked at once about what it still says."""
    if source is None:
        return done
    try:
        synced = sync_access(runtime, source, by)
    except MoatError as error:  # it was taken back, whatever the source says
        runtime.progress(f"{source.name}: what it still asks for waits from its next pass on: {error}")
        return done
    return Reverted(**{name: getattr(done, name) for name in Reverted.__slots__ if name != "hold"}, hold=synced.hold)


def _told(
    ledger: Ledger, found: Pass, *, every: Sequence[LetIn], ids: Collection[str], audience: Audience, recorded: bool
) -> Reverted:
    taken = [one for one in every if one.document in ids]
    people = gained(audience, taken)
    return Reverted(
        number=found.id,
        kind=found.kind,
        source=found.source,
        by=found.by,
        at=f"{found.at:%Y-%m-%d %H:%M} UTC",
        taken=tuple(_opening(one) for one in taken),
        stays=tuple(_opening(one, found) for one in every if one.document not in ids),
        people=len(people),
        hold=None,
        read_by=answers.words(ledger, sorted(ids), found.at, recorded, people) if taken else "",
    )


def _opening(one: LetIn, found: Pass | None = None) -> Opening:
    return Opening(
        key=one.key, before=_words(one.was), since=_words(one.now), stays=_why(one, found) if found is not None else ""
    )


def _why(one: LetIn, found: Pass) -> str:
    if one.standing == "erased":
        return "it was erased"
    if one.standing == "open":
        return "nobody reads it who did not before"
    if one.later is not None:
        return f"pass {one.later} opened it again since: `moat access revert {one.later}` first"
    return "it was taken back already" if found.reverted_at else "its access changed again since"


def _words(policy: Policy | None) -> str:
    return policy.words() if policy is not None else UNKNOWN
