"""Checks for personal data, secrets, hidden text and prompt injections.

The source's Risks decide what is done with them, and `moat.risks` did that before chunking. Here they
are counted: a family whose policy is hold waits for a person, and every family's share of documents
has a learned range.
"""

from collections import Counter

from moat.checks.candidate import Candidate
from moat.checks.measures import Measure
from moat.ledger.checks import CheckResult, over
from moat.risks.judge import FAMILIES, families
from moat.source import RiskAction

TITLES = {
    "personal": "personal data",
    "secrets": "secrets",
    "hidden": "hidden text",
    "injection": "injection",
}
MEASURES = tuple(
    Measure(
        name=f"content.{family}", title=f"documents with {title}", scale="share", least=0.1, side="high", of="documents"
    )
    for family, title in TITLES.items()
)
DONE: dict[RiskAction, str] = {"allow": "left in", "redact": "taken out", "hold": "left in", "quarantine": "set aside"}


def run(candidate: Candidate) -> list[CheckResult]:
    """Count findings by family, never their values; hold where the policy says so."""
    n, found = 0, {family: Counter[str]() for family in FAMILIES}
    documents: dict[str, list[str]] = {family: [] for family in FAMILIES}
    for p in candidate.prepared():
        n += 1
        for family, kinds in families(p.risks).items():
            found[family].update(kinds)
            documents[family].append(p.key)
    n_aside = sum(a.error == "RiskFound" for a in candidate.aside())
    results = []
    for family in FAMILIES:
        keys, answer = documents[family], getattr(candidate.source.risks, family)
        if n:
            candidate.measured[f"content.{family}"] = len(keys) / n
            candidate.behind[f"content.{family}"] = tuple(keys[:5])
        results.append(
            CheckResult(
                name=f"{TITLES[family]} in documents",
                family="content",
                severity="hold",
                passed=not keys or answer != "hold",
                seen=_seen(n, len(keys), found[family], answer)
                + (f"; {n_aside:,} were set aside" if answer == "quarantine" else ""),
                allowed=f"none (Risks.{family})" if answer == "hold" else f"any, {DONE[answer]} (Risks.{family})",
                documents=tuple(keys[:5]) if answer == "hold" else (),
            )
        )
    return over(n, "documents", results)


def _seen(n: int, n_with: int, kinds: Counter[str], answer: RiskAction) -> str:
    if not n_with:
        return f"in none of {n:,} documents"
    told = ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items()))
    return f"in {n_with:,} of {n:,} documents, {DONE[answer]}: {told}"
