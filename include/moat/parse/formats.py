"""Turn bytes of each kind into blocks, inside the sandbox's child."""

import html
import importlib
import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from typing import Any

from moat.errors import ParseFailed
from moat.parse.blocks import blocks_of, markdown_rows
from moat.parse.encoding import decode
from moat.parse.hidden_html import TRIGGER, shown_and_hidden
from moat.parse.hidden_mail import mail_shown_and_hidden
from moat.parse.hidden_office import docx_shown_and_hidden, epub_shown_and_hidden
from moat.parse.pdf import parse_pdf
from moat.records import Block

UNPACKED_LIMIT = 1 << 30  # maximum bytes that an office document may claim to unpack to
OFFICE = {"docx", "pptx", "xlsx", "odt", "epub"}
MODULE = {"txt": "text", "eml": "email", "xls": "xlsx"}
HTML_TITLE = re.compile(r"<title[^>]*>([^<]+)</title>", re.IGNORECASE)
UNKNOWN_TAG = re.compile(r"<(?=/?([A-Za-z][\w.-]*))")


def parse_bytes(content: bytes, kind: str, limit: int) -> tuple[list[Block], str | None]:
    """Parse bytes into blocks, and a title if the format has one.

    `limit` is of unpacked bytes. Raises ParseFailed with a reason for a person; any other error is a crash of a
    library.
    """
    if kind in OFFICE:
        _unpackable(content, min(limit * 8, UNPACKED_LIMIT))
    if kind == "xml" and b"<!ENTITY" in content.upper():
        raise ParseFailed("it declares entities, which can pull in other files or grow without end")
    match kind:
        case "pdf":
            return parse_pdf(content)
        case "json":
            return _json(decode(content)), None
        case "jsonl":
            return [block for line in decode(content).splitlines() if line.strip() for block in _json(line)], None
        case "eml" | "msg":
            return _mail(content, kind)
        case "image":
            return _image(content), None
        case "doc" | "ppt":
            return _old_office(content, kind), None
        case "md":
            return _markdown(_keeping_strange_tags(decode(content))), None
        case "html":
            text = decode(content, markup=True)
            shown, hidden = shown_and_hidden(text)
            return blocks_of(_partition(kind, text=shown), kind) + hidden, _html_title(text)
        case "docx":
            return _opened(docx_shown_and_hidden(content), kind), None
        case "epub":
            return _opened(epub_shown_and_hidden(content), kind), None
        case "txt":
            return blocks_of(_partition(kind, text=decode(content)), kind), None
        case "csv" | "tsv":
            return _separated(decode(content), kind), None
        case _:
            return blocks_of(_partition(kind, file=io.BytesIO(content)), kind), None


def _partition(kind: str, **given: Any) -> list[Any]:
    name = MODULE.get(kind, kind)
    module = importlib.import_module(f"unstructured.partition.{name}")
    return list(getattr(module, f"partition_{name}")(**given, languages=[""]))


def _unpackable(content: bytes, limit: int) -> None:
    """Refuse a container that unpacks past the limit, or whose parts declare entities."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        total = sum(info.file_size for info in archive.infolist())
        if total > limit:
            raise ParseFailed(f"it unpacks to {total:,} bytes, {limit:,} are allowed")
        for info in archive.infolist():
            if info.filename.endswith((".xml", ".rels")):
                try:
                    with archive.open(info) as part:
                        head = part.read(8192)
                except (zipfile.BadZipFile, OSError, RuntimeError) as error:
                    raise ParseFailed(f"its part {info.filename} is damaged: {error}") from error
                if b"<!ENTITY" in head:
                    raise ParseFailed(f"its part {info.filename} declares entities")


def _opened(taken: tuple[bytes, list[Block]], kind: str) -> list[Block]:
    """Parse what a container shows, and then what it hides."""
    return blocks_of(_partition(kind, file=io.BytesIO(taken[0])), kind) + taken[1]


def _markdown(text: str) -> list[Block]:
    """Parse Markdown, including HTML inside it that may hide something."""
    if not TRIGGER.search(text):
        return blocks_of(_partition("md", text=text), "md")
    import markdown  # type: ignore[import-untyped]

    shown, hidden = shown_and_hidden(markdown.markdown(text, extensions=["tables", "fenced_code"]))
    if not hidden:
        return blocks_of(_partition("md", text=text), "md")
    return blocks_of(_partition("html", text=shown), "md") + hidden


def _keeping_strange_tags(text: str) -> str:
    """Escape `<stdin>` or `List<String>` in Markdown, so that only real HTML tags are tags."""
    from lxml.html.defs import tags

    return UNKNOWN_TAG.sub(lambda match: "<" if match[1].lower() in tags else "&lt;", text)


def _html_title(text: str) -> str | None:
    found = HTML_TITLE.search(text[:100_000])
    return html.unescape(found[1]) if found else None


def _image(content: bytes) -> list[Block]:
    if not shutil.which("tesseract"):
        raise ParseFailed(
            "it is an image, and reading one needs tesseract, which is not installed here: install tesseract-ocr and replay"
        )
    return blocks_of(_partition("image", file=io.BytesIO(content), strategy="ocr_only"), "image")


def _old_office(content: bytes, kind: str) -> list[Block]:
    if not shutil.which("soffice"):
        raise ParseFailed(
            f"it is an old .{kind}, and reading one needs LibreOffice, which is not installed here: save it as .{kind}x, or install libreoffice and replay"
        )
    return blocks_of(_partition(kind, file=io.BytesIO(content)), f"{kind}x")


def _mail(content: bytes, kind: str) -> tuple[list[Block], str | None]:
    shown, hidden = mail_shown_and_hidden(content) if kind == "eml" else (content, [])
    elements = _partition(kind, file=io.BytesIO(shown))
    subject = next((e.metadata.subject for e in elements if e.metadata.subject), None)
    return blocks_of(elements, kind) + hidden, subject


def _separated(text: str, kind: str) -> list[Block]:
    """Parse CSV and TSV, whose rows may differ in length."""
    import csv

    try:
        dialect: Any = csv.Sniffer().sniff(text[:8192], ",;\t|") if kind == "csv" else csv.excel_tab
    except csv.Error:
        dialect = csv.excel
    csv.field_size_limit(1 << 27)
    try:
        rows = [[_one_line(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline=""), dialect)]
    except csv.Error as error:
        raise ParseFailed(f"its rows cannot be told apart: {error}") from error
    table = markdown_rows(rows)
    return (
        [Block(kind="table", text=table)]
        if table
        else [Block(kind="text", text="\n".join(" ".join(row) for row in rows if any(row)))]
    )


def _one_line(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def _json(text: str) -> list[Block]:
    try:
        body = json.loads(text, object_pairs_hook=_Pairs)
    except json.JSONDecodeError as error:
        raise ParseFailed(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise ParseFailed("its values are nested too deep") from error
    if (
        isinstance(body, list)
        and body
        and all(isinstance(v, _Pairs) and {"type", "element_id", "text"} <= {k for k, _ in v} for v in body)
    ):
        return blocks_of(_partition_elements(text), "html")
    return [Block(kind="text", text="\n".join(_spoken(body)))]


def _partition_elements(text: str) -> list[Any]:
    from unstructured.staging.base import elements_from_json

    return list(elements_from_json(text=text))


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all its members, including repeated names."""


def _spoken(value: Any, path: str = "") -> Iterator[str]:
    """Flatten a JSON value to lines `path: value`."""
    if isinstance(value, _Pairs):
        for name, inner in value:
            yield from _spoken(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for inner in value:
            yield from _spoken(inner, path)
    elif value is not None and value != "":
        yield f"{path}: {value}" if path else str(value)
