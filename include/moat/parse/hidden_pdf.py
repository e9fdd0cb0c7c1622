"""Separate hidden text of a PDF: invisible, tiny, off the page, or in its background's colour.

Text that a scanner's OCR lays invisibly over the picture of a page is what a person sees there, so it is not hidden.
"""

import ctypes
import io
from collections.abc import Iterator
from typing import Any, NamedTuple

from moat.parse.css import Colour, same
from moat.records import Block

INVISIBLE, FILLED = {3, 7}, {0, 4}  # text render modes
TINY = 1.2  # points
SCAN = 0.5  # share of a page covered by its picture above which invisible text is OCR
WHITE: Colour = (255, 255, 255)
THIN = 3.0  # points; a thinner object is a line and covers no text
FAINT = 12  # alpha, of 255
MOST_OBJECTS = 400_000  # of a document; one with more is parsed unchanged

Box = tuple[float, float, float, float]  # left, bottom, right, top


class Paint(NamedTuple):
    """Something that covers part of a page; the colour of a picture is unknown."""

    box: Box
    colour: Colour | None


def pdf_shown_and_hidden(content: bytes) -> tuple[bytes, list[Block]]:
    """Split a PDF into what it shows and blocks of hidden text."""
    import pypdfium2

    blocks, left = list[Block](), MOST_OBJECTS
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError:
        return content, []
    try:
        for number in range(len(document)):
            page = document[number]
            objects = list(page.get_objects(max_depth=1))
            left -= len(objects)
            if left < 0:
                return content, []
            hidden = list(_hidden(page, objects))
            blocks += _lines(page, hidden, number + 1)
            for thing, _ in hidden:
                page.remove_obj(thing)
            if hidden:
                page.gen_content()
            page.close()
        if not blocks:
            return content, []
        out = io.BytesIO()
        document.save(out)
        return out.getvalue(), blocks
    except pypdfium2.PdfiumError:
        return content, []  # damaged; the parser reports it
    finally:
        document.close()


def _hidden(page: Any, objects: list[Any]) -> Iterator[tuple[Any, str]]:
    """Hidden text objects with how they are hidden, in drawing order."""
    import pypdfium2.raw as raw

    left, bottom, right, top = page.get_cropbox()
    paints, scanned, grounds = list[Paint](), _scanned(page, objects), {WHITE}
    for thing in objects:
        if thing.type != raw.FPDF_PAGEOBJ_TEXT:
            if paint := _paint(thing):
                paints.append(paint)
                grounds |= {paint.colour} if paint.colour else set()
            continue
        box = thing.get_bounds()
        if box[2] - box[0] <= 0 and box[3] - box[1] <= 0:
            continue  # a space
        if raw.FPDFTextObj_GetTextRenderMode(thing) in INVISIBLE:
            if not scanned:
                yield thing, "markup"
        elif box[2] < left or box[0] > right or box[3] < bottom or box[1] > top:
            yield thing, "markup"
        elif _points(thing) < TINY:
            yield thing, "size"
        elif _unseen(thing, grounds) and _like_its_ground(box, paints, _fill(thing)):
            yield thing, "colour"


def _lines(page: Any, hidden: list[tuple[Any, str]], number: int) -> Iterator[Block]:
    """Group hidden text into blocks of consecutive objects hidden in the same way."""
    if not hidden:
        return
    import pypdfium2

    textpage = page.get_textpage()
    how, parts = hidden[0][1], list[str]()
    for thing, now in hidden:
        thing.textpage = textpage
        try:
            text = thing.extract()
        except pypdfium2.PdfiumError:
            continue  # glyphs without characters
        if now != how and parts:
            yield from _block(parts, number, how)
            parts = []
        how = now
        parts.append(text)
    yield from _block(parts, number, how)
    textpage.close()


def _block(parts: list[str], number: int, how: str) -> Iterator[Block]:
    single = all(len(part.strip()) <= 2 for part in parts)  # drawn glyph by glyph
    if text := " ".join(("" if single else " ").join(parts).split()):
        yield Block(kind="text", text=text, page=number, hidden=how)


def _scanned(page: Any, objects: list[Any]) -> bool:
    import pypdfium2.raw as raw

    width, height = page.get_size()
    area = sum(_area(thing.get_bounds()) for thing in objects if thing.type == raw.FPDF_PAGEOBJ_IMAGE)
    return bool(area >= SCAN * width * height)


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _points(thing: Any) -> float:
    """Height of a text's letters on the page."""
    import pypdfium2.raw as raw

    size, matrix = ctypes.c_float(), thing.get_matrix()
    raw.FPDFTextObj_GetFontSize(thing, size)
    return float(size.value) * float((matrix.c**2 + matrix.d**2) ** 0.5)


def _paint(thing: Any) -> Paint | None:
    """What an object covers, with its colour if that is known."""
    import pypdfium2.raw as raw

    if thing.type != raw.FPDF_PAGEOBJ_PATH:
        return Paint(thing.get_bounds(), None)
    mode, stroke = ctypes.c_int(), ctypes.c_int()
    raw.FPDFPath_GetDrawMode(thing, mode, stroke)
    found = _fill(thing)
    if not mode.value or found is None or found[1] <= FAINT:
        return None
    box = thing.get_bounds()
    if min(box[2] - box[0], box[3] - box[1]) < THIN:
        return None
    return Paint(box, found[0] if found[1] >= 255 - FAINT else None)


def _unseen(thing: Any, grounds: set[Colour]) -> bool:
    """Whether a text is almost transparent, or blends with the page."""
    import pypdfium2.raw as raw

    if raw.FPDFTextObj_GetTextRenderMode(thing) not in FILLED:
        return False  # its outline is drawn too
    found = _fill(thing)
    return found is not None and (found[1] <= FAINT or any(same(found[0], ground) for ground in grounds))


def _like_its_ground(box: Box, paints: list[Paint], fill: tuple[Colour, int] | None) -> bool:
    """Whether a text has the colour last painted underneath it."""
    if fill is None or fill[1] <= FAINT:
        return fill is not None
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    over = (p for p in reversed(paints) if p.box[0] <= x <= p.box[2] and p.box[1] <= y <= p.box[3])
    ground = next(over, Paint(box, WHITE)).colour
    return ground is not None and same(fill[0], ground)


def _fill(thing: Any) -> tuple[Colour, int] | None:
    """Colour and alpha of an object's fill; None for a pattern."""
    import pypdfium2.raw as raw

    parts = [ctypes.c_uint() for _ in range(4)]
    if not raw.FPDFPageObj_GetFillColor(thing, *parts):
        return None
    red, green, blue, alpha = (part.value for part in parts)
    return (red, green, blue), alpha
