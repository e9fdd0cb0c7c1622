"""Sync a directory's groups into the ledger.

They are read whole, removals are judged, and all are swapped in one transaction.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from moat.access.policy import canonical, directory_of
from moat.connections import Connections
from moat.directories.directory import Directory
from moat.directories.growth import FEW, growing, losing, without_gains
from moat.directories.reader import DirectoryGroup, DirectoryReading
from moat.errors import AccessUnknown, FatalError, MoatError
from moat.ledger import Ledger, holds, member_passes, members
from moat.ledger.members import Pairs
from moat.runtime import Progress
from moat.settings import PROJECT

FEWEST = 10  # memberships below which a share of them means little
TOLD = 20  # groups and members that a hold names, the most shrunk first
TELL_EVERY = 1_000  # groups between two lines of progress


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncedDirectory:
    """Result of one sync of a directory."""

    directory: str
    outcome: Literal["swapped", "unchanged", "held", "rejected"]
    n_groups: int
    n_memberships: int
    n_left_out: int  # members that the directory does not identify
    hold: int | None = None
    opened: bool = False  # whether the hold is new, so that people are notified
    reason: str = ""
    number: int = 0  # of the pass, by which who came can be taken back; 0: nobody came, or too many for one

    @property
    def passed(self) -> bool:
        """Whether the ledger has the directory's groups now."""
        return self.outcome in ("swapped", "unchanged")

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a dict of plain values."""
        return asdict(self)


def sync(
    ledger: Ledger,
    connections: Connections,
    directory: Directory,
    by: str,
    progress: Progress = print,
    *,
    before_swap: Callable[[str, Pairs], None] = lambda directory, pairs: None,
) -> SyncedDirectory:
    """Replace the ledger's groups of a directory, or hold the change if it would remove too much.

    While a change is held, and after an error, the ledger keeps the groups that it has, and records since
    when.

    Args:
        ledger: The tenant's ledger.
        connections: Source of connections.
        directory: The declared directory.
        by: Who syncs, for the audit.
        progress: Called with each line of progress.
        before_swap: Called with the directory's name and the memberships that it will have, before it has them.

    Returns:
        What happened, with the numbers of groups and memberships.

    Raises:
        DirectoryUnavailable: The directory did not answer, or another sync replaced the groups meanwhile.
        FatalError: A person must act.
    """
    revision, before = members.memberships(ledger, directory.name)
    try:
        groups, n_left_out = _read(DirectoryReading(directory.name, connections, PROJECT, progress), directory)
        now = frozenset((group, who) for group, found in groups.items() for who in found)
        shrinking, detail = _shrinking(directory, before, now)
        grown = growing(before, now, directory.max_growth_ratio)
        back = {pair: of for pair, of in member_passes.kept_out(ledger, directory.name).items() if pair in now - before}
        lost = losing(before, now)
        barred = {group: lost[group] for group in member_passes.kept_from(ledger, sorted(lost))} if lost else {}
        reasons = [*shrinking, *_growing(directory, grown), *_unbarring(barred), *_taken_back(back)]
        moved = [*grown.items(), *barred.items()][:TOLD]
        detail["groups"] += [{"group": g, "before": had, "now": has} for g, (had, has) in moved]
        waiting = (
            _waiting(ledger, directory.name, members.digest_of(now), "; ".join(reasons), detail) if reasons else None
        )
        if waiting is None or waiting[0].state == "released":
            before_swap(directory.name, now)
            members.replace_members(ledger, directory.name, groups, by, directory.max_age_s, revision=revision)
        elif not shrinking:
            # What was taken away is gone at once. Who would come waits, and who would read what their group is kept from.
            kept = without_gains(before, now, grown.keys()) - back.keys()
            kept |= {pair for pair in before if pair[0] in barred}
            some = {group: sorted(who for of, who in kept if of == group) for group in {*groups, *barred}}
            before_swap(directory.name, kept)
            members.replace_members(
                ledger, directory.name, some, by, directory.max_age_s, revision=revision, waiting=waiting[0].digest
            )
        if waiting is None or waiting[0].state == "released" or not shrinking:
            member_passes.in_step(ledger, directory.name, now)
    except MoatError as error:
        members.failed(ledger, directory.name, str(error))
        raise
    if waiting is not None and waiting[0].state != "released":
        held, opened = waiting
        outcome: Literal["held", "rejected"] = "rejected" if held.state == "rejected" else "held"
        words = f"{outcome} by hold {held.id}: {held.reason}"
        if shrinking:
            members.failed(ledger, directory.name, words)
        progress(f"directory {directory.name} is {words}")
        return SyncedDirectory(
            directory=directory.name,
            outcome=outcome,
            n_groups=len(groups),
            n_memberships=len(now),
            n_left_out=n_left_out,
            hold=held.id,
            opened=opened,
            reason=held.reason,
        )
    swapped: Literal["swapped", "unchanged"] = "unchanged" if revision and now == before else "swapped"
    progress(
        f"directory {directory.name} is {swapped}: {len(groups):,} groups, {len(now):,} memberships; "
        f"{len(now - before):,} came, {len(before - now):,} went"
    )
    return SyncedDirectory(
        directory=directory.name, outcome=swapped, n_groups=len(groups), n_memberships=len(now), n_left_out=n_left_out
    )


def _waiting(ledger: Ledger, name: str, digest: str, reason: str, detail: Mapping[str, Any]) -> tuple[holds.Hold, bool]:
    with ledger.write() as connection:
        return holds.wait(
            connection, ledger.tenant, kind="directory", subject=name, digest=digest, reason=reason, detail=detail
        )


def _read(reading: DirectoryReading, directory: Directory) -> tuple[dict[str, list[str]], int]:
    """Read the whole directory in canonical principals, and count the members left out."""
    found: dict[str, DirectoryGroup] = {}
    for group in directory.reader.read(reading):
        try:
            principal = canonical(directory.group(group.id))
        except AccessUnknown as error:
            raise FatalError(f"directory {directory.name}: group {group.id!r} cannot be kept: {error}") from error
        if other := found.get(principal):
            raise FatalError(
                f"directory {directory.name}: groups {other.id!r} and {group.id!r} have one id, upper and lower case "
                "aside; read another attribute, one that is immutable and each group's own"
            )
        found[principal] = group
        if len(found) % TELL_EVERY == 0:
            reading.progress(f"directory {directory.name}: {len(found):,} groups read")
    groups: dict[str, list[str]] = {}
    left_out = []
    for principal, group in found.items():
        resolved = [(member, _member(directory, member, found)) for member in group.members]
        groups[principal] = list(dict.fromkeys(who for _, who in resolved if who is not None))
        left_out += [f"{member} of {principal}" for member, who in resolved if who is None]
        left_out += [f"{member} of {principal}" for member in group.left_out]
    if left_out:
        reading.progress(
            f"directory {directory.name}: {len(left_out):,} members are left out, for it does not say who they are: "
            f"{_some(left_out, 5)}"
        )
    return groups, len(left_out)


def _member(directory: Directory, member: str, found: Mapping[str, DirectoryGroup]) -> str | None:
    """Canonicalize a member; None if it cannot be resolved."""
    kind, _, name = member.partition(":")
    kind = kind.lower()
    try:
        who = canonical(directory.group(name) if kind == "group" else member)
    except AccessUnknown:
        return None
    # The company's own groups may hold those of a directory, written group:okta/00g1a2b3.
    elsewhere = directory.own_names and directory_of(who) != ""
    return who if kind == "user" or who in found or elsewhere else None


def _shrinking(directory: Directory, before: Pairs, now: Pairs) -> tuple[list[str], dict[str, Any]]:
    """Return the reasons to hold a change, and the details.

    There is no reason if it may pass. Only removals count, whatever is added: ten other people in a group of
    ten are ten who lost it.
    """
    gone = before - now
    of_group, left, lost = (Counter(group for group, _ in pairs) for pairs in (before, now, gone))
    reasons = []
    if before and not now:
        reasons.append(f"nothing would be left of {len(before):,} memberships")
    elif len(before) >= FEWEST and len(gone) > directory.max_shrink_ratio * len(before):
        reasons.append(
            f"{len(gone):,} of {len(before):,} memberships would go, and max_shrink_ratio={directory.max_shrink_ratio:g} may"
        )
    shrunk = [
        group
        for group, n in lost.most_common()
        if of_group[group] >= FEWEST and (n > directory.max_group_shrink_ratio * of_group[group] or not left[group])
    ]
    if shrunk:
        words = [f"{group} {lost[group]:,} of {of_group[group]:,}" for group in shrunk]
        reasons.append(
            f"{len(shrunk):,} groups would lose more members than max_group_shrink_ratio="
            f"{directory.max_group_shrink_ratio:g} allows: {_some(words, 5)}"
        )
    detail = {
        "memberships": {"before": len(before), "now": len(now), "gone": len(gone)},
        "groups": [
            {"group": group, "before": of_group[group], "now": left[group]} for group, _ in lost.most_common(TOLD)
        ],
        "lost": [f"{who} from {group}" for group, who in sorted(gone)[:TOLD]],
    }
    return reasons, detail


def _growing(directory: Directory, grown: Mapping[str, tuple[int, int]]) -> list[str]:
    if not grown:
        return []
    words = [f"{group} from {had:,} to {has:,}" for group, (had, has) in grown.items()]
    return [
        f"{len(grown):,} groups would gain more people than max_growth_ratio={directory.max_growth_ratio:g} allows, or "
        f"more than {FEW} by a group that is nested into them: {_some(words, 5)}"
    ]


def _unbarring(barred: Mapping[str, tuple[int, int]]) -> list[str]:
    if not barred:
        return []
    words = [f"{group} from {had:,} to {has:,}" for group, (had, has) in sorted(barred.items())]
    return [
        f"{len(barred):,} groups from which documents are kept would lose people, who then read these: {_some(words, 5)}"
    ]


def _taken_back(back: Mapping[tuple[str, str], int]) -> list[str]:
    if not back:
        return []
    words = [f"{who} in {group}" for group, who in sorted(back)]
    by = ", ".join(f"pass {number}" for number in sorted(set(back.values())))
    return [f"{len(back):,} memberships would come that were taken back by the revert of {by}: {_some(words, 5)}"]


def _some(words: Sequence[str], most: int) -> str:
    more = len(words) - most
    return ", ".join(words[:most]) + (f" and {more:,} more" if more > 0 else "")
