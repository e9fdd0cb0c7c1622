"""An e-book is read in the order of its spine; notebooks, outlines, rst and org come whole."""

import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moat.errors import ParseFailed
from tests.parsing import invented_words, lost_words, parsed, shown, text_of, title_of

NAV = ' properties="nav"'
OPS = 'xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"'


def book(pages: dict[str, str | bytes], spine: list[str], **more: str) -> bytes:
    """A book with pages by name, a spine, and more files; `nav` is its table of contents."""
    out = io.BytesIO()
    names = [*pages, *more]
    items = "".join(
        f'<item id="{name}" href="{name}" media-type="{"text/css" if name.endswith("css") else "application/xhtml+xml"}"'
        f"{NAV if name == 'nav.xhtml' else ''}/>"
        for name in names
    )
    order = "".join(f'<itemref idref="{name}"/>' for name in spine)
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OPS/book.opf"/></rootfiles></container>',
        )
        archive.writestr(
            "OPS/book.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
            f"<dc:title>The quay</dc:title></metadata><manifest>{items}</manifest>"
            f"<spine>{order}</spine></package>",
        )
        for name, page in {**pages, **more}.items():
            archive.writestr(f"OPS/{name}", page)
    return out.getvalue()


def xhtml(body: str, head: str = "") -> str:
    return f"<?xml version='1.0'?><html {OPS}><head><title>x</title>{head}</head><body>{body}</body></html>"


def test_pages_come_in_the_order_of_the_spine() -> None:
    pages: dict[str, str | bytes] = {
        "a.xhtml": xhtml("<p>third</p>"),
        "b.xhtml": xhtml(
            "<h1>first</h1><p>Fact<a epub:type='noteref' href='#n'>1</a></p><aside epub:type='footnote'>Note</aside>"
        ),
        "c.xhtml": "<?xml version='1.0' encoding='iso-8859-1'?><html><body><p>caf\xe9</p></body></html>".encode(
            "latin-1"
        ),
        "nav.xhtml": xhtml("<nav epub:type='toc' hidden=''><ol><li>first<li>third</ol></nav>".replace("<li>", "<li/>")),
        "unlisted.xhtml": xhtml("<p>outside the spine</p>"),
    }
    content = book(pages, ["b.xhtml", "c.xhtml", "a.xhtml"])
    found = parsed(content, "x.epub")
    assert [b.text for b in shown(found)] == ["first", "Fact[1]", "Note", "café", "third", "outside the spine"]
    assert {b.left_out for b in found} == {"", "contents page", "link target"}
    assert not any(b.hidden for b in found)
    assert title_of(content, "x.epub") == "The quay"


def test_a_books_own_stylesheet_hides() -> None:
    link = '<link rel="stylesheet" href="s.css"/>'
    pages: dict[str, str | bytes] = {
        "a.xhtml": xhtml("<p>Shown</p><p class='x'>W</p>", link),
        "b.xhtml": xhtml("<p class='x'>V</p>"),
    }
    found = parsed(book(pages, ["a.xhtml", "b.xhtml"], **{"s.css": ".x { display: none }"}), "x.epub")
    assert [(b.text, b.hidden) for b in found] == [("Shown", ""), ("W", "css"), ("V", "")]


def test_a_damaged_page_costs_only_itself() -> None:
    content = book({"a.xhtml": xhtml("<p>one"), "b.xhtml": b"\x00\x01" * 400}, ["b.xhtml", "missing.xhtml", "a.xhtml"])
    found = parsed(content, "x.epub")
    assert [b.text for b in shown(found)] == ["one"]
    assert [b.left_out for b in found if b.left_out] == ["unreadable part"]


@pytest.mark.parametrize(
    "name", ["crossformat/devref/developers-reference.epub", "crossformat/eng_spa_mult/eng_spa_mult.epub"]
)
def test_real_books_lose_and_invent_no_word(shared: Path, name: str) -> None:
    content = (shared / name).read_bytes()
    assert not lost_words(content, "x.epub")
    assert not invented_words(content, "x.epub")


@settings(max_examples=20, deadline=None)
@given(st.permutations([f"p{n}.xhtml" for n in range(5)]))
def test_any_order_of_the_spine_is_the_order_of_the_text(spine: list[str]) -> None:
    content = book({f"p{n}.xhtml": xhtml(f"<p>p{n}.xhtml</p>") for n in range(5)}, spine)
    assert text_of(parsed(content, "x.epub")).split() == spine


def test_a_notebook_gives_its_cells_and_what_they_printed() -> None:
    table = "<table><tr><th></th><th>a</th></tr><tr><th>0</th><td>1</td></tr></table>"
    outputs = [
        {"output_type": "stream", "text": ["out ", "line\n"]},
        {"output_type": "execute_result", "data": {"text/plain": "   a\n0  1", "text/html": table}},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["\x1b[31mE\x1b[0m: v"]},
        {"output_type": "display_data", "data": {"image/png": "abc", "text/plain": "<Figure>"}},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Fares\n", "\n", "Some *text*."]},
        {"cell_type": "code", "source": "print('x')", "outputs": outputs},
        {"cell_type": "raw", "source": "raw words"},
    ]
    content = json.dumps({"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4})
    found = parsed(content, "x.ipynb")
    assert [(b.kind, b.text) for b in shown(found)] == [
        ("heading", "Fares"), ("text", "Some text."), ("code", "```python\nprint('x')\n```"), ("code", "out line"),
        ("table", "|  | a |\n| --- | --- |\n| 0 | 1 |"), ("code", "E: v"), ("code", "<Figure>"), ("text", "raw words"),
    ]  # fmt: skip
    old = {
        "worksheets": [
            {"cells": [{"cell_type": "heading", "level": 2, "source": "Old"}, {"cell_type": "code", "input": ["x=1"]}]}
        ]
    }
    assert [b.text for b in parsed(json.dumps(old), "x.ipynb")] == ["Old", "```\nx=1\n```"]
    with pytest.raises(ParseFailed, match="save it again"):
        parsed('{"cells": [', "x.ipynb")


def test_an_outline_gives_its_texts_notes_and_attributes() -> None:
    content = """<?xml version="1.0"?><opml version="2.0"><head><title>Plan</title></head><body>
    <outline text="One &amp; two" _note="A note"><outline text="Inner" status="open"/>
    <outline text="Feed" type="rss" xmlUrl="https://f.example/rss"/></outline><outline text="Last"/></body></opml>"""
    for name in ("x.opml", "x.xml", "x"):
        assert text_of(parsed(content, name)).split("\n") == [
            "- One & two", "  A note", "  - Inner", "    status: open", "  - Feed (https://f.example/rss)", "- Last",
        ]  # fmt: skip
    assert title_of(content, "x.opml") == "Plan"
    assert "Last" in text_of(parsed(content.replace("/></outline>", "/>"), "x.opml"))


def test_rst_keeps_directives_and_footnotes_and_reads_no_file() -> None:
    content = """Quay
====

Fact [1]_ and `rules <https://x.example/>`_.

.. note:: Wear a helmet.

.. code-block:: python

   print("hi")

.. csv-table:: Fares
   :header: "From", "To"

   "Kiel", "Riga"

.. figure:: a.png
   :alt: Alt words

   The caption.

.. include:: /etc/passwd

.. [1] The footnote.
"""
    text = text_of(parsed(content, "x.rst"))
    for part in ("Quay", "Fact[1] and rules (https://x.example/).", "Wear a helmet.", 'print("hi")', "Fares",
                 "| Kiel | Riga |", "Alt words", "The caption.", "1. The footnote."):  # fmt: skip
        assert part in text
    assert "root" not in text


def test_org_keeps_tables_tasks_and_footnotes() -> None:
    content = "* Head\nFact[fn:1]\n- [ ] item\n| A | B |\n|---+---|\n| 1 | 2 |\n** DONE Task\n   DEADLINE: <2026-03-01>\n\n[fn:1] Note."
    text = text_of(parsed(content, "x.org"))
    for part in ("Head", "Fact[1]", "item", "| 1 | 2 |", "DONE Task", "2026-03-01", "1. Note."):
        assert part in text
