"""Tables of a page: which are data, and the value of each cell that a span covers."""

import re
from dataclasses import dataclass, field
from itertools import product

from moat.parse.blocks import in_cell, markdown_rows
from moat.records import Block, LeftOut

MOST_COLUMNS = 1000  # as HTML bounds colspan
MOST_REPEATED = 1 << 20  # characters that spans of one table may repeat
LONG = 1000  # characters of a cell that is no value
RULE = re.compile(r"^\|(?: --- \|)+$")
BAR = re.compile(r"(?<!\\)\|")


@dataclass(slots=True)
class Cell:
    """A cell: what stands in it, and how far it spans."""

    header: bool
    rows: int  # 0: to the end of its group
    columns: int
    blocks: list[Block] = field(default_factory=list)


@dataclass(slots=True)
class Row:
    """A row, and its part of the table: thead, tbody or tfoot."""

    group: object
    foot: bool
    head: bool
    cells: list[Cell] = field(default_factory=list)


@dataclass(slots=True)
class Table:
    """A table while it is read."""

    layout: bool  # its author says so
    left_out: LeftOut
    titled: bool = False
    rows: list[Row] = field(default_factory=list)

    def blocks(self) -> list[Block]:
        """Return one table of Markdown, or the cells' own blocks if it only lays them out."""
        rows = [row for row in self.rows if row.cells]
        rows = (
            [row for row in rows if row.head]
            + [row for row in rows if not row.head and not row.foot]
            + [row for row in rows if row.foot]
        )
        if not self._is_data(rows):
            return [block for row in rows for block in self._laid_out(row)]
        aside = [block for row in rows for cell in row.cells for block in cell.blocks if self._is_aside(block)]
        table = markdown_rows(_grid(rows, [[self._text(cell) for cell in row.cells] for row in rows]))
        if not table:
            return [block for row in rows for block in self._laid_out(row)]
        return [Block(kind="table", text=table, left_out=self.left_out), *aside]

    def _is_data(self, rows: list[Row]) -> bool:
        if self.layout or len(rows) < 2 or max(len(row.cells) for row in rows) < 2:
            return False
        if self.titled or any(row.head for row in rows) or any(cell.header for row in rows for cell in row.cells):
            return True
        return not any(_is_page(cell.blocks) for row in rows for cell in row.cells)

    def _is_aside(self, block: Block) -> bool:
        return bool(block.hidden) or block.left_out != self.left_out

    def _text(self, cell: Cell) -> str:
        return " ".join(flat(block) for block in cell.blocks if not self._is_aside(block))

    def _laid_out(self, row: Row) -> list[Block]:
        """Blocks of a row: short values on one line, since they belong together; otherwise as they are."""
        blocks = [block for cell in row.cells for block in cell.blocks]
        short = all(b.kind == "text" and len(b.text) <= 200 and not self._is_aside(b) for b in blocks)
        if short and len(row.cells) > 1 and len(blocks) > 1 and all(len(cell.blocks) <= 1 for cell in row.cells):
            return [Block(kind="text", text=" ".join(b.text for b in blocks), left_out=self.left_out)]
        return blocks


def flat(block: Block) -> str:
    """Return a block's text as one line of a cell, with bars escaped."""
    text = block.text
    if block.kind == "table":
        return " ".join(BAR.sub(" ", " ".join(line for line in text.split("\n") if not RULE.match(line))).split())
    if block.kind == "list":
        text = re.sub(r"^\s*- ", "", text)
    return in_cell(text)


def _is_page(blocks: list[Block]) -> bool:
    """Whether a cell holds a part of a page rather than a value."""
    if any(b.kind in ("heading", "table") or (b.kind == "code" and "\n" in b.text) for b in blocks):
        return True
    return len(blocks) > 2 and sum(len(b.text) for b in blocks) > LONG


def _grid(rows: list[Row], texts: list[list[str]]) -> list[list[str]]:
    """Place the cells as spans say, with their text in every cell that they cover.

    A column in which no cell begins is none, so an absurd colspan makes no columns.
    """
    placed: list[dict[int, str]] = [{} for _ in rows]
    starts, repeated = set[int](), 0
    last_of = {id(row.group): at for at, row in enumerate(rows)}
    for at, row in enumerate(rows):
        column = 0
        for cell, text in zip(row.cells, texts[at], strict=True):
            while column in placed[at]:
                column += 1
            if column >= MOST_COLUMNS:
                placed[at][MOST_COLUMNS - 1] = f"{placed[at].get(MOST_COLUMNS - 1, '')} {text}".strip()
                continue
            starts.add(column)
            below = last_of[id(row.group)] + 1
            end = min(below, at + cell.rows) if cell.rows else below
            wide = min(max(1, cell.columns), MOST_COLUMNS - column)
            for down, across in product(range(at, end), range(column, column + wide)):
                placed[down].setdefault(across, text)
                repeated += len(text) + 1
                if repeated > MOST_REPEATED:
                    break
            column += wide
    columns = sorted(starts)
    return [[line.get(column, "") for column in columns] for line in placed]
