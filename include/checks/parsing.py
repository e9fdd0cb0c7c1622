"""What became of the documents that were fetched."""

from include.checks.candidate import Candidate
from include.ledger.checks import CheckResult


def run(candidate: Candidate) -> list[CheckResult]:
    """Too many documents in quarantine hold; a record without its fields, or a document without text, blocks."""
    limits = candidate.source.limits
    n, incomplete, empty, twice = 0, list[str](), list[str](), list[str]()
    seen: set[str] = set()
    for p in candidate.prepared():
        n += 1
        if not (p.id and p.key and p.uri and p.title and p.fingerprint and p.content_hash):
            incomplete.append(p.key)
        if p.n_chunks == 0 or p.n_characters == 0:
            empty.append(p.key)
        if p.id in seen:
            twice.append(p.key)
        seen.add(p.id)
    aside = [a.key for a in candidate.aside()]
    ratio = len(aside) / (n + len(aside)) if n + len(aside) else 0.0
    return [
        CheckResult(
            "quarantined share",
            "parsing",
            "hold",
            ratio <= limits.max_failed_ratio or len(aside) < 2,
            f"{len(aside):,} of {n + len(aside):,} documents were set aside ({ratio:.0%})",
            f"at most {limits.max_failed_ratio:.0%} (Limits.max_failed_ratio), or a single one",
            tuple(aside[:5]),
        ),
        CheckResult(
            "schema",
            "parsing",
            "block",
            not incomplete,
            f"{len(incomplete):,} of {n:,} documents lack a field",
            "none",
            tuple(incomplete[:5]),
        ),
        CheckResult(
            "empty text",
            "parsing",
            "block",
            not empty,
            f"{len(empty):,} of {n:,} documents have no text",
            "none",
            tuple(empty[:5]),
        ),
        CheckResult(
            "one document a key",
            "parsing",
            "block",
            not twice,
            f"{len(twice):,} documents came twice",
            "none",
            tuple(twice[:5]),
        ),
    ]
