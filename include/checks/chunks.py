"""Whether the model sees every chunk whole, and sees the same text too often."""

from collections import Counter

from include.checks.candidate import Candidate
from include.ids import text_hash
from include.ledger.checks import CheckResult
from include.model import folder_of, max_tokens_of

FEWEST_DUPLICATES = 20  # a small load may repeat a letterhead


def run(candidate: Candidate) -> list[CheckResult]:
    """A chunk that the model would cut, or whose hash is not its text's, blocks; too many equal texts hold."""
    most = max_tokens_of(folder_of(candidate.way.settings.model))
    n, long, empty, wrong = 0, list[str](), list[str](), list[str]()
    longest, texts = 0, Counter[str]()
    for c in candidate.chunks():
        n += 1
        longest = max(longest, c.n_tokens)
        texts[c.text_hash] += 1
        if c.n_tokens > most:
            long.append(c.key)
        if not c.text.strip():
            empty.append(c.key)
        if text_hash(c.embedded_text) != c.text_hash:
            wrong.append(c.key)
    repeated = n - len(texts)
    ratio, limit = repeated / n if n else 0.0, candidate.source.limits.max_duplicate_ratio
    common = {h for h, times in texts.most_common(3) if times > 1}
    where = dict.fromkeys(c.key for c in candidate.chunks() if c.text_hash in common) if ratio > limit else {}
    return [
        CheckResult(
            "tokens",
            "chunks",
            "block",
            not long,
            f"{len(long):,} of {n:,} chunks are longer; the longest has {longest}",
            f"at most {most} tokens",
            tuple(dict.fromkeys(long))[:5],
        ),
        CheckResult(
            "empty chunks",
            "chunks",
            "block",
            not empty,
            f"{len(empty):,} of {n:,} chunks are empty",
            "none",
            tuple(dict.fromkeys(empty))[:5],
        ),
        CheckResult(
            "text hashes",
            "chunks",
            "block",
            not wrong,
            f"{len(wrong):,} of {n:,} hashes are not of their text",
            "none",
            tuple(dict.fromkeys(wrong))[:5],
        ),
        CheckResult(
            "exact duplicates",
            "chunks",
            "hold",
            ratio <= limit or repeated < FEWEST_DUPLICATES,
            f"{repeated:,} of {n:,} chunks repeat another's text ({ratio:.0%})",
            f"at most {limit:.0%} (Limits.max_duplicate_ratio), or fewer than {FEWEST_DUPLICATES}",
            tuple(where)[:5],
        ),
    ]
