"""Groups that would gain many people at once: their new members wait for a person."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from moat.ledger.members import Pairs, people_of

FEW = 3  # people whom any group may gain in one reading


def growing(before: Pairs, now: Pairs, most_ratio: float) -> dict[str, tuple[int, int]]:
    """Groups that would gain more people than they may, with their number before and after.

    Args:
        before: Memberships in the ledger, as (group, member).
        now: Memberships as read.
        most_ratio: Gain that a group may have, as a share of its people before; a few people may always come.

    Returns:
        People before and after, by group. A group without people before is new, and nothing is open to it.
        People who come with a group that is nested into another are not of those who may always come in larger
        numbers: with it come all who will ever be in it.
    """
    had, has = people_of(before), people_of(now)
    nested = _nested(now - before, has)
    return {
        group: (len(people), len(has[group]))
        for group, people in sorted(had.items())
        if people
        and group in has
        and (len(has[group] - people) > max(FEW, most_ratio * len(people)) or len(nested[group] - people) > FEW)
    }


def _nested(came: Pairs, has: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """People of the groups that were newly put into a group itself, by that group."""
    found: dict[str, frozenset[str]] = defaultdict(frozenset)
    for group, member in came:
        if member in has:
            found[group] |= has[member]
    return found


def losing(before: Pairs, now: Pairs) -> dict[str, tuple[int, int]]:
    """Groups that would lose all or most of their people, with their number before and after.

    Where a document is kept from such a group, these people would read it. One of several may always leave, and so
    may a few of many; the last one waits.
    """
    had, has = people_of(before), people_of(now)
    none: frozenset[str] = frozenset()
    return {
        group: (len(people), len(people & has.get(group, none)))
        for group, people in sorted(had.items())
        if (stay := people & has.get(group, none)) < people
        and (not stay or len(people - stay) > max(FEW, len(people) // 2))
    }


def without_gains(before: Pairs, now: Pairs, groups: Collection[str]) -> Pairs:
    """The memberships as read, without new members of some groups: what is taken away is gone at once."""
    return frozenset(pair for pair in now if pair in before or pair[0] not in groups)
