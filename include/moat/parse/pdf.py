"""PDF: text by unstructured, tables by pdfplumber, headings from the outline.

unstructured's fast strategy keeps the order of the text but breaks a table into columns of numbers. So
where pdfplumber finds the lines or the shading of a table, its rows replace the text in that area; text of
the same boxes outside of the table is kept.
"""

import io
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from moat.parse.blocks import blocks_of, markdown_rows
from moat.parse.hidden_pdf import pdf_shown_and_hidden
from moat.records import Block

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
UNNAMED_GLYPH = re.compile(r"\(cid:\d+\)")
NO_TITLE = re.compile(
    r"^(microsoft|untitled|document\d*$|print|slide \d)|\.(docx?|pptx?|xlsx?|indd|tex|dvi|html?|pdf)$", re.IGNORECASE
)
PREFIXES = {"$", "€", "£", "¥", "(", "$ (", "$("}
Box = tuple[float, float, float, float]  # left, top, right, bottom, in points from the page's top left


def parse_pdf(content: bytes) -> tuple[list[Block], str]:
    """Parse a PDF into blocks and the title of its metadata.

    There are no blocks if it cannot be read, and the title is "" if it has none.
    """
    from unstructured.partition.pdf import partition_pdf

    shown, hidden = pdf_shown_and_hidden(content)
    elements = partition_pdf(file=io.BytesIO(shown), strategy="fast", languages=[""])
    blocks = list(_with_tables(elements, shown))
    if not blocks:  # pypdf may read what pdfminer cannot
        blocks = _plain_pages(shown)
    if not blocks and shutil.which("tesseract"):
        blocks = blocks_of(partition_pdf(file=io.BytesIO(content), strategy="ocr_only"), "pdf")
    # A glyph without a name in its font comes as (cid:3): one unreadable character.
    readable = [replace(block, text=UNNAMED_GLYPH.sub("\ufffd", block.text)) for block in blocks]
    return _outlined(readable, content) + hidden, _title(content)


def _with_tables(elements: list[Any], content: bytes) -> Iterator[Block]:
    """Turn elements into blocks page by page, with each table where its first text was."""
    pages = _pages(content)
    by_page: dict[int | None, list[Any]] = defaultdict(list)
    for element in elements:
        by_page[element.metadata.page_number].append(element)
    for number, on_page in by_page.items():
        found = pages.get(number or 0)
        if found is None:
            yield from blocks_of(on_page, "pdf")
            continue
        tables, words = found
        told: set[int] = set()
        for element in on_page:
            box = _box(element)
            at = next((i for i, (area, _) in enumerate(tables) if box and _inside(_middle(box), area)), None)
            if at is None or box is None:
                yield from blocks_of([element], "pdf")
                continue
            around = [
                w["text"]
                for w in words
                if _inside(_middle(_of(w)), box) and not any(_inside(_middle(_of(w)), area) for area, _ in tables)
            ]
            if around:
                yield Block(kind="text", text=" ".join(around), page=number)
            if at not in told:
                told.add(at)
                yield Block(kind="table", text=tables[at][1], page=number)


def _pages(content: bytes) -> dict[int, tuple[list[tuple[Box, str]], list[dict[str, Any]]]]:
    """Tables (area and Markdown) and words by page number, for pages with tables."""
    import pdfplumber
    from pdfminer.psexceptions import PSException
    from pdfplumber.utils.exceptions import PdfminerException

    pages = {}
    try:
        with pdfplumber.open(io.BytesIO(content)) as pdf:
            for page in pdf.pages:
                if len(page.rects) + len(page.lines) + len(page.curves) > 3:
                    words = page.extract_words()
                    tables = [(t.bbox, text) for t in page.find_tables() if (text := _markdown(t, words))]
                    if tables:
                        pages[page.page_number] = (tables, words)
                page.close()
    except (PSException, PdfminerException, *DAMAGED):
        return pages  # the text is there; tables of a damaged page stay text
    return pages


def _markdown(table: Any, words: list[dict[str, Any]]) -> str:
    """Format a found table as Markdown, with the header above it."""
    rows = [[" ".join((cell or "").split()).replace("|", "\\|") for cell in row] for row in table.extract()]
    if not rows or not rows[0]:
        return ""
    spans = _columns(table, len(rows[0]))
    spanned = [[cell is None for cell in row] for row in table.extract()]
    at = 0
    while at < len(rows[0]) - 1:
        if _mergeable([row[at] for row in rows], [row[at + 1] for row in rows], [row[at + 1] for row in spanned]):
            for row, marks in zip(rows, spanned, strict=True):
                row[at : at + 2] = [" ".join(filter(None, row[at : at + 2]))]
                marks[at : at + 2] = [marks[at]]
            spans[at : at + 2] = [(spans[at][0], spans[at + 1][1])]
        else:
            at += 1
    keep = [i for i in range(len(rows[0])) if any(row[i] for row in rows)]
    rows = [[row[i] for i in keep] for row in rows]
    header, outside = _above(table.bbox, [spans[i] for i in keep], words)
    return markdown_rows([*([header] if any(header) else []), *outside, *rows])


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
) -> tuple[list[str], list[list[str]]]:
    """Read the header above a table, and rows that its shading omits."""
    from pdfplumber.utils import cluster_objects

    near = [w for w in words if -2 <= area[1] - w["bottom"] < 60 and w["x0"] < area[2] and w["x1"] > area[0]]
    header, rows, edge = [""] * len(columns), list[list[str]](), area[1]
    for words_of_line in reversed(cluster_objects(near, "bottom", tolerance=3)):
        height = max(w["bottom"] - w["top"] for w in words_of_line)
        line, across = [""] * len(columns), False
        for left, right, text in _phrases(words_of_line):
            over = [i for i, (x0, x1) in enumerate(columns) if left < x1 and right > x0]
            across |= 0 in over and len(over) > 1
            for i in over:
                line[i] = f"{line[i]} {text}".strip().replace("|", "\\|")
        if edge - max(w["bottom"] for w in words_of_line) > 1.5 * height or across:
            break  # too far above, or a caption across the columns
        if line[0] and not any(header):
            rows.insert(0, line)
        else:
            header = [f"{new} {below}".strip() for new, below in zip(line, header, strict=True)]
        edge = min(w["top"] for w in words_of_line)
    if not any(header):  # then a single label above is the table's heading, not a row
        rows = [row for row in rows if any(row[1:])]
    return header, rows


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


def _box(element: Any) -> Box | None:
    if element.metadata.coordinates is None or element.metadata.coordinates.points is None:
        return None
    points = element.metadata.coordinates.points
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    return min(xs), min(ys), max(xs), max(ys)


def _of(word: dict[str, Any]) -> Box:
    return word["x0"], word["top"], word["x1"], word["bottom"]


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _inside(point: tuple[float, float], box: Box) -> bool:
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def _title(content: bytes) -> str:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        found = PdfReader(io.BytesIO(content)).metadata
        title = str(found.title or "").strip() if found else ""
    except (PyPdfError, *DAMAGED):
        return ""
    # A title set by a program names a file, not the document.
    return "" if NO_TITLE.search(title) else title


def _plain_pages(content: bytes) -> list[Block]:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        texts = [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]
    except (PyPdfError, *DAMAGED):
        return []  # unreadable; the caller reports that it has no text
    return [Block(kind="text", text=text.strip(), page=number) for number, text in enumerate(texts, 1) if text.strip()]


def _outlined(blocks: list[Block], content: bytes) -> list[Block]:
    """Turn the entries of the outline into headings."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    levels: dict[str, int] = {}

    def walk(entries: list[Any], level: int) -> None:
        for entry in entries:
            if isinstance(entry, list):
                walk(entry, level + 1)
            elif squeezed := _squeezed(str(entry.title or "")):
                levels.setdefault(squeezed, level)

    try:
        walk(PdfReader(io.BytesIO(content)).outline, 1)
    except (PyPdfError, *DAMAGED):
        return blocks  # the text is there; only its outline is unreadable
    return [_heading(block, levels) for block in blocks]


def _heading(block: Block, levels: dict[str, int]) -> Block:
    level = levels.get(_squeezed(block.text))
    if level is None:
        return block
    return Block(
        kind="heading", text=" ".join(block.text.removeprefix("- ").split()), level=level, page=block.page
    )  # a numbered heading reads as a list


def _squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()
