"""Tables, captions and lists of a grid of cells, as a person sees them apart by empty rows and columns."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from moat.parse.blocks import in_cell, table_text, within_limit
from moat.records import Block

MOST_FILLED = 500_000  # cells that merging may fill; past it a merged value stands in its first cell alone
NUMBER = re.compile(r"\W*\d[\d.,:/'\s%-]*(?:E[+-]?\d+)?\W*\w{0,3}\W*", re.IGNORECASE)
NOTE = re.compile(
    r"[*†‡¹²³]|\(?\d\)\s|(?:source|note|remark|quelle|hinweis|anmerkung|nota|fuente)\w*\s*:", re.IGNORECASE
)
KINDS = {
    "date": re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}(?: .*)?"),
    "decimal": re.compile(r"[-+]?\d[\d.,']*[.,]\d{1,2}"),
    "year": re.compile(r"(?:19|20)\d\d"),
    "whole": re.compile(r"\d+"),
}
LONG = 40  # characters; a cell of more, alone under a table, is a note and no row

Row = dict[int, str]


class Box(NamedTuple):
    """A rectangle of cells, counted from 0, its last row and column included."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(slots=True, kw_only=True)
class Grid:
    """Cells of a sheet that hold a text, by row and column, and which of them nobody sees."""

    rows: dict[int, Row]
    merged: list[Box] = field(default_factory=list)
    tables: list[Box] = field(default_factory=list)  # ranges that the file declares to be one table
    hidden_rows: set[int] = field(default_factory=set)
    hidden_columns: set[int] = field(default_factory=set)


class Region(NamedTuple):
    """Rows that belong together, with the columns from `left` to `right`."""

    rows: tuple[int, ...]
    left: int
    right: int


def blocks_of_grid(grid: Grid, limit: int) -> list[Block]:
    """Blocks of a grid, region by region. Raises ParseTooMuchText past `limit` characters."""
    spans = _fill(grid)
    inside = [_declared(grid, box) for box in grid.tables]
    taken = {(row, c) for region in inside for row in region.rows for c in range(region.left, region.right + 1)}
    free = grid.rows
    if taken:
        free = {
            n: kept for n, row in grid.rows.items() if (kept := {c: t for c, t in row.items() if (n, c) not in taken})
        }
    regions = [*inside, *Regions(free, spans).all()]
    if inside:
        regions.sort(key=lambda region: (region.rows[:1] or (0,), region.left))
    blocks = (block for region in regions for block in _blocks(grid, region, spans))
    return list(within_limit(blocks, limit, "one of its sheets"))


def sheet_table(rows: list[list[str]]) -> str:
    """Format rows as a Markdown table, whose rows may be shorter than its header if that saves much."""
    width = max(map(len, rows))
    typical = max(2, sorted(map(len, rows))[len(rows) // 2])
    return table_text(rows, width if width <= 4 * typical or width * len(rows) < 10_000 else typical)


def is_number(text: str) -> bool:
    """Whether a cell's text is a number, an amount, a date or a time."""
    return bool(NUMBER.fullmatch(text))


def headless(rows: list[list[str]]) -> bool:
    """Whether the first row is no header: it has a date over dates, a decimal over decimals, a number in a column of keys."""
    first, body = rows[0], rows[1:101]
    for i, cell in enumerate(first):
        kind = _kind(cell)
        below = [_kind(row[i]) for row in body if i < len(row) and row[i]]
        alike = below and below.count(kind) >= 0.8 * len(below)
        if alike and (kind in ("date", "decimal") or (kind == "whole" and i == 0)):
            return True
    return False


def _kind(text: str) -> str:
    """Kind of a value: date, decimal, whole, year; "" for a text."""
    for kind, pattern in KINDS.items():
        if pattern.fullmatch(text):
            return kind
    return ""


def one_line(text: str) -> str:
    """Text of a cell in one line."""
    return " ".join(text.split())


def _declared(grid: Grid, box: Box) -> Region:
    rows = sorted(
        n for n in grid.rows if box.top <= n <= box.bottom and any(box.left <= c <= box.right for c in grid.rows[n])
    )
    return Region(tuple(rows), box.left, box.right)


def _fill(grid: Grid) -> dict[tuple[int, int], int]:
    """Repeat a merged value in each cell that it covers; return which cells belong to which merge."""
    spans, left = dict[tuple[int, int], int](), MOST_FILLED
    last_row = max(grid.rows, default=0)
    last_column = max((max(row) for row in grid.rows.values() if row), default=0)
    for i, box in enumerate(grid.merged):
        text = grid.rows.get(box.top, {}).get(box.left)
        bottom, right = min(box.bottom, max(last_row, box.top)), min(box.right, max(last_column, box.left))
        size = (bottom - box.top + 1) * (right - box.left + 1)
        if text is None or size > left:
            continue
        left -= size
        for row in range(box.top, bottom + 1):
            cells = grid.rows.setdefault(row, {})
            for column in range(box.left, right + 1):
                cells[column] = text
                spans[row, column] = i
    return spans


class Regions:
    """What cuts a grid into regions: by empty rows, captions and empty columns, and again within."""

    def __init__(self, rows: dict[int, Row], spans: dict[tuple[int, int], int]) -> None:
        self.rows, self.spans = rows, spans

    def all(self) -> list[Region]:
        """All regions in reading order."""
        numbers = sorted(n for n, row in self.rows.items() if row)
        right = max((max(self.rows[n]) for n in numbers), default=0)
        return self._cut(numbers, 0, right, 0)

    def _cut(self, numbers: list[int], left: int, right: int, depth: int) -> list[Region]:
        found, joinable = list[Region](), False
        for band in self._bands(numbers, left, right):
            regions = self._band(band, depth)
            if joinable and len(regions) == 1 and self._continues(found[-1], regions[0]):
                found[-1] = found[-1]._replace(rows=found[-1].rows + regions[0].rows)
                continue
            found += regions
            joinable = len(found) > 0 and len({(r.left, r.right) for r in regions if len(r.rows) > 1}) == 1
        return found

    def _bands(self, numbers: list[int], left: int, right: int) -> Iterator[Region]:
        """Runs of rows without an empty row between them."""
        band, low, high = list[int](), right, left
        for n in numbers:
            columns = [c for c in self.rows[n] if left <= c <= right]
            if not columns:
                continue
            if band and n > band[-1] + 1:
                yield Region(tuple(band), low, high)
                band, low, high = [], right, left
            band.append(n)
            low, high = min(low, *columns), max(high, *columns)
        if band:
            yield Region(tuple(band), low, high)

    def _band(self, band: Region, depth: int) -> list[Region]:
        """Regions of a run of rows: its captions, its tables side by side, its notes."""
        rows, captions, notes = list(band.rows), list[int](), list[int]()
        single = [self._alone(n, band) for n in rows]
        if not all(single):
            while self._alone(rows[0], band, at_left=True):
                captions.append(rows.pop(0))
            while len(rows) > 2 and self._is_note(rows[-1], band):
                notes.insert(0, rows.pop())
        parts = self._parts(rows, band) if depth < 8 else [(band.left, band.right)]
        out = [Region((n,), band.left, band.right) for n in captions]
        if len(parts) > 1:
            for low, high in parts:
                out += self._cut(rows, low, high, depth + 1)
        else:
            out.append(Region(tuple(rows), *parts[0]))
        return out + [Region((n,), band.left, band.right) for n in notes]

    def _alone(self, n: int, band: Region, at_left: bool = False) -> bool:
        """Whether a row holds a single cell, merged or not; if asked, at the left or across columns."""
        columns = [c for c in self.rows[n] if band.left <= c <= band.right]
        if len(columns) == 1:
            return not at_left or columns[0] == band.left
        merges = {self.spans.get((n, c)) for c in columns}
        return len(merges) == 1 and None not in merges

    def _is_note(self, n: int, band: Region) -> bool:
        if not self._alone(n, band, at_left=True):
            return False
        columns = [c for c in self.rows[n] if band.left <= c <= band.right]
        text = self.rows[n][columns[0]]
        return len(columns) > 1 or len(text) > LONG or text.endswith(".") or bool(NOTE.match(text))

    def _parts(self, rows: list[int], band: Region) -> list[tuple[int, int]]:
        """Ranges of columns with empty columns between them; one range where they are rows of one table."""
        used = {c for n in rows for c in self.rows[n] if band.left <= c <= band.right}
        parts = list[tuple[int, int]]()
        for column in sorted(used):
            if parts and column == parts[-1][1] + 1:
                parts[-1] = (parts[-1][0], column)
            else:
                parts.append((column, column))
        if len(parts) < 2:
            return parts
        held = [[n for n in rows if any(low <= c <= high for c in self.rows[n])] for low, high in parts]
        extents = {(one[0], one[-1]) for one in held}
        if len(rows) == 1 or (len(extents) == 1 and any(low == high for low, high in parts)):
            return [(parts[0][0], parts[-1][1])]  # an empty column that only keeps two columns apart
        return parts

    def _continues(self, above: Region, below: Region) -> bool:
        """Whether rows under an empty row go on with the table above: in its columns, with numbers where it has them."""
        if len(above.rows) < 2 or below.left < above.left or below.right > above.right or above.right == above.left:
            return False
        head, *body = (self.rows[n] for n in above.rows)
        first = self.rows[below.rows[0]]
        numeric = [c for c in range(above.left, above.right + 1) if any(is_number(row.get(c, "")) for row in body)]
        return len(first) > 1 and any(is_number(first.get(c, "")) and not is_number(head.get(c, "")) for c in numeric)


def _blocks(grid: Grid, region: Region, spans: dict[tuple[int, int], int]) -> Iterator[Block]:
    columns = sorted({c for n in region.rows for c in grid.rows[n] if region.left <= c <= region.right})
    seen_rows = [n for n in region.rows if n not in grid.hidden_rows]
    seen = [c for c in columns if c not in grid.hidden_columns]
    width = max((_n_distinct(grid.rows[n], columns, n, spans) for n in region.rows), default=0)
    if width < 2 or len(region.rows) < 2:
        yield from _lines(grid, region, columns, spans)
        return
    headers = _headers(grid, region, columns, spans)
    if headers[1] == 1 and headless([[_cell(grid.rows[n], c) for c in columns] for n in region.rows[:100]]):
        headers = [""] * len(columns), 0
    names = dict(zip(columns, headers[0], strict=True))
    body = region.rows[headers[1] :]
    if seen and seen_rows:
        told = not headers[1] or set(region.rows[: headers[1]]) & set(seen_rows)
        shown = [[names[c] for c in seen]] if told else []
        shown += [[_cell(grid.rows[n], c) for c in seen] for n in body if n not in grid.hidden_rows]
        yield _table(shown)
    hidden_rows = [n for n in region.rows if n in grid.hidden_rows]
    if hidden_rows:
        rows = [[names[c] for c in columns]] + [
            [_cell(grid.rows[n], c) for c in columns] for n in body if n in hidden_rows
        ]
        yield _table(rows, "markup")
    hidden = [c for c in columns if c in grid.hidden_columns]
    if hidden and seen_rows:
        some = sorted({*seen[:1], *hidden})
        rows = [[names[c] for c in some]] + [
            [_cell(grid.rows[n], c) for c in some] for n in body if n in set(seen_rows)
        ]
        yield _table(rows, "markup")


def _table(rows: list[list[str]], hidden: str = "") -> Block:
    rows = [row for i, row in enumerate(rows) if i == 0 or any(row)]
    if len(rows) > 1 and len(rows[0]) > 1:
        return Block(kind="table", text=sheet_table(rows), hidden=hidden)
    lines = (" | ".join(filter(None, row)) for row in rows)
    return Block(kind="text", text="\n".join(filter(None, lines)).replace("\\|", "|"), hidden=hidden)


def _lines(grid: Grid, region: Region, columns: list[int], spans: dict[tuple[int, int], int]) -> Iterator[Block]:
    """Rows of one cell, or a single row, as lines of text."""
    lines, before = list[str](), ""
    for n in region.rows:
        parts, hidden, last = list[str](), n in grid.hidden_rows, None
        here = [c for c in columns if c in grid.rows[n]]
        for c in here:
            merge = spans.get((n, c))
            if merge is None or merge != last:
                parts.append(one_line(grid.rows[n][c]))
            last = merge
        hidden = hidden or all(c in grid.hidden_columns for c in here)
        now = "markup" if hidden else ""
        if lines and now != before:
            yield Block(kind="text", text="\n".join(lines), hidden=before)
            lines = []
        lines.append(" | ".join(parts))
        before = now
    if lines:
        yield Block(kind="text", text="\n".join(lines), hidden=before)


def _n_distinct(row: Row, columns: list[int], n: int, spans: dict[tuple[int, int], int]) -> int:
    return len({spans.get((n, c), -1 - c) for c in columns if c in row}) if spans else sum(c in row for c in columns)


def _headers(
    grid: Grid, region: Region, columns: list[int], spans: dict[tuple[int, int], int]
) -> tuple[list[str], int]:
    """Names of the columns, and how many rows they take: two where the first one groups the second's."""
    top, below = region.rows[0], region.rows[1]
    first = [_cell(grid.rows[top], c) for c in columns]
    second = [_cell(grid.rows[below], c) for c in columns]
    across = {m for a, b in itertools.pairwise(columns) if (m := spans.get((top, a), -1)) == spans.get((top, b), -2)}
    grouped = [i for i, c in enumerate(columns) if spans.get((top, c), -1) in across]
    if not across or len(region.rows) < 3 or not all(second[i] and not is_number(second[i]) for i in grouped):
        return first, 1
    same = [spans.get((top, c), -1) == spans.get((below, c), -2) for c in columns]
    if any(is_number(text) for text in second):
        return first, 1
    return [a if is_one or a == b else f"{a} {b}".strip() for a, b, is_one in zip(first, second, same, strict=True)], 2


def _cell(row: Row, column: int) -> str:
    return in_cell(row.get(column, ""))
