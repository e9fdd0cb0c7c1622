"""How many documents came, and how many would go."""

from include.checks.candidate import Candidate
from include.ledger.checks import CheckResult


def run(candidate: Candidate) -> list[CheckResult]:
    """A source that shrinks by more than its limit, or lists nothing, waits for a person."""
    counts, limits = candidate.load.counts, candidate.source.limits
    listed, visible, vanished = counts.get("listed", 0), counts.get("visible", 0), counts.get("vanished", 0)
    results = [
        CheckResult(
            "listing",
            "volume",
            "hold",
            listed > 0 or visible == 0,
            f"{listed:,} documents listed, {visible:,} visible now",
            "not empty while documents are visible",
        ),
        CheckResult(
            "fewest documents",
            "volume",
            "hold",
            listed >= limits.min_documents,
            f"{listed:,} documents listed",
            f"at least {limits.min_documents:,} (Limits.min_documents)",
        ),
    ]
    if not candidate.load.options.get("only"):
        ratio = vanished / visible if visible else 0.0
        keys = (
            [p.key for p in candidate.plan() if p.what == "vanished"][:5] if ratio > limits.max_vanished_ratio else []
        )
        results.append(
            CheckResult(
                "mass deletion",
                "volume",
                "hold",
                ratio <= limits.max_vanished_ratio,
                f"{vanished:,} of {visible:,} visible documents vanish ({ratio:.0%})",
                f"at most {limits.max_vanished_ratio:.0%} (Limits.max_vanished_ratio)",
                tuple(keys),
            )
        )
    return results
