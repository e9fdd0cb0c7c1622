"""A paper of the third company as a file: PDF, Word, slides, HTML, plain text, RTF, spreadsheet."""

import html
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import docx
import openpyxl
import pptx
from pptx.util import Inches
from reportlab.lib import colors
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

STYLES = getSampleStyleSheet()
GRID = TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black)])


@dataclass(frozen=True, kw_only=True)
class Paper:
    """What a paper says; the first row of `grid` is its header."""

    key: str
    form: str
    title: str
    language: str
    author: str
    parts: tuple[tuple[str, tuple[str, ...]], ...]
    grid: tuple[tuple[str, ...], ...] = ()
    foot: str = ""

    @property
    def folder(self) -> str:
        return self.key.rpartition("/")[0]


@lru_cache(maxsize=4_096)
def made(paper: Paper) -> bytes:
    """The bytes of a paper's file; the same paper gives the same bytes, as a file that is restored has them."""
    return MAKERS[paper.form](paper)


def _pdf(paper: Paper) -> bytes:
    out = io.BytesIO()
    story: list[Flowable] = [Paragraph(html.escape(paper.title), STYLES["Title"])]
    for name, lines in paper.parts:
        story += [Paragraph(html.escape(name), STYLES["Heading2"])] if name else []
        story.append(Paragraph(html.escape(" ".join(lines)), STYLES["BodyText"]))
    if paper.grid:
        story += [Spacer(1, 8), Table([list(row) for row in paper.grid], style=GRID)]
    if paper.foot:
        story.append(Paragraph(html.escape(paper.foot), STYLES["BodyText"]))
    SimpleDocTemplate(out, title=paper.title, author=paper.author, invariant=1).build(story)
    return out.getvalue()


def _docx(paper: Paper) -> bytes:
    out, file = io.BytesIO(), docx.Document()
    file.add_heading(paper.title, 0)
    for name, lines in paper.parts:
        if name:
            file.add_heading(name, 1)
        file.add_paragraph(" ".join(lines))
    if paper.grid:
        cells = file.add_table(rows=len(paper.grid), cols=len(paper.grid[0]))
        for i, row in enumerate(paper.grid):
            for j, value in enumerate(row):
                cells.cell(i, j).text = value
    if paper.foot:
        file.add_paragraph(paper.foot)
    file.save(out)
    return out.getvalue()


def _pptx(paper: Paper) -> bytes:
    out, show = io.BytesIO(), pptx.Presentation()
    show.slides.add_slide(show.slide_layouts[0]).shapes.title.text = paper.title
    for name, lines in paper.parts:
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = name
        slide.placeholders[1].text_frame.text = "\n".join(lines)
    if paper.grid:
        slide = show.slides.add_slide(show.slide_layouts[5])
        slide.shapes.title.text = "Table"
        frame = slide.shapes.add_table(
            len(paper.grid), len(paper.grid[0]), Inches(0.5), Inches(2), Inches(9), Inches(0.3 * len(paper.grid))
        )
        for i, row in enumerate(paper.grid):
            for j, value in enumerate(row):
                frame.table.cell(i, j).text = value
    if paper.foot:
        box = slide.shapes.add_textbox(Inches(0.5), Inches(7), Inches(9), Inches(0.4))
        box.text_frame.text = paper.foot
    show.save(out)
    return out.getvalue()


def _html(paper: Paper) -> bytes:
    e = html.escape
    lines = [f"<html lang='{paper.language}'><head><meta charset='utf-8'><title>{e(paper.title)}</title></head><body>"]
    lines.append(f"<main><h1>{e(paper.title)}</h1>")
    for name, said in paper.parts:
        lines += [f"<h2>{e(name)}</h2>"] if name else []
        lines += [f"<p>{e(line)}</p>" for line in said]
    if paper.grid:
        rows = ("".join(f"<td>{e(c)}</td>" for c in row) for row in paper.grid)
        lines += ["<table>", *(f"<tr>{row}</tr>" for row in rows), "</table>"]
    lines += [f"<p>{e(paper.foot)}</p>"] if paper.foot else []
    return "\n".join([*lines, "</main></body></html>"]).encode()


def _txt(paper: Paper) -> bytes:
    lines = [paper.title.upper(), ""]
    for name, said in paper.parts:
        lines += [*([name, "-" * len(name)] if name else []), *said, ""]
    lines += ["\t".join(row) for row in paper.grid]
    return "\n".join([*lines, *(["", paper.foot] if paper.foot else []), ""]).encode()


def _rtf(paper: Paper) -> bytes:
    def escaped(text: str) -> str:
        plain = text.replace("\\", "\\\\").replace("{", "\\{").replace("}", "\\}")
        return "".join(c if ord(c) < 128 else f"\\u{ord(c) if ord(c) < 0x8000 else ord(c) - 0x10000}?" for c in plain)

    lines = [f"{{\\b\\fs36 {escaped(paper.title)}\\par}}"]
    for name, said in paper.parts:
        lines += [f"{{\\b {escaped(name)}\\par}}"] if name else []
        lines.append(f"{escaped(' '.join(said))}\\par")
    lines += ["\\tab ".join(map(escaped, row)) + "\\par" for row in paper.grid]
    lines += [f"{escaped(paper.foot)}\\par"] if paper.foot else []
    return ("{\\rtf1\\ansi\\deff0{\\fonttbl{\\f0 Arial;}}\n" + "\n".join(lines) + "\n}").encode("ascii", "replace")


def _xlsx(paper: Paper) -> bytes:
    out, book = io.BytesIO(), openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Data"
    for row in paper.grid:
        sheet.append(list(row))
    if paper.parts:
        notes = book.create_sheet("Notes")
        for name, lines in paper.parts:
            for line in lines:
                notes.append([name, line])
    book.save(out)
    return out.getvalue()


MAKERS: dict[str, Callable[[Paper], bytes]] = {
    "pdf": _pdf,
    "docx": _docx,
    "pptx": _pptx,
    "html": _html,
    "txt": _txt,
    "rtf": _rtf,
    "xlsx": _xlsx,
}
