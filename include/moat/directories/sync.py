"""Bring a directory's groups into the ledger: read whole, judge what would go, swap in one transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from moat.access.policy import canonical, directory_of
from moat.connections import Connections
from moat.directories.directory import Directory
from moat.directories.reader import DirectoryGroup, DirectoryReading
from moat.errors import AccessUnknown, FatalError, MoatError
from moat.ledger import Ledger, holds, members
from moat.ledger.members import Pairs
from moat.runtime import Progress
from moat.settings import PROJECT

FEWEST = 10  # memberships from which a share of them means something
TOLD = 20  # groups and members that a hold names, the most shrunk first
TELL_EVERY = 1_000  # groups between two lines of progress


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncedDirectory:
    """What came of one reading of a directory."""

    directory: str
    outcome: Literal["swapped", "unchanged", "held", "rejected"]
    n_groups: int
    n_memberships: int
    n_left_out: int  # members of whom the directory does not say who they are
    hold: int | None = None
    opened: bool = False  # that the hold is new, so that somebody must be told
    reason: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome in ("swapped", "unchanged")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def sync(
    ledger: Ledger, connections: Connections, directory: Directory, by: str, progress: Progress = print
) -> SyncedDirectory:
    """Make the ledger's groups those of the directory, unless too much would go: that waits for a person.

    Raises what the reader raises, and DirectoryUnavailable when somebody else swapped meanwhile. Then,
    and while it is held, the ledger keeps the groups that it has, and says since when.
    """
    revision, before = members.memberships(ledger, directory.name)
    try:
        groups, n_left_out = _read(DirectoryReading(directory.name, connections, PROJECT, progress), directory)
        now = frozenset((group, who) for group, found in groups.items() for who in found)
        reasons, detail = _shrinking(directory, before, now)
        waiting = (
            _waiting(ledger, directory.name, members.digest_of(now), "; ".join(reasons), detail) if reasons else None
        )
        if waiting is None or waiting[0].state == "released":
            members.replace_members(ledger, directory.name, groups, by, directory.max_age_s, revision=revision)
    except MoatError as error:
        members.failed(ledger, directory.name, str(error))
        raise
    if waiting is not None and waiting[0].state != "released":
        held, opened = waiting
        outcome: Literal["held", "rejected"] = "rejected" if held.state == "rejected" else "held"
        words = f"{outcome} by hold {held.id}: {held.reason}"
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
    """The whole directory in canonical principals, and how many members are left out of it."""
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
    """A member as a canonical principal; None for one that cannot be read, or a group that is not there."""
    kind, _, name = member.partition(":")
    try:
        who = canonical(directory.group(name) if kind == "group" else member)
    except AccessUnknown:
        return None
    # The company's own groups may hold those of a directory, written group:okta/00g1a2b3.
    elsewhere = directory.own_names and directory_of(who) != ""
    return who if kind == "user" or who in found or elsewhere else None


def _shrinking(directory: Directory, before: Pairs, now: Pairs) -> tuple[list[str], dict[str, Any]]:
    """Why a swap may not pass by itself, and what a person reads before deciding; no reason where it may.

    What counts is what goes, whatever comes: ten others in a group of ten are ten people who lost it.
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


def _some(words: Sequence[str], most: int) -> str:
    more = len(words) - most
    return ", ".join(words[:most]) + (f" and {more:,} more" if more > 0 else "")
