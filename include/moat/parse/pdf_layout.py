"""Lines of a page in reading order: words → segments → rows → columns."""

from dataclasses import dataclass, field
from statistics import median

from moat.parse.pdf_grid import with_tables
from moat.parse.pdf_segments import Segment, is_prose, rows_of
from moat.records import Block, LeftOut

MOST_DEPTH = 8  # of columns in columns


@dataclass(slots=True, kw_only=True)
class Line(Segment):
    """Segments that stand side by side, at their place in the reading order of their page."""

    page: int
    column: tuple[float, float] = (0.0, 0.0)  # left and right edge of the text around it
    level: int = 0  # of a heading
    group: int = 0  # lines of one heading have the same, above 0
    left_out: LeftOut = ""
    after: list[Block] = field(default_factory=list)  # notes and the like that belong to this place


@dataclass(slots=True, kw_only=True)
class Page:
    """A page with its lines in reading order."""

    number: int
    width: float
    height: float
    lines: list[Line] = field(default_factory=list)


def lines_of(segments: list[Segment], number: int) -> list[Line]:
    """Order the segments of a page as a person reads them: main direction first, then what is turned."""
    angles = sorted({s.angle for s in segments}, key=lambda a: (-sum(len(s.text) for s in segments if s.angle == a), a))
    lines = list[Line]()
    for angle in angles:
        lines += _read(with_tables([s for s in segments if s.angle == angle]), number, 0)
    return lines


def _read(segments: list[Segment], number: int, depth: int) -> list[Line]:
    split = _columns(segments) if depth < MOST_DEPTH else None
    if split is None:
        return _flow(segments, number)
    lines = list[Line]()
    for zone in split:
        for part in zone:
            lines += _read(part, number, depth + 1) if len(zone) > 1 else _flow(part, number)
    return lines


def _columns(segments: list[Segment]) -> list[list[list[Segment]]] | None:
    """Zones from top to bottom, each as one part or as columns; None if there is one column only."""
    if len(segments) < 4:
        return None
    best: tuple[float, float] | None = None
    for x in sorted({round(s.x1) + 1 for s in segments}):
        n_left = sum(s.x1 <= x for s in segments)
        n_right = sum(s.x0 >= x for s in segments)
        across = len(segments) - n_left - n_right
        if min(n_left, n_right) >= 2 and across <= max(n_left, n_right):
            score = min(n_left, n_right) - 0.5 * across
            if best is None or score > best[0]:
                best = (score, x)
    if best is None or best[0] <= 0:
        return None
    gutter = best[1]
    zones, split = list[list[list[Segment]]](), False
    for zone in _zones(segments, gutter):
        left, right = [s for s in zone if s.x1 <= gutter], [s for s in zone if s.x0 >= gutter]
        if left and right and _are_columns(left, right):
            zones.append([left, right])
            split = True
        else:
            zones.append([zone])
    return zones if split else None


def _zones(segments: list[Segment], x: float) -> list[list[Segment]]:
    """Cut where a segment crosses the gutter at x; crossing ones of consecutive rows are one zone."""
    zones, crossing = list[list[Segment]](), None
    for row in rows_of(segments):
        across = any(s.x0 < x < s.x1 for s in row)
        if across != crossing:
            zones.append([])
            crossing = across
        zones[-1] += row
    return zones


def _are_columns(left: list[Segment], right: list[Segment]) -> bool:
    size = median(s.size for s in left + right)
    if min(s.x0 for s in right) - max(s.x1 for s in left) < 0.7 * size:
        return False
    if min(max(s.y1 for s in left), max(s.y1 for s in right)) <= max(min(s.y0 for s in left), min(s.y0 for s in right)):
        return False  # one above the other
    if len(left) < 2 or len(right) < 2:
        return False
    few, many = sorted((left, right), key=len)
    if sum(any(s.y0 < o.y1 and s.y1 > o.y0 for o in many) for s in few) < 0.5 * len(few):
        return False  # they take turns, such as a table in the middle below a short line
    bases = [s.base for s in right]
    beside = sum(any(abs(s.base - b) <= 0.3 * size for b in bases) for s in left) / len(left)
    return beside < 0.5 or (is_prose(left) and is_prose(right))


def _flow(segments: list[Segment], number: int) -> list[Line]:
    """Lines of one column, from top to bottom."""
    if not segments:
        return []
    column = (min(s.x0 for s in segments), max(s.x1 for s in segments))
    return [_line(row, number, column) for row in rows_of(segments)]


def _line(row: list[Segment], number: int, column: tuple[float, float]) -> Line:
    main = max(row, key=lambda s: len(s.text))
    return Line(
        text=" ".join(s.text for s in row),
        x0=row[0].x0,
        y0=min(s.y0 for s in row),
        x1=max(s.x1 for s in row),
        y1=max(s.y1 for s in row),
        base=main.base,
        size=main.size,
        page=number,
        bold=all(s.bold for s in row),
        mono=all(s.mono for s in row),
        angle=main.angle,
        column=column,
        table=row[0].table,
        blocks=row[0].blocks,
        apart=any(s.apart for s in row),
    )
