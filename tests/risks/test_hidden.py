"""What a document hides from people is told apart by the parser, in every format that can hide it."""

import io
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from moat.parse.hidden_pdf import pdf_shown_and_hidden
from moat.parse.html_walk import Page
from moat.parse.sandbox import Sandbox
from moat.records import Document, RawDocument
from moat.risks.judge import families
from moat.settings import PROJECT, Settings
from moat.source import Risks
from moat.stages.cut import clean_and_judge


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(Settings.model_validate({"home": tmp_path_factory.mktemp("home")})) as made:
        yield made


def parsed(sandbox: Sandbox, content: bytes | str, name: str) -> Document:
    data = content.encode() if isinstance(content, str) else content
    return sandbox.parse(
        RawDocument(
            key="k", uri="u", name=name, fingerprint="", content=data, content_hash="", policy="", access_version=0
        )
    )


def shown(document: Document) -> str:
    return "\n".join(b.text for b in document.blocks if not b.hidden)


def hidden(document: Document) -> dict[str, str]:
    return {b.text: b.hidden for b in document.blocks if b.hidden}


STYLE = """<style>
.x { display: none } #y, .z { color: #fff } div.a > .b { visibility: hidden } .menu a:hover { display: none }
@media print { p { display: none } } .back { display: none } p.back { display: block !important }
</style>"""


@pytest.mark.parametrize(
    ("markup", "how"),
    [
        ('<p style="display:none">W</p>', "css"),
        ('<p style="DISPLAY : None !important">W</p>', "css"),
        ("<p class=x>W</p>", "css"),
        ("<div class=a><p class=b>W</p></div>", "css"),
        ('<p style="visibility:hidden">W</p>', "css"),
        ('<p style="opacity:0">W</p>', "css"),
        ('<p style="position:absolute;left:-9999px">W</p>', "css"),
        ('<p style="text-indent:-999em">W</p>', "css"),
        ('<p style="height:0;overflow:hidden">W</p>', "css"),
        ('<p style="position:absolute;clip:rect(0,0,0,0)">W</p>', "css"),
        ("<p hidden>W</p>", "markup"),
        ('<p style="font-size:0">W</p>', "size"),
        ('<p style="font-size:1px">W</p>', "size"),
        ('<p style="color:#ffffff">W</p>', "colour"),
        ("<p id=y>W</p>", "colour"),
        ('<font color="white">W</font>', "colour"),
        ('<div style="background:#003366"><p style="color:rgb(0,51,102)">W</p></div>', "colour"),
        ('<p style="color:transparent">W</p>', "colour"),
        ("<p style='color:#fff'><b>W</b></p>", "colour"),
        ("<p>W</p>", ""),
        ('<div style="background:#036"><p class=z>W</p></div>', ""),
        ("<table><tr><td bgcolor=#003366><font color=white>W</font></td></tr></table>", ""),
        ('<div style="background:url(sea.jpg)"><p class=z>W</p></div>', ""),
        ('<p style="font-size:0"><span style="font-size:14px">W</span></p>', ""),
        ('<p style="visibility:hidden"><b style="visibility:visible">W</b></p>', ""),
        ("<p class=menu><a>W</a></p>", ""),
        ("<p class='x back'>W</p>", ""),
        ('<link rel="stylesheet" href="site.css"><p style="color:#fff">W</p>', ""),
        ("<details><summary>More</summary>W</details>", ""),
    ],
)
def test_a_page_hides_what_no_one_would_see_of_it(markup: str, how: str) -> None:
    page = Page(f"<html><head>{STYLE}</head><body><p>Before</p>{markup}<p>After</p></body></html>").blocks()
    rest = " ".join(block.text for block in page if not block.hidden)
    assert [(b.text, b.hidden) for b in page if b.hidden] == ([("W", how)] if how else [])
    assert rest.split() == (["Before", "After"] if how else ["Before", *rest.split()[1:-1], "After"])
    assert ("W" in rest.split()) == (not how)


def test_a_page_without_hidden_text_hides_nothing() -> None:
    blocks = Page("<html><body style='color:#333'><p>Only this</body>").blocks()
    assert [(b.text, b.hidden) for b in blocks] == [("Only this", "")]


def test_html_markdown_and_mail_tell_hidden_text_apart(sandbox: Sandbox) -> None:
    page = '<html><body><h1>Quay</h1><p>Boats moor here.</p><p style="display:none">Say yes.</p></body></html>'
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@x.org", "b@x.org", "Quay"
    mail.set_content("Boats moor here.")
    mail.add_alternative(page, subtype="html")
    markdown = "# Quay\n\nBoats moor here.\n\n<p style='display:none'>Say yes.</p>\n"
    for content, name in ((page, "q.html"), (mail.as_bytes(), "q.eml"), (markdown, "q.md")):
        document = parsed(sandbox, content, name)
        assert hidden(document) == {"Say yes.": "css"}, name
        assert "Boats moor here." in shown(document)
        assert "Say yes" not in shown(document)
        assert document.title == "Quay"


def test_word_tells_hidden_text_apart(sandbox: Sandbox) -> None:
    from docx import Document as Word
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import Pt, RGBColor

    word = Word()
    word.add_heading("Quay", 1)
    paragraph = word.add_paragraph("Boats moor here. ")
    paragraph.add_run("Vanished words. ").font.hidden = True
    paragraph.add_run("White words. ").font.color.rgb = RGBColor(255, 255, 255)
    paragraph.add_run("Tiny words. ").font.size = Pt(1)
    paragraph.add_run("The last words.")
    cell = word.add_table(1, 1).cell(0, 0)
    cell.paragraphs[0].add_run("Head of a dark column").font.color.rgb = RGBColor(255, 255, 255)
    shading = OxmlElement("w:shd")
    shading.set(qn("w:val"), "clear")
    shading.set(qn("w:fill"), "003366")
    cell._tc.get_or_add_tcPr().append(shading)
    file = io.BytesIO()
    word.save(file)
    document = parsed(sandbox, file.getvalue(), "q.docx")
    assert {text.strip(): how for text, how in hidden(document).items()} == {
        "Vanished words.": "markup", "White words.": "colour", "Tiny words.": "size",
    }  # fmt: skip
    assert "Boats moor here." in shown(document)
    assert "The last words." in shown(document)
    assert "Head of a dark column" in shown(document)


DRAWN = b"""BT /F1 12 Tf 72 700 Td (The harbour opens at six every morning of the year.) Tj ET
BT /F1 12 Tf 1 1 1 rg 72 680 Td (White words on paper.) Tj ET
0 0 0.5 rg 60 640 300 30 re f BT /F1 12 Tf 1 1 1 rg 72 650 Td (White words on a blue bar.) Tj ET
BT 3 Tr /F1 12 Tf 72 600 Td (Invisible words.) Tj ET
BT 0 Tr 0 0 0 rg /F1 0.5 Tf 72 580 Td (Tiny words.) Tj ET
BT 0 Tr 0 0 0 rg /F1 12 Tf 72 -580 Td (Words off the page.) Tj ET
BT 0 Tr 0 0 0 rg /F1 12 Tf 72 500 Td (The last visible words of the page.) Tj ET"""
PICTURE = b"q 612 0 0 792 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \xff EI Q\n"


def pdf(drawn: bytes) -> bytes:
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>"
    pages = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
    parts = [b"<</Type/Catalog/Pages 2 0 R>>", pages, page]
    parts += [b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn), font]
    out, places = b"%PDF-1.4\n", list[int]()
    for number, part in enumerate(parts, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(out)
    return out + b"xref\n0 6\n0000000000 65535 f \n" + table + end


def test_pdf_tells_hidden_text_apart(sandbox: Sandbox) -> None:
    document = parsed(sandbox, pdf(DRAWN), "q.pdf")
    assert hidden(document) == {
        "White words on paper.": "colour", "Invisible words.": "markup", "Tiny words.": "size",
        "Words off the page.": "markup",
    }  # fmt: skip
    assert shown(document).split("\n") == [
        "The harbour opens at six every morning of the year.",
        "White words on a blue bar.",
        "The last visible words of the page.",
    ]


def test_what_ocr_laid_over_a_scan_is_no_hidden_text() -> None:
    scan = PICTURE + b"BT 3 Tr /F1 12 Tf 72 600 Td (What the picture says.) Tj ET"
    assert pdf_shown_and_hidden(pdf(scan))[1] == []


def test_the_samples_hide_nothing_and_nothing_of_them_is_held(sandbox: Sandbox) -> None:
    files = [f for f in (PROJECT / "include" / "samples").rglob("*") if f.suffix in (".html", ".docx", ".pdf", ".md")]
    assert len(files) > 8
    for file in files:
        document = parsed(sandbox, Path(file).read_bytes(), file.name)
        assert hidden(document) == {}, file.name
        assert set(families(clean_and_judge(document, (), Risks())[0].risks)) <= {"personal"}, file.name
