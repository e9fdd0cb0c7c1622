"""Groups that would gain many people at once: their new members wait for a person."""

from collections.abc import Collection

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
    """
    had, has = people_of(before), people_of(now)
    return {
        group: (len(people), len(has[group]))
        for group, people in sorted(had.items())
        if people and group in has and len(has[group] - people) > max(FEW, most_ratio * len(people))
    }


def without_gains(before: Pairs, now: Pairs, groups: Collection[str]) -> Pairs:
    """The memberships as read, without new members of some groups: what is taken away is gone at once."""
    return frozenset(pair for pair in now if pair in before or pair[0] not in groups)
