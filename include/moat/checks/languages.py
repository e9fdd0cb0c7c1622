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
from moat.ledger.checks import CheckResult, over, unjudged
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
        self._there, self._added = Counter[str](), Counter[str]()
        self._behind: dict[str, list[str]] = {}

    def add(self, p: Prepared) -> None:
        """Count one document."""
        if not p.language or p.key in self._moved:
            return
        new = p.key in self._new
        (self._added if new else self._there)[p.language] += 1
        for name in (f"language:{p.language}", *([f"new language:{p.language}"] if new else [])):
            keys = self._behind.setdefault(name, [])
            if len(keys) < SHOWN:
                keys.append(p.key)

    def tell(self) -> list[CheckResult]:
        """Record the measures; warns about new documents in a language that is not usual here."""
        measured, past = self._candidate.measured, history(self._candidate.runtime.ledger, self._candidate.load)
        measured.update({f"new language:{name}": float(n) for name, n in self._added.items()})
        every = self._there + self._added
        if n := every.total():
            measured["parsing.spoken"] = n
            measured.update({f"language:{name}": times / n for name, times in every.items()})
        self._candidate.behind.update({name: tuple(keys) for name, keys in self._behind.items()})
        before = _counted(past)
        self._candidate.explained.update({**self._by_growth(past), **self._by_new(before)})
        n_loads = len(past.get("documents", ()))
        told = self._unusual(before) if n_loads >= LEARNED_FROM else {}
        results = [
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
        if n_loads < LEARNED_FROM:
            return [unjudged(r, f"not learned yet ({n_loads} of {LEARNED_FROM} loads)") for r in results]
        return over(self._added.total(), "new documents", results)

    def _unusual(self, before: Counter[str]) -> dict[str, str]:
        """Languages of new documents that are not usual in this source, with words; that of most documents is usual."""
        told, n = dict[str, str](), self._added.total()
        for name, times in sorted(self._added.items()):
            if before[name] * 2 > before.total():
                continue
            if times >= FEWEST and at_least(times, n, _rate(before, name)) <= UNLIKELY:
                share = before[name] / max(1, before.total())
                told[name] = f"{times:,} of {n:,} new documents are in {name}, until now {share:.1%} of all"
        return told

    def _by_new(self, before: Counter[str]) -> dict[str, str]:
        """Shares that only new documents can have moved: those that were there keep to the usual ones."""
        n, added = self._there.total(), self._added.total()
        usual = {
            name
            for name in (before + self._there + self._added if added else ())
            if at_least(self._there[name], n, _rate(before, name)) > UNLIKELY
            and at_least(n - self._there[name], n, 1 - _rate(before, name)) > UNLIKELY
        }
        why = f"by {added:,} new documents, those that were there are in the usual languages"
        return {f"language:{name}": why for name in usual}

    def _by_growth(self, past: Mapping[str, Sequence[PastMeasure]]) -> dict[str, str]:
        """Shares that move because documents change which were new in earlier loads."""
        if self._replaced:
            return {}
        grown = {name: sum(p.value for p in past.get(f"new language:{name}", ())) for name in self._there}
        known = {name for name, n in grown.items() if n >= FEWEST and self._there[name] <= n}
        why = {f"language:{name}": f"{grown[name]:,.0f} documents in {name} were new before" for name in known}
        if known and len(others := self._there.keys() - known) == 1:
            why[f"language:{next(iter(others))}"] = f"documents in {', '.join(sorted(known))} were new before"
        return why


def _counted(past: Mapping[str, Sequence[PastMeasure]]) -> Counter[str]:
    """Documents of earlier loads by language."""
    spoken = {p.load: p.value for p in past.get("parsing.spoken", ())}
    found = Counter[str]()
    for name, values in past.items():
        if name.startswith("language:"):
            found[name.removeprefix("language:")] = round(sum(p.value * spoken.get(p.load, 0.0) for p in values))
    return found


def _rate(before: Counter[str], name: str) -> float:
    """Usual share of a language, never quite none or all."""
    return (before[name] + RATE * WEIGHT) / (before.total() + WEIGHT)
