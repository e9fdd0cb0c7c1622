"""The reach of a fault."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from moat.access.policy import PUBLIC, Policy
from moat.checks.audience import policy_of
from moat.incidents.triage.diagnosis import Reach
from moat.ledger import Ledger, documents, history
from moat.ledger.members import people_of_groups

MOST_MEMBERSHIPS = 200_000  # of all directories; above that, people are not counted
MOST_GONE = 5_000  # vanishing documents whose chunks and readers are looked up


@dataclass(slots=True)
class Touched:
    """What a load would change: documents per policy, vanishing keys, new chunks."""

    policies: Counter[str] = field(default_factory=Counter)
    gone: list[str] = field(default_factory=list)
    n_gone: int = 0
    chunks: int = 0


def reach_of(ledger: Ledger, source: str, touched: Touched | None, since: datetime) -> Reach:
    """What a load would change or, if unknown, what grows old meanwhile.

    The latter is everything visible of the source. `since` is when the fault was first noticed.
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
    """Number of people who may read documents of these policies, by the current groups."""
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
    """People among some principals and in the groups that they name."""
    people = (groups.get(p, frozenset()) if p.startswith("group:") else frozenset({p}) for p in principals)
    return frozenset[str]().union(*people)


def _public(policies: dict[Policy, int]) -> int:
    return sum(n for policy, n in policies.items() if policy.layers and all(PUBLIC in layer for layer in policy.layers))
