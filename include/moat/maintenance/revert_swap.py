"""Taking back what a swap of a directory let in.

the ledger → the directory is read again, and who still comes by it waits for a person
"""

from collections.abc import Sequence

from moat.checks.audience import MOST_MEMBERSHIPS
from moat.dagfile import directory_named
from moat.errors import DeclarationError, MoatError
from moat.ledger import Ledger, answers, approvals, member_passes, members, passes
from moat.ledger.member_passes import Came
from moat.ledger.passes import Pass
from moat.maintenance.revert import Opening, Reverted
from moat.maintenance.swaps import sync_directory, taking
from moat.runtime import Runtime


def planned(ledger: Ledger, number: int, recorded: bool = False) -> Reverted:
    """What a revert of a swap would take back; `recorded` is MOAT_RECORD_ANSWERS. Raises PassRefused where there is no such pass."""
    found = passes.get(ledger, number)
    every = member_passes.gains(ledger, found)
    return _told(ledger, found, every, read_by=_read_by(ledger, found, every, recorded))


def revert(runtime: Runtime, number: int, by: str, because: str = "") -> Reverted:
    """Take the memberships away that came by a swap, and ask a person about those that the directory still has.

    It holds from the ledger's commit. Nobody gains anything: who left by the swap does not come back, and a
    membership that keeps somebody out stays.

    Args:
        runtime: Ledger, settings and connections.
        number: Number of the pass.
        by: Who takes it back, as recorded in the audit.
        because: Reason for the audit.

    Raises:
        DecisionRefused: They are not among MOAT_APPROVERS.
        PassRefused: There is no such pass.
    """
    ledger, found = runtime.ledger, passes.get(runtime.ledger, number)
    approvals.require(ledger, runtime.settings, by, f"revert of pass {number} of directory {found.source}")
    before = members.memberships(ledger, found.source)[1]
    planned_ = member_passes.gains(ledger, found)
    gone = {one.pair for one in planned_ if not one.stays}
    read_by = _read_by(ledger, found, planned_, runtime.settings.record_answers)  # while they are members still
    with taking(runtime, found.source, before - gone, by):
        every = member_passes.take_back(ledger, number, by, because)
    return _told(ledger, found, every, read_by=read_by, hold=_asked(runtime, found.source, by))


def _read_by(ledger: Ledger, found: Pass, every: Sequence[Came], recorded: bool) -> str:
    """Who of those who came was answered from a document that the groups they came into may read."""
    taken = [one for one in every if not one.stays]
    if not taken:
        return ""
    people = _people(ledger, taken)
    documents = answers.readable_by(ledger, sorted({one.group for one in taken}))
    return answers.words(ledger, documents, found.at, recorded, people)


def _people(ledger: Ledger, taken: Sequence[Came]) -> frozenset[str]:
    """The people who came, those of groups that came included."""
    found = {one.member for one in taken}
    inside = {who for who in found if who.startswith("group:")}
    below = members.people_of_groups(ledger, MOST_MEMBERSHIPS) or {} if inside else {}
    return frozenset(found - inside).union(*(below.get(group, frozenset()) for group in inside))


def _asked(runtime: Runtime, name: str, by: str) -> int | None:
    """Read the directory, so that a person is asked at once about what it still says; the hold, if there is one."""
    try:
        return sync_directory(runtime, directory_named(name), by).hold
    except DeclarationError:
        return None  # its groups are kept by hand: who loads them again decides
    except MoatError as error:  # it was taken back, whatever the directory says
        runtime.progress(f"directory {name}: what it still asks for waits from its next sync on: {error}")
        return None


def _told(ledger: Ledger, found: Pass, every: Sequence[Came], *, read_by: str, hold: int | None = None) -> Reverted:
    taken = [one for one in every if not one.stays]
    return Reverted(
        number=found.id,
        kind=found.kind,
        source=found.source,
        by=found.by,
        at=f"{found.at:%Y-%m-%d %H:%M} UTC",
        taken=tuple(_opening(one) for one in taken),
        stays=tuple(_opening(one) for one in every if one.stays),
        people=len(_people(ledger, taken)),
        hold=hold,
        read_by=read_by,
    )


def _opening(one: Came) -> Opening:
    return Opening(key=f"{one.member} in {one.group}", before="no member", since="member", stays=one.stays)
