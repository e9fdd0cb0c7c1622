"""A document of the second company as a file: Markdown, HTML, Word, CSV, Excel, mail."""

import csv
import datetime
import html
import io
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage

import docx
import openpyxl


@dataclass(frozen=True, kw_only=True)
class Doc:
    """What a document says; `table` has its header in front, `foot` is what a template sets below."""

    key: str
    kind: str
    title: str
    author: str
    day: str  # ISO 8601
    sections: tuple[tuple[str, tuple[str, ...]], ...]
    table: tuple[tuple[str, ...], ...] = ()
    foot: str = ""


def written(doc: Doc) -> bytes:
    """The bytes of a document's file."""
    return WRITERS[doc.kind](doc)


def _md(doc: Doc) -> bytes:
    parts = [f"# {doc.title}"]
    for name, lines in doc.sections:
        parts += [f"## {name}", "\n".join(lines)]
    if doc.table:
        head, *rows = (" | ".join(row) for row in doc.table)
        parts.append("\n".join([f"| {head} |", "|" + "---|" * len(doc.table[0]), *(f"| {row} |" for row in rows)]))
    return "\n\n".join([*parts, *([doc.foot] if doc.foot else []), ""]).encode()


def _html(doc: Doc) -> bytes:
    e = html.escape
    body = [f"<h1>{e(doc.title)}</h1>"]
    for name, lines in doc.sections:
        body += [f"<h2>{e(name)}</h2>", f"<p>{e(' '.join(lines))}</p>"]
    if doc.table:
        head, *rows = doc.table
        cells = "".join(f"<th>{e(c)}</th>" for c in head)
        body.append(f"<table><tr>{cells}</tr>")
        body += ["<tr>" + "".join(f"<td>{e(c)}</td>" for c in row) + "</tr>" for row in rows] + ["</table>"]
    if doc.foot:
        body.append(f"<p>{e(doc.foot)}</p>")
    head_of = f"<head><meta charset='utf-8'><title>{e(doc.title)}</title></head>"
    return f"<!doctype html><html>{head_of}<body>{''.join(body)}</body></html>".encode()


def _docx(doc: Doc) -> bytes:
    file, out = docx.Document(), io.BytesIO()
    file.add_heading(doc.title, 1)
    for name, lines in doc.sections:
        file.add_heading(name, 2)
        file.add_paragraph(" ".join(lines))
    if doc.table:
        grid = file.add_table(rows=len(doc.table), cols=len(doc.table[0]))
        for i, row in enumerate(doc.table):
            for j, cell in enumerate(row):
                grid.cell(i, j).text = cell
    if doc.foot:
        file.add_paragraph(doc.foot)
    file.save(out)
    return out.getvalue()


def _csv(doc: Doc) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(doc.table)
    return out.getvalue().encode()


def _xlsx(doc: Doc) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Sheet"
    for row in doc.table:
        sheet.append([float(c) if c.replace(".", "", 1).isdigit() else c for c in row])
    book.save(out)
    return out.getvalue()


def _eml(doc: Doc) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"] = f"{doc.author}@hollowoak.example", "all@hollowoak.example"
    mail["Subject"], mail["Date"] = doc.title, _moment(doc.day)
    text = "\n\n".join("\n".join([*([name + ":"] if name else []), *lines]) for name, lines in doc.sections)
    mail.set_content(text + (f"\n\n{doc.foot}" if doc.foot else "") + "\n")
    return mail.as_bytes()


def _moment(day: str) -> datetime.datetime:
    return datetime.datetime.combine(datetime.date.fromisoformat(day), datetime.time(9), datetime.UTC)


WRITERS: dict[str, Callable[[Doc], bytes]] = {
    "md": _md,
    "html": _html,
    "docx": _docx,
    "csv": _csv,
    "xlsx": _xlsx,
    "eml": _eml,
}
