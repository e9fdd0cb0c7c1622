"""Kinds of harm and honest changes tried on a company one after another, each from the same state."""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.results import ran_on
from moat.incidents.triage.rank import SIGNATURES
from moat.settings import PROJECT
from tests.proofs.trust.harness import Kept, Night
from tests.proofs.trust.kind import Harm, picked
from tests.proofs.trust.nights import Honest, Nights, Outcome
from tests.proofs.trust.page import NIGHTS_PER_FALSE_HOLD, page
from tests.proofs.trust.parts import Parts

SIZES = ("whole", "all", "a tenth", "three")


@dataclass(frozen=True, kw_only=True)
class Study:
    """What a company is for: its kinds, those that a small run tries, and the page that a whole run writes."""

    harms: Sequence[Harm]
    honest: Sequence[Harm]
    few: Sequence[tuple[str, str]]  # name and size
    unseen: Mapping[str, str]  # reasons by kind
    file: str  # in bench/
    opening: Sequence[str]
    packages: Sequence[str]

    def hold_together(self) -> None:
        """Assert that kinds have names of their own, and causes that triage knows."""
        names = [h.name for h in (*self.harms, *self.honest)]
        assert len(set(names)) == len(names)
        known = {signature.name for signature in SIGNATURES}
        assert {cause for h in (*self.harms, *self.honest) for cause in h.right} <= known
        assert {name for name, _ in self.few} | self.unseen.keys() <= {h.name for h in self.harms}

    def in_order(self) -> list[tuple[Harm, str]]:
        """All kinds in all of their sizes, the largest first: they are judged.

        What promotes what it brings goes last, for the index is not brought back.
        """
        pairs = ((harm, size) for harm in self.harms for size in harm.sizes)
        return sorted(pairs, key=lambda one: (one[0].days, SIZES.index(one[1])))


@dataclass
class Trial:
    """A study on a company that has lived its clean nights, and what became of it so far."""

    study: Study
    company: Nights
    nights: Sequence[Night]
    kept: Kept
    parts: Parts
    found: list[Outcome] = field(default_factory=list)
    changed: list[Honest] = field(default_factory=list)

    def run(self, full: bool) -> None:
        """Try the kinds, then the honest changes; what an earlier part of the run found is not tried again."""
        by_name = {harm.name: harm for harm in self.study.harms}
        print(*(n for n in self.nights if n.flagged), sep="\n", flush=True)
        for harm, size in self.study.in_order() if full else [(by_name[name], size) for name, size in self.study.few]:
            if self.parts.asks_for(harm.name, size):
                outcome = self.parts.once(f"{harm.name} {size}", Outcome, partial(self._try, harm, size))
                self.found.append(outcome)
                print(harm.name, size, outcome.verdict, outcome.causes[:3], outcome.night.failed, flush=True)
                self._write(full)
        for honest in self.study.honest if full else self.study.honest[:1]:
            if self.parts.asks_for(honest.name, "whole"):
                self.changed.append(self.parts.once(honest.name, Honest, partial(self._try_honest, honest)))
                print(honest.name, self.changed[-1], flush=True)
        self._write(full)

    def judge(self, full: bool) -> None:
        """Assert what holds of every run: few false holds, nothing large unseen, each honest change released."""
        stopped = [n for n in self.nights if n.stopped]
        assert len(stopped) <= max(1, len(self.nights) // NIGHTS_PER_FALSE_HOLD), stopped
        largest = [o for o in self.found if o.size in ("whole", "all") or not full]
        unseen = [o for o in largest if o.verdict in ("silent", "live") and o.kind not in self.study.unseen]
        assert [f"{o.kind} {o.size}" for o in unseen] == []
        assert [h.kind for h in self.changed if not h.released] == []

    def _write(self, full: bool) -> None:
        """Write the page: a whole run takes hours, and what has run stays if the rest does not."""
        if full:
            s = self.study
            text = page(self.nights, self.found, self.changed, s.harms, s.unseen, s.opening, ran_on(*s.packages))
            (PROJECT / "bench" / s.file).write_text(text, "utf-8")

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


def is_made_alone(folder: Path, names: Sequence[str]) -> None:
    """Assert that modules of a company import one another and what a kind is, and nothing of Moat."""
    package = f"tests.proofs.trust.{folder.name}."
    for name in names:
        tree = ast.parse((folder / f"{name}.py").read_text("utf-8"))
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not any(m.split(".")[0] in ("moat", "include", "dags", "plugins") for m in modules), name
        ours = {m for m in modules if m.startswith("tests.")} - {"tests.proofs.trust.kind"}
        assert {m.removeprefix(package) for m in ours} <= set(names), name
