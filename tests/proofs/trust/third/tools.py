"""Tools of harm: some papers or works orders of the railway, changed in one way."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from random import Random

from tests.proofs.trust.kind import Harms, Keys, Weight
from tests.proofs.trust.third.papers import Paper
from tests.proofs.trust.third.railway import Railway

Says = Callable[[str], str]


def all_papers(rail: Railway) -> list[str]:
    return sorted(rail.papers)


def of_form(*forms: str) -> Keys:
    return lambda rail: sorted(k for k, p in rail.papers.items() if p.form in forms)


def below(*folders: str) -> Keys:
    return lambda rail: sorted(k for k, p in rail.papers.items() if p.folder in folders)


def prose(rail: Railway) -> list[str]:
    """Papers that are not spreadsheets."""
    return sorted(k for k, p in rail.papers.items() if p.form != "xlsx")


def long_ones(rail: Railway) -> list[str]:
    return sorted(k for k, p in rail.papers.items() if len(p.parts) > 2)


def with_grid(rail: Railway) -> list[str]:
    return sorted(k for k, p in rail.papers.items() if p.grid)


def grids_of(column: str) -> Keys:
    return lambda rail: sorted(k for k, p in rail.papers.items() if p.grid and column in p.grid[0])


def naming(pattern: str) -> Keys:
    """Papers in whose sentences something stands."""
    return lambda rail: sorted(k for k, p in rail.papers.items() if re.search(pattern, " ".join(lines(p))))


def in_language(*languages: str) -> Keys:
    return lambda rail: sorted(k for k, p in rail.papers.items() if p.language in languages)


def lines(paper: Paper) -> list[str]:
    return [line for _, said in paper.parts for line in said]


def alter(rail: Railway, keys: Iterable[str], change: Callable[[Paper], Paper]) -> None:
    """Write papers again, as `change` makes them."""
    for key in keys:
        rail.put(change(rail.papers[key]))


def worded(paper: Paper, change: Says, cells: bool = False) -> Paper:
    """A paper with each sentence changed, and each cell below the header where `cells`."""
    parts = tuple((name, tuple(map(change, said))) for name, said in paper.parts)
    grid = (*paper.grid[:1], *(tuple(map(change, row)) for row in paper.grid[1:])) if cells else paper.grid
    return replace(paper, parts=parts, grid=grid)


def celled(paper: Paper, column: str, change: Says) -> Paper:
    """A paper with one column of its table changed."""
    at = paper.grid[0].index(column)
    rows = (tuple(change(c) if j == at else c for j, c in enumerate(row)) for row in paper.grid[1:])
    return replace(paper, grid=(paper.grid[0], *rows))


def exchanged(text: str, pairs: Mapping[str, str]) -> str:
    """A text with words put in the place of others, all at once."""
    pattern = re.compile("|".join(rf"\b{re.escape(one)}\b" for one in sorted(pairs, key=len, reverse=True)))
    return pattern.sub(lambda found: pairs[found[0]], text)


def told_only(text: str) -> Callable[[Paper], Paper]:
    """What leaves a paper with one text and no more."""
    return lambda paper: replace(paper, parts=(("", (text,)),), grid=())


class Paperwork(Harms):
    """Kinds of harm to papers."""

    def words(
        self,
        name: str,
        change: Says,
        says: str,
        right: str,
        of: Keys | None = None,
        cells: bool = False,
        weight: Weight = "severe",
    ) -> None:
        """Enter a kind that changes each sentence."""

        def act(rail: Railway, keys: list[str], _: Random) -> None:
            alter(rail, keys, lambda p: worded(p, change, cells))

        self.enter(name, act, says, right, of or self.of, weight=weight)

    def little(self, name: str, change: Says, says: str, right: str, of: Keys | None = None, cells: bool = False) -> None:  # fmt: skip
        """The same of a medium one."""
        self.words(name, change, says, right, of, cells, weight="medium")

    def becomes(self, name: str, text: str, says: str, right: str, of: Keys | None = None) -> None:
        """Enter a severe kind that leaves one text of each paper."""
        self.enter(name, lambda rail, keys, _: alter(rail, keys, told_only(text)), says, right, of or self.of)


def every_row(rail: Railway) -> list[str]:
    return rows_where("true")(rail)


def rows_where(condition: str) -> Keys:
    """Ids of the works orders of which something holds."""

    def found(rail: Railway) -> list[str]:
        with rail.works() as db:
            return [i for (i,) in db.execute(f"SELECT id FROM works WHERE {condition} ORDER BY id").fetchall()]

    return found


def set_rows(rail: Railway, keys: list[str], change: str) -> None:
    """`UPDATE works SET …` on some."""
    with rail.works() as db:
        db.execute(f"UPDATE works SET {change} WHERE id IN (SELECT unnest(?))", [keys])


def give_values(rail: Railway, keys: list[str], column: str, order: Callable[[list[object]], list[object]]) -> None:
    """Deal the values of one column out among some rows again, in another order."""
    with rail.works() as db:
        found = db.execute(
            f"SELECT id, {column} FROM works WHERE id IN (SELECT unnest(?)) ORDER BY id", [keys]
        ).fetchall()
        dealt = order([value for _, value in found])
        for (one, _), value in zip(found, dealt, strict=True):
            db.execute(f"UPDATE works SET {column} = ? WHERE id = ?", [value, one])


def reword_rows(rail: Railway, keys: list[str], column: str, change: Says) -> None:
    """Change the text of one column in some rows."""
    give_values(rail, keys, column, lambda values: [change(str(v)) for v in values])


class Rowwork(Harms):
    """Kinds of harm to works orders."""

    def sets(self, name: str, change: str, says: str, right: str, of: Keys | None = None) -> None:
        """Enter a severe kind that sets columns."""
        self.enter(name, lambda rail, keys, _: set_rows(rail, keys, change), says, right, of)

    def lightly(self, name: str, change: str, says: str, right: str, of: Keys | None = None) -> None:
        """The same of a medium one."""
        self.enter(name, lambda rail, keys, _: set_rows(rail, keys, change), says, right, of, weight="medium")

    def says(self, name: str, column: str, change: Says, says: str, right: str, of: Keys | None = None) -> None:
        """Enter a severe kind that changes a text column."""
        self.enter(name, lambda rail, keys, _: reword_rows(rail, keys, column, change), says, right, of)


def shuffled(dice: Random) -> Callable[[list[object]], list[object]]:
    """What deals values out so that each stands one place further."""
    steps = dice.randint(1, 3)

    def turned(values: list[object]) -> list[object]:
        by = steps if len(values) > 3 else 1
        return values[by:] + values[:by]

    return turned
