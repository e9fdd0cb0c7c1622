"""OCR: scans page by page and pictures, with models that are installed."""

import io
from pathlib import Path

import pytest
import reportlab
from PIL import Image, ImageDraw, ImageFont

from moat.errors import ParseFailed
from moat.parse import ocr
from moat.parse.words import count
from tests.parsing import parsed, shown, text_of

FONT = Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"  # has umlauts
TEXT = ["The harbour office is open from six in the morning.", "Boats longer than 12 m moor at the northern quay.", "Größe und Gewicht prüft der Kranführer."]  # fmt: skip


def picture(texts: list[str], mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, (1_275, 500), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.truetype(FONT, 30)
    for at, text in enumerate(texts):
        draw.text((80, 60 + 60 * at), text, "black", font)
    return image


def saved(image: Image.Image, kind: str, **given: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **given)
    return file.getvalue()


def scan(*pages: Image.Image) -> bytes:
    return saved(pages[0], "PDF", save_all=True, append_images=list(pages[1:]), resolution=150)


def test_a_picture_is_read_with_its_umlauts() -> None:
    found, wanted = count(text_of(parsed(saved(picture(TEXT), "PNG"), "p.png"))), count("\n".join(TEXT))
    assert (found & wanted).total() >= 0.9 * wanted.total()


def test_a_scan_is_read_page_by_page_beside_pages_with_text() -> None:
    from pypdf import PdfWriter
    from reportlab.pdfgen.canvas import Canvas

    file = io.BytesIO()
    canvas = Canvas(file)
    canvas.drawString(72, 700, "A page with a text layer.")
    canvas.save()
    writer = PdfWriter(clone_from=file)
    writer.append(io.BytesIO(scan(picture(TEXT[:1]), picture(TEXT[1:2]))))
    both = io.BytesIO()
    writer.write(both)
    pages = {b.page: b.text for b in shown(parsed(both.getvalue(), "s.pdf"))}
    assert pages[1] == "A page with a text layer."
    assert "harbour office" in pages[2]
    assert "northern quay" in pages[3]


def test_pages_of_a_tiff_are_pages() -> None:
    content = saved(picture(TEXT[:1]), "TIFF", save_all=True, append_images=[picture(TEXT[1:2])])
    assert [b.page for b in shown(parsed(content, "f.tif"))] == [1, 2]


def test_what_there_is_no_time_for_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "_seconds", lambda: 0.0)
    blocks = parsed(scan(picture(TEXT[:1]), picture(TEXT[1:2])), "s.pdf")
    assert [(b.left_out, b.page) for b in blocks] == [("unreadable part", 1), ("unreadable part", 2)]
    assert "MOAT_PARSE_TIMEOUT_S" in blocks[0].text


def test_what_there_is_no_memory_for_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> list[ocr.Read]:
        raise MemoryError

    monkeypatch.setattr(ocr, "read", full)
    (block,) = parsed(scan(picture(TEXT[:1])), "s.pdf")
    assert block.left_out == "unreadable part"
    assert "MOAT_PARSE_MEMORY_MB" in block.text


def test_where_too_little_memory_is_left_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "_memory_left_mb", lambda: 300.0)
    (block,) = parsed(scan(picture(TEXT[:1])), "s.pdf")
    assert block.left_out == "unreadable part"
    assert "MOAT_PARSE_MEMORY_MB" in block.text


def test_a_line_of_which_ocr_is_not_sure_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    def line(text: str, top: float, confidence: float) -> ocr.Read:
        return ocr.Read(text=text, left=10, top=top, right=400, bottom=top + 20, confidence=confidence)

    monkeypatch.setattr(ocr, "read", lambda _: [line("Sure words", 10, 0.95), line("1lI|", 60, 0.2)])
    blocks = parsed(saved(picture([]), "PNG"), "p.png")
    assert [b.text for b in shown(blocks)] == ["Sure words"]
    assert [b.left_out for b in blocks if "1lI|" in b.text] == ["unreadable part"]


def test_a_blank_page_is_blank() -> None:
    assert parsed(scan(picture([])), "b.pdf") == []


def test_without_ocr_a_picture_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "has_rapidocr", lambda: False)
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ParseFailed, match="install rapidocr"):
        parsed(saved(picture(TEXT[:1]), "PNG"), "p.png")


def test_a_damaged_picture_says_so() -> None:
    with pytest.raises(ParseFailed, match="cannot be read"):
        parsed(saved(picture(TEXT), "PNG")[:200], "p.png")
