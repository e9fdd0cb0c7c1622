"""Tables with lines or shading in a PDF: their places by pdfplumber, their words by pdfium."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moat.parse.pdf_segments import text_of_words
from moat.parse.pdf_words import Word, logical_order

PREFIXES = {"$", "€", "£", "¥", "(", "$ (", "$("}
# What PDF libraries raise on a damaged file, beside their own base errors.
DAMAGED = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    RecursionError,
    AssertionError,
    OverflowError,
    OSError,
)
FEWEST_PATHS = 4  # drawn on a page that may have a table
Box = tuple[float, float, float, float]  # left, top, right, bottom, in points from the page's top left


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """A table with lines around its cells, and the words that it holds."""

    rows: list[list[str]]
    box: Box
    words: frozenset[int]  # by their ids


class RuledTables:
    """Finds tables of a PDF's pages by their lines or shading; pdfplumber opens the file when a page first needs it."""

    def __init__(self, content: bytes) -> None:
        self._content, self._damaged = content, False
        self._pdf: Any = None

    def of_page(self, page: Any, number: int, words: list[Word]) -> list[Ruled]:
        """Tables of a page of pdfium's; none where it is turned, or draws nothing, or is damaged."""
        from pdfminer.psexceptions import PSException
        from pdfplumber.utils.exceptions import PdfminerException

        if self._damaged or not words or page.get_rotation() or _n_paths(page) < FEWEST_PATHS:
            return []
        try:
            return list(self._found(page, number, words))
        except (PSException, PdfminerException, struct.error, zlib.error, *DAMAGED):
            return []  # the text is there; tables of a damaged page stay text

    def _found(self, page: Any, number: int, words: list[Word]) -> Iterator[Ruled]:
        import pdfplumber

        if self._pdf is None:
            self._damaged = True  # unless it opens
            self._pdf = pdfplumber.open(io.BytesIO(self._content))
            self._damaged = False
        drawn = self._pdf.pages[number - 1]
        left, _, _, top = page.get_mediabox()
        here = [
            {"x0": w.x0 - left, "x1": w.x1 - left, "top": top - w.y1, "bottom": top - w.y0, "text": w.text, "word": w}
            for w in words
            if w.angle == 0
        ]
        taken = set[int]()
        for table in drawn.find_tables():
            inside = [w for w in here if _inside(_middle(_of(w)), table.bbox) and id(w["word"]) not in taken]
            rows, used = _rows(table, inside, [w for w in here if id(w["word"]) not in taken])
            if len(rows) > 1 and max(map(len, rows)) > 1:
                used |= {id(w["word"]) for w in inside}
                taken |= used
                boxes = [_of(w) for w in here if id(w["word"]) in used] or [table.bbox]
                x0, y0 = min(b[0] for b in boxes), min(b[1] for b in boxes)
                x1, y1 = max(b[2] for b in boxes), max(b[3] for b in boxes)
                yield Ruled(rows=rows, box=(x0 + left, top - y1, x1 + left, top - y0), words=frozenset(used))
        drawn.close()

    def close(self) -> None:
        """Close the file."""
        if self._pdf is not None:
            self._pdf.close()


def _n_paths(page: Any) -> int:
    """Count what is drawn as lines and areas, up to what is of interest; a form may hold any number."""
    import pypdfium2.raw as raw

    found = 0
    for index in range(raw.FPDFPage_CountObjects(page)):
        kind = raw.FPDFPageObj_GetType(raw.FPDFPage_GetObject(page, index))
        found += {raw.FPDF_PAGEOBJ_PATH: 1, raw.FPDF_PAGEOBJ_FORM: FEWEST_PATHS}.get(kind, 0)
        if found >= FEWEST_PATHS:
            break
    return found


def _rows(table: Any, inside: list[dict[str, Any]], words: list[dict[str, Any]]) -> tuple[list[list[str]], set[int]]:
    """Read the rows of a found table, with the header above it; and the ids of the words of that header."""
    cells = [[None if cell is None else _cell_text(cell, inside) for cell in row.cells] for row in table.rows]
    if not cells or not cells[0]:
        return [], set()
    rows = [[cell or "" for cell in row] for row in cells]
    spans = _columns(table, len(rows[0]))
    spanned = [[cell is None for cell in row] for row in cells]
    at = 0
    while at < len(rows[0]) - 1:
        if _mergeable([row[at] for row in rows], [row[at + 1] for row in rows], [row[at + 1] for row in spanned]):
            for row, marks in zip(rows, spanned, strict=True):
                row[at : at + 2] = [" ".join(filter(None, row[at : at + 2]))]
                marks[at : at + 2] = [marks[at]]
            spans[at : at + 2] = [(spans[at][0], spans[at + 1][1])]
        else:
            at += 1
    _repeat_merged(table, rows, spans, spanned, inside)
    keep = [i for i in range(len(rows[0])) if any(row[i] for row in rows)]
    rows = [[row[i] for i in keep] for row in rows]
    header, outside, used = _above(table.bbox, [spans[i] for i in keep], words)
    return [row for row in [*([header] if any(header) else []), *outside, *rows] if any(row)], used


def _cell_text(cell: Box, words: list[dict[str, Any]]) -> str:
    mine = [w for w in words if _inside(_middle(_of(w)), cell)]
    lines = list[list[dict[str, Any]]]()
    for word in sorted(mine, key=lambda w: -w["word"].base):
        if lines and abs(lines[-1][0]["word"].base - word["word"].base) < 0.4 * word["word"].size:
            lines[-1].append(word)
        else:
            lines.append([word])
    texts = list[str]()
    for line in lines:
        ordered = logical_order([w["word"] for w in sorted(line, key=lambda w: w["x0"])])
        texts.append(text_of_words(ordered))
    return " ".join(texts)


def _repeat_merged(
    table: Any,
    rows: list[list[str]],
    spans: list[tuple[float, float]],
    spanned: list[list[bool]],
    inside: list[dict[str, Any]],
) -> None:
    """Repeat the value of a cell over several rows or columns in each."""
    cells = [cell for row in table.rows for cell in row.cells if cell is not None]
    for row, marks, place in zip(rows, spanned, table.rows, strict=True):
        y = [cell for cell in place.cells if cell is not None]
        if not y:
            continue
        middle = (min(c[1] for c in y) + min(c[3] for c in y)) / 2
        for at, (left, right) in enumerate(spans):
            if marks[at] and not row[at]:
                over = [c for c in cells if _inside(((left + right) / 2, middle), c)]
                row[at] = _cell_text(over[0], inside) if over else ""


def _mergeable(left: list[str], right: list[str], right_spanned: list[bool]) -> bool:
    """Whether two columns are one.

    Some cell spans both, and where both have text, it is a sign and its number.
    """
    if not any(right_spanned):
        return not any(right)
    return all(not a or not b or a in PREFIXES for a, b in zip(left, right, strict=True))


def _columns(table: Any, n: int) -> list[tuple[float, float]]:
    """Left and right edge of each column."""
    edges = [[cell for row in table.rows if (cell := row.cells[i]) is not None] for i in range(n)]
    return [(min(c[0] for c in cells), min(c[2] for c in cells)) if cells else (0.0, 0.0) for cells in edges]


def _above(
    area: Box, columns: list[tuple[float, float]], words: list[dict[str, Any]]
) -> tuple[list[str], list[list[str]], set[int]]:
    """Read the header above a table, and rows that its shading omits; and the ids of their words."""
    from pdfplumber.utils import cluster_objects

    near = [w for w in words if -2 <= area[1] - w["bottom"] < 60 and w["x0"] < area[2] and w["x1"] > area[0]]
    header, rows, edge, used = [""] * len(columns), list[list[str]](), area[1], set[int]()
    for words_of_line in reversed(cluster_objects(near, "bottom", tolerance=3)):
        height = max(w["bottom"] - w["top"] for w in words_of_line)
        line, across = [""] * len(columns), False
        for left, right, text in _phrases(words_of_line):
            over = [i for i, (x0, x1) in enumerate(columns) if left < x1 and right > x0]
            across |= 0 in over and len(over) > 1
            for i in over:
                line[i] = f"{line[i]} {text}".strip()
        if edge - max(w["bottom"] for w in words_of_line) > 1.5 * height or across:
            break  # too far above, or a caption across the columns
        if not any(line):
            break
        if any(not any(left < x1 and right > x0 for x0, x1 in columns) for left, right, _ in _phrases(words_of_line)):
            break  # some of it belongs to no column
        used |= {id(w["word"]) for w in words_of_line}
        if line[0] and not any(header):
            rows.insert(0, line)
        else:
            header = [f"{new} {below}".strip() for new, below in zip(line, header, strict=True)]
        edge = min(w["top"] for w in words_of_line)
    if not any(header):  # then a single label above is the table's heading, not a row
        rows = [row for row in rows if any(row[1:])]
        used = used if rows else set()
    return header, rows, used


def _phrases(words: list[dict[str, Any]]) -> Iterator[tuple[float, float, str]]:
    """Group words of one line that are close together, as (left, right, text)."""
    words = sorted(words, key=lambda w: w["x0"])
    left, right, texts = words[0]["x0"], words[0]["x1"], [words[0]["text"]]
    for word in words[1:]:
        if word["x0"] - right > 8:
            yield left, right, " ".join(texts)
            left, texts = word["x0"], []
        texts.append(word["text"])
        right = word["x1"]
    yield left, right, " ".join(texts)


def _of(word: dict[str, Any]) -> Box:
    return word["x0"], word["top"], word["x1"], word["bottom"]


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _inside(point: tuple[float, float], box: Box) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]
