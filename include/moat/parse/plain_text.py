"""Plain text: paragraphs at empty lines, lists, and tables drawn with spaces."""

import re
from collections.abc import Iterator

from moat.parse.encoding import decode
from moat.parse.job import Job, Parsed
from moat.records import Block

LINE_END = re.compile("\r\n|[\r\n\x0b\x85\u2028]")
PARAGRAPH_END = re.compile("[\x0c\u2029]")
SIGN = re.compile(r"(?P<indent>[ \t]*)(?P<sign>[-*+•‣◦▪●·–]|\d{1,3}[.)]|\(\d{1,3}\)|[A-Za-z][.)])[ \t]+(?=\S)")
BULLETS = "-*+•‣◦▪●·–"
COLUMNS = re.compile(r"\S(?: {3,}|[ ]*\t[ \t]*)\S|^\s*[|+].*[|+]\s*$|[\u2500-\u257f]|\S {2,}\S.*\S {2,}\S")


def parse_text(content: bytes, job: Job) -> Parsed:
    """Parse plain text."""
    return Parsed(text_blocks(decode(content)))


def text_blocks(text: str) -> list[Block]:
    """Return the paragraphs of a plain text as blocks, line breaks kept.

    A list gives one block for each item. A paragraph of columns, which spaces or lines draw, is code, so that its
    white space stays.
    """
    text = PARAGRAPH_END.sub("\n\n", LINE_END.sub("\n", text))
    blocks, lines = list[Block](), list[str]()
    for line in [*text.split("\n"), ""]:
        if line.strip():
            lines.append(line)
        elif lines:
            blocks += _paragraph(lines)
            lines = []
    return blocks


def _paragraph(lines: list[str]) -> Iterator[Block]:
    if _is_drawn(lines):
        yield Block(kind="code", text="\n".join(lines))
        return
    first = _first_item(lines)
    if first:
        yield Block(kind="text", text=_trimmed(lines[:first]))
    if first < len(lines):
        yield from _items(lines[first:])


def _trimmed(lines: list[str]) -> str:
    """Join lines; indentation that all have says nothing."""
    margin = min(len(line) - len(line.lstrip()) for line in lines)
    return "\n".join(line[margin:].rstrip() for line in lines)


def _is_drawn(lines: list[str]) -> bool:
    """Whether at least half of two lines or more have columns."""
    return len(lines) > 1 and sum(bool(COLUMNS.search(line.rstrip())) for line in lines) * 2 > len(lines)


def _first_item(lines: list[str]) -> int:
    """Index of the line where a list begins; the number of lines if none does.

    A line of running text may begin with a dash or a number by chance, so a list in mid-paragraph needs a colon
    before it or a second item, and a single numbered line is a heading rather than a list.
    """
    signs = [SIGN.match(line) for line in lines]
    for index, found in enumerate(signs):
        if not found:
            continue
        alike = [other for other in signs[index:] if other and _sort(other) == _sort(found)]
        introduced = index == 0 or lines[index - 1].rstrip().endswith(":")
        if len(alike) > 1 and (introduced or len(alike) * 2 > len(lines) - index):
            return index
        if introduced and _sort(found) == "bullet":
            return index
    return len(lines)


def _sort(sign: re.Match[str]) -> str:
    return "bullet" if sign["sign"] in BULLETS else "number" if sign["sign"].strip("(")[0].isdigit() else "letter"


def _items(lines: list[str]) -> Iterator[Block]:
    """One block for each item, with the lines that continue it; indented two spaces for each level."""
    margins, item = list[int](), list[str]()
    for line in lines:
        if not (found := SIGN.match(line)):
            item.append(line.strip())
            continue
        if item:
            yield Block(kind="list", text="\n".join(item))
        margin = len(found["indent"].expandtabs(4))
        margins = [outer for outer in margins if outer < margin] + [margin]
        sign = "-" if found["sign"] in BULLETS else found["sign"]
        item = [f"{'  ' * (len(margins) - 1)}{sign} {line[found.end() :].rstrip()}"]
    if item:
        yield Block(kind="list", text="\n".join(item))
