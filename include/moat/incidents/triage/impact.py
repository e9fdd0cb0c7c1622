"""How far a fault reaches."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from moat.access.policy import PUBLIC, Policy
from moat.checks.audience import policy_of
from moat.incidents.triage.diagnosis import Reach
from moat.ledger import Ledger, documents, history
from moat.ledger.members import people_of_groups

MOST_MEMBERSHIPS = 200_000  # of all directories; above that people are not counted
MOST_GONE = 5_000  # documents that vanish, whose chunks and readers are looked up


@dataclass(slots=True)
class Touched:
    """What a load would change: how many documents of each policy, the keys of those that go, chunks that come."""

    policies: Counter[str] = field(default_factory=Counter)
    gone: list[str] = field(default_factory=list)
    n_gone: int = 0
    chunks: int = 0


def reach_of(ledger: Ledger, source: str, touched: Touched | None, since: datetime) -> Reach:
    """What a load would change; where that is not known, what grows old meanwhile: all that is visible of the source.

    `since` is when the fault was noticed first.
    """
    loads = history.loads_since(ledger, source, since)
    if touched is None:
        bodies, n_chunks = history.policies_of(ledger, source), history.chunks_of(ledger, source)
        n = documents.count_visible(ledger, source)
    else:
        gone = touched.gone[:MOST_GONE]
        bodies = touched.policies + history.policies_of(ledger, source, gone)
        n_chunks = touched.chunks + history.chunks_of(ledger, source, gone)
        n = touched.policies.total() + touched.n_gone
    policies = {policy_of(body): n for body, n in bodies.items() if body}
    return Reach(documents=n, chunks=n_chunks, people=_people(ledger, policies), public=_public(policies), loads=loads)


def _people(ledger: Ledger, policies: Iterable[Policy]) -> int:
    """How many people read any document of these policies, by the groups as they are now."""
    groups = people_of_groups(ledger, MOST_MEMBERSHIPS)
    if groups is None:
        return 0
    found: set[str] = set()
    for policy in policies:
        layers = [_expanded(layer, groups) for layer in policy.layers if PUBLIC not in layer]
        if layers and not policy.nobody:
            found |= frozenset.intersection(*layers) - _expanded(policy.deny, groups)
    return len(found)


def _expanded(principals: Iterable[str], groups: dict[str, frozenset[str]]) -> frozenset[str]:
    """The people among some principals and in the groups that they name."""
    people = (groups.get(p, frozenset()) if p.startswith("group:") else frozenset({p}) for p in principals)
    return frozenset[str]().union(*people)


def _public(policies: dict[Policy, int]) -> int:
    return sum(n for policy, n in policies.items() if policy.layers and all(PUBLIC in layer for layer in policy.layers))
