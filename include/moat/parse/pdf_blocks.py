"""Blocks of a paged document: paragraphs, lists, code, tables and headings out of its lines."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from statistics import median

from moat.parse.blocks import in_cell, markdown_rows
from moat.parse.pdf_layout import Line, Page
from moat.records import Block

SURE_BULLET = re.compile(r"^[•◦▪‣●○■□➢✓]\s+(?=\S)")
BULLET = re.compile(r"^[•◦▪‣·●○■□➢✓–—*\u2212-]\s+(?=\S)")
ORDINAL = re.compile(r"^(?:\(?(?:\d{1,2}|[A-Za-z]|[ivxIVX]{1,5})[.)]|\d{3}[.)]|\[\d+\])\s+(?=\S)")
BROKEN = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010]$")
STAYS = re.compile(r"(?:and|or|to|nor|und|oder|bis|et|ou|y|o|e|en|of)\b")
ENDS = (".", "!", "?", ":", "。", "！", "？", "։", "؟")


def blocks_of_pages(pages: list[Page]) -> list[Block]:
    """Join the lines of each page to blocks; what is left out keeps its page and its place."""
    for page in pages:
        _narrow(page)
    leading = _leading(pages)
    compounds = _compounds(pages)
    typed = _is_typed(pages)
    return [block for page in pages for block in _page_blocks(page, leading, compounds, typed)]


def _narrow(page: Page) -> None:
    """Set the edges of each column by its text alone, without the running heads."""
    columns: dict[tuple[float, float], list[Line]] = {}
    for line in page.lines:
        if not line.left_out:
            columns.setdefault(line.column, []).append(line)
    for lines in columns.values():
        edges = (min(line.x0 for line in lines), max(line.x1 for line in lines))
        for line in lines:
            line.column = edges


def _page_blocks(page: Page, leading: float, compounds: set[str], typed: bool) -> Iterator[Block]:
    open_lines, indents = list[Line](), list[float]()
    for line in page.lines:
        if open_lines and not _same_block(open_lines, line, leading, typed):
            yield from _block(open_lines, compounds, indents, typed)
            open_lines = []
        open_lines.append(line)
    if open_lines:
        yield from _block(open_lines, compounds, indents, typed)


def _same_block(lines: list[Line], line: Line, leading: float, typed: bool) -> bool:
    last = lines[-1]
    if line.table or last.table or line.blocks or last.blocks or line.left_out != last.left_out:
        return False
    if line.level or last.level:
        return line.group == last.group
    if line.left_out == "contents page":
        return True
    if line.left_out or line.angle != last.angle or line.column != last.column:
        return False
    step, size = last.base - line.base, max(last.size, line.size)
    if line.mono and last.mono and not typed:
        return 0 < step <= 2.6 * size
    if line.apart or last.apart:
        return False
    if line.mono != last.mono and not typed and abs(line.x0 - last.x0) > 0.5 * size:
        return False  # code is set apart; a line of a paragraph may be all of one width too
    if not 0 < step <= 1.25 * leading * size or abs(last.size - line.size) > 0.12 * size:
        return False
    if SURE_BULLET.match(line.text):
        return False
    left, right = line.column
    if _item(line) and (_item(lines[0]) or abs(line.x0 - last.x0) > 0.5 * size or _ended(last, line, 0.0)):
        return False
    if line.bold != last.bold and len(last.text.split()) < 12:
        return False
    if _item(lines[0]):
        return line.x0 > lines[0].x0 + 0.3 * size or (len(lines) == 1 and not _ended(last, line, 0.0))
    if line.x0 - last.x0 > size and last.x0 - left < 0.5 * size and not _middle(line, last) and len(lines) > 1:
        return False  # indented: a new paragraph
    return not _ended(last, line, 0.25 * (right - left))


def _middle(line: Line, last: Line) -> bool:
    return abs((line.x0 + line.x1) - (last.x0 + last.x1)) < 0.5 * line.size


def _ended(last: Line, line: Line, more: float) -> bool:
    """Whether the first word of this line had had room on the last one."""
    word = line.text.split(maxsplit=1)[0] if line.text.split() else ""
    width = (line.x1 - line.x0) * (len(word) + 1) / max(1, len(line.text))
    room = line.column[1] - last.x1 - width
    return room > (line.size if last.text.rstrip().endswith(ENDS) else max(more, line.size))


def _item(line: Line) -> bool:
    return bool(BULLET.match(line.text) or ORDINAL.match(line.text))


def _block(lines: list[Line], compounds: set[str], indents: list[float], typed: bool) -> Iterator[Block]:
    first = lines[0]
    if first.blocks:
        yield from first.blocks
    elif first.table:
        indents.clear()
        yield from _table(first)
    elif first.left_out:
        yield Block(kind="text", text="\n".join(line.text for line in lines), page=first.page, left_out=first.left_out)
    elif first.level:
        indents.clear()
        yield Block(kind="heading", text=_joined(lines, compounds), level=first.level, page=first.page)
    elif all(line.mono for line in lines) and not typed:
        yield Block(kind="code", text=_code(lines), page=first.page)
    elif _item(first):
        text = _joined(lines, compounds)
        while indents and first.x0 < indents[-1] - 0.5 * first.size:
            indents.pop()
        if not indents or first.x0 > indents[-1] + 0.5 * first.size:
            indents.append(first.x0)
        text = BULLET.sub("- ", text, count=1)
        yield Block(kind="list", text=f"{'  ' * (len(indents) - 1)}{text}", page=first.page)
    else:
        indents.clear()
        text = _joined(lines, compounds)
        if text.strip():
            yield Block(kind="text", text=text, page=first.page)
    for line in lines:
        yield from line.after


def _table(line: Line) -> Iterator[Block]:
    rows = [[in_cell(cell) for cell in row] for row in line.table or []]
    if text := markdown_rows(rows):
        yield Block(kind="table", text=text, page=line.page, left_out=line.left_out)
    elif text := "\n".join(" ".join(filter(None, row)) for row in rows).strip():
        yield Block(kind="text", text=text, page=line.page, left_out=line.left_out)


def _joined(lines: list[Line], compounds: set[str]) -> str:
    """Join lines by spaces, and words that a line broke, where that is sure."""
    text = ""
    for line in lines:
        now = " ".join(line.text.split())
        if BROKEN.search(text) and now[:1].islower() and not STAYS.match(now):
            stem, rest = text.split()[-1], now.split()[0]
            whole = re.sub(r"\W+$", "", f"{stem}{rest}".casefold())
            text = (text if whole in compounds or "-" in stem[:-1] else text[:-1]) + now
        else:
            text = f"{text} {now}".strip()
    return text


def _compounds(pages: list[Page]) -> set[str]:
    """Words with a hyphen inside a line: there it is theirs."""
    found = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)+")
    return {
        word.casefold()
        for page in pages
        for line in page.lines
        for word in found.findall(line.text)
        if "-" in line.text
    }


def _code(lines: list[Line]) -> str:
    left = min(line.x0 for line in lines)
    width = median((line.x1 - line.x0) / max(1, len(line.text)) for line in lines) or 1.0
    texts, last = list[str](), lines[0]
    for line in lines:
        if last.base - line.base > 1.9 * line.size:
            texts.append("")
        texts.append(" " * round((line.x0 - left) / width) + line.text)
        last = line
    fence = "````" if any("```" in text for text in texts) else "```"
    return "\n".join([fence, *texts, fence])


def _leading(pages: list[Page]) -> float:
    """The usual distance of two lines, as a share of their letters' size."""
    steps = [
        (a.base - b.base) / a.size
        for page in pages
        for a, b in pairwise(page.lines)
        if a.column == b.column
        and a.size > 0
        and abs(a.size - b.size) < 0.5
        and 0.9 <= (a.base - b.base) / a.size <= 2.2
    ]
    if len(steps) < 3:
        return 1.25
    common, _ = Counter(round(step * 20) for step in steps).most_common(1)[0]
    return max(1.0, common / 20)


def _is_typed(pages: list[Page]) -> bool:
    """Whether most of the text has letters of one width, which then says nothing."""
    mono = sum(len(line.text) for page in pages for line in page.lines if line.mono)
    return mono > 0.5 * sum(len(line.text) for page in pages for line in page.lines)


def largest_text(pages: Iterable[Page]) -> str:
    """The text in the largest letters of the first page; "" if they are the letters of most of its text."""
    page = next(iter(pages), None)
    lines = [line for line in page.lines if not line.table and not line.blocks and not line.angle] if page else []
    lines = [line for line in lines if sum(sign.isalpha() for sign in line.text) > 1 and not line.left_out]
    if len(lines) < 2:
        return ""
    largest = max(line.size for line in lines)
    if largest < 1.12 * median(line.size for line in lines):
        return ""
    text, last = list[str](), None
    for line in lines:
        if line.size < 0.95 * largest or (last and not 0 < last.base - line.base <= 2 * largest):
            if text:
                break
            continue
        text.append(line.text)
        last = line
    return " ".join(" ".join(text).split())[:300]
