"""Checks how many fetched documents parsed, and the quality of their text."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from itertools import groupby

from moat.checks import languages, moves
from moat.checks.candidate import Candidate
from moat.checks.measures import Measure
from moat.ledger.checks import CheckResult, over
from moat.records import Prepared

SHORT = 100  # characters; shorter documents count as nearly empty
LONG_WORD = 20  # mean characters per word; more means lost spaces, or a script without them
FEWEST_GARBLED = 5  # documents; fewer may quote such characters
SHOWN = 5  # keys of documents behind a result
NAME = 150  # length of a measure's name
# UTF-8 decoded as Windows-1252: a lead byte becomes a letter, a continuation byte a sign.
_SIGN = "[\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
MOJIBAKE = re.compile(f"[ÃÂÐÑ]{_SIGN}|â[€‚„]{_SIGN}|ðŸ{_SIGN}|ï¿½|ï»¿")

MEASURES = (
    Measure(name="parsing.characters", title="characters per document", scale="count", least=0.3, of="documents"),
    Measure(name="parsing.page", title="characters per page", scale="count", least=0.4, of="parsing.paged"),
    Measure(
        name="parsing.short",
        title="share of documents with almost no text",
        scale="share",
        least=0.05,
        side="high",
        of="documents",
    ),
    Measure(
        name="parsing.replaced",
        title="share of characters that could not be decoded",
        scale="plain",
        least=0.002,
        side="high",
        of="documents",
    ),
    Measure(
        name="parsing.damaged",
        title="share of documents with characters lost",
        scale="share",
        least=0.04,
        side="high",
        of="documents",
    ),
    Measure(
        name="parsing.mojibake",
        title="share of documents with mojibake",
        scale="share",
        least=0.04,
        side="high",
        of="documents",
    ),
    Measure(
        name="parsing.run_together",
        title="share of documents whose words run together",
        scale="share",
        least=0.05,
        side="high",
        of="documents",
    ),
    Measure(name="parsing.pictures", title="share of pictures read by OCR", scale="share", least=0.1, of="documents"),
    *languages.MEASURES,
    Measure(name="type:", title="share of documents of type", scale="share", least=0.15, of="documents", absent="zero"),
    Measure(
        name="aside:",
        title="share of documents set aside for",
        scale="share",
        least=0.03,
        side="high",
        of="documents",
        absent="zero",
    ),
)


def run(candidate: Candidate) -> list[CheckResult]:
    """Hold too many quarantined documents; block missing fields and empty documents."""
    limits = candidate.source.limits
    n, incomplete, empty, twice = 0, list[str](), list[str](), list[str]()
    seen: set[str] = set()
    texts, spoken = _Texts(), languages.Languages(candidate, moves.found(candidate))
    for p in candidate.prepared():
        n += 1
        texts.add(p)
        spoken.add(p)
        if not (p.id and p.key and p.uri and p.title and p.fingerprint and p.content_hash):
            incomplete.append(p.key)
        if p.n_chunks == 0 or p.n_characters == 0:
            empty.append(p.key)
        if p.id in seen:
            twice.append(p.key)
        seen.add(p.id)
    aside = [a.key for a in candidate.aside()]
    garbled = texts.tell(candidate)
    garbled_ratio = len(garbled) / n if n else 0.0
    ratio = len(aside) / (n + len(aside)) if n + len(aside) else 0.0
    results = [
        CheckResult(
            name="quarantined share",
            family="parsing",
            severity="hold",
            passed=ratio <= limits.max_failed_ratio or len(aside) < 2,
            seen=f"{len(aside):,} of {n + len(aside):,} documents were set aside ({ratio:.0%})",
            allowed=f"at most {limits.max_failed_ratio:.0%} (Limits.max_failed_ratio), or a single one",
            documents=tuple(aside[:5]),
        ),
        CheckResult(
            name="broken characters",
            family="parsing",
            severity="hold",
            passed=garbled_ratio <= limits.max_garbled_ratio or len(garbled) < FEWEST_GARBLED,
            seen=f"{len(garbled):,} of {n:,} documents have characters that were lost or decoded wrongly ({garbled_ratio:.0%})",
            allowed=f"at most {limits.max_garbled_ratio:.0%} (Limits.max_garbled_ratio), or fewer than {FEWEST_GARBLED}",
            documents=tuple(garbled[:SHOWN]),
        ),
        CheckResult(
            name="schema",
            family="parsing",
            severity="block",
            passed=not incomplete,
            seen=f"{len(incomplete):,} of {n:,} documents lack a field",
            allowed="none",
            documents=tuple(incomplete[:5]),
        ),
        CheckResult(
            name="empty text",
            family="parsing",
            severity="block",
            passed=not empty,
            seen=f"{len(empty):,} of {n:,} documents have no text",
            allowed="none",
            documents=tuple(empty[:5]),
        ),
        CheckResult(
            name="one document a key",
            family="parsing",
            severity="block",
            passed=not twice,
            seen=f"{len(twice):,} documents came twice",
            allowed="none",
            documents=tuple(twice[:5]),
        ),
        *spoken.tell(),
    ]
    return [*over(n + len(aside), "documents", results[:1]), *over(n, "documents", results[1:])]


class _Texts:
    """Statistics of a load's texts, counted in one pass."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._logarithms = 0.0
        self._types, self._errors = Counter[str](), Counter[str]()
        self._behind: dict[str, list[str]] = {}
        self._damaged: list[str] = []

    def add(self, p: Prepared) -> None:
        c = self._counts
        c["n"] += 1
        c["characters"] += p.n_characters
        c["replaced"] += p.n_replaced
        self._logarithms += math.log1p(p.n_characters)
        self._types[p.media_type] += 1
        self._stands("type:" + p.media_type, p.key)
        if p.n_pages:
            c["paged"] += 1
            c["pages"] += p.n_pages
            c["on pages"] += p.n_characters
        if p.n_replaced:
            self._damaged.append(p.key)
        for name, so in (
            ("short", p.n_characters < SHORT),
            ("damaged", p.n_replaced > 0),
            ("pictures", p.media_type.startswith("image/")),
        ):
            if so:
                c[name] += 1
                self._stands(f"parsing.{name}", p.key)

    def tell(self, candidate: Candidate) -> list[str]:
        """Record the measures, including the shares of mojibake and of quarantined documents.

        Returns the keys of documents with lost or wrongly decoded characters.
        """
        c, measured, n = self._counts, candidate.measured, self._counts["n"]
        for a in candidate.aside():
            self._errors[a.error] += 1
            self._stands("aside:" + a.error, a.key)
        garbled = set[str]()
        for key, chunks in groupby(candidate.chunks(), key=lambda chunk: chunk.key):
            n_words = n_characters = 0
            for chunk in chunks:
                words = chunk.text.split()
                n_words += len(words)
                n_characters += sum(map(len, words))
                if key not in garbled and (MOJIBAKE.search(chunk.text) or MOJIBAKE.search(chunk.heading)):
                    garbled.add(key)
                    self._stands("parsing.mojibake", key)
            if n_characters >= max(SHORT, LONG_WORD * n_words):
                c["run_together"] += 1
                self._stands("parsing.run_together", key)
        every = n + self._errors.total()
        measured.update(_shares("aside:", self._errors, every))
        if n:
            measured["parsing.characters"] = math.expm1(self._logarithms / n)
            measured["parsing.replaced"] = c["replaced"] / max(c["characters"], 1)
            measured["parsing.mojibake"] = min(len(garbled) / n, 1.0)
            measured.update(
                {f"parsing.{name}": c[name] / n for name in ("short", "damaged", "pictures", "run_together")}
            )
            measured.update(_shares("type:", self._types, n))
        if c["paged"]:
            measured["parsing.page"] = c["on pages"] / c["pages"]
            measured["parsing.paged"] = c["paged"]
        candidate.behind.update({name: tuple(keys) for name, keys in self._behind.items()})
        return sorted(garbled.union(self._damaged))

    def _stands(self, name: str, key: str) -> None:
        keys = self._behind.setdefault(name[:NAME], [])
        if len(keys) < SHOWN:
            keys.append(key)


def _shares(prefix: str, counts: Mapping[str, int], n: int) -> dict[str, float]:
    """The share of each name, or the share of none."""
    return {(prefix + name)[:NAME]: times / n for name, times in counts.items()} or ({prefix: 0.0} if n else {})
