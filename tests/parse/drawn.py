"""PDFs that tests draw."""

import io
from collections.abc import Callable

from reportlab.pdfgen.canvas import Canvas

from moat.records import Block

Draw = Callable[[Canvas], None]
FILLER = "Boats moor at the northern quay until the tide turns, and then they leave in the order in which they came."


def drawn(*pages: Draw, **given: str) -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(612, 792), invariant=1)
    canvas.setTitle(given.get("title", "untitled"))
    for page in pages:
        canvas.setFont("Helvetica", 10)
        page(canvas)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def lines(canvas: Canvas, texts: list[str], x: float = 72, y: float = 700, step: float = 12) -> None:
    for at, text in enumerate(texts):
        canvas.drawString(x, y - at * step, text)


def left_out(blocks: list[Block]) -> list[tuple[str, str, int | None]]:
    return [(block.left_out, block.text, block.page) for block in blocks if block.left_out]
