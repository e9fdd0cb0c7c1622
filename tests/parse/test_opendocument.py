"""What people write in LibreOffice is in the blocks: each construct with its right value, in its place."""

import io
import zipfile
from pathlib import Path

import pytest

from moat.parse.options import Parsing
from tests.parsing import lost_words, parsed, text_of

OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
SPACES = " ".join(
    f'xmlns:{short}="{OASIS}{long}:1.0"'
    for short, long in (
        ("office", "office"), ("text", "text"), ("table", "table"), ("draw", "drawing"), ("style", "style"),
        ("fo", "xsl-fo-compatible"), ("svg", "svg-compatible"),
    )
) + ' xmlns:xlink="http://www.w3.org/1999/xlink"'  # fmt: skip
LIST = (
    '<text:list-style style:name="L"><text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>'
    '<text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")"/></text:list-style>'
)
LOOKS = (
    '<style:style style:name="Gone" style:family="text"><style:text-properties text:display="none"/></style:style>'
    '<style:style style:name="White" style:family="text"><style:text-properties fo:color="#ffffff"/></style:style>'
    '<style:style style:name="Small" style:family="text"><style:text-properties fo:font-size="1pt"/></style:style>'
    '<style:style style:name="P1" style:family="paragraph" style:parent-style-name="Title"/>'
)


def odt(body: str, styles: str = "", objects: dict[str, str] | None = None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr(
            "content.xml",
            f"<office:document-content {SPACES}><office:automatic-styles>{LIST}{LOOKS}</office:automatic-styles>"
            f"<office:body><office:text>{body}</office:text></office:body></office:document-content>",
        )
        archive.writestr("styles.xml", f"<office:document-styles {SPACES}>{styles}</office:document-styles>")
        for name, content in (objects or {}).items():
            archive.writestr(name, content)
    return file.getvalue()


def p(text: str) -> str:
    return f"<text:p>{text}</text:p>"


@pytest.mark.parametrize(
    ("inside", "right"),
    [
        (p("a<text:s text:c='3'/>b<text:tab/>c<text:line-break/>d"), "a b\tc\nd"),
        (p("a<text:span>b</text:span>c"), "abc"),
        ("<text:tracked-changes><text:changed-region><text:deletion>" + p("old") + "</text:deletion></text:changed-region>"
         "</text:tracked-changes>" + p("now <text:change-start/>new<text:change-end/>"), "now new"),
        (p("<draw:frame><draw:text-box>" + p("in a box") + "</draw:text-box></draw:frame>"), "in a box"),
        (p("<draw:frame><draw:image/><svg:title>Crane</svg:title><svg:desc>A red one</svg:desc></draw:frame>"),
         "[picture: Crane. A red one]"),
        (p("<draw:custom-shape>" + p("in a shape") + "</draw:custom-shape>"), "in a shape"),
        (p("Table <text:sequence>4</text:sequence>"), "Table 4"),
        (p("<text:ruby><text:ruby-base>漢</text:ruby-base><text:ruby-text>kan</text:ruby-text></text:ruby>"), "漢(kan)"),
        (p("<text:date>2 May</text:date>"), "2 May"),
        ("<text:section>" + p("in a section") + "</text:section>", "in a section"),
        ("<text:alphabetical-index><text:index-body>" + p("crane 4") + "</text:index-body></text:alphabetical-index>", "crane 4"),
    ],
)  # fmt: skip
def test_each_construct_has_its_text(inside: str, right: str) -> None:
    assert text_of(parsed(odt(inside), "a.odt")) == right


def test_headings_and_lists_are_as_they_are_shown() -> None:
    inner = f"<text:list><text:list-item>{p('deep')}</text:list-item></text:list>"
    body = '<text:p text:style-name="P1">Lease</text:p><text:h text:outline-level="2">Rent</text:h>'
    body += f'<text:list text:style-name="L"><text:list-item>{p("one")}{inner}</text:list-item>'
    body += f"<text:list-item>{p('two')}</text:list-item></text:list><text:list><text:list-item>{p('dot')}</text:list-item></text:list>"
    assert [(b.kind, b.level, b.text) for b in parsed(odt(body), "a.odt")] == [
        ("heading", 1, "Lease"), ("heading", 2, "Rent"), ("list", 0, "1. one"), ("list", 0, "  a) deep"),
        ("list", 0, "2. two"), ("list", 0, "- dot"),
    ]  # fmt: skip


def test_notes_stand_after_their_paragraph_and_comments_are_declared() -> None:
    note = f"<text:note><text:note-citation>1</text:note-citation><text:note-body>{p('The note.')}</text:note-body></text:note>"
    body = p(f"Text {note}goes<office:annotation>{p('Sure?')}</office:annotation> on.") + p("Next.")
    blocks = parsed(odt(body), "a.odt")
    assert text_of(blocks).split("\n") == ["Text goes on.", "The note.", "Next."]
    assert [(b.left_out, b.text) for b in blocks if b.left_out] == [("comment", "Sure?")]
    assert "[comment: Sure?]" in text_of(parsed(odt(body), "a.odt", Parsing(comments=True)))


def test_merged_cells_repeat_their_value() -> None:
    def cell(text: str, about: str = "") -> str:
        return f"<table:table-cell {about}>{p(text)}</table:table-cell>"

    covered = "<table:covered-table-cell/>"
    rows = [
        cell("Wide", 'table:number-columns-spanned="2"') + covered + cell("C"),
        cell("Tall", 'table:number-rows-spanned="2"') + cell("a") + cell("b"),
        covered + cell("x") + cell("y|z"),
    ]
    body = f"<table:table>{''.join(f'<table:table-row>{row}</table:table-row>' for row in rows)}</table:table>"
    assert text_of(parsed(odt(body), "a.odt")).split("\n") == [
        "| Wide | Wide | C |", "| --- | --- | --- |", "| Tall | a | b |", "| Tall | x | y\\|z |",
    ]  # fmt: skip


def test_hidden_text_is_told_apart() -> None:
    spans = "".join(f'<text:span text:style-name="{how}">{how} </text:span>' for how in ("Gone", "White", "Small"))
    body = p(f"Shown {spans}on") + f'<text:section text:display="none">{p("In a section")}</text:section>'
    assert [(b.text, b.hidden) for b in parsed(odt(body), "a.odt")] == [
        ("Shown on", ""), ("Gone", "markup"), ("White", "colour"), ("Small", "size"), ("In a section", "markup"),
    ]  # fmt: skip


def test_links_heads_pages_contents_and_formulas() -> None:
    head = f"<style:header>{p('Tidewater <text:page-number>3</text:page-number>')}</style:header>"
    styles = f"<office:master-styles><style:master-page>{head}</style:master-page><style:master-page>{head}</style:master-page></office:master-styles>"
    maths = "<math xmlns='m'><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac><annotation>x</annotation></math>"
    body = p('See <text:a xlink:href="https://x.org/r">rules</text:a>') + p('<draw:object xlink:href="./Object 1"/>')
    body += f"<text:table-of-content><text:index-body>{p('Rent 3')}</text:index-body></text:table-of-content>"
    blocks = parsed(odt(body, styles, {"Object 1/content.xml": maths}), "a.odt")
    assert text_of(blocks).split("\n") == ["Tidewater", "See rules (https://x.org/r)", "(a+b)/2"]
    assert {(b.left_out, b.text) for b in blocks if b.left_out} == {
        ("page number", "3"), ("running head", "Tidewater"), ("contents page", "Rent 3"),
    }  # fmt: skip


def test_files_of_others_lose_nothing(shared: Path) -> None:
    for path in (*shared.glob("formats/files/*.odt"), *shared.glob("crossformat/*/*.odt")):
        assert not lost_words(path.read_bytes(), path.name), path.name
