"""Kinds of harm and honest changes tried on a company one after another, each from the same state."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from tests.proofs.trust.harness import Kept
from tests.proofs.trust.kind import Harm, picked
from tests.proofs.trust.nights import Honest, Nights, Outcome
from tests.proofs.trust.parts import Parts

SIZES = ("whole", "all", "a tenth", "three")


@dataclass
class Trial:
    """What is tried on a company and what became of it so far."""

    company: Nights
    kept: Kept
    parts: Parts
    found: list[Outcome] = field(default_factory=list)
    changed: list[Honest] = field(default_factory=list)

    def harm(self, pairs: Sequence[tuple[Harm, str]], after_each: Callable[[], None]) -> None:
        """Try kinds, each in a size; what an earlier part of the run found is not tried again."""
        for harm, size in pairs:
            if self.parts.asks_for(harm.name, size):
                outcome = self.parts.once(f"{harm.name} {size}", Outcome, partial(self._try, harm, size))
                self.found.append(outcome)
                print(harm.name, size, outcome.verdict, outcome.causes[:3], outcome.night.failed, flush=True)
                after_each()

    def change(self, honest: Sequence[Harm]) -> None:
        """Try honest changes."""
        for one in honest:
            if self.parts.asks_for(one.name, "whole"):
                self.changed.append(self.parts.once(one.name, Honest, partial(self._try_honest, one)))
                print(one.name, self.changed[-1], flush=True)

    def _try(self, harm: Harm, size: str) -> Outcome:
        return self.company.try_kind(harm.name, harm.source, self._change(harm, size), self.kept, size, harm.days)

    def _try_honest(self, harm: Harm) -> Honest:
        return self.company.try_honest(harm.name, harm.source, self._change(harm, "whole"), self.kept)

    def _change(self, harm: Harm, size: str) -> Callable[[], int]:
        """What a kind does on each of its nights; it answers how many documents or rows it met."""
        company = self.company.company
        dice = company.dice(f"{harm.name} {size}")

        def change() -> int:
            keys = picked(harm.of(company), size, dice)
            harm.act(company, keys, dice)
            return len(keys)

        return change


def in_order(harms: Sequence[Harm]) -> list[tuple[Harm, str]]:
    """All kinds in all of their sizes, the largest first: they are judged.

    What promotes what it brings goes last, for the index is not brought back.
    """
    pairs = ((harm, size) for harm in harms for size in harm.sizes)
    return sorted(pairs, key=lambda one: (one[0].days, SIZES.index(one[1])))
