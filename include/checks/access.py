"""Whether it is known of every chunk who may read it, and whether too many lose their readers or gain new ones."""

from include.access import TOKEN, Policy
from include.checks.candidate import Candidate
from include.ledger.checks import CheckResult
from include.ledger.lane import widening


def run(candidate: Candidate) -> list[CheckResult]:
    """One document without a readable policy blocks the load. Nobody is an answer, unknown is none.

    Documents whose access became unknown are masked already; that so many are lost waits for a person.
    """
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
    masked = [p.key for p in candidate.plan() if p.what == "access" and p.why == "unknown"]
    visible, limit = candidate.load.counts.get("visible", 0), candidate.source.limits.max_vanished_ratio
    ratio = len(masked) / visible if visible else 0.0
    widened, n_public = widening(candidate.way.ledger, candidate.load)
    most = candidate.source.limits.max_widened_documents
    return [
        CheckResult(
            "access widened",
            "access",
            "hold",
            len(widened) <= most and not n_public,
            f"{len(widened):,} visible documents would be read by more people, {n_public:,} of them become public",
            f"{most:,} (Limits.max_widened_documents), none public",
            tuple(widened[:5]),
        ),
        CheckResult(
            "access lost",
            "access",
            "hold",
            ratio <= limit,
            f"access of {len(masked):,} of {visible:,} visible documents became unknown ({ratio:.0%}): nobody sees them now",
            f"at most {limit:.0%} (Limits.max_vanished_ratio)",
            tuple(masked[:5]),
        ),
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
