"""Whether it is known of every chunk who may read it."""

from include.access import TOKEN, Policy
from include.checks.candidate import Candidate
from include.ledger.checks import CheckResult


def run(candidate: Candidate) -> list[CheckResult]:
    """One document without a readable policy blocks the load. Nobody is an answer, unknown is none."""
    tenant = candidate.way.settings.tenant
    n, nobody, public, unknown = 0, 0, 0, list[str]()
    for p in candidate.prepared():
        n += 1
        try:
            policy = Policy.from_text(p.policy)
        except (ValueError, KeyError, TypeError):
            unknown.append(p.key)
            continue
        tokens = policy.tokens(tenant)
        if not all(TOKEN.match(token) for token in tokens):
            unknown.append(p.key)
        nobody += policy.nobody
        public += "public" in tokens
    return [
        CheckResult(
            "access known",
            "access",
            "block",
            not unknown,
            f"access of {n - len(unknown):,} of {n:,} documents is known; {public:,} are public, {nobody:,} are nobody's",
            "100 %",
            tuple(unknown[:5]),
        ),
    ]
