"""Segments of a page's lines: words of one line without a wide gap between them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from moat.parse.pdf_words import Word, logical_order
from moat.records import Block

GAP = 1.3  # of the letters' size; words further apart are of two segments


@dataclass(slots=True, kw_only=True)
class Segment:
    """Words of one line without a wide gap between them."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    base: float
    size: float
    bold: bool = False
    mono: bool = False
    angle: int = 0
    table: list[list[str]] | None = None  # rows, of a table that takes a segment's place
    blocks: list[Block] = field(default_factory=list)  # ready ones, that take a segment's place
    apart: bool = False  # a form's line, which is no part of a paragraph


def segments_of(words: Iterable[Word]) -> list[Segment]:
    """Join words to segments, whatever the order in which they were drawn."""
    runs = list[list[Word]]()
    for word in words:
        if runs and _follows(runs[-1][-1], word):
            runs[-1].append(word)
        else:
            runs.append([word])
    runs.sort(key=lambda run: (run[0].angle, -_base(run), run[0].x0))
    joined = list[list[Word]]()
    for run in runs:  # a line that was drawn in pieces
        near = [other for other in joined[-12:] if _beside(other, run)]
        if near:
            other = min(near, key=lambda o: max(run[0].x0 - o[-1].x1, o[0].x0 - run[-1].x1))
            other.extend(run)
            other.sort(key=lambda word: word.x0)
        else:
            joined.append(sorted(run, key=lambda word: word.x0) if _backwards(run) else run)
    return [_segment(run) for run in joined]


def _base(run: list[Word]) -> float:
    return max(run, key=lambda word: (word.size, word.x1 - word.x0)).base


def _backwards(run: list[Word]) -> bool:
    return any(b.x0 < a.x0 for a, b in pairwise(run))


def _follows(last: Word, word: Word) -> bool:
    if last.angle != word.angle:
        return False
    size = max(last.size, word.size)
    gap = word.x0 - last.x1 if word.x0 >= last.x0 else last.x0 - word.x1
    if abs(last.base - word.base) <= 0.2 * size:
        return -0.6 * size <= gap <= GAP * size
    overlap = min(last.y1, word.y1) - max(last.y0, word.y0)  # a raised or lowered sign
    smaller = min(last.size, word.size)
    return smaller <= 0.9 * size and overlap >= 0.4 * smaller and -0.3 * size <= gap <= 0.5 * size


def _beside(run: list[Word], other: list[Word]) -> bool:
    if run[0].angle != other[0].angle:
        return False
    size = max(run[0].size, other[0].size)
    if abs(_base(run) - _base(other)) > 0.2 * size:
        smaller = min(run[0].size, other[0].size)
        if smaller > 0.9 * size or abs(_base(run) - _base(other)) > 0.5 * size:
            return False
        return any(-0.2 * size <= gap <= 0.3 * size for gap in (other[0].x0 - run[-1].x1, run[0].x0 - other[-1].x1))
    return any(-0.6 * size <= gap <= GAP * size for gap in (other[0].x0 - run[-1].x1, run[0].x0 - other[-1].x1))


def _segment(words: list[Word]) -> Segment:
    words = list({id(word): word for word in words}.values())
    letters = sum(len(word.text) for word in words)
    main = max(words, key=lambda word: len(word.text) * word.size)
    return Segment(
        text=text_of_words(logical_order(words)),
        x0=min(w.x0 for w in words),
        y0=min(w.y0 for w in words),
        x1=max(w.x1 for w in words),
        y1=max(w.y1 for w in words),
        base=main.base,
        size=main.size,
        bold=sum(len(w.text) for w in words if w.bold) > 0.8 * letters,
        mono=sum(len(w.text) for w in words if w.mono) > 0.8 * letters,
        angle=words[0].angle,
    )


def text_of_words(words: list[Word]) -> str:
    """Join the words of a line; parts of one word that were drawn apart have no space between them."""
    text, last = "", None
    for word in words:
        glued = last is not None and word.glued and -0.3 * word.size < word.x0 - last.x1 < 0.15 * word.size
        text += word.text if glued or not text else f" {word.text}"
        last = word
    return text


def rows_of(segments: Iterable[Segment]) -> list[list[Segment]]:
    """Group segments on one baseline, from top to bottom, each row from left to right."""
    rows = list[list[Segment]]()
    for segment in sorted(segments, key=lambda s: (-s.base, s.x0)):
        row = rows[-1] if rows else []
        if row and not segment.table and not row[0].table and _on_one_line(max(row, key=lambda s: s.size), segment):
            row.append(segment)
        else:
            rows.append([segment])
    for row in rows:
        row.sort(key=lambda s: s.x0)
    return rows


def _on_one_line(one: Segment, other: Segment) -> bool:
    small, large = sorted((one.size, other.size))
    if abs(one.base - other.base) <= 0.35 * small:
        return True
    overlap = min(one.y1, other.y1) - max(one.y0, other.y0)  # a raised sign or a lowered one
    return small <= 0.85 * large and overlap >= 0.5 * small and abs(one.base - other.base) <= 0.5 * large


def is_prose(side: Sequence[Segment]) -> bool:
    """Whether lines fill their column with words, as cells of a table do not."""
    width = max(s.x1 for s in side) - min(s.x0 for s in side)
    rows = rows_of(side)
    widths = [row[-1].x1 - row[0].x0 for row in rows]
    words = [sum(len(s.text.split()) for s in row) for row in rows]
    return any(s.table for s in side) or (median(widths) >= 0.55 * width and median(words) >= 3)
