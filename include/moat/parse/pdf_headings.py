"""Headings of a paged document, by its outline or by their look; and its contents pages."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from moat.parse.pdf_grid import MARKER
from moat.parse.pdf_layout import Line, Page

PART = r"(?:chapter|part|section|appendix|annex|article|item|kapitel|teil|abschnitt|anhang|artikel|chapitre|partie|annexe|cap[ií]tulo|capitolo|rozdzia[łl]|§)"
COUNT = r"(?:[A-Z]?\d+(?:[.\-]\d+)*|[IVXLC]+|[A-Z]|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
NUMBER = re.compile(
    rf"^(?:(?i:{PART}\s*{COUNT})\b[.):]?|(?:[A-Z]?\d+(?:\.\d+)*|[A-Z](?:\.\d+)+)[.):]?(?=[\s—–-])|(?:[IVXLC]+|[A-Z])[.):](?=\s))\s*[—–-]?\s*"
)
ONLY_NUMBER = re.compile(rf"^(?:(?i:{PART}\s*{COUNT})|[A-Z]?\d+(?:\.\d+)*|[IVXLC]+)[.):]?$")
ENTRY = re.compile(r"^(?P<title>.*[^\W\d_].*?)(?P<leader>(?:\s*[.·…_]){3,}|\s)\s*(?P<page>\d{1,4}|[ivxlc]{1,7})$")
CONTENTS = re.compile(
    r"(?:table of )?contents|index|inhalt(?:sverzeichnis)?|table des matières|sommaire|índice|indice|sommario|spis treści|inhoud",
    re.IGNORECASE,
)
FEWEST_ENTRIES = 4
MOST_LINES = 4  # of one heading
MOST_LETTERS = 160
MUCH = 600  # letters of a page that tell its usual size


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of a PDF's outline."""

    title: str
    level: int
    page: int | None  # 1 is the first
    y: float | None


def mark_contents(pages: list[Page], entries: list[Entry]) -> None:
    """Mark the lines of tables of contents: titles that stand on other pages too, with their pages."""
    known: dict[str, set[int]] = defaultdict(set)
    for page in pages:
        for line in page.lines:
            if not line.left_out:
                for text in line.text.split("\n") if line.table else [line.text]:
                    known[squeezed(text)].add(page.number)
        plain = [line for line in page.lines if not line.table]
        for a, b in pairwise(plain):
            known[squeezed(f"{a.text} {b.text}")].add(page.number)
    titles = {squeezed(entry.title) for entry in entries}
    for page in pages:
        for run in _runs(page, len(pages)):
            numbers, n_known, n_led = list[int](), 0, 0
            for line in run:
                for text in _texts(line):
                    if found := _entry(text, len(pages)):
                        key = squeezed(found["title"])
                        n_known += key in titles or bool(known[key] - {page.number})
                        n_led += len(found["leader"].strip()) >= 3
                        if found["page"].isdigit():
                            numbers.append(int(found["page"]))
            n = sum(bool(_entry(text, len(pages))) for line in run for text in _texts(line))
            rising = sum(a <= b for a, b in pairwise(numbers)) >= 0.75 * (len(numbers) - 1)
            head = _contents_head(page, run[0])
            if n >= (2 if head else FEWEST_ENTRIES) and rising and (n_known >= 0.5 * n or (head and n_led >= 0.5 * n)):
                for line in [*([head] if head else []), *run]:
                    line.left_out = "contents page"


def _texts(line: Line) -> list[str]:
    return [" ".join(filter(None, row)) for row in line.table] if line.table else [line.text]


def _entry(text: str, n_pages: int) -> re.Match[str] | None:
    """A title and its page; a year or an amount is no page."""
    found = ENTRY.match(text)
    return found if found and not (found["page"].isdigit() and int(found["page"]) > 2 * n_pages + 50) else None


def _runs(page: Page, n_pages: int) -> Iterator[list[Line]]:
    """Runs of lines that look like entries; the first line of an entry of two is in it."""
    run, between = list[Line](), list[Line]()
    for line in page.lines:
        if line.left_out or line.blocks:
            continue
        if any(_entry(text, n_pages) for text in _texts(line)):
            run += [*between, line] if run else [line]
            between = []
        elif run and len(between) < 2 and not line.table:
            between.append(line)
        else:
            if run:
                yield run
            run, between = [], []
    if run:
        yield run


def _contents_head(page: Page, first: Line) -> Line | None:
    at = next(i for i, line in enumerate(page.lines) if line is first)
    above = [line for line in page.lines[max(0, at - 3) : at] if CONTENTS.fullmatch(line.text.strip())]
    return above[-1] if above else None


def mark_headings(pages: list[Page], entries: list[Entry]) -> None:
    """Give headings their levels: by the outline, or by size, weight and white space where it does not help."""
    found = _by_outline(pages, entries)
    if found < 0.3 * len(entries) or len(entries) < 2:
        _by_look(pages)


def _by_outline(pages: list[Page], entries: list[Entry]) -> int:
    numbered = {page.number: page for page in pages}
    n_found, group, at = 0, 0, 1
    for entry in entries:
        if not squeezed(entry.title):
            continue
        where = [entry.page, entry.page + 1, entry.page - 1] if entry.page else range(at, len(pages) + 1)
        for number in where:
            lines = _best(numbered[number], entry) if number in numbered else []
            if lines:
                n_found, group, at = n_found + 1, group + 1, number
                for line in lines:
                    line.level, line.group = entry.level, group
                break
    return n_found


def _best(page: Page, entry: Entry) -> list[Line]:
    """Lines of a page that are this entry's heading, the nearest to its place."""
    lines = [line for line in page.lines if not line.left_out and not line.table and not line.blocks]
    wanted, whole = squeezed(entry.title), _letters(entry.title)
    found = list[tuple[float, int, int]]()
    for start in range(len(lines)):
        text = ""
        for end in range(start + 1, min(start + MOST_LINES, len(lines)) + 1):
            text = f"{text} {lines[end - 1].text}".strip()
            if len(text) > len(entry.title) + 60:
                break
            if lines[start].level or (squeezed(text) != wanted and _letters(text) != whole):
                continue
            if _number(text) and _number(entry.title) and _letters(text) != whole:
                continue  # another one of the same name
            away = abs(lines[start].y1 - entry.y) if entry.y is not None else 0.0
            found.append((round(away / 20) - lines[start].size / 1000 - lines[start].bold / 1000, start, end))
            break
    if not found:
        return []
    _, start, end = min(found)
    if (
        start
        and ONLY_NUMBER.match(lines[start - 1].text.strip())
        and not lines[start - 1].level
        and lines[start - 1].size >= 0.8 * lines[start].size
        and not _number(lines[start].text)
    ):
        start -= 1  # "Chapter 3" stands above its name
    return lines[start:end]


def _number(text: str) -> str:
    found = NUMBER.match(text.strip())
    return re.sub(r"[\W_]+", "", found[0]).casefold() if found else ""


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text)).casefold()


def squeezed(text: str) -> str:
    """Return a title without its number, spaces, signs and case."""
    return _letters(NUMBER.sub("", text.strip(), count=1)) or _letters(text)


def _by_look(pages: list[Page]) -> None:
    lines = [line for page in pages for line in page.lines if not line.left_out and not line.table and not line.blocks]
    usual = _usual(lines)
    if usual is None:
        return
    found = list[list[Line]]()
    for page in pages:
        mine = [line for line in page.lines if not line.left_out]
        here = usual
        if sum(len(line.text) for line in mine if not line.table) > MUCH:  # a page may have letters of its own size
            here = _usual([line for line in mine if not line.table and not line.blocks]) or usual
        at = 0
        while at < len(mine):
            end = at + 1
            while (
                end < len(mine)
                and end - at < MOST_LINES
                and _look(mine[end]) == _look(mine[at])
                and _goes_on(mine[end - 1], mine[end])
            ):
                end += 1
            run = mine[at:end]
            if not run[0].level and _is_heading(
                run, mine[at - 1] if at else None, mine[end] if end < len(mine) else None, here
            ):
                found.append(run)
            at = end
    looks = sorted({_look(run[0]) for run in found}, key=lambda look: (-look[0], not look[1]))
    for group, run in enumerate(found, 1):
        for line in run:
            line.level, line.group = min(looks.index(_look(run[0])) + 1, 6), group


def _usual(lines: list[Line]) -> tuple[float, bool] | None:
    """Size and weight of most of the text."""
    weights: dict[tuple[float, bool], int] = defaultdict(int)
    for line in lines:
        weights[_look(line)] += len(line.text)
    return max(weights, key=lambda look: weights[look], default=None)


def _goes_on(above: Line, below: Line) -> bool:
    return (
        0 < above.base - below.base <= 1.6 * above.size and above.angle == below.angle and not NUMBER.match(below.text)
    )


def _look(line: Line) -> tuple[float, bool]:
    return round(line.size * 2) / 2, line.bold


def _is_heading(run: list[Line], above: Line | None, below: Line | None, body: tuple[float, bool]) -> bool:
    first, text = run[0], " ".join(line.text for line in run)
    size, bold = body
    if first.table or first.blocks or first.mono or first.angle or len(text) > MOST_LETTERS or len(text.split()) > 24:
        return False
    if (
        sum(sign.isalpha() for sign in text) < 2
        or text.rstrip().endswith((",", ";"))
        or (MARKER.match(text.split()[0]) and text[0] in "•◦▪‣·●○■□–—*-")
    ):
        return False
    larger, heavier = first.size >= 1.12 * size, first.bold and not bold and first.size >= 0.95 * size
    if not larger and not heavier:
        return False
    if below is None:
        return False  # nothing stands under it
    if larger and first.size >= 1.25 * size:
        return True
    if text.rstrip().endswith((".", ":")) and not NUMBER.match(text):
        return False
    near = (
        above is not None
        and above.column == first.column
        and above.base - first.base < 1.25 * max(above.size, first.size)
        and not above.level
    )
    beside = below.column == first.column and below.base >= first.base - 1
    return not near and not beside
