"""Files that a source may hold: benign ones of every format, and made ones that bite. Each by its name."""

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moat.settings import PROJECT
from tests.parse.drawn import drawn, lines
from tests.parse.test_epub import book as epub
from tests.parse.test_epub import xhtml
from tests.parse.test_mail import HEAD, attached, multipart, plain
from tests.parse.test_opendocument import odt
from tests.parse.test_opendocument import p as odt_p
from tests.parse.test_pdf import pdf_with_password
from tests.parse.test_rtf import rtf
from tests.parse.test_sheets import book as workbook
from tests.parse.test_slides import deck
from tests.parse.test_word import docx
from tests.parse.test_word import p as docx_p

SAYS = "The crane at the northern quay lifts twelve tonnes, and rests while the wind is above sixty."
SAMPLES = PROJECT / "include" / "samples"
MOST_BYTES = 200_000  # of a benign file that is mutated: larger ones only take longer
OWN = {"fifo.md", "socket.md"}  # no files at all


def _slide(slide: Any) -> None:
    slide.shapes.add_textbox(0, 0, 914_400, 914_400).text_frame.text = SAYS


def benign(shared: Path | None) -> dict[str, bytes]:
    """Files of every format that Moat reads, all of which have to load."""
    made: dict[str, bytes] = {
        "page.html": f"<html><title>Quay</title><body><h1>Cranes</h1><p>{SAYS}</p><ul><li>one<li>two</ul></body></html>".encode(),
        "notes.md": f"---\ntitle: Quay\n---\n# Cranes\n\n{SAYS}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n".encode(),
        "plain.txt": (SAYS + "\n\n").encode() * 5,
        "rows.csv": b"crane,tonnes\n" + b"".join(b"K%d,%d\n" % (n, n * 3) for n in range(40)),
        "rows.json": b'[{"crane": "K1", "says": "' + SAYS.encode() + b'"}, {"crane": "K2", "tonnes": 12}]',
        "rows.jsonl": b'{"crane": "K1", "tonnes": 3}\n{"crane": "K2", "tonnes": 12}\n',
        "plan.xml": f"<?xml version='1.0'?><plan><crane n='1'>{SAYS}</crane></plan>".encode(),
        "book.epub": epub({"a.xhtml": xhtml(f"<h1>Cranes</h1><p>{SAYS}</p>")}, ["a.xhtml"]),
        "sheet.xlsx": workbook([["crane", "tonnes"], *[[f"K{n}", n] for n in range(30)]]),
        "slides.pptx": deck(_slide),
        "letter.odt": odt(odt_p(SAYS) + odt_p("It is oiled on Mondays.")),
        "letter.docx": docx(docx_p(SAYS) + docx_p("It is oiled on Mondays.")),
        "letter.rtf": rtf(rf"\pard {SAYS}\par It is oiled on Mondays.\par"),
        "mail.eml": multipart(plain(SAYS), attached(b"rows.csv", b"a,b\n1,2\n", b"text/csv")),
        "drawn.pdf": drawn(lambda canvas: lines(canvas, [SAYS[:60], SAYS[60:], *(f"Rule {n}." for n in range(20))])),
        "book.ipynb": b'{"cells": [{"cell_type": "markdown", "metadata": {}, "source": ["# Quay\\n", "The crane."]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    }
    folders = [SAMPLES, *([shared / "formats" / "files"] if shared else [])]
    for file in sorted(one for folder in folders for one in folder.rglob("*") if one.is_file()):
        skipped = file.name.startswith(".") or file.suffix in (
            ".doc",
            ".sql",
            ".py",
            ".yaml",
            ".duckdb",
        )  # .doc needs LibreOffice
        if not skipped and file.stat().st_size <= MOST_BYTES:
            made[f"{file.parent.name}-{file.name}"] = file.read_bytes()
    return made


def hostile(outside: Path) -> dict[str, bytes]:
    """Files that bite; `outside` has a secret that some of them want, and is a folder where some want to write."""
    secret = outside / "secret.txt"
    return {
        "bomb.zip": _zip({"zeros.txt": bytes(120 << 20)}),
        "bomb.docx": _zip({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<a>" * (30 << 20)}),
        "bomb.xlsx": _zip({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<row><c><v>1</v></c></row>" * 3_000_000}),
        "bomb.odt": _zip({"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b" " * (150 << 20)}),
        "bomb.epub": epub({f"{n}.xhtml": xhtml("<p>a" * 20_000) for n in range(60)}, [f"{n}.xhtml" for n in range(60)]),
        "bomb.gz": gzip.compress(bytes(100 << 20)),
        "nested.zip": _nested(12),
        "bomb.svg": b'<svg xmlns="http://www.w3.org/2000/svg">' + b"<g>" * 200_000,
        "laughs.xml": _laughs(),
        "quadratic.xml": b'<!DOCTYPE a [<!ENTITY x "' + b"y" * 50_000 + b'">]><a>' + b"&x;" * 50_000 + b"</a>",
        "external.xml": f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]><a>&x;</a>'.encode(),
        "external.svg": f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]><svg><text>&x;</text></svg>'.encode(),
        "external.docx": _external(docx(docx_p("&x;")), secret),
        "include.html": f'<html><body><object data="file://{secret}"></object><iframe src="file://{secret}"></iframe><p>{SAYS}</p>'.encode(),
        "front.md": b"---\na0: &a0 [x]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 40)) + b"---\ntext",
        "python.md": f"---\na: !!python/object/apply:os.system ['touch {outside}/made']\n---\ntext".encode(),
        "slip.zip": _zip({f"../../../../../../../..{outside}/slipped.txt": b"text"}),
        "slip.epub": epub({f"../../../../../..{outside}/slipped.xhtml": xhtml("<p>text")}, []),
        "mails.eml": _mails(60),
        "deep.html": b"<div>" * 100_000 + b"text",
        "deep.json": b"[" * 200_000 + b"]" * 200_000,
        "deep.rtf": b"{\\rtf1" + b"{" * 200_000,
        "wide.csv": b",".join(b"c%d" % n for n in range(50_000)) + b"\n" + b",".join(b"%d" % n for n in range(50_000)),
        "million.csv": b"a,b\n" + b"".join(b"%d,x\n" % n for n in range(1_000_000)),
        "line.txt": b"word " * 5_000_000,
        "unbroken.txt": b"x" * (25 << 20),
        "loop.pdf": _loop(),
        "many.pdf": drawn(*[lambda canvas: None] * 3_000),
        "colours.html": b'<p style="' + b"a:b;" * 500_000 + b'">text',
        "regex.txt": (b"a" * 50_000 + b"@") * 20 + b"-" * 200_000 + b"1" * 200_000,
        "marks.txt": ("a" + "\u0301" * 1_000_000).encode(),
        "locked.pdf": pdf_with_password(drawn(lambda canvas: lines(canvas, [SAYS]))),
        "program.pdf": b"\x7fELF" + bytes(range(256)) * 400,
        "really-a-page.docx": f"<html><body><p>{SAYS}</p></body></html>".encode(),
        "really-a-document.txt": docx(docx_p(SAYS)),
        "really-a-picture.html": b"\x89PNG\r\n\x1a\n" + bytes(4_000),
        "nothing.docx": b"",
        "spaces.html": b" \n" * 100_000,
        "line\nbreak.md": SAYS.encode(),
        "tab\tand \x1b[31mcolour.md": SAYS.encode(),
        "'; DROP TABLE document; --.md": SAYS.encode(),
        "\u202egpj.md": SAYS.encode(),
        "{{ 7*7 }} $(touch made) %s.md": SAYS.encode(),
        "é" * 100 + ".md": SAYS.encode(),
        "CON.md": SAYS.encode(),
        " .md": SAYS.encode(),
    }  # fmt: skip


def _zip(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def _external(content: bytes, secret: Path) -> bytes:
    """A Word document that names an entity of a file outside."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    doctype = f'<!DOCTYPE w [<!ENTITY x SYSTEM "file://{secret}">]>'.encode()
    return _zip({**parts, "word/document.xml": doctype + parts["word/document.xml"]})


def _nested(levels: int) -> bytes:
    made = _zip({"zeros.txt": bytes(8 << 20)})
    for _ in range(levels):
        made = _zip({f"{n}.zip": made for n in range(8)})
    return made


def _laughs() -> bytes:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    return f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "ha">{entities}]><a>&e11;</a>'.encode()


def _mails(levels: int) -> bytes:
    made = plain(SAYS)
    for _ in range(levels):
        made = multipart(b"Content-Type: message/rfc822\n\n" + HEAD + made, plain("above"))
    return made


def _loop() -> bytes:
    """A PDF whose tree of pages leads back to itself."""
    parts = (
        b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n",
        b"2 0 obj<</Type/Pages/Kids[3 0 R 2 0 R]/Count 1000000>>endobj\n",
        b"3 0 obj<</Type/Pages/Kids[2 0 R 3 0 R]/Parent 2 0 R/Count 1000000>>endobj\n",
    )
    return b"%PDF-1.4\n" + b"".join(parts) + b"trailer<</Root 1 0 R/Size 4>>\n%%EOF\n"


def put(folder: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """Write files into a folder; returns those whose names this file system takes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in list(files.items()):
        try:
            (folder / name).write_bytes(content)
        except OSError:
            del files[name]
    return files


Mutation = Callable[[bytes, Any], bytes]


def _flip(content: bytes, dice: Any) -> bytes:
    made = bytearray(content)
    for _ in range(dice.choice((1, 3, 30))):
        made[dice.randrange(len(made))] ^= 1 << dice.randrange(8)
    return bytes(made)


def _cut(content: bytes, dice: Any) -> bytes:
    """A tenth of the way, two tenths, and so on: truncated there."""
    return content[: len(content) * dice.randrange(10) // 10]


def _drop(content: bytes, dice: Any) -> bytes:
    at, n = dice.randrange(len(content)), dice.choice((1, 16, 256, 4_096))
    return content[:at] + content[at + n :]


def _double(content: bytes, dice: Any) -> bytes:
    at, n = dice.randrange(len(content)), dice.choice((16, 256, 4_096))
    return content[:at] + content[at : at + n] * dice.choice((2, 50)) + content[at + n :]


def _noise(content: bytes, dice: Any) -> bytes:
    at = dice.randrange(len(content))
    return content[:at] + dice.randbytes(dice.choice((1, 64, 2_048))) + content[at:]


def _number(content: bytes, dice: Any) -> bytes:
    """A number where there are four bytes: lengths, offsets and counts are such."""
    at, wild = dice.randrange(len(content)), dice.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000))
    return content[:at] + int(wild).to_bytes(4, dice.choice(("little", "big"))) + content[at + 4 :]


def _inside(content: bytes, dice: Any) -> bytes:
    """One part of a package mutated, and the package whole."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, ValueError, OSError):
        return _flip(content, dice)
    name = dice.choice(sorted(name for name, part in parts.items() if part) or [""])
    if not name:
        return content
    parts[name] = dice.choice((_flip, _cut, _drop, _double, _noise))(parts[name], dice)
    return _zip(parts)


MUTATIONS: dict[str, Mutation] = {
    "bits": _flip,
    "truncated": _cut,
    "dropped": _drop,
    "doubled": _double,
    "noise": _noise,
    "number": _number,
    "inside": _inside,
}


def mutant(files: dict[str, bytes], seed: int, dice: Any) -> tuple[str, bytes]:
    """A mutated file and its name, which has the seed, the mutation and the file that it was made of."""
    name = sorted(files)[seed % len(files)]
    how = sorted(MUTATIONS)[seed // len(files) % len(MUTATIONS)]
    stem, suffix = os.path.splitext(name)
    return f"{seed:05}-{how}-{stem}{suffix}", MUTATIONS[how](files[name], dice)
