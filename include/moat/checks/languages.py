"""Compares the languages of a load's documents with those of earlier loads.

New documents in a further language are growth, and are told; a person is asked only about documents that were there:
those that changed, and new ones where as many vanish, as if these had been replaced. What happened to each changed
document is judged in the family "changes".
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from moat.checks.baselines import LEARNED_FROM
from moat.checks.candidate import Candidate
from moat.checks.chance import at_least
from moat.checks.measures import Measure
from moat.checks.moves import Moves
from moat.ledger.checks import CheckResult
from moat.ledger.measures import PastMeasure, history
from moat.records import Prepared

FEWEST = 3  # new documents of a language that are told
RATE, WEIGHT = 0.01, 20  # share of any language before anything is known, and the documents that it counts as
UNLIKELY = 1e-3  # chance below which a person is told
REPLACED = 0.5  # vanished documents for each new one, from which the new ones stand in their place
SHOWN = 5  # keys of documents behind a result

MEASURES = (
    Measure(
        name="language:",
        title="share of documents in language",
        scale="share",
        least=0.1,
        of="parsing.spoken",
        absent="zero",
    ),
)


class Languages:
    """Counts the languages of a load's documents: of those that were there, and of those that are growth."""

    def __init__(self, candidate: Candidate, moved: Moves) -> None:
        self._candidate = candidate
        arrived = set(moved.pairs.values())
        new = {p.key for p in candidate.plan() if p.what == "new"} - arrived
        vanished = candidate.load.counts.get("vanished", 0) - len(moved.pairs)
        self._replaced = bool(vanished) and vanished >= REPLACED * len(new)
        self._new = set[str]() if self._replaced else new
        self._moved = arrived  # their text is as it was
        self._spoken, self._added = Counter[str](), Counter[str]()
        self._behind: dict[str, list[str]] = {}

    def add(self, p: Prepared) -> None:
        """Count one document."""
        if not p.language or p.key in self._moved:
            return
        new = p.key in self._new
        (self._added if new else self._spoken)[p.language] += 1
        keys = self._behind.setdefault(("new " if new else "") + f"language:{p.language}", [])
        if len(keys) < SHOWN:
            keys.append(p.key)

    def tell(self) -> list[CheckResult]:
        """Record the measures; warns about new documents in a language that is not usual here."""
        measured = self._candidate.measured
        past = history(self._candidate.runtime.ledger, self._candidate.load)
        measured.update({f"new language:{name}": float(n) for name, n in self._added.items()})
        if n := self._spoken.total():
            measured["parsing.spoken"] = n
            measured.update({f"language:{name}": times / n for name, times in self._spoken.items()})
        self._candidate.behind.update({name: tuple(keys) for name, keys in self._behind.items()})
        self._candidate.explained.update(self._by_growth(past))
        told = self._unusual(past)
        return [
            CheckResult(
                name="languages of new documents",
                family="parsing",
                severity="warn",
                passed=not told,
                seen="; ".join(told.values()) or f"{self._added.total():,} new documents in the usual languages",
                allowed=f"those of the loads before, from {LEARNED_FROM} loads on",
                documents=tuple(key for name in told for key in self._behind[f"new language:{name}"])[:SHOWN],
            )
        ]

    def _unusual(self, past: Mapping[str, Sequence[PastMeasure]]) -> dict[str, str]:
        """Languages of new documents that are not usual in this source, with words."""
        spoken = {p.load: p.value for p in past.get("parsing.spoken", ())}
        if len(past.get("documents", ())) < LEARNED_FROM:
            return {}
        before = Counter[str]()
        for name, values in past.items():
            if name.startswith("language:"):
                before[name.removeprefix("language:")] += round(sum(p.value * spoken.get(p.load, 0.0) for p in values))
            elif name.startswith("new language:"):
                before[name.removeprefix("new language:")] += round(sum(p.value for p in values))
        told, n = dict[str, str](), self._added.total()
        for name, times in sorted(self._added.items()):
            rate = (before[name] + RATE * WEIGHT) / (before.total() + WEIGHT)
            if times >= FEWEST and at_least(times, n, rate) <= UNLIKELY:
                share = before[name] / max(1, before.total())
                told[name] = f"{times:,} of {n:,} new documents are in {name}, until now {share:.1%} of all"
        return told

    def _by_growth(self, past: Mapping[str, Sequence[PastMeasure]]) -> dict[str, str]:
        """Shares that move because documents change which were new in earlier loads, with words."""
        if self._replaced:
            return {}
        grown = {name: sum(p.value for p in past.get(f"new language:{name}", ())) for name in self._spoken}
        known = {name for name, n in grown.items() if n >= FEWEST and self._spoken[name] <= n}
        why = {f"language:{name}": f"{grown[name]:,.0f} documents in {name} were new before" for name in known}
        for name in self._spoken.keys() - known:
            if known and self._spoken.keys() - known == {name}:
                why[f"language:{name}"] = f"documents in {', '.join(sorted(known))} were new before"
        return why
