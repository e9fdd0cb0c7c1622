"""Tables without lines in a PDF: rows whose cells stand below each other."""

import re
from itertools import pairwise
from statistics import median

from moat.parse.pdf_segments import Segment, is_prose, rows_of

MARKER = re.compile(
    r"^(?:[•◦▪‣·●○■□–—*\u2212-]|\(?\d{1,3}[.)]|\(?[A-Za-z][.)]|(?:[A-Z]|\d+)(?:\.\d+)+\.?|\d{1,2}|\[\d+\])$"
)


def with_tables(segments: list[Segment]) -> list[Segment]:
    """Put a table in the place of rows whose cells stand below each other, without lines around them."""
    rows = [_joined_markers(row) for row in rows_of(segments)]
    kept, run = list[Segment](), list[list[Segment]]()

    def end() -> None:
        while run and len(run[-1]) < 2:
            kept.extend(run[-1])
            tail.append(run.pop())
        table = _table(run)
        if table is None:
            kept.extend(s for row in run for s in row)
        else:
            kept.append(table)
        run.clear()
        tail.clear()

    tail = list[list[Segment]]()
    for row in rows:
        near = not run or run[-1][0].base - row[0].base <= 3.2 * max(row[0].size, run[-1][0].size)
        plain = not any(s.table or s.blocks for s in row)
        if plain and len(row) > 1:
            if not near:
                end()
            run.append(row)
        elif plain and run and near and len(run[-1]) > 1 and _in_a_cell(row[0], run[-1]):
            run.append(row)
        else:
            end()
            kept.extend(row)
    end()
    return kept


def _in_a_cell(segment: Segment, above: list[Segment]) -> bool:
    """Whether a lone segment goes on below one cell of the row above."""
    over = [s for s in above if segment.x0 < s.x1 and segment.x1 > s.x0]
    edges = [s.x0 for s in above]
    left = max((e for e in edges if e <= segment.x0 + 2), default=edges[0])
    right = min((e for e in edges if e > left + 2), default=float("inf"))
    return len(over) <= 1 and abs(segment.x0 - left) <= 2 * segment.size and segment.x1 <= right


def _joined_markers(row: list[Segment]) -> list[Segment]:
    """Join the sign or number of a list item or a heading to its text."""
    if len(row) < 2 or not MARKER.match(row[0].text) or row[1].x0 - row[0].x1 > 5 * row[1].size or len(row) > 2:
        return row
    first, second = row
    if not any(sign.isalpha() for sign in second.text):
        return row
    joined = Segment(
        text=f"{first.text} {second.text}", x0=first.x0, y0=min(first.y0, second.y0), x1=second.x1,
        y1=max(first.y1, second.y1), base=second.base, size=second.size, bold=second.bold, mono=second.mono,
        angle=second.angle,
    )  # fmt: skip
    return [joined]


def _table(rows: list[list[Segment]]) -> Segment | None:
    full = [row for row in rows if len(row) > 1]
    if len(full) < 3:
        return None
    edges = _edges(full)
    if len(edges) < 2:
        return None
    cells = [_cells(row, edges) for row in rows]
    n_alone = sum(sum(bool(cell) for cell in row) > 1 for row in cells)
    if n_alone < 3 or sum(len(cell) > 1 for row in cells for cell in row) > 0.2 * len(rows) * len(edges):
        return None
    filled = [sum(bool(row[i]) for row in cells) for i in range(len(edges))]
    if sum(n >= 0.5 * len(full) for n in filled) < 2:
        return None
    by_column = [[s for row in cells for s in row[i]] for i in range(len(edges))]
    if len(edges) == 2 and all(side and is_prose(side) for side in by_column):
        return None  # two columns of text
    if (
        len(edges) > 2
        and sum(bool(side) and is_prose(side) and median(len(s.text.split()) for s in side) >= 4 for side in by_column)
        >= 2
    ):
        return None
    segments = [s for row in rows for s in row]
    return Segment(
        text="\n".join("  ".join(s.text for s in row) for row in rows),
        x0=min(s.x0 for s in segments),
        y0=min(s.y0 for s in segments),
        x1=max(s.x1 for s in segments),
        y1=max(s.y1 for s in segments),
        base=max(s.base for s in segments),
        size=median(s.size for s in segments),
        angle=segments[0].angle,
        table=_texts(rows, cells),
    )


def _cells(row: list[Segment], edges: list[tuple[float, float]]) -> list[list[Segment]]:
    """Segments of each column of a row; one over several columns is in each, one beside all in the nearest."""
    cells: list[list[Segment]] = [[s for s in row if s.x0 < right and s.x1 > left] for left, right in edges]
    for segment in row:
        if not any(segment.x0 < right and segment.x1 > left for left, right in edges):
            distance = [max(left - segment.x1, segment.x0 - right) for left, right in edges]
            cells[distance.index(min(distance))].append(segment)
    for cell in cells:
        cell.sort(key=lambda s: s.x0)
    return cells


def _edges(rows: list[list[Segment]]) -> list[tuple[float, float]]:
    """Left and right edge of each column; a cell over several columns does not join them."""
    most = max(len(row) for row in rows)
    spans = sorted((s.x0, s.x1) for row in rows if len(row) >= max(2, 0.6 * most) for s in row)
    edges = list[list[float]]()
    for left, right in spans:
        if edges and left < edges[-1][1]:
            edges[-1][1] = max(edges[-1][1], right)
        else:
            edges.append([left, right])
    return [(left, right) for left, right in edges]


def _texts(rows: list[list[Segment]], cells: list[list[list[Segment]]]) -> list[list[str]]:
    """Texts of the cells; a line that goes on below its cell is joined to it."""
    steps = [a[0].base - b[0].base for a, b in pairwise(rows)]
    texts = list[list[str]]()
    for index, row in enumerate(cells):
        seen, text = set[int](), list[str]()
        for cell in row:
            text.append(" ".join(s.text for s in cell if id(s) not in seen))
            seen |= {id(s) for s in cell}
        close = index > 0 and steps[index - 1] < 1.35 * rows[index][0].size and steps[index - 1] < 0.95 * max(steps)
        if close and not text[0] and texts:
            texts[-1] = [" ".join(filter(None, pair)) for pair in zip(texts[-1], text, strict=True)]
        else:
            texts.append(text)
    return texts
