"""What a defect is: one thing that goes wrong at a source or around it, in five strengths.

A defect works from outside, on files, rows, servers and disks. Nothing here, and nothing in the files that
list the defects, knows how Moat looks for them.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal

import duckdb

from tests.proofs.trust.company import Company, Paper
from tests.proofs.trust.endpoint import Endpoint

SHARES = (0.02, 0.08, 0.25, 0.6, 1.0)  # of the documents or rows that a strength hits
Where = Literal["papers", "cases"]


@dataclass
class World:
    """All that a defect can reach."""

    company: Company
    endpoint: Endpoint
    golden: tuple[str, ...]  # keys of papers that answer golden questions
    quiet_nights: int = 0  # that nothing changes before
    fill_disk: bool = False  # the next file that is staged finds the disk full
    undo: list[Callable[[], None]] = field(default_factory=list)


Act = Callable[[World, int, Random], None]


@dataclass(frozen=True)
class Defect:
    """One kind of defect. `strengths` says what 1 to 5 mean where it is not a share of the documents."""

    name: str
    source: Where
    says: str
    act: Act
    strengths: str = "2, 8, 25, 60, 100 % of the documents"
    binary: bool = False  # it is there or it is not: every strength is the whole of it
    still: bool = False  # the company stands still: no load has anything in it, so that none can be held

    def seed(self, world: World, strength: int, seed: int) -> None:
        """Let it happen."""
        self.act(world, strength, Random(f"{seed} {self.name} {strength}"))


class Catalogue:
    """Defects in the order that they are written down in."""

    def __init__(self, source: Where, strengths: str = Defect.strengths) -> None:
        self.source, self.strengths, self.found = source, strengths, list[Defect]()

    def __call__(
        self, says: str, strengths: str = "", binary: bool = False, still: bool = False
    ) -> Callable[[Act], Act]:
        """Enter a function as a defect by its name."""

        def enter(act: Act) -> Act:
            name = act.__name__  # type: ignore[attr-defined]
            words = "the whole of it" if binary else strengths or self.strengths
            self.found.append(Defect(name, self.source, says, act, words, binary, still))
            return act

        return enter


def share(strength: int, n: int) -> int:
    """How many of n a strength hits, one at the least."""
    return max(1, math.ceil(SHARES[strength - 1] * n)) if n else 0


def hit(world: World, strength: int, dice: Random, kinds: tuple[str, ...] = ()) -> list[Paper]:
    """The papers that a strength hits, of some kinds or of all."""
    papers = [p for _, p in sorted(world.company.papers.items()) if not kinds or p.kind in kinds]
    return dice.sample(papers, share(strength, len(papers)))


def rewrite(world: World, papers: list[Paper], change: Callable[[Paper], Paper]) -> None:
    """Write papers again, as `change` makes them."""
    for paper in papers:
        world.company.put(change(paper))


def lines(paper: Paper, change: Callable[[str], str]) -> Paper:
    """A paper with every line of it changed, its title too."""
    return replace(paper, title=change(paper.title), sentences=tuple(change(line) for line in paper.sentences))


def overwrite(world: World, papers: list[Paper], content: Callable[[bytes], bytes]) -> None:
    """Put other bytes into the files of papers."""
    for paper in papers:
        file = world.company.folder / paper.key
        file.write_bytes(content(file.read_bytes()))


@contextmanager
def table(world: World) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(world.company.database)) as warehouse:
        yield warehouse


def rows(warehouse: duckdb.DuckDBPyConnection, strength: int, dice: Random) -> list[int]:
    """Ids of the rows that a strength hits."""
    ids = [n for (n,) in warehouse.execute("SELECT id FROM cases ORDER BY id").fetchall()]
    return dice.sample(ids, share(strength, len(ids)))


def update(world: World, strength: int, dice: Random, change: str) -> None:
    """Run `UPDATE cases SET …` on the rows that a strength hits."""
    with table(world) as warehouse:
        warehouse.execute(
            f"UPDATE cases SET {change} WHERE id IN (SELECT unnest(?))", [rows(warehouse, strength, dice)]
        )
