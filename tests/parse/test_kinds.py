"""What a document is, is told by its content first and by its name second."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from moat.errors import ParseFailed
from moat.parse.encoding import decode
from moat.parse.kinds import kind_of


def zipped(**parts: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return buffer.getvalue()


CONTENT_TYPES = {"[Content_Types]_xml": ""}


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (b"%PDF-1.7\n1 0 obj\n<<>>\nendobj", "report.txt", "pdf"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n\0", "cut off", "pdf"),
        (b"junk before\n%PDF-1.4\n1 0 obj", "x", "pdf"),
        (zipped(**CONTENT_TYPES, word__document_xml="x"), "x.zip", "docx"),
        (zipped(**CONTENT_TYPES, xl__workbook_xml="x"), "x.docx", "xlsx"),
        (zipped(**CONTENT_TYPES, ppt__presentation_xml="x"), "x", "pptx"),
        (zipped(mimetype="application/epub+zip"), "x", "epub"),
        (zipped(mimetype="application/vnd.oasis.opendocument.text"), "x", "odt"),
        (b"  {\\rtf1 hello}", "x", "rtf"),
        (b"\x89PNG\r\n\x1a\n...", "x.pdf", "image"),
        (b"<!DOCTYPE html><p>x", "login.pdf", "html"),
        (b"\xef\xbb\xbf<html><p>x", "x", "html"),
        (b"<?xml version='1.0'?><a/>", "x", "xml"),
        (b"From: a@x.org\nTo: b@x.org\nSubject: hi\n\nbody", "12345.", "eml"),
        (b"# Title", "x.md", "md"),
        (b"a,b\n1,2", "x.CSV", "csv"),
        (b"plain", "README", "txt"),
        (b"{}", "x.json", "json"),
        (b"Title\n=====", "x.rst", "rst"),
        (b"<div>x</div>", "fragment", "html"),
    ],
)
def test_content_first_name_second(content: bytes, name: str, kind: str) -> None:
    assert kind_of(content, name) == kind


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "x.pdf", "0 bytes"),
        (b"\x1f\x8b\x08", "x.gz", "gzip archive"),
        (zipped(a="b"), "x.zip", "zip archive"),
        (b"MZ\x90", "report.pdf.exe", "a program"),
        (b"\x7fELF", "x.docx", "a program"),
        (b"just text", "x.odt", "its name says odt"),
        (b"PK\x03\x04 cut off", "x.docx", "container is damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 40, "x.doc", "OLE container"),
        (bytes(range(32)) * 300, "x.txt", "binary data"),
        (zipped(META__INF="", **{"META-INF/manifest_xml": "encryption-data"}), "x.odt", "password"),
    ],
)
def test_what_is_no_document_is_refused_with_the_reason(content: bytes, name: str, words: str) -> None:
    with pytest.raises(ParseFailed, match=words):
        kind_of(content, name)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Grüße", "utf-8"), ("Grüße", "utf-8-sig"), ("Grüße", "utf-16"), ("Quarterly planning for all", "utf-16-le"),
        ("Quarterly planning for all", "utf-16-be"), ("Text", "utf-32"), ("Le café, la façade, été. " * 3, "latin-1"),
        ("Привет, как дела? Это тестовый документ о погоде." * 3, "cp1251"), ("四半期計画会議の議事録です。" * 5, "shift_jis"),
        ("“Quotes” – it’s €5 today. " * 3, "cp1252"), ("Zażółć gęślą jaźń. To jest dokument w języku polskim." * 3, "cp1250"),
    ],
)  # fmt: skip
def test_texts_of_many_encodings_are_read(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_a_few_damaged_bytes_cost_only_themselves() -> None:
    good = "Schöne Grüße aus Zürich, häufig mit Umlauten. " * 20
    assert decode(good.encode() + b"\xff" + good.encode()) == good + "\ufffd" + good


def test_markup_is_believed_about_its_encoding_only_after_strict_utf8() -> None:
    page = '<meta charset="koi8-r"><p>Привет</p>'
    assert decode(page.encode("koi8-r"), markup=True) == page
    assert decode(page.encode("utf-8"), markup=True) == page


PE = b"MZ" + b"\x90\0" * 29 + (64).to_bytes(4, "little") + b"PE\0\0" + b"\0" * 40
BMP = (
    b"BM"
    + (70).to_bytes(4, "little")
    + b"\0" * 4
    + (54).to_bytes(4, "little")
    + (40).to_bytes(4, "little")
    + b"\0" * 52
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("BMAL1 is a gene.", "1.txt"), ("BM", "2.txt"), ("GIF89a is a format.", "3.txt"), ("PKD1 causes it.", "4.txt"),
        ("MZ is how a program begins.", "5.txt"), ("%PDF-1.7 is how one begins.", "6.txt"),
        ("It begins with %PDF-1.7; so:\n%PDF-1.7\n1 0 obj\n<<>>", "7.md"), ("BZh9 is bzip2.", "8.txt"),
        ("Rar! said the crow.", "9.txt"), ("II*MM and ]", "10.txt"), ("{\\rtf is how one begins", "11.txt"),
        ("x" * 257 + "ustar is tar", "12.txt"), ("From: the harbour\nTo: all\n\nHello", "13.txt"),
        ("from: a@x.org\nto: b@x.org\nsubject: alert\n", "alert.yaml"), ("<html> is the root of a page.", "14.txt"),
        ("BMI-1 caf\xe9", "15.log"), ("GIF8", "notes"), ("\x1b[0m log", "x.log"), ("MZ\x0b page", "y.txt"),
    ],
)  # fmt: skip
def test_honest_texts_are_not_taken_for_what_they_begin_like(text: str, name: str) -> None:
    kind = "md" if name.endswith("md") else "txt"
    assert kind_of(text.encode(), name) == kind
    assert kind_of(text.encode("cp1252"), name) == kind


@pytest.mark.parametrize(
    ("content", "name", "what"),
    [
        (BMP, "x.txt", "image"), (b"GIF89a\x01\0\x01\0\x80\0\0", "x.txt", "image"),
        (b"From: <Saved by Blink>\nMIME-Version: 1.0\n\n", "x", "mhtml"), (b"{}", "x.ipynb", "ipynb"),
        (b"<opml version='2.0'/>", "x", "opml"), (b"<?xml version='1.0'?><opml/>", "x.xml", "opml"),
        (b"Message-ID: <1@x.org>\nFrom: a\nTo: b\n\nbody", "1.dat", "eml"),
    ],
)  # fmt: skip
def test_real_structure_is_told_whatever_the_name(content: bytes, name: str, what: str) -> None:
    assert kind_of(content, name) == what


@pytest.mark.parametrize(
    ("content", "words"),
    [(PE, "a program"), (b"BZh91AY&SY\0\0", "bzip2"), (b"Rar!\x1a\x07\0", "rar"), (b"]\0\0\x80\0", "lzma"),
     (b"x" * 100 + b"\0" * 157 + b"ustar\00000", "tar")],
)  # fmt: skip
def test_archives_and_programs_are_refused_whatever_the_name(content: bytes, words: str) -> None:
    with pytest.raises(ParseFailed, match=words):
        kind_of(content, "x.txt")


def test_every_abstract_of_a_corpus_is_a_text(shared: Path) -> None:
    with (shared / "scifact" / "corpus.jsonl").open() as lines:
        texts = [json.loads(line)["text"] for line in lines]
    assert [text[:20] for n, text in enumerate(texts) if kind_of(text.encode(), f"{n}.txt") != "txt"] == []
