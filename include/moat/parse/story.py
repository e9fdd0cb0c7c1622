"""Paragraphs and tables of word processors, put together into blocks."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from moat.parse.blocks import markdown_rows
from moat.records import Block, LeftOut

LINKED = re.compile(r"(?:https?|mailto|tel):", re.IGNORECASE)
LONG = 300  # characters; a merged cell's longer text is not repeated in each cell that it covers
MOST_COLUMNS = 256  # of a table; what a file claims beyond is empty

Cell = list[Block]
Kind = Literal["heading", "text", "list"]


@dataclass
class Line:
    """A paragraph in the making: its text, what it hides, and what stands right after it.

    Args:
        pieces: Texts in order, each with how it is hidden ("" if it is shown).
        after: Blocks that belong at this place and are no part of the text, such as a note's.
        rule: Rule by which the whole paragraph is left out, if it is.
    """

    pieces: list[tuple[str, str]] = field(default_factory=list)
    after: list[Block] = field(default_factory=list)
    rule: LeftOut = ""

    def add(self, text: str, how: str = "") -> None:
        """Add text, which may be hidden."""
        if text:
            self.pieces.append((text, how))

    def leave_out(self, text: str, rule: LeftOut) -> None:
        """Add text that is declared but not loaded."""
        if text.strip():
            self.after.append(Block(kind="text", text=text.strip(), left_out=rule))

    def link(self, text: str, target: str, loaded: bool) -> None:
        """Add the target of a link whose text was just added."""
        same = re.sub(r"^\w+:(?://)?|/$", "", target) == re.sub(r"^\w+:(?://)?|/$", "", text.strip())
        if not target.strip() or same or target.startswith("#"):
            return
        if loaded and LINKED.match(target):
            self.add(f" ({target})")
        else:
            self.leave_out(target, "link target")

    def shown(self) -> str:
        """The text that a person sees."""
        return "".join(text for text, how in self.pieces if not how)

    def blocks(self, kind: Kind = "text", level: int = 0, label: str = "") -> list[Block]:
        """Return the paragraph as blocks; `level` is of a heading, or how deep a list item stands."""
        text = tidy(self.shown())
        made = list[Block]()
        if text:
            if kind == "heading":
                text = " ".join(f"{label} {text}".split())
            elif kind == "list":
                text = f"{'  ' * level}{label or '-'} {' '.join(text.split())}"
            made.append(Block(kind=kind, text=text, level=level if kind == "heading" else 0, left_out=self.rule))
        return made + self._hidden() + self.after

    def _hidden(self) -> list[Block]:
        made, before = list[Block](), ""
        for text, how in self.pieces:
            if how and how == before:
                made[-1] = replace(made[-1], text=made[-1].text + text)
            elif how and text.strip():
                made.append(Block(kind="text", text=text, hidden=how))
                before = how
            elif text.strip():
                before = ""
        return [replace(block, text=tidy(block.text)) for block in made]


def tidy(text: str) -> str:
    """Strip each line of a text, and lines that are empty."""
    lines = (re.sub(r"[ \u00a0]{2,}", " ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def cell_text(cell: Cell) -> str:
    """Text of a table's cell in one line, without what it hides or leaves out."""
    texts = list[str]()
    for block in cell:
        if not block.hidden and not block.left_out:
            text = block.text
            if block.kind == "table":
                rows = text.split("\n")
                text = " ".join([rows[0], *rows[2:]]).replace("\\|", "\0").replace("|", " ").replace("\0", "|")
            texts += text.split()
    return " ".join(texts).replace("|", "\\|")


def table_blocks(grid: list[list[Cell]]) -> list[Block]:
    """Turn a table into a block, or into its cells' blocks if it only lays out the page.

    Each row has a cell for each column; a cell that covers several places stands in each of them.
    """
    cells = {id(cell): cell for row in grid for cell in row}
    texts = {key: cell_text(cell) for key, cell in cells.items()}
    places = [[id(cell) for cell in row[:MOST_COLUMNS]] for row in grid]
    rows, met = list[list[str]](), set[int]()
    for place in places:
        rows.append([texts[key] if key not in met or len(texts[key]) <= LONG else "" for key in place])
        met |= set(place)
    # Whether it lays out the page is judged without the repeated values.
    n_rows = sum(any(texts[key] for key in row) for row in {tuple(row): row for row in places}.values())
    n_columns = max((len({key for key in row if texts[key]}) for row in places), default=0)
    table = markdown_rows(rows) if n_rows > 1 and n_columns > 1 else ""
    inside = [block for cell in cells.values() for block in cell]
    if not table:
        return inside
    return [Block(kind="table", text=table), *(block for block in inside if block.hidden or block.left_out)]


def once(blocks: Iterable[Block], met: set[str]) -> list[Block]:
    """Leave out the blocks of heads and feet whose text was met before; none of them is a heading."""
    made = list[Block]()
    for block in blocks:
        if block.kind == "heading":
            block = replace(block, kind="text", level=0)
        text = " ".join(block.text.split())
        if not block.left_out and text in met:
            block = replace(block, left_out="running head")
        met.add(text)
        made.append(block)
    return made


def joined_hidden(blocks: list[Block]) -> list[Block]:
    """Join hidden text with nothing shown between, so that it is judged as one."""
    made = list[Block]()
    for block in blocks:
        if made and block.hidden and block.hidden == made[-1].hidden:
            made[-1] = replace(made[-1], text=f"{made[-1].text}\n{block.text}")
        else:
            made.append(block)
    return made


def part_blocks(name: str, content: bytes, part: Callable[[bytes, str], list[Block]], level: int = 1) -> list[Block]:
    """Parse a document inside this one, under a heading with its name."""
    inside = [replace(b, level=b.level + level) if b.kind == "heading" else b for b in part(content, name)]
    return [Block(kind="heading", text=name, level=level), *inside] if inside else []
