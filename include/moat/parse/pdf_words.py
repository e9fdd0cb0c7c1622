"""Words of a PDF's page with their places, by pdfium."""

import ctypes
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HYPHENS = {0x02, 0xAD, 0xFFFE}  # how pdfium gives a hyphen at the end of a line
SPACES = {0x09, 0x0A, 0x0D, 0x20, 0xA0, 0x2028, 0x2029, 0x3000, *range(0x2000, 0x200C)}
RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
# Ligatures, and the forms that Hebrew and Arabic letters take inside a word.
FORMS = re.compile("[\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufdff\ufe70-\ufefc]+")
MONO = re.compile(r"mono|courier|typewriter|consol|menlo|fixed|cmtt|sftt|ectt|lettergothic|sourcecode", re.IGNORECASE)
BOLD = re.compile(r"bold|black|heavy|semibold|demi|cmbx|sfbx|ecbx|-bd\b", re.IGNORECASE)
FIXED_PITCH = 1  # of a font's flags
PRIVATE = re.compile("[\ue000-\uf8ff]")
BULLETS = {
    "\uf0b7": "•",
    "\uf0a7": "▪",
    "\uf0d8": "➢",
    "\uf0fc": "✓",
    "\uf0a8": "☐",
    "\uf0fe": "☒",
}  # of Symbol, Wingdings


@dataclass(slots=True, kw_only=True)
class Word:
    """A word with its box in the frame of its direction: x along the line, y upwards, in points."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    base: float  # y of its baseline
    size: float  # of its letters
    bold: bool = False
    mono: bool = False
    angle: int = 0  # degrees that its line is turned, against the clock
    glued: bool = False  # no space stands before it


@dataclass(slots=True)
class _Style:
    size: float
    bold: bool
    mono: bool
    angle: int


def words_of_page(page: Any, textpage: Any) -> list[Word]:
    """Read the words of a page in the order in which they are drawn."""
    import pypdfium2.raw as raw

    found = list[Word]()
    fonts: dict[int, tuple[bool, bool]] = {}
    rect, x, y = raw.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
    letters: list[tuple[str, float, float, float, float]] = []  # text and box in the frame
    style, last, base, spaced = _Style(0.0, False, False, 0), 0, 0.0, True
    turn = (1.0, 0.0)

    def end() -> None:
        nonlocal spaced
        if letters:
            found.append(_word(letters, base, style, glued=not spaced))
            letters.clear()
            spaced = False

    for index in range(raw.FPDFText_CountChars(textpage)):
        code = raw.FPDFText_GetUnicode(textpage, index)
        if code in SPACES:
            end()
            spaced = True
            continue
        if code == 0:
            code = 0xFFFD
        thing = raw.FPDFText_GetTextObject(textpage, index)
        address = ctypes.addressof(thing.contents) if thing else 0
        if address != last or not style.size:
            new = _style(textpage, index, thing, fonts)
            if new.angle != style.angle:
                end()
                turn = (math.cos(math.radians(new.angle)), math.sin(math.radians(new.angle)))
            last = address
            if letters and abs(new.size - style.size) > 0.25 * style.size and not letters[-1][0].isalnum():
                end()
            style = new if not letters else _Style(max(style.size, new.size), style.bold, style.mono, new.angle)
        raw.FPDFText_GetLooseCharBox(textpage, index, rect)
        raw.FPDFText_GetCharOrigin(textpage, index, x, y)
        box = _turned((rect.left, rect.bottom, rect.right, rect.top), turn) if style.angle else (
            rect.left, rect.bottom, rect.right, rect.top,
        )  # fmt: skip
        now = y.value if not style.angle else y.value * turn[0] - x.value * turn[1]
        if letters and _apart(letters, box, abs(now - base), style.size):
            end()
        if not letters:
            base = now
        letters.append(("-" if code in HYPHENS else chr(code), *box))
        if code in HYPHENS:
            end()
            spaced = True
    end()
    return found


def _apart(
    letters: list[tuple[str, float, float, float, float]], box: tuple[float, ...], shift: float, size: float
) -> bool:
    """Whether a letter stands too far from the last one to be of the same word."""
    previous = letters[-1]
    if shift > 0.7 * size:
        return True
    gap = max(box[0] - previous[3], previous[1] - box[2])  # to either side: some scripts run to the left
    return gap > 0.8 * size


def _word(letters: list[tuple[str, float, float, float, float]], base: float, style: _Style, *, glued: bool) -> Word:
    text = "".join(letter[0] for letter in letters)
    if RTL.search(text):
        text = _logical(letters)
    if FORMS.search(text):
        text = FORMS.sub(lambda m: unicodedata.normalize("NFKC", m[0]), text)
    if PRIVATE.search(text):
        text = "".join(BULLETS.get(sign, sign) for sign in text)
    if not text.isascii():  # halves of a character beyond U+FFFF
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    x0, x1 = min(letter[1] for letter in letters), max(letter[3] for letter in letters)
    y0, y1 = min(letter[2] for letter in letters), max(letter[4] for letter in letters)
    size = style.size
    if not 0.3 * (y1 - y0) <= size <= 3 * (y1 - y0):
        size = max(y1 - y0, 1.0) * 0.85  # a font that draws its own letters may state any size
    return Word(
        text=text, x0=x0, y0=y0, x1=x1, y1=y1, base=base, size=size, bold=style.bold, mono=style.mono,
        angle=style.angle, glued=glued,
    )  # fmt: skip


def _logical(letters: list[tuple[str, float, float, float, float]]) -> str:
    """Put the letters of a word that runs to the left in the order in which they are read."""
    clusters = list[list[Any]]()  # a letter with its marks
    for sign, left, _, right, _ in letters:
        if clusters and unicodedata.combining(sign[0]):
            clusters[-1][1] += sign
        else:
            clusters.append([(left + right) / 2, sign])
    text = "".join(sign for _, sign in sorted(clusters, key=lambda c: -float(c[0])))
    # Numbers and Latin letters inside it run to the right.
    return re.sub(
        r"[0-9A-Za-z\u0660-\u0669][0-9A-Za-z.,:/\u0660-\u0669]*[0-9A-Za-z\u0660-\u0669]", lambda m: m[0][::-1], text
    )


def _style(textpage: Any, index: int, thing: Any, fonts: dict[int, tuple[bool, bool]]) -> _Style:
    import pypdfium2.raw as raw

    size, matrix = float(raw.FPDFText_GetFontSize(textpage, index)), raw.FS_MATRIX()
    angle = 0
    if raw.FPDFText_GetMatrix(textpage, index, matrix):
        size *= math.hypot(matrix.c, matrix.d) or 1.0
        angle = round(math.degrees(math.atan2(matrix.b, matrix.a))) % 360
        if min(angle, 360 - angle) <= 2 or (angle == 180 and matrix.d > 0):  # mirrored text runs as other text does
            angle = 0
    font = raw.FPDFTextObj_GetFont(thing) if thing else None
    if not font:
        return _Style(size, False, False, angle)
    key = ctypes.addressof(font.contents)
    if key not in fonts:
        length = raw.FPDFFont_GetBaseFontName(font, None, 0)
        name = ctypes.create_string_buffer(length)
        raw.FPDFFont_GetBaseFontName(font, name, length)
        text = name.value.decode("latin-1")
        heavy = raw.FPDFFont_GetWeight(font) >= 600 if not BOLD.search(text) else True
        fonts[key] = (heavy, bool(MONO.search(text)) or bool(raw.FPDFFont_GetFlags(font) & FIXED_PITCH))
    return _Style(size, *fonts[key], angle)


def _turned(box: tuple[float, float, float, float], turn: tuple[float, float]) -> tuple[float, float, float, float]:
    """A box in a frame that is turned; of a slanted one, what stands around it."""
    cos, sin = turn
    xs = [x * cos + y * sin for x in (box[0], box[2]) for y in (box[1], box[3])]
    ys = [y * cos - x * sin for x in (box[0], box[2]) for y in (box[1], box[3])]
    return min(xs), min(ys), max(xs), max(ys)


def logical_order(words: list[Word]) -> list[Word]:
    """Order the words of one line as they are read, from its words from left to right."""
    rtl = [bool(RTL.search(word.text)) for word in words]
    if not any(rtl):
        return words
    n_rtl = sum(len(word.text) for word, is_rtl in zip(words, rtl, strict=True) if is_rtl)
    n_ltr = sum(len(word.text) for word, is_rtl in zip(words, rtl, strict=True) if not is_rtl and word.text.isalpha())
    if n_rtl >= n_ltr:
        return list(
            _runs(words[::-1], [not r and _strong(w.text) for w, r in zip(words[::-1], rtl[::-1], strict=True)])
        )
    return list(_runs(words, rtl))


def _strong(text: str) -> bool:
    return any(sign.isalnum() for sign in text)


def _runs(words: list[Word], turned: list[bool]) -> Iterator[Word]:
    """Yield words, with each run of turned ones the other way round."""
    run = list[Word]()
    for word, is_turned in zip(words, turned, strict=True):
        if is_turned:
            run.append(word)
            continue
        yield from reversed(run)
        run.clear()
        yield word
    yield from reversed(run)
