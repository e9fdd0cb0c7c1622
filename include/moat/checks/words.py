"""Checks that no word of a document is lost between its bytes and its chunks.

A document's words are taken a second time by a simpler road than its parser's. Words in no chunk are missing, unless
a rule declared that it left them out, such as a page's running head.
"""

from collections import Counter

from moat.checks.candidate import Candidate
from moat.checks.measures import Measure
from moat.ledger.checks import CheckResult, over
from moat.records import Prepared

KEPT = 0.98  # share of a document's words below which a person is told
FEW = 3  # missing words of one document that are no finding: a number that is shown in another way
SHOWN = 5  # documents behind a result
LEFT_OUT = 0.5  # share of a document's words that rules left out, above which it counts as mostly left out

MEASURES = (
    Measure(
        name="words.kept",
        title="share of the documents' words that are in their chunks or declared",
        scale="share",
        least=0.01,
        side="low",
        of="words.compared",
    ),
    Measure(
        name="words.invented",
        title="words of the chunks that the documents do not have, beside those they have",
        scale="share",
        least=0.01,
        side="high",
        of="words.compared",
    ),
    Measure(
        name="words.left_out",
        title="documents of which rules left out more than half",
        scale="share",
        least=0.05,
        side="high",
        of="documents",
    ),
)


def run(candidate: Candidate) -> list[CheckResult]:
    """Warn of documents that lost words, and hold a load with documents that lost many."""
    least = candidate.source.limits.min_words_kept
    n = compared = words = missing = invented = 0
    rules, mostly = Counter[str](), list[str]()
    lossy = list[tuple[float, Prepared]]()
    for p in candidate.prepared():
        n += 1
        out = left_out(p.left_out)
        rules.update(out)
        if out.total() > LEFT_OUT * max(p.n_words, out.total() + p.n_characters // 6):
            mostly.append(p.key)
        if p.n_words:
            compared += 1
            words, missing, invented = words + p.n_words, missing + p.n_missing, invented + p.n_invented
            share = 1 - p.n_missing / p.n_words
            if share < KEPT and p.n_missing > FEW:
                lossy.append((share, p))
    lossy.sort(key=lambda pair: (pair[0], pair[1].key))
    bad = [(share, p) for share, p in lossy if share < least]
    if compared:
        candidate.measured["words.compared"] = compared
        candidate.measured["words.kept"] = 1 - missing / words
        candidate.measured["words.invented"] = min(1.0, invented / words)
        candidate.behind["words.kept"] = tuple(p.key for _, p in lossy[:SHOWN])
    if n:
        candidate.measured["words.left_out"] = len(mostly) / n
        candidate.behind["words.left_out"] = tuple(mostly[:SHOWN])
    of = f"{compared:,} of {n:,} documents compared"
    results = [
        CheckResult(
            name="many words lost",
            family="words",
            severity="hold",
            passed=not bad,
            seen=f"{len(bad):,} documents lost more than {1 - least:.0%} of their words{_worst(bad)}; {of}",
            allowed="none (Limits.min_words_kept)",
            documents=tuple(p.key for _, p in bad[:SHOWN]),
        ),
        CheckResult(
            name="words lost",
            family="words",
            severity="warn",
            passed=not lossy,
            seen=f"{len(lossy):,} documents lost more than {1 - KEPT:.0%} of their words{_worst(lossy)}; {of}",
            allowed="none",
            documents=tuple(p.key for _, p in lossy[:SHOWN]),
        ),
        CheckResult(
            name="words left out by rules",
            family="words",
            severity="warn",
            passed=True,
            seen=", ".join(f"{rule} {k:,}" for rule, k in rules.most_common()) or "none",
            allowed="any: each rule is declared, and `moat explain` shows what it left out",
        ),
    ]
    return [*over(compared, "documents that can be compared", results[:2]), *over(n, "documents", results[2:])]


def left_out(told: tuple[str, ...] | list[str]) -> Counter[str]:
    """Words left out by rule, of a document's recorded "rule=n=sample"."""
    return Counter({rule: int(k) for rule, k, _ in (one.split("=", 2) for one in told)})


def _worst(lossy: list[tuple[float, Prepared]]) -> str:
    if not lossy:
        return ""
    share, worst = lossy[0]
    return f"; the worst kept {share:.1%} and lost, among others: {', '.join(worst.missing) or 'numbers'}"
