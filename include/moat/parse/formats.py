"""Which parser reads which kind, inside the sandbox's child."""

import io
import shutil
import zipfile
from collections.abc import Callable
from functools import partial

from moat.errors import ParseFailed
from moat.parse import data, mail, markup, opendocument, outlook, plain_text, rtf, sheets, slides, word, xml_text
from moat.parse.blocks import blocks_of, partition, unreadable
from moat.parse.epub import parse_epub
from moat.parse.job import Job, Parsed
from moat.parse.kinds import kind_of
from moat.parse.notebooks import parse_notebook
from moat.parse.ocr import parse_image
from moat.parse.options import Parsing
from moat.parse.outline import parse_opml
from moat.parse.pdf import parse_pdf
from moat.parse.saved_page import parse_mhtml
from moat.parse.words import DAMAGED, second_road
from moat.records import Block

UNPACKED_LIMIT = 1 << 30  # maximum bytes that an office document may claim to unpack to
DECLARED = 100_000  # characters of an unreadable part that are told
MOST_DEPTH = 5  # of documents in documents, such as a mail attached to a mail


def parse_bytes(content: bytes, name: str, parsing: Parsing, limit: int) -> tuple[str, Parsed]:
    """Parse bytes into blocks, and a title if the format has one.

    `limit` is of unpacked bytes. Returns the kind (a key of MIME) and what was parsed. Raises ParseFailed with a reason
    for a person; any other error is a crash of a library.
    """
    kind = kind_of(content, name)
    return kind, _parse(content, kind, _job(name, parsing, limit, 0))


def _job(name: str, parsing: Parsing, limit: int, depth: int) -> Job:
    def part(content: bytes, name: str) -> list[Block]:
        try:
            if depth == MOST_DEPTH:
                raise ParseFailed(f"it stands inside {MOST_DEPTH} others")
            return _parse(content, kind_of(content, name), _job(name, parsing, limit, depth + 1)).blocks
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  any library may raise anything; the document around it is not lost
            why = str(error) if isinstance(error, ParseFailed) else f"{type(error).__name__}: {error}"
            told = f"{name}: {' '.join(why.split())[:300]}\n{_text_of(content, name)}".strip()
            return [unreadable(told)]

    return Job(name=name, parsing=parsing, limit=limit, part=part)


def _text_of(content: bytes, name: str) -> str:
    """Text of a part that cannot be parsed, as far as a second road leads to it, so that its words are declared."""
    try:
        found = second_road(content, kind_of(content, name))
    except DAMAGED:
        return ""
    return found.text[:DECLARED] if found else ""


def _parse(content: bytes, kind: str, job: Job) -> Parsed:
    if kind in OFFICE:
        _unpackable(content, min(job.limit * 8, UNPACKED_LIMIT))
    return PARSERS[kind](content, job)


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


def _old_office(content: bytes, job: Job, kind: str) -> Parsed:
    if not shutil.which("soffice"):
        raise ParseFailed(
            f"it is an old .{kind}, and reading one needs LibreOffice, which is not installed here: save it as .{kind}x, or install libreoffice and replay"
        )
    return Parsed(blocks_of(partition(kind, file=io.BytesIO(content)), f"{kind}x"))


OFFICE = {"docx", "pptx", "xlsx", "odt", "epub"}
PARSERS: dict[str, Callable[[bytes, Job], Parsed]] = {
    "pdf": parse_pdf,
    "image": parse_image,
    "docx": word.parse_docx,
    "doc": partial(_old_office, kind="doc"),
    "pptx": slides.parse_pptx,
    "ppt": partial(_old_office, kind="ppt"),
    "xlsx": sheets.parse_xlsx,
    "xls": sheets.parse_xls,
    "csv": sheets.parse_csv,
    "tsv": sheets.parse_tsv,
    "html": markup.parse_html,
    "md": markup.parse_markdown,
    "epub": parse_epub,
    "mhtml": parse_mhtml,
    "ipynb": parse_notebook,
    "opml": parse_opml,
    **{kind: partial(markup.parse_by_pandoc, kind=kind) for kind in ("rst", "org")},
    "rtf": rtf.parse_rtf,
    "odt": opendocument.parse_odt,
    "eml": mail.parse_eml,
    "msg": outlook.parse_msg,
    "json": data.parse_json,
    "jsonl": data.parse_jsonl,
    "xml": xml_text.parse_xml,
    "txt": plain_text.parse_text,
}
