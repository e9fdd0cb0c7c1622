"""Parsing happens in a child that can be killed: no document takes its batch down, hangs it, or reaches out."""

import io
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from moat.errors import ParseFailed
from moat.parse.confine import kill_descendants
from moat.parse.sandbox import Sandbox
from moat.records import Document, RawDocument
from moat.settings import Settings


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    limits = {"parse_timeout_s": 20, "parse_memory_mb": 512, "parse_output_mb": 1}
    with Sandbox(Settings.model_validate({"home": tmp_path_factory.mktemp("home"), **limits})) as made:
        yield made


def parsed(sandbox: Sandbox, content: bytes | str, name: str) -> Document:
    data = content.encode() if isinstance(content, str) else content
    return sandbox.parse(
        RawDocument(
            key="k", uri="u", name=name, fingerprint="", content=data, content_hash="", policy="", access_version=0
        )
    )


def told(document: Document) -> list[tuple[str, str]]:
    return [(b.kind, b.text) for b in document.blocks]


def test_markdown_keeps_headings_lists_and_tables(sandbox: Sandbox) -> None:
    text = "# Guide\n\nHello.\n\n## Places\n\n- one\n- two\n\n| City | Pay |\n|---|---|\n| Rome | 5 |\n| Oslo | 7 |\n"
    document = parsed(sandbox, text, "guide.md")
    assert document.title == "Guide"
    assert document.media_type == "text/markdown"
    assert told(document) == [
        ("heading", "Guide"), ("text", "Hello."), ("heading", "Places"), ("list", "- one"), ("list", "- two"),
        ("table", "| City | Pay |\n| --- | --- |\n| Rome | 5 |\n| Oslo | 7 |"),
    ]  # fmt: skip
    assert [b.level for b in document.blocks if b.kind == "heading"] == [1, 2]


def test_what_looks_like_a_tag_and_is_none_stays_text(sandbox: Sandbox) -> None:
    text = "Error in File <stdin>, in List<String> <b>bold</b> a < b"
    assert told(parsed(sandbox, text, "ticket.md")) == [("text", "Error in File <stdin>, in List<String> bold a < b")]


def test_html_gives_its_title_and_no_script(sandbox: Sandbox) -> None:
    page = "<html><head><title>Offices &amp; Sites</title><script>var secret=1</script></head><body><h1>Lisbon</h1><p>Ana</p></body></html>"
    document = parsed(sandbox, page, "x.html")
    assert document.title == "Offices & Sites"
    assert "secret" not in str(told(document))


def test_csv_rows_of_unequal_length_and_line_breaks_are_one_table(sandbox: Sandbox) -> None:
    document = parsed(sandbox, 'name,note\n"Carl, Jr.","two\nlines"\nAnn\n', "x.csv")
    assert told(document) == [("table", "| name | note |\n| --- | --- |\n| Carl, Jr. | two lines |\n| Ann |  |")]


def test_json_is_told_leaf_by_leaf_equal_names_included(sandbox: Sandbox) -> None:
    document = parsed(sandbox, '{"a": {"b": [1, "two"]}, "a": {"b": null, "c": true}}', "x.json")
    assert told(document) == [("text", "a.b: 1\na.b: two\na.c: true")]


def test_mail_has_its_subject_for_title(sandbox: Sandbox) -> None:
    document = parsed(sandbox, "From: a@x.org\nTo: b@x.org\nSubject: Lunch\n\nAt noon.\n", "1.eml")
    assert (document.title, told(document)) == ("Lunch", [("text", "At noon.")])


def test_a_document_that_takes_too_long_is_stopped_and_the_next_one_parsed(tmp_path: Path) -> None:
    settings = Settings.model_validate({"home": tmp_path, "parse_timeout_s": 0.3})
    slow = "\n\n".join(f"Paragraph {i} of a very long text about harbours and cranes." for i in range(60_000))
    with Sandbox(settings) as sandbox:
        started = time.monotonic()
        with pytest.raises(ParseFailed, match="longer than MOAT_PARSE_TIMEOUT_S"):
            parsed(sandbox, slow, "slow.txt")
        assert time.monotonic() - started < 120
        assert told(parsed(sandbox, '{"a": 1}', "next.json")) == [("text", "a: 1")]


def test_a_document_that_needs_too_much_memory_costs_only_itself(sandbox: Sandbox) -> None:
    rows = "<row><c><v>1</v></c></row>" * 3_000_000
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.xml", rows)
    with pytest.raises(ParseFailed, match=r"unpacks to|memory|crashed"):
        parsed(sandbox, buffer.getvalue(), "bomb.xlsx")
    assert told(parsed(sandbox, "fine", "a.txt")) == [("text", "fine")]


def test_text_over_the_limit_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ParseFailed, match="MOAT_PARSE_OUTPUT_MB"):
        parsed(sandbox, '{"a": "' + "x" * (2 << 20) + '"}', "big.json")


def test_a_child_that_dies_is_replaced(sandbox: Sandbox) -> None:
    parsed(sandbox, "one", "a.txt")
    assert sandbox._child is not None
    kill_descendants(sandbox._child.pid)  # the one that reads; the one above it waits for it
    with pytest.raises(ParseFailed, match="crashed on it"):
        parsed(sandbox, "two", "b.txt")
    assert told(parsed(sandbox, "three", "c.txt")) == [("text", "three")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.rst", "Title\n=====\n\n.. include:: /etc/passwd\n\n.. raw:: html\n   :file: /etc/passwd\n\nbody"),
        ("x.org", '* Title\n#+INCLUDE: "/etc/passwd"\nbody'),
        ("x.html", "<p>body</p><iframe src='file:///etc/passwd'></iframe><img src='http://127.0.0.1:9/x'>"),
        ("x.md", "body ![x](file:///etc/passwd) [y]: http://127.0.0.1:9/"),
    ],
)
def test_a_document_cannot_pull_in_other_files(sandbox: Sandbox, name: str, content: str) -> None:
    text = str(told(parsed(sandbox, content, name)))
    assert "body" in text
    assert "root:" not in text


@pytest.mark.parametrize(
    "declaration", ['<!ENTITY x SYSTEM "file:///etc/passwd">', '<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">']
)
def test_xml_that_declares_entities_is_refused(sandbox: Sandbox, declaration: str) -> None:
    with pytest.raises(ParseFailed, match="declares entities"):
        parsed(sandbox, f'<?xml version="1.0"?><!DOCTYPE r [{declaration}]><r>&x;</r>', "x.xml")


def test_nothing_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Sandbox(Settings.model_validate({"home": tmp_path / "home"})) as sandbox:
        parsed(sandbox, "x", "a.txt")
        assert sandbox._child is not None
        pid = sandbox._child.pid
    assert not list(tmp_path.glob("moat-parse-*"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
