"""Running heads and page numbers of a paged document, told by their place on the page."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from moat.parse.pdf_layout import Line, Page

FEWEST_PAGES = 5
MOST = 0.5  # share of the pages, or of the left or the right ones
BAND = 0.13  # of a page's height, at its top and its bottom
LINES = 3  # at each end of a page
NEAR = 4.0  # points by which a place may differ
NUMBER = re.compile(r"\d+")
ROMAN = re.compile(r"(?i:m{0,3}(?:cm|cd|d?c{0,3})(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3}))")
DIGITS = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100, "d": 500, "m": 1000}
ONLY_NUMBER = re.compile(
    r"(?:(?:page|seite|blatt|página|pagina|pág\.|strona|p\.|s\.)\s*)?[-–—|/\s(\[]*(?:\d+|[ivxlc]+)[-–—|\s)\]]*"
    r"(?:(?:of|von|de|di|sur|z|/)\s*\d+)?[-–—|\s]*",
    re.IGNORECASE,
)


def mark_heads(pages: list[Page]) -> None:
    """Mark lines that stand at one place of most pages as left out; tables and large letters never are."""
    if len(pages) < FEWEST_PAGES:
        return
    body = _body_size(pages)
    at_edges = {page.number: _edges(page, body) for page in pages}
    marked = dict[int, list[Line]]()
    for line, page in _repeated(pages, at_edges):
        marked.setdefault(page.number, []).append(line)
    offsets = _offsets(pages, marked)
    for page in pages:
        mine = marked.get(page.number, [])
        for line in at_edges[page.number]:  # on pages with another head, such as the first of a chapter
            if line not in mine and ONLY_NUMBER.fullmatch(line.text) and _number(line.text) - page.number in offsets:
                marked.setdefault(page.number, []).append(line)
    texts = Counter(line.text for lines in marked.values() for line in lines)
    if all(len(marked.get(page.number, [])) == len(page.lines) for page in pages):
        return  # otherwise nothing would be left of the document
    for page in pages:
        found = marked.get(page.number, [])
        whole = len(found) == len(page.lines)
        if whole and not any(texts[line.text] > 2 for line in found):
            continue  # all that the page says, and no other page says the same
        for line in found:
            line.left_out = "page number" if ONLY_NUMBER.fullmatch(line.text) else "running head"


def _offsets(pages: list[Page], marked: dict[int, list[Line]]) -> set[int]:
    """Distances of printed page numbers from the pages, that hold for many pages."""
    found = Counter[int]()
    for page in pages:
        found.update(
            {
                int(number[0]) - page.number
                for line in marked.get(page.number, [])
                for number in NUMBER.finditer(line.text)
                if len(number[0]) < 5 and (number.start() == 0 or number.end() == len(line.text.rstrip()))
            }
        )
        found.update({_number(line.text) - page.number for line in marked.get(page.number, []) if _is_roman(line.text)})
    return {offset for offset, n in found.items() if n >= max(3, 0.3 * len(pages))}


def _number(text: str) -> int:
    """The number of a line that is a page number; one that no page has where it is none."""
    if number := NUMBER.search(text):
        return int(number[0][:9])
    return _value(text.strip()) if _is_roman(text) else -(10**6)


def _is_roman(text: str) -> bool:
    return bool(text.strip()) and bool(ROMAN.fullmatch(text.strip()))


def _edges(page: Page, body: float) -> list[Line]:
    """Lines in the bands of a page, from its edge inwards."""
    plain = [line for line in page.lines if not line.table and not line.blocks and line.angle == 0]
    top = sorted((o for o in plain if o.y1 >= page.height * (1 - BAND)), key=lambda o: -o.base)
    bottom = sorted((o for o in plain if o.y0 <= page.height * BAND), key=lambda o: o.base)
    found = list[Line]()
    for side in (top, bottom):
        rows = list[float]()
        for line in side:
            if not any(abs(line.base - row) < NEAR for row in rows):
                rows.append(line.base)
            if len(rows) <= LINES and line.size <= 1.15 * body:
                found.append(line)
    return found


def _repeated(pages: list[Page], at_edges: dict[int, list[Line]]) -> Iterable[tuple[Line, Page]]:
    places: dict[tuple[int, str, int], list[tuple[Line, Page]]] = defaultdict(list)
    for page in pages:
        for line in at_edges[page.number]:
            for edge, x in (("left", line.x0), ("right", line.x1), ("middle", (line.x0 + line.x1) / 2)):
                for near in (0, 1):  # two grids, so that no place is cut by both
                    y = round((line.base + near * NEAR) / (2 * NEAR)) * 2 + near
                    places[(y, edge, round(x / (2 * NEAR)))].append((line, page))
    given = set[int]()
    alike: dict[str, set[int]] = defaultdict(set)
    for page in pages:
        for line in page.lines:
            alike[_key(line.text)].add(page.number)
    for place in places.values():
        for side in (place, [p for p in place if p[1].number % 2], [p for p in place if not p[1].number % 2]):
            n_all = len(pages) if side is place else len(pages) // 2
            if len(side) < max(3, MOST * n_all):
                continue
            for line, page in _heads(side, n_all, alike):
                if id(line) not in given:
                    given.add(id(line))
                    yield line, page


def _heads(side: list[tuple[Line, Page]], n_all: int, alike: dict[str, set[int]]) -> Iterable[tuple[Line, Page]]:
    """Lines of one place that are one head: the same but for page numbers, or names of chapters."""
    same: dict[str, list[tuple[Line, Page]]] = defaultdict(list)
    for line, page in side:
        for key in _forms(line.text, page.number):
            same[key].append((line, page))
    most = max(same.values(), key=len, default=[])
    if len(most) >= max(3, MOST * n_all):
        yield from most
    apart = [(line, page) for line, page in side if _is_apart(line, page)]
    if len(apart) >= max(3, MOST * n_all):  # the name of the chapter, with or without a number of the page
        texts: dict[str, set[int]] = defaultdict(set)
        for line, page in apart:
            texts[_name(line.text, page.number)].add(page.number)
        known = [
            (line, page)
            for line, page in apart
            if len(texts[_name(line.text, page.number)]) > 1
            or len(alike[_name(line.text, page.number)] - {page.number}) > 0
        ]
        names = {_name(line.text, page.number) for line, page in known}
        every = {_name(line.text, page.number) for line, page in apart}
        if len({NUMBER.sub("", name) for name in every}) < len(every):
            return  # they differ in digits that are no page's: values, not names
        if len(known) >= MOST * len(apart) and len(names) <= 0.7 * len(known):
            numbers = Counter(offset for line, page in apart for offset in _at_ends(line.text, page.number))
            offset, n = numbers.most_common(1)[0] if numbers else (0, 0)
            paged = n >= MOST * len(apart)  # then the head of a chapter of one page is known by the number beside it
            yield from (
                (line, page)
                for line, page in apart
                if (line, page) in known or (paged and offset in _at_ends(line.text, page.number))
            )


def _at_ends(text: str, page: int) -> set[int]:
    found = [re.match(r"\d{1,4}(?=\s)", text.strip()), re.search(r"(?<=\s)\d{1,4}$", text.strip())]
    return {int(number[0]) - page for number in found if number}


def _forms(text: str, page: int) -> list[str]:
    """The text with each number that may be its page's as its distance from the page, and as it is."""
    forms = [" ".join(text.split())]
    numbers = list(NUMBER.finditer(text))
    forms += [f"{text[: n.start()]}#{int(n[0][:9]) - page}#{text[n.end() :]}" for n in numbers[:4]]
    if (roman := text.split()) and any(ROMAN.fullmatch(word) for word in (roman[0], roman[-1])):
        word = next(w for w in (roman[0], roman[-1]) if ROMAN.fullmatch(w))
        forms.append(text.replace(word, f"#{_value(word) - page}#"))
    return forms


def _name(text: str, page: int) -> str:
    """The text without a number at its end or beginning, which may be its page's."""
    return _key(re.sub(r"^\d{1,4}\s+|\s+\d{1,4}$", "", text.strip()))


def _key(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold() or text.strip()


def _value(roman: str) -> int:
    values = [DIGITS[sign] for sign in roman.lower()]
    return sum(-v if i + 1 < len(values) and v < values[i + 1] else v for i, v in enumerate(values))


def _is_apart(line: Line, page: Page) -> bool:
    """Whether more white is between a line and the text than between two lines of text."""
    others = [o for o in page.lines if abs(o.base - line.base) > NEAR and o.angle == 0]
    if not others:
        return False
    if line.base > page.height / 2:
        above = [o for o in others if o.base > line.base]
        below = [o for o in others if o.base < line.base]
        return len(above) < LINES and bool(below) and line.base - max(o.base for o in below) > 1.7 * line.size
    above = [o for o in others if o.base > line.base]
    below = [o for o in others if o.base < line.base]
    return len(below) < LINES and bool(above) and min(o.base for o in above) - line.base > 1.7 * line.size


def _body_size(pages: list[Page]) -> float:
    sizes: dict[float, int] = defaultdict(int)
    for page in pages:
        for line in page.lines:
            sizes[round(line.size * 2) / 2] += len(line.text)
    return max(sizes, key=lambda size: sizes[size], default=10.0)
