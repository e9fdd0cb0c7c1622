"""The audience of policies: common readers and number of readers."""

import difflib
from collections.abc import Iterable
from functools import cached_property

from moat.access.policy import PUBLIC, Policy
from moat.errors import TooManyPrincipals
from moat.ledger import Ledger, members

MOST_WITNESSES = 64  # principals tried per policy
MOST_ASKED = 5_000  # principals whose groups are looked up
MOST_MEMBERSHIPS = 200_000  # of all directories; above that, a group counts as one reader
UNREADABLE = Policy((frozenset(),))  # without readers: another check reports that it cannot be read


def policy_of(text: str) -> Policy:
    """The policy of a record; an unreadable one admits nobody."""
    try:
        return Policy.from_text(text)
    except (ValueError, KeyError, TypeError):
        return UNREADABLE


class Audience:
    """Answers questions about policies by the ledger's current groups, with a cache."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._above: dict[str, frozenset[str]] = {}
        self._common: dict[tuple[Policy, Policy], bool] = {}
        self._below: dict[str, frozenset[str]] | None = None
        self._n: dict[Policy, int] = {}

    def in_common(self, one: Policy, other: Policy) -> bool:
        """Whether a reader permitted by both policies is known; False in doubt.

        Such a reader is a principal that either policy names, with every group above it, or anybody if both
        are public. Two groups that merely share a member are not found: neither policy names that member.
        """
        if one.nobody or other.nobody:
            return False
        if one == other:
            return True
        pair = (one, other)
        if pair not in self._common:
            named = (
                frozenset[str](),
                *map(self._with_groups, _witnesses(one)),
                *map(self._with_groups, _witnesses(other)),
            )
            self._common[pair] = self._common[other, one] = any(one.allows(who) and other.allows(who) for who in named)
        return self._common[pair]

    def together(self, found: Iterable[tuple[str, Policy]], most: int = 5) -> tuple[str, ...]:
        """Keys of the first few documents that may be named side by side."""
        chosen: dict[str, Policy] = {}
        for key, policy in found:
            if key not in chosen and all(self.in_common(policy, other) for other in chosen.values()):
                chosen[key] = policy
            if len(chosen) == most:
                break
        return tuple(chosen)

    def count(self, policy: Policy) -> int:
        """Number of people who may read under a policy that is not public.

        Groups are expanded and denied principals left out. If the directories have too many memberships
        for that, the number of its principals.
        """
        if policy not in self._n:
            self._n[policy] = self._count(policy)
        return self._n[policy]

    @property
    def everyone(self) -> int:
        """Number of people in any group; 0 where the directories have too many memberships to tell."""
        return len(self._everybody)

    def people(self, policy: Policy | None) -> frozenset[str]:
        """The known people who may read under a policy; where it is public, everybody but those whom it denies.

        None is unknown access, which is nobody's. Where the directories have too many memberships to tell, a group
        stands for its people.
        """
        if policy is None or policy.nobody:
            return frozenset()
        layers = [self._named(layer) for layer in policy.layers if PUBLIC not in layer]
        who = frozenset.intersection(*layers) if layers else self._everybody
        return who - self._named(policy.deny)

    def gains(self, was: Policy | None, now: Policy | None) -> frozenset[str]:
        """The known people who may read under a policy and might not before."""
        return self.people(now) - self.people(was)

    def admits_more(self, was: Policy | None, now: Policy | None) -> bool:
        """Whether a policy lets somebody in who could not read before; yes where it names a group without people."""
        if was is None or now is None or now.public:
            return True
        unknown = (who for layer in now.layers for who in layer if who != PUBLIC and not self._named(frozenset([who])))
        return bool(self.gains(was, now)) or any(unknown)

    @cached_property
    def _everybody(self) -> frozenset[str]:
        """The people in any group: asked for with each pair of policies."""
        self._known()
        return frozenset().union(*(self._below or {}).values())

    def _named(self, principals: frozenset[str]) -> frozenset[str]:
        """The people that some principals stand for."""
        self._known()
        below = self._below or {}
        return frozenset().union(*(below.get(p, frozenset([p])) for p in principals))

    def lets_in(self, policy: Policy, principal: str) -> bool:
        """Whether a policy admits a principal, or somebody in it."""
        if policy.allows(self._with_groups(principal)):
            return True
        people = self._named(frozenset([principal]))
        return bool(people - self._named(policy.deny) if policy.public else people & self.people(policy))

    def none(self, policy: Policy) -> bool:
        """Whether a policy names only empty groups; False in doubt."""
        if policy.nobody:
            return True
        self._known()
        return bool(self._below) and any(
            all(who.startswith("group:") and not (self._below or {}).get(who) for who in layer)
            for layer in policy.layers
        )

    def unknown_groups(self, policy: Policy) -> list[str]:
        """Groups that a policy lets in and no directory has a member of; none where no directory has any group."""
        self._known()
        named = frozenset().union(*policy.layers)
        return (
            sorted(who for who in named if who.startswith("group:") and who not in self._below) if self._below else []
        )

    def like(self, group: str) -> str:
        """The known group with the nearest name, in words for a message; empty if none is near."""
        self._known()
        near = difflib.get_close_matches(group, self._below or (), n=1)
        return f" (did you mean {near[0]}?)" if near else ""

    def _known(self) -> None:
        if self._below is None:
            self._below = members.people_of_groups(self._ledger, MOST_MEMBERSHIPS) or {}

    def _count(self, policy: Policy) -> int:
        return len(self.people(policy)) if any(PUBLIC not in layer for layer in policy.layers) else 0

    def _with_groups(self, principal: str) -> frozenset[str]:
        if principal not in self._above:
            if len(self._above) >= MOST_ASKED:
                return frozenset([principal])
            try:
                with self._ledger.read() as connection:
                    found = members.expanded(connection, self._ledger.tenant, [principal])
            except TooManyPrincipals:
                found = frozenset([principal])
            self._above[principal] = found
        return self._above[principal]


def _witnesses(policy: Policy) -> list[str]:
    return sorted(frozenset().union(*policy.layers) - {PUBLIC})[:MOST_WITNESSES]
