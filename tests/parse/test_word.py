"""What people write in Word is in the blocks: each construct with its right value, in its place."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moat.parse.options import Parsing
from moat.records import Block
from tests.parsing import lost_words, parsed, shown, text_of

MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml."
RELS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    f' xmlns:r="{RELS}" xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" xmlns:v="urn:schemas-microsoft-com:vml"'
    ' xmlns:o="urn:schemas-microsoft-com:office:office"'
    ' xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"'
    ' xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    ' xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"'
    ' xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram"'
    ' xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
)


def docx(body: str, parts: Mapping[str, str | bytes] | None = None, links: dict[str, str] | None = None) -> bytes:
    """A Word document of a body, other parts by "relationship:name", and external links by id."""
    file, parts = io.BytesIO(), parts or {}
    rels = "".join(
        f'<Relationship Id="{name.split("/")[-1].split(".")[0]}" Type="{RELS}/{kind}" Target="{name}"/>'
        for kind, _, name in (key.partition(":") for key in parts)
    ) + "".join(
        f'<Relationship Id="{key}" Type="{RELS}/hyperlink" Target="{to}" TargetMode="External"/>'
        for key, to in (links or {}).items()
    )
    head = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "_rels/.rels",
            f'{head}<Relationship Id="m" Type="{RELS}/officeDocument" Target="word/document.xml"/></Relationships>',
        )
        archive.writestr("word/_rels/document.xml.rels", f"{head}{rels}</Relationships>")
        archive.writestr("word/document.xml", f"<w:document {SPACES}><w:body>{body}</w:body></w:document>")
        for key, content in parts.items():
            archive.writestr(f"word/{key.partition(':')[2]}", content)
    return file.getvalue()


def r(text: str, look: str = "") -> str:
    return f'<w:r><w:rPr>{look}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def p(*inside: str, about: str = "") -> str:
    return f"<w:p><w:pPr>{about}</w:pPr>{''.join(i if i.startswith('<') else r(i) for i in inside)}</w:p>"


def cell(inside: str, about: str = "") -> str:
    return f"<w:tc><w:tcPr>{about}</w:tcPr>{inside}</w:tc>"


def table(*rows: str) -> str:
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"


def field(instruction: str, result: str) -> str:
    def mark(kind: str) -> str:
        return f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>'

    said = f"<w:r><w:instrText>{instruction}</w:instrText></w:r>"
    return mark("begin") + said + mark("separate") + result + mark("end")


def left_out(blocks: list[Block]) -> list[tuple[str, str]]:
    return [(b.left_out, b.text) for b in blocks if b.left_out]


def box(text: str) -> str:
    return f"<w:txbxContent>{p(text)}</w:txbxContent>"


@pytest.mark.parametrize(
    ("inside", "right"),
    [
        (p("Six ", f"<w:ins>{r('new ')}</w:ins>", f"<w:del>{r('old ')}</w:del>", "days"), "Six new days"),
        (p(f"<w:moveFrom>{r('gone')}</w:moveFrom>", f"<w:moveTo>{r('moved')}</w:moveTo>"), "moved"),
        (p("One ", about="<w:rPr><w:del/></w:rPr>") + p("line"), "One line"),
        (f"<w:sdt><w:sdtContent>{p('block control')}</w:sdtContent></w:sdt>", "block control"),
        (p("a ", f"<w:sdt><w:sdtContent>{r('control')}</w:sdtContent></w:sdt>"), "a control"),
        (p("a ", f"<w:smartTag>{r('tag')}</w:smartTag>"), "a tag"),
        (p("on ", f'<w:fldSimple w:instr="DATE">{r("1 May")}</w:fldSimple>'), "on 1 May"),
        (p("on ", field("DATE", r("2 May"))), "on 2 May"),
        (p("a", '<w:r><w:fldChar w:fldCharType="begin"/></w:r>', " never closed"), "a never closed"),
        (p('20 <w:r><w:sym w:font="Symbol" w:char="F0B0"/></w:r>'[:3], '<w:r><w:sym w:font="Symbol" w:char="F0B0"/></w:r>', "C"), "20 °C"),
        (p(r("\uf0fc", '<w:rFonts w:ascii="Wingdings"/>'), " done"), "✓ done"),
        (p("non", "<w:r><w:noBreakHyphen/></w:r>", "stop co", "<w:r><w:softHyphen/></w:r>", "op"), "non-stop coop"),
        (p("a", "<w:r><w:tab/></w:r>", "b", '<w:r><w:br w:type="column"/></w:r>', "c"), "a\tb\nc"),
        (p("<w:r><w:ruby><w:rt>" + r("kan") + "</w:rt><w:rubyBase>" + r("漢") + "</w:rubyBase></w:ruby></w:r>"), "漢(kan)"),
        (p(f"<w:bdo>{r('שלום')}</w:bdo>"), "שלום"),
        (p('<w:r><w:drawing><wp:docPr descr="A crane"/></w:drawing></w:r>'), "[picture: A crane]"),
        (p('<w:r><w:pict><v:shape alt="A quay"/></w:pict></w:r>'), "[picture: A quay]"),
        (p(f"<w:r><w:pict><v:textbox>{box('in a box')}</v:textbox></w:pict></w:r>"), "in a box"),
        (
            p(
                f"<w:r><mc:AlternateContent><mc:Choice><w:drawing><wps:txbx>{box('once')}</wps:txbx></w:drawing></mc:Choice>"
                f"<mc:Fallback><w:pict><v:textbox>{box('once')}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
            ),
            "once",
        ),
    ],
)  # fmt: skip
def test_each_construct_has_its_text(inside: str, right: str) -> None:
    assert text_of(parsed(docx(inside), "a.docx")) == right


@pytest.mark.parametrize(
    ("maths", "right"),
    [
        ("<m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f>", "(a+b)/2"),
        ("<m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup>", "x^2"),
        ("<m:sSub><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sub><m:r><m:t>i</m:t></m:r></m:sub></m:sSub>", "x_i"),
        ('<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub><m:r><m:t>i=1</m:t></m:r></m:sub><m:sup><m:r><m:t>n</m:t>'
         "</m:r></m:sup><m:e><m:r><m:t>i</m:t></m:r></m:e></m:nary>", "∑_(i=1)^n i"),
        ("<m:rad><m:e><m:r><m:t>y</m:t></m:r></m:e></m:rad>", "√(y)"),
        ("<m:d><m:e><m:r><m:t>z</m:t></m:r></m:e></m:d>", "(z)"),
    ],
)  # fmt: skip
def test_formulas_are_text(maths: str, right: str) -> None:
    assert text_of(parsed(docx(p(f"<m:oMath>{maths}</m:oMath>")), "a.docx")) == right


def test_notes_stand_after_their_paragraph_and_comments_are_declared() -> None:
    notes = {
        f"{kind}s:{kind}s.xml": f'<w:{kind}s {SPACES}><w:{kind} w:id="2">{p(f"The {kind}.")}</w:{kind}></w:{kind}s>'
        for kind in ("footnote", "endnote", "comment")
    }
    refs = "".join(f'<w:r><w:{k}Reference w:id="2"/></w:r>' for k in ("footnote", "endnote", "comment"))
    content = docx(p("Text ", refs, "goes on.") + p("Next."), notes)
    blocks = parsed(content, "a.docx")
    assert text_of(blocks).split("\n") == ["Text goes on.", "The footnote.", "The endnote.", "Next."]
    assert left_out(blocks) == [("comment", "The comment.")]
    loaded = parsed(content, "a.docx", Parsing(comments=True))
    assert [b.text for b in loaded][3:] == ["[comment: The comment.]", "Next."]
    assert not lost_words(content, "a.docx")


def test_links_give_their_targets_after_their_text() -> None:
    links = {"l1": "https://quay.example/r", "l2": "file:///x"}
    body = p("See ", f'<w:hyperlink r:id="l1">{r("rules")}</w:hyperlink>') + p(
        f'<w:hyperlink r:id="l2">{r("local")}</w:hyperlink> ', field('HYPERLINK "mailto:a@x.org"', r("Ann"))
    )
    body += p(f'<w:hyperlink r:id="l1">{r("quay.example/r")}</w:hyperlink>')
    blocks = parsed(docx(body, links=links), "a.docx")
    assert text_of(blocks).split("\n") == [
        "See rules (https://quay.example/r)", "localAnn (mailto:a@x.org)", "quay.example/r",
    ]  # fmt: skip
    assert left_out(blocks) == [("link target", "file:///x")]
    without = parsed(docx(body, links=links), "a.docx", Parsing(links=False))
    assert text_of(without).split("\n")[0] == "See rules"
    assert ("link target", "https://quay.example/r") in left_out(without)


def test_merged_cells_repeat_their_value_and_tables_in_tables_stay() -> None:
    span, down, on = '<w:gridSpan w:val="2"/>', '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
    row = f"<w:sdt><w:sdtContent><w:tr>{cell(p('c'))}{cell(p('d|e'))}{cell(p('f'))}</w:tr></w:sdtContent></w:sdt>"
    body = table(
        cell(p("Wide"), span) + cell(p("C")),
        cell(p("Tall"), down) + cell(p("a") + p("b")) + cell(table(cell(p("k")) + cell(p("l")), cell(p("m")) + cell(p("n"))) + p()),
        cell(p(), on) + f"<w:sdt><w:sdtContent>{cell(p('x'))}</w:sdtContent></w:sdt>" + cell(p("y")),
    ).replace("</w:tbl>", "</w:tbl>")  # fmt: skip
    body = body[: -len("</w:tbl>")] + row + "</w:tbl>"
    assert text_of(parsed(docx(body), "a.docx")).split("\n") == [
        "| Wide | Wide | C |", "| --- | --- | --- |", "| Tall | a b | k l m n |", "| Tall | x | y |", "| c | d\\|e | f |",
    ]  # fmt: skip
    layout = parsed(docx(table(cell(p("only this")))), "a.docx")
    assert [(b.kind, b.text) for b in layout] == [("text", "only this")]


NUMBERING = f"""<w:numbering {SPACES}><w:abstractNum w:abstractNumId="1">
<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1.%2"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="2"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="·"/></w:lvl>
<w:lvl w:ilvl="1"><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%2)"/></w:lvl>
<w:lvl w:ilvl="2"><w:numFmt w:val="upperRoman"/><w:lvlText w:val="%3."/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="3"><w:lvl w:ilvl="0"><w:numFmt w:val="upperLetter"/><w:lvlText w:val="%1"/>
<w:pStyle w:val="berschrift1"/></w:lvl></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="2"/></w:num>
<w:num w:numId="3"><w:abstractNumId w:val="3"/></w:num>
<w:num w:numId="4"><w:abstractNumId w:val="1"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride></w:num>
</w:numbering>"""
STYLES = f"""<w:styles {SPACES}><w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/>
<w:pPr><w:numPr><w:numId w:val="3"/></w:numPr></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Mine"><w:name w:val="Mine"/><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Below"><w:basedOn w:val="Mine"/></w:style>
<w:style w:type="paragraph" w:styleId="T"><w:name w:val="Title"/></w:style>
<w:style w:type="paragraph" w:styleId="White"><w:name w:val="White"/><w:rPr><w:color w:val="FFFFFF"/></w:rPr></w:style>
</w:styles>"""


def item(text: str, number: int, level: int = 0) -> str:
    return p(text, about=f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')


def test_lists_and_headings_are_numbered_as_they_are_shown() -> None:
    def styled(text: str, style: str) -> str:
        return p(text, about=f'<w:pStyle w:val="{style}"/>')

    body = styled("Lease", "T") + styled("Parties", "berschrift1") + item("one", 1) + item("deep", 1, 1)
    body += (
        item("deeper", 1, 1) + item("two", 1) + item("anew", 1, 1) + item("seven", 4) + styled("Rent", "berschrift1")
    )
    body += item("dot", 2) + item("letter", 2, 1) + item("roman", 2, 2) + styled("Own", "Below")
    body += p("By itself", about='<w:outlineLvl w:val="1"/>')
    blocks = parsed(docx(body, {"numbering:numbering.xml": NUMBERING, "styles:styles.xml": STYLES}), "a.docx")
    assert [(b.kind, b.level, b.text) for b in blocks] == [
        ("heading", 1, "Lease"), ("heading", 1, "A Parties"), ("list", 0, "1. one"), ("list", 0, "  1.1 deep"),
        ("list", 0, "  1.2 deeper"), ("list", 0, "2. two"), ("list", 0, "  2.1 anew"), ("list", 0, "7. seven"),
        ("heading", 1, "B Rent"), ("list", 0, "- dot"), ("list", 0, "  a) letter"), ("list", 0, "    I. roman"),
        ("heading", 3, "Own"), ("heading", 2, "By itself"),
    ]  # fmt: skip


def test_heads_and_feet_stand_once_and_page_numbers_are_declared() -> None:
    parts: dict[str, str | bytes] = {
        "header:header1.xml": f"<w:hdr {SPACES}>{p('Tidewater')}</w:hdr>",
        "header:header2.xml": f"<w:hdr {SPACES}>{p('Tidewater')}{p('Annex')}</w:hdr>",
        "footer:footer1.xml": f"<w:ftr {SPACES}>{p('Page ', field('PAGE', r('3')))}</w:ftr>",
    }
    section = '<w:sectPr><w:headerReference r:id="{}"/><w:footerReference r:id="footer1"/></w:sectPr>'
    body = p("Text.", about=section.format("header1")) + section.format("header2")
    blocks = parsed(docx(body, parts), "a.docx")
    assert text_of(blocks).split("\n") == ["Tidewater", "Annex", "Page", "Text."]
    assert left_out(blocks) == [("running head", "Tidewater"), ("page number", "3")]


def test_contents_pages_are_declared() -> None:
    blocks = parsed(docx(p(field("TOC \\o", r("Rent 3"))) + p("Rent")), "a.docx")
    assert left_out(blocks) == [("contents page", "Rent 3")]
    assert text_of(blocks) == "Rent"


def test_hidden_text_is_told_apart_also_in_notes_and_boxes() -> None:
    note = f'<w:footnotes {SPACES}><w:footnote w:id="2">{p(r("in a note", "<w:vanish/>"))}</w:footnote></w:footnotes>'
    body = p("Shown ", r("white", '<w:color w:val="FFFFFF"/>'), '<w:r><w:footnoteReference w:id="2"/></w:r>', " on")
    body += p("By style", about='<w:pStyle w:val="White"/>') + p(r("tiny", '<w:sz w:val="2"/>'))
    blocks = parsed(docx(body, {"footnotes:footnotes.xml": note, "styles:styles.xml": STYLES}), "a.docx")
    assert [(b.text, b.hidden) for b in blocks] == [
        ("Shown on", ""), ("white", "colour"), ("in a note", "markup"), ("By style", "colour"), ("tiny", "size"),
    ]  # fmt: skip


def test_parts_charts_diagrams_and_documents_inside_are_read() -> None:
    chart = (
        f"<c:chartSpace {SPACES}><c:chart><c:title><c:tx><c:rich><a:p><a:r><a:t>Tons</a:t></a:r></a:p></c:rich></c:tx></c:title>"
        "<c:ser><c:tx><c:strRef><c:strCache><c:pt idx='0'><c:v>Grain</c:v></c:pt></c:strCache></c:strRef></c:tx>"
        "<c:cat><c:strRef><c:strCache><c:pt idx='0'><c:v>May</c:v></c:pt></c:strCache></c:strRef></c:cat>"
        "<c:val><c:numRef><c:numCache><c:pt idx='0'><c:v>12</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser>"
        "</c:chart></c:chartSpace>"
    )
    diagram = f"<dgm:dataModel {SPACES}><dgm:ptLst><dgm:pt><dgm:t><a:p><a:r><a:t>Step</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:ptLst></dgm:dataModel>"
    parts: dict[str, str | bytes] = {
        "chart:charts/chart1.xml": chart,
        "diagramData:diagrams/data1.xml": diagram,
        "aFChunk:chunk1.txt": "Imported words.",
        "package:embeddings/annex.docx": docx(p("Inner words.")),
    }
    body = '<w:altChunk r:id="chunk1"/>' + p(
        '<w:r><c:chart r:id="chart1"/><dgm:relIds r:dm="data1"/><w:object><o:OLEObject r:id="annex"/></w:object></w:r>'
    )
    blocks = parsed(docx(body, parts), "a.docx")
    assert text_of(blocks).split("\n") == [
        "Imported words.", "Tons", "|  | Grain |", "| --- | --- |", "| May | 12 |", "- Step", "annex.docx", "Inner words.",
    ]  # fmt: skip


def test_a_damaged_part_does_not_lose_the_rest() -> None:
    parts: dict[str, str | bytes] = {"numbering:numbering.xml": "<broken", "header:header1.xml": "<w:hdr"}
    blocks = parsed(docx(p("Text.") + '<w:sectPr><w:headerReference r:id="header1"/></w:sectPr>', parts), "a.docx")
    assert text_of(blocks) == "Text."
    assert {rule for rule, _ in left_out(blocks)} == {"unreadable part"}


def test_the_files_of_word_have_their_right_values(shared: Path) -> None:
    texts = {path.stem: text_of(parsed(path.read_bytes(), path.name)) for path in (shared / "words").glob("*.docx")}
    assert "| North | Steel | 6.10 |" in texts["merged-cells"]
    assert "six months for team leads" in texts["tracked-changes"]
    assert "20 °C" in texts["numbering-links"]
    assert "F=m·a²" in texts["numbering-links"]
    assert "deposit is three monthly rents" in texts["altchunk"]


WORDS = st.text(alphabet="abcdefghij", min_size=3, max_size=8)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["text", "heading", "list", "table", "bold"]), WORDS, WORDS), min_size=1, max_size=8
    )
)
def test_every_word_that_the_library_writes_is_there_in_order(parts: list[tuple[str, str, str]]) -> None:
    from docx import Document

    document, wanted = Document(), list[str]()
    for kind, one, two in parts:
        if kind == "table":
            made = document.add_table(2, 2)
            for at, text in enumerate((one, two, two, one)):
                made.cell(at // 2, at % 2).text = text
            wanted += [one, two, two, one]
            continue
        if kind == "heading":
            document.add_heading(f"{one} {two}", 2)
        elif kind == "list":
            document.add_paragraph(f"{one} {two}", style="List Bullet")
        else:
            document.add_paragraph(f"{one} ").add_run(two).bold = kind == "bold"
        wanted += [one, two]
    file = io.BytesIO()
    document.save(file)
    blocks = parsed(file.getvalue(), "a.docx")
    assert [w for w in text_of(blocks).split() if w.isalpha()] == wanted
    assert len(shown(blocks)) >= 1
