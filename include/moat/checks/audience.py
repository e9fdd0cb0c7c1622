"""Who may read documents that a load brings: whether somebody may read two of them, and how many may read one."""

from collections.abc import Iterable

from moat.access.policy import PUBLIC, Policy
from moat.errors import TooManyPrincipals
from moat.ledger import Ledger, members

MOST_WITNESSES = 64  # principals of one policy that are tried
MOST_ASKED = 5_000  # principals whose groups are looked up
MOST_MEMBERSHIPS = 200_000  # of all directories; where there are more, a group counts as one reader
UNREADABLE = Policy((frozenset(),))  # as nobody's: that it cannot be read is found elsewhere


def policy_of(text: str) -> Policy:
    """The policy that a record carries; one that cannot be read lets nobody in."""
    try:
        return Policy.from_text(text)
    except (ValueError, KeyError, TypeError):
        return UNREADABLE


class Audience:
    """Answers about policies, by the groups that the ledger has now. Remembers what it was asked."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._above: dict[str, frozenset[str]] = {}
        self._common: dict[tuple[Policy, Policy], bool] = {}
        self._below: dict[str, frozenset[str]] | None = None
        self._n: dict[Policy, int] = {}

    def in_common(self, one: Policy, other: Policy) -> bool:
        """Whether somebody who may read under both policies is known; in doubt not.

        Such a one is a principal that either policy names, with every group above it, or anybody where both
        are public. Two groups that merely have a member in common are not found: nobody is named for both.
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
        """The keys of the first few documents that may be told beside each other."""
        chosen: dict[str, Policy] = {}
        for key, policy in found:
            if key not in chosen and all(self.in_common(policy, other) for other in chosen.values()):
                chosen[key] = policy
            if len(chosen) == most:
                break
        return tuple(chosen)

    def count(self, policy: Policy) -> int:
        """How many people may read under a policy that is not public: its groups expanded, denied ones left out.

        Where the directories have too many memberships for that, its principals.
        """
        if policy not in self._n:
            self._n[policy] = self._count(policy)
        return self._n[policy]

    def none(self, policy: Policy) -> bool:
        """Whether a policy names only groups without anybody in them; in doubt not, as where no group is known."""
        if policy.nobody:
            return True
        self._known()
        return bool(self._below) and any(
            all(who.startswith("group:") and not (self._below or {}).get(who) for who in layer)
            for layer in policy.layers
        )

    def _known(self) -> None:
        if self._below is None:
            self._below = members.people_of_groups(self._ledger, MOST_MEMBERSHIPS) or {}

    def _count(self, policy: Policy) -> int:
        if policy.nobody:
            return 0
        self._known()

        def people(principals: frozenset[str]) -> frozenset[str]:
            below = self._below or {}
            return frozenset().union(*(below.get(p, frozenset([p])) for p in principals))

        layers = [people(layer) for layer in policy.layers if PUBLIC not in layer]
        denied = people(policy.deny)
        return len(frozenset.intersection(*layers) - denied) if layers else 0

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
