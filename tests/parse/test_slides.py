"""Slides: titles, order, lists, tables, charts, diagrams, notes, comments, links, what nobody sees."""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pptx import Presentation
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Emu, Inches

from moat.parse.options import Parsing
from moat.parse.words import WORD
from moat.records import Block
from tests.parsing import invented_words, lost_words, parsed, shown, text_of

A = "http://schemas.openxmlformats.org/drawingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RELATION = "http://schemas.openxmlformats.org/package/2006/relationships"
BOX = (Inches(1), Inches(1), Inches(2), Inches(1))
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


def deck(fill: Callable[[Any], None], layout: int = 5) -> bytes:
    """A presentation of one slide, titled Crane plan, that `fill` fills."""
    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[layout])
    if slide.shapes.title is not None:
        slide.shapes.title.text = "Crane plan"
    fill(slide)
    return saved(presentation)


def saved(presentation: Any) -> bytes:
    buffer = io.BytesIO()
    presentation.save(buffer)
    return buffer.getvalue()


def changed(content: bytes, parts: dict[str, str | bytes | Callable[[str], str]]) -> bytes:
    """A package with parts added, or changed by a function."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in dict.fromkeys([*old.namelist(), *parts]):
            part = parts.get(name)
            new.writestr(
                name, part(old.read(name).decode()) if callable(part) else old.read(name) if part is None else part
            )
    return buffer.getvalue()


def related(content: bytes, part: str, kind: str, target: str, xml: str, name: str) -> bytes:
    """A package in which a part is related to a new one."""
    folder, _, file = part.rpartition("/")
    rels = f"{folder}/_rels/{file}.rels"
    link = f'<Relationship Id="rIdNew" Type="http://x/relationships/{kind}" Target="{target}"/></Relationships>'
    return changed(content, {rels: lambda text: text.replace("</Relationships>", link), name: xml})


def box(slide: Any, text: str, place: tuple[Any, ...] = BOX) -> Any:
    shape = slide.shapes.add_textbox(*place)
    shape.text_frame.text = text
    return shape


def of(blocks: list[Block]) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in shown(blocks)]


def test_the_title_is_a_heading_and_the_page_is_the_slide() -> None:
    presentation = Presentation()
    for name in ("First", "Second"):
        presentation.slides.add_slide(presentation.slide_layouts[5]).shapes.title.text = name
    blocks = parsed(saved(presentation), "x.pptx")
    assert [(b.kind, b.level, b.page, b.text) for b in blocks] == [
        ("heading", 1, 1, "First"),
        ("heading", 1, 2, "Second"),
    ]


def test_a_slide_without_a_title_takes_its_first_short_line() -> None:
    assert of(parsed(deck(lambda slide: box(slide, "Berth 6"), layout=6), "x.pptx")) == [("heading", "Berth 6")]
    long = "A sentence. " * 20
    assert of(parsed(deck(lambda slide: box(slide, long), layout=6), "x.pptx")) == [("text", long.strip())]


def test_shapes_come_from_top_to_bottom_and_left_to_right_after_the_placeholders() -> None:
    def fill(slide: Any) -> None:
        box(slide, "low", (Inches(1), Inches(6), Inches(1), Inches(1)))
        box(slide, "right", (Inches(5), Inches(2.1), Inches(1), Inches(1)))
        box(slide, "left", (Inches(1), Inches(2.2), Inches(1), Inches(1)))
        slide.placeholders[1].text = "held"

    assert text_of(parsed(deck(fill, layout=1), "x.pptx")) == "Crane plan\n- held\nleft\nright\nlow"


def test_levels_bullets_and_numbers_of_lists() -> None:
    def fill(slide: Any) -> None:
        frame = slide.placeholders[1].text_frame
        frame.text = "outer"
        for text, level, mark in (("inner", 1, ""), ("one", 0, "num"), ("two", 0, "num"), ("plain", 0, "none")):
            paragraph = frame.add_paragraph()
            paragraph.text, paragraph.level = text, level
            properties = paragraph._p.get_or_add_pPr()
            if mark == "num":
                properties.append(properties.makeelement(f"{{{A}}}buAutoNum", {"type": "arabicPeriod"}))
            if mark == "none":
                properties.append(properties.makeelement(f"{{{A}}}buNone", {}))

    assert of(parsed(deck(fill, layout=1), "x.pptx"))[1:] == [
        ("list", "- outer"),
        ("list", "  - inner"),
        ("list", "1. one"),
        ("list", "2. two"),
        ("text", "plain"),
    ]


def test_groups_in_groups_and_alternatives_come_once() -> None:
    def fill(slide: Any) -> None:
        group = slide.shapes.add_group_shape()
        group.shapes.add_textbox(*BOX).text_frame.text = "grouped"
        group.shapes.add_group_shape().shapes.add_textbox(*BOX).text_frame.text = "nested"

    def wrap(xml: str) -> str:
        found = re.search(r"<p:sp>(?:(?!<p:sp>).)*nested.*?</p:sp>", xml, re.DOTALL)
        assert found
        mc = "http://schemas.openxmlformats.org/markup-compatibility/2006"
        both = f'<mc:Choice Requires="a14">{found[0]}</mc:Choice><mc:Fallback>{found[0]}</mc:Fallback>'
        return xml.replace(found[0], f'<mc:AlternateContent xmlns:mc="{mc}">{both}</mc:AlternateContent>')

    content = changed(deck(fill), {"ppt/slides/slide1.xml": wrap})
    assert of(parsed(content, "x.pptx")) == [("heading", "Crane plan"), ("text", "grouped"), ("text", "nested")]


def test_merged_cells_of_a_table_are_repeated() -> None:
    def fill(slide: Any) -> None:
        table = slide.shapes.add_table(3, 3, *BOX).table
        for i, text in enumerate(["Region", "Rate", "", "North", "4.20", "a|b", "", "6.10", "c"]):
            table.cell(i // 3, i % 3).text = text
        table.cell(0, 1).merge(table.cell(0, 2))
        table.cell(1, 0).merge(table.cell(2, 0))

    assert of(parsed(deck(fill), "x.pptx"))[1:] == [
        ("table", "| Region | Rate | Rate |\n| --- | --- | --- |\n| North | 4.20 | a\\|b |\n| North | 6.10 | c |")
    ]


def test_a_table_of_one_cell_is_text() -> None:
    def fill(slide: Any) -> None:
        slide.shapes.add_table(1, 1, *BOX).table.cell(0, 0).text = "Only this"

    assert of(parsed(deck(fill), "x.pptx"))[1:] == [("text", "Only this")]


def test_a_chart_is_a_table_with_its_titles() -> None:
    def fill(slide: Any) -> None:
        data = CategoryChartData(number_format="0.00")
        data.categories = ["Riga", "Kiel"]
        data.add_series("Lifts", (31.5, 27))
        data.add_series("Stops", (4, None))
        chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *BOX, data).chart
        chart.has_title = True
        chart.chart_title.text_frame.text = "Lifts by port"
        chart.category_axis.axis_title.text_frame.text = "Port"
        chart.value_axis.axis_title.text_frame.text = "Per hour"

    blocks = parsed(deck(fill), "x.pptx")
    assert of(blocks)[1:] == [
        ("text", "Lifts by port\nPer hour"),
        ("table", "| Port | Lifts | Stops |\n| --- | --- | --- |\n| Riga | 31.50 | 4.00 |\n| Kiel | 27.00 |  |"),
    ]
    assert {block.left_out for block in blocks[3:]} == {"other version"}  # its workbook


def test_a_chart_of_points_and_one_of_nested_categories() -> None:
    def fill(slide: Any) -> None:
        points = XyChartData()
        series = points.add_series("Load")
        series.add_data_point(1.5, 20)
        series.add_data_point(2.5, 30)
        slide.shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, *BOX, points)
        data = CategoryChartData()
        north = data.add_category("North")
        north.add_sub_category("Riga")
        north.add_sub_category("Oslo")
        data.add_series("Sheds", (1, 2))
        slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *BOX, data)

    text = text_of(parsed(deck(fill), "x.pptx"))
    assert "|  | Load |\n| --- | --- |\n| 1.5 | 20 |\n| 2.5 | 30 |" in text
    assert "| North Riga | 1 |\n| North Oslo | 2 |" in text


def test_notes_follow_their_slide_or_are_left_out() -> None:
    def fill(slide: Any) -> None:
        slide.notes_slide.notes_text_frame.text = "The union agreed.\nOn 2 March."

    content = deck(fill)
    assert of(parsed(content, "x.pptx"))[1:] == [("text", "Notes: The union agreed."), ("text", "On 2 March.")]
    without = parsed(content, "x.pptx", Parsing(notes=False))
    assert [(b.text, b.left_out) for b in without[1:]] == [("The union agreed.", "note"), ("On 2 March.", "note")]


def test_hidden_slides_and_shapes_are_hidden() -> None:
    def fill(slide: Any) -> None:
        shape = box(slide, "not seen")
        shape._element.nvSpPr.cNvPr.set("hidden", "1")

    blocks = parsed(deck(fill), "x.pptx")
    assert [(b.text, b.hidden) for b in blocks] == [("Crane plan", ""), ("not seen", "markup")]

    def hide(slide: Any) -> None:
        slide._element.set("show", "0")
        slide.notes_slide.notes_text_frame.text = "noted"

    assert {b.hidden for b in parsed(deck(hide), "x.pptx")} == {"markup"}


def test_a_slide_that_no_list_names_is_hidden_and_kept() -> None:
    content = deck(lambda slide: box(slide, "kept"))
    content = changed(content, {"ppt/presentation.xml": lambda xml: re.sub(r"<p:sldIdLst>.*</p:sldIdLst>", "", xml)})
    assert of(parsed(content, "x.pptx"))[1:] == [("text", "kept")]  # no list at all: it is damaged
    both = Presentation(io.BytesIO(deck(lambda slide: box(slide, "kept"))))
    both.slides.add_slide(both.slide_layouts[5]).shapes.title.text = "Orphan"
    ids = both.slides._sldIdLst
    ids.remove(ids[1])
    content = saved(both)
    if b"Orphan" in b"".join(
        zipfile.ZipFile(io.BytesIO(content)).read(n) for n in zipfile.ZipFile(io.BytesIO(content)).namelist()
    ):
        assert [b.hidden for b in parsed(content, "x.pptx") if b.text == "Orphan"] == ["markup"]


def test_alt_texts_are_text_and_file_names_are_none() -> None:
    def fill(slide: Any) -> None:
        for said in ("A crane at berth 6. Description automatically generated", "logo.png"):
            picture = slide.shapes.add_picture(io.BytesIO(PIXEL), *BOX[:2])
            picture._element.nvPicPr.cNvPr.set("descr", said)

    assert of(parsed(deck(fill), "x.pptx"))[1:] == [("text", "A crane at berth 6.")]


def test_targets_of_links_follow_their_text_or_are_left_out() -> None:
    def fill(slide: Any) -> None:
        paragraph = box(slide, "See ").text_frame.paragraphs[0]
        run = paragraph.add_run()
        run.text = "the plan"
        run.hyperlink.address = "https://plan.example/6"
        paragraph.add_run().text = " today"

    content = deck(fill)
    assert of(parsed(content, "x.pptx"))[1:] == [("text", "See the plan (https://plan.example/6) today")]
    blocks = parsed(content, "x.pptx", Parsing(links=False))
    assert [(b.text, b.left_out) for b in blocks[1:]] == [
        ("See the plan today", ""),
        ("https://plan.example/6", "link target"),
    ]


def placed(slide: Any, kind: str, text: str, field: str = "") -> None:
    """Add a placeholder of a kind, whose text a field may write."""
    run = f'<a:fld id="{{1}}" type="{field}"><a:t>{text}</a:t></a:fld>' if field else f"<a:r><a:t>{text}</a:t></a:r>"
    from lxml import etree

    slide.shapes._spTree.append(
        etree.fromstring(
            f'<p:sp xmlns:p="{P}" xmlns:a="{A}"><p:nvSpPr><p:cNvPr id="90" name="x"/><p:cNvSpPr/>'
            f'<p:nvPr><p:ph type="{kind}" idx="9"/></p:nvPr></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/>'
            f"<a:p>{run}</a:p></p:txBody></p:sp>"
        )
    )


def test_numbers_dates_and_footers_of_slides_are_left_out() -> None:
    presentation = Presentation()
    for n in (1, 2):
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        slide.shapes.title.text = f"Part {n}"
        placed(slide, "sldNum", str(n), "slidenum")
        placed(slide, "dt", "1 May")
        placed(slide, "ftr", "Moat Ltd")
        placed(slide, "body", f"Source {n}")
    rules = {b.text.removeprefix("- "): b.left_out for b in parsed(saved(presentation), "x.pptx") if b.page == 1}
    assert rules == {
        "Part 1": "",
        "1": "page number",
        "1 May": "page number",
        "Moat Ltd": "running head",
        "Source 1": "",
    }


def test_a_footer_of_one_slide_alone_is_text() -> None:
    assert ("text", "Source: own count") in of(
        parsed(deck(lambda slide: placed(slide, "ftr", "Source: own count")), "x.pptx")
    )


def test_text_of_a_master_is_left_out_once_and_prompts_are_no_text() -> None:
    presentation = Presentation()
    for shapes in (presentation.slide_master.shapes, presentation.slide_layouts[5].shapes):
        shape = box(presentation.slides.add_slide(presentation.slide_layouts[5]), "Confidential")._element
        shapes._spTree.append(shape)
    blocks = parsed(saved(presentation), "x.pptx")
    assert [(b.text, b.left_out) for b in blocks] == [("Confidential", "running head")] * 2


def test_comments_of_both_kinds() -> None:
    content = deck(lambda slide: None)
    people = f'<p:cmAuthorLst xmlns:p="{P}"><p:cmAuthor id="0" name="Ewa"/></p:cmAuthorLst>'
    old = f'<p:cmLst xmlns:p="{P}"><p:cm authorId="0"><p:text>Check berth 6</p:text></p:cm></p:cmLst>'
    body = f'<p188:txBody xmlns:a="{A}"><a:p><a:r><a:t>%s</a:t></a:r></a:p></p188:txBody>'
    new = f'<p188:cmLst xmlns:p188="x"><p188:cm authorId="0"><p188:replyLst><p188:reply authorId="0">{body % "Done"}</p188:reply></p188:replyLst>{body % "Is it free?"}</p188:cm></p188:cmLst>'
    for comments in (old, new):
        made = related(
            content, "ppt/slides/slide1.xml", "comments", "../comments/c1.xml", comments, "ppt/comments/c1.xml"
        )
        made = changed(made, {"ppt/commentAuthors.xml": people})
        said = ["Ewa: Check berth 6"] if comments == old else ["Ewa: Is it free?", "Ewa: Done"]
        assert [(b.text, b.left_out) for b in parsed(made, "x.pptx")[1:]] == [(text, "comment") for text in said]
        assert [b.text for b in shown(parsed(made, "x.pptx", Parsing(comments=True)))[1:]] == said


def frame(inner: str, uri: str) -> str:
    return (
        '<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="80" name="x"/><p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr>'
        f'<a:graphic><a:graphicData uri="{uri}">{inner}</a:graphicData></a:graphic></p:graphicFrame></p:spTree>'
    )


def test_a_diagram_is_a_nested_list() -> None:
    def point(name: str, text: str, kind: str = "node") -> str:
        return f'<dgm:pt modelId="{name}" type="{kind}"><dgm:t><a:p><a:r><a:t>{text}</a:t></a:r></a:p></dgm:t></dgm:pt>'

    links = "".join(
        f'<dgm:cxn srcId="{a}" destId="{b}" srcOrd="{n}"/>'
        for a, b, n in (("d", "2", 1), ("d", "1", 0), ("1", "3", 0), ("3", "1", 0))
    )
    points = (
        point("d", "", "doc") + point("2", "Close") + point("1", "Open") + point("3", "Turn left") + point("4", "Loose")
    )
    data = f'<dgm:dataModel xmlns:dgm="d" xmlns:a="{A}"><dgm:ptLst>{points}</dgm:ptLst><dgm:cxnLst>{links}</dgm:cxnLst></dgm:dataModel>'
    content = related(
        deck(lambda slide: None),
        "ppt/slides/slide1.xml",
        "diagramData",
        "../diagrams/data1.xml",
        data,
        "ppt/diagrams/data1.xml",
    )
    ids = f'<dgm:relIds xmlns:dgm="d" xmlns:r="{R}" r:dm="rIdNew"/>'
    content = changed(content, {"ppt/slides/slide1.xml": lambda xml: xml.replace("</p:spTree>", frame(ids, "diagram"))})
    assert of(parsed(content, "x.pptx"))[1:] == [
        ("list", "- Open"),
        ("list", "  - Turn left"),
        ("list", "- Close"),
        ("list", "- Loose"),
    ]
    assert not lost_words(content, "x.pptx")


def test_a_formula_is_text() -> None:
    m = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    text = "<m:r><m:t>%s</m:t></m:r>"
    maths = (
        f'<a14:m xmlns:a14="x"><m:oMathPara xmlns:m="{m}"><m:oMath>{text % "y="}<m:f><m:num>{text % "a"}</m:num><m:den>{text % "b"}</m:den></m:f>'
        f"<m:sSup><m:e>{text % 'x'}</m:e><m:sup>{text % '2'}</m:sup></m:sSup></m:oMath></m:oMathPara></a14:m>"
    )
    content = changed(
        deck(lambda slide: box(slide, "Sum ")),
        {"ppt/slides/slide1.xml": lambda xml: xml.replace("Sum </a:t></a:r>", f"Sum </a:t></a:r>{maths}")},
    )
    assert of(parsed(content, "x.pptx"))[1:] == [("text", "Sum y=(a)/(b)x^2")]


def test_an_embedded_document_is_read() -> None:
    inner = deck(lambda slide: box(slide, "inner words"))

    def fill(slide: Any) -> None:
        slide.shapes.add_ole_object(io.BytesIO(inner), "PowerPoint.Show.12", *BOX)

    assert ("text", "inner words") in of(parsed(deck(fill), "x.pptx"))


def test_a_damaged_slide_does_not_lose_the_others() -> None:
    presentation = Presentation()
    for name in ("First", "Second"):
        presentation.slides.add_slide(presentation.slide_layouts[5]).shapes.title.text = name
    blocks = parsed(changed(saved(presentation), {"ppt/slides/slide1.xml": "no xml"}), "x.pptx")
    assert [(b.page, b.left_out) for b in blocks] == [(1, "unreadable part"), (2, "")]


@pytest.mark.parametrize(
    "name", ["words/deck.pptx", "formats/files/fake-power-point.pptx", "crossformat/eng_spa_mult/eng_spa_mult.pptx"]
)
def test_shared_decks_lose_and_invent_nothing(shared: Path, name: str) -> None:
    content = (shared / name).read_bytes()
    assert not lost_words(content, name)
    assert set(invented_words(content, name)) <= {"notes", "north"}  # a prefix, and a merged value


def test_the_shared_deck(shared: Path) -> None:
    blocks = parsed((shared / "words" / "deck.pptx").read_bytes(), "deck.pptx")
    assert [b.text for b in blocks if b.hidden] == ["Hidden slide: layoffs", "- Shed 4 closes in June"]
    text = text_of(blocks)
    for part in (
        "Lifts per hour by port",
        "| Riga | 31 |",
        "Notes: Speaker note: the union agreed",
        "Nested group",
        "| North | Steel | 6.10 |",
    ):
        assert part in text


LINE = st.text(st.sampled_from("abcdé 12.|"), min_size=1, max_size=20).filter(str.strip)
PART = st.sampled_from(["box", "group", "table", "chart", "body", "alt"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(PART, st.lists(LINE, min_size=1, max_size=3)), max_size=6))
def test_every_word_of_a_written_deck_is_there_in_order(parts: list[tuple[str, list[str]]]) -> None:
    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "Title0"
    expected = ["Title0"]
    for i, (kind, lines) in enumerate(parts):
        place = (Inches(1), Emu(Inches(1) * (i + 1)), Inches(1), Inches(1))
        if kind == "box" or kind == "body":
            box(slide, "\n".join(lines), place)
        elif kind == "group":
            group = slide.shapes.add_group_shape()
            shape = group.shapes.add_textbox(*place)
            shape.text_frame.text = "\n".join(lines)
        elif kind == "table":
            table = slide.shapes.add_table(len(lines), 2, *place).table
            for row, line in enumerate(lines):
                table.cell(row, 0).text, table.cell(row, 1).text = line, f"v{row}"
            lines = [word for row, line in enumerate(lines) for word in (line, f"v{row}")]
        elif kind == "chart":
            data = CategoryChartData()
            data.categories = [f"c{n}" for n in range(len(lines))]
            data.add_series("Name1", range(len(lines)))
            slide.shapes.add_chart(XL_CHART_TYPE.LINE, *place, data)
            lines = ["Name1", *(word for n in range(len(lines)) for word in (f"c{n}", str(n)))]
        else:
            picture = slide.shapes.add_picture(io.BytesIO(PIXEL), *place)
            picture._element.nvPicPr.cNvPr.set("descr", " ".join(lines))
        expected += [word for line in lines for word in WORD.findall(line)]
    assert WORD.findall(text_of(parsed(saved(presentation), "x.pptx"))) == expected
