"""Sheets: regions, merged cells, numbers as shown, formulas, what nobody sees, comments, drawings, damage."""

import io
import re
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest
import xlsxwriter  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.comments import Comment  # type: ignore[import-untyped]

from moat.errors import ParseFailed
from moat.parse.number_format import shown as shown_number
from moat.parse.number_format import shown_text
from moat.parse.options import Parsing
from moat.parse.words import WORD
from moat.records import Block
from tests.parsing import lost_words, parsed, shown, text_of

Rows = list[list[Any]]
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def book(*sheets: Rows | Callable[[Any], None], names: tuple[str, ...] = ()) -> bytes:
    """A workbook by openpyxl: each sheet from rows, or filled by a function."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for i, rows in enumerate(sheets):
        sheet = made.create_sheet(names[i] if names else f"S{i + 1}")
        if callable(rows):
            rows(sheet)
        else:
            for row in rows:
                sheet.append(row)
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def written(fill: Callable[[Any, Any], None]) -> bytes:
    """A workbook of one sheet by XlsxWriter."""
    buffer = io.BytesIO()
    made = xlsxwriter.Workbook(buffer)
    fill(made, made.add_worksheet("S1"))
    made.close()
    return buffer.getvalue()


def changed(content: bytes, name: str, change: Callable[[str], str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, change(old.read(part).decode()) if re.search(name, part) else old.read(part))
    return buffer.getvalue()


def of(content: bytes, parsing: Parsing = Parsing()) -> list[str]:
    """Texts that are loaded, without the heading of the first sheet."""
    return [block.text for block in shown(parsed(content, "x.xlsx", parsing))][1:]


def beside(content: bytes, parsing: Parsing = Parsing()) -> list[tuple[str, str]]:
    """Texts that are hidden or left out, and why."""
    return [(b.text, b.hidden or b.left_out) for b in parsed(content, "x.xlsx", parsing) if b.hidden or b.left_out]


def table(*rows: str) -> str:
    return "\n".join(
        [f"| {rows[0]} |", "|" + " --- |" * (rows[0].count(" | ") + 1), *(f"| {row} |" for row in rows[1:])]
    )


STOCK: Rows = [["Site", "Count"], ["Riga", 1], ["Kiel", 2]]
STOCK_TABLE = table("Site | Count", "Riga | 1", "Kiel | 2")


def test_each_sheet_is_a_section_with_its_name() -> None:
    blocks = parsed(book(STOCK, STOCK, names=("March", "April")), "x.xlsx")
    assert [(b.kind, b.level, b.text) for b in blocks] == [
        ("heading", 1, "March"),
        ("table", 0, STOCK_TABLE),
        ("heading", 1, "April"),
        ("table", 0, STOCK_TABLE),
    ]


def test_a_sheet_without_text_has_no_heading() -> None:
    assert parsed(book([], STOCK), "x.xlsx")[0].text == "S2"
    content = changed(
        book(STOCK),
        "sheet1.xml",
        lambda xml: xml.replace("</worksheet>", "<headerFooter><oddHeader>Port</oddHeader></headerFooter></worksheet>"),
    )
    content = changed(content, "sheet1.xml", lambda xml: re.sub("<row.*</row>", "", xml))
    assert [(b.text, b.left_out) for b in parsed(content, "x.xlsx")] == [("Port", "running head")]


def test_captions_and_notes_stand_around_their_table() -> None:
    rows: Rows = [["Stock of May"], *STOCK, ["Counts exclude shed 4."]]
    assert of(book(rows)) == ["Stock of May", STOCK_TABLE, "Counts exclude shed 4."]
    assert of(book([["Stock of May"], [], *STOCK])) == ["Stock of May", STOCK_TABLE]


def test_empty_rows_and_columns_part_tables() -> None:
    rows: Rows = [
        ["Both", None, None, None, None],
        ["Site", "Count", None, "Item", "Owner"],
        ["Riga", 1, None, "Hub", "Lind"],
        ["Kiel", 2, None, "Plug", "Ozols"],
        [],
        ["Gate", "State"],
        ["A", "open"],
    ]
    assert of(book(rows)) == [
        "Both",
        STOCK_TABLE,
        table("Item | Owner", "Hub | Lind", "Plug | Ozols"),
        table("Gate | State", "A | open"),
    ]


def test_an_empty_row_or_column_within_a_table_parts_nothing() -> None:
    assert of(book([*STOCK, [], ["Oslo", 3]])) == [STOCK_TABLE + "\n| Oslo | 3 |"]
    apart: Rows = [["Site", None, "Count"], ["Riga", None, 1], ["Kiel", None, 2]]
    assert of(book(apart)) == [STOCK_TABLE]


def test_leading_empty_rows_and_columns_are_nothing() -> None:
    assert of(book([[], [], *([None, None, *row, None] for row in STOCK)])) == [STOCK_TABLE]


def test_a_list_of_sentences_is_text_and_so_is_a_single_row() -> None:
    assert [(b.kind, b.text) for b in parsed(book([["Never lift."], ["Ask first."], ["Channel 7"]]), "x.xlsx")][1:] == [
        ("text", "Never lift.\nAsk first.\nChannel 7")
    ]
    assert of(book([["Phone", "7741", "Site", "Riga"]])) == ["Phone | 7741 | Site | Riga"]


def test_merged_values_are_repeated_and_two_rows_of_headers_joined() -> None:
    def fill(sheet: Any) -> None:
        for row in (
            ["Loads of May", None, None],
            ["Region", 'Rate "a"', None],
            [None, "low", "high"],
            ["North", 4, 5],
            [None, 6, 7],
        ):
            sheet.append(row)
        for cells in ("A1:C1", "A2:A3", "B2:C2", "A4:A5"):
            sheet.merge_cells(cells)

    assert of(book(fill)) == [
        "Loads of May",
        table('Region | Rate "a" low | Rate "a" high', "North | 4 | 5", "North | 6 | 7"),
    ]


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (6.1, "0.00", "6.10"),
        (6.1, "General", "6.1"),
        (0.1 + 0.2, "General", "0.3"),
        (1e21, "General", "1E+21"),
        (4006381333931, "General", "4006381333931"),
        (1234567.891, "#,##0.00", "1,234,567.89"),
        (1234567, '0.0,,"M"', "1.2M"),
        (0.256, "0%", "26%"),
        (0.2561, "0.0%", "25.6%"),
        (1234.5, '#,##0.00\\ "€"', "1,234.50 €"),
        (1234.5, "[$€-407]\\ #,##0.00", "€ 1,234.50"),
        (-5, '_-"$"* #,##0_-;[Red](#,##0)', "(5)"),
        (0, '0;-0;"none"', "none"),
        (150, '[>=100]"high "0;"low "0', "high 150"),
        (5, '[>=100]"high "0;"low "0', "low 5"),
        (12345, "0.00E+00", "1.23E+04"),
        (2.25, "# ?/?", "2 1/4"),
        (0.25, "# ??/16", "4/16"),
        (42, "0000", "0042"),
        (5551234567, "(000) 000-0000", "(555) 123-4567"),
        (1.5, "[h]:mm", "36:00"),
        (46082, "yyyy-mm-dd", "2026-03-01"),
        (46082.75, "dd.mm.yyyy hh:mm", "01.03.2026 18:00"),
        (46082, "d mmm yy", "1 Mar 26"),
        (46082, "[$-F800]dddd, mmmm dd, yyyy", "Sunday, March 01, 2026"),
        (0.5, "h:mm AM/PM", "12:00 PM"),
        (0.000011574, "mm:ss.0", "00:01.0"),
        (5, "@", "5"),
        (-3, "yyyy-mm-dd", "-3"),
        (7, ";;;", ""),
        (7, '0"', "7"),
    ],
)
def test_numbers_are_shown_by_their_format(value: float, code: str, text: str) -> None:
    assert shown_number(value, code) == text
    assert shown_text("x", code) in ("x", "")  # a text stays, but where the format hides all


def test_numbers_dates_and_truths_of_cells() -> None:
    def fill(sheet: Any) -> None:
        sheet.append(["What", "Value"])
        for value, code in (
            (6.1, "0.00"),
            (date(2026, 3, 1), "yyyy-mm-dd"),
            (0.5, "0%"),
            (True, "General"),
            ("007", "@"),
            ("x", '@" t"'),
        ):
            sheet.append(["v", value])
            sheet.cell(sheet.max_row, 2).number_format = code

    [found] = of(book(fill))
    assert re.findall(r"\| v \| (.*) \|", found) == ["6.10", "2026-03-01", "50%", "TRUE", "007", "x t"]


def test_a_workbook_of_1904_counts_from_there() -> None:
    def fill(made: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["Day", "At"])
        sheet.write(1, 0, "a")
        sheet.write_datetime(1, 1, datetime(2026, 3, 1), made.add_format({"num_format": "yyyy-mm-dd"}))

    buffer = io.BytesIO()
    made = xlsxwriter.Workbook(buffer, {"date_1904": True})
    fill(made, made.add_worksheet())
    made.close()
    assert "| a | 2026-03-01 |" in text_of(parsed(buffer.getvalue(), "x.xlsx"))


def test_errors_formulas_and_their_values() -> None:
    def fill(made: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["Gate", "Sum"])
        sheet.write(1, 0, "A")
        sheet.write_formula(1, 1, "=SUM(A1:A3)", None, 12)
        sheet.write(2, 0, "B")
        sheet.write_formula(2, 1, "=NA()", None, "#N/A")

    assert of(written(fill)) == [table("Gate | Sum", "A | 12", "B | #N/A")]


def test_a_formula_without_a_value_stands_itself_and_is_told() -> None:
    content = book([["Gate", "Sum"], ["A", "=SUM(A1:A3)"]])
    assert of(content) == [table("Gate | Sum", "A | =SUM(A1:A3)")]
    assert [why for _, why in beside(content)] == ["unreadable part"]
    shared = '<c r="B%d"><f t="shared" si="0"%s</f></c>'
    first = (
        shared % (2, ' ref="B2:B3">A2*2')
        + '</row><row r="3"><c r="A3" t="inlineStr"><is><t>B</t></is></c>'
        + shared % (3, ">")
    )
    content = changed(content, "sheet1.xml", lambda xml: re.sub(r'<c r="B2".*?</c>', first, xml))
    assert of(content) == [table("Gate | Sum", "A | =A2*2", "B | =A3*2")]


def test_what_nobody_sees_is_hidden() -> None:
    def fill(sheet: Any) -> None:
        for row in (["Item", "Price", "Margin"], ["Winch", 1, 5], ["Hoist", 2, 6], ["Crane", 3, 7]):
            sheet.append(row)
        sheet.column_dimensions["C"].hidden = True
        sheet.row_dimensions[3].hidden = True

    content = book(fill)
    assert of(content) == [table("Item | Price", "Winch | 1", "Crane | 3")]
    assert beside(content) == [
        (table("Item | Price | Margin", "Hoist | 2 | 6"), "markup"),
        (table("Item | Margin", "Winch | 5", "Crane | 7"), "markup"),
    ]


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_hidden_sheets_are_hidden(state: str) -> None:
    def hide(sheet: Any) -> None:
        sheet.append(["alarm", "7741"])
        sheet.sheet_state = state

    content = book(STOCK, hide)
    assert of(content) == [STOCK_TABLE]
    assert beside(content) == [("S2", "markup"), ("alarm | 7741", "markup")]


def test_a_value_whose_format_shows_nothing_is_hidden() -> None:
    def fill(sheet: Any) -> None:
        sheet.append(["a", 7])
        sheet["B1"].number_format = ";;;"

    assert beside(book(fill)) == [("7", "markup")]


def test_comments_are_left_out_or_follow_the_cells() -> None:
    def fill(sheet: Any) -> None:
        sheet.append(["Never lift"])
        sheet["A1"].comment = Comment("Limit is 4 tonnes", "Ewa")

    content = book(fill)
    assert beside(content) == [("Ewa: Limit is 4 tonnes", "comment")]
    assert of(content, Parsing(comments=True)) == ["Never lift", "Ewa: Limit is 4 tonnes"]


def test_a_threaded_comment_comes_once() -> None:
    def fill(sheet: Any) -> None:
        sheet.append(["Never lift"])
        sheet["A1"].comment = Comment("[Threaded comment] Is it so?", "tc=1")

    content = book(fill)
    thread = '<ThreadedComments xmlns="x"><threadedComment ref="A1" personId="p"><text>Is it so?</text></threadedComment><threadedComment ref="A1" personId="p"><text>Yes</text></threadedComment></ThreadedComments>'
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("xl/threadedComments/t1.xml", thread)
        archive.writestr(
            "xl/persons/person.xml", '<personList xmlns="x"><person id="p" displayName="Ewa"/></personList>'
        )
    link = '<Relationship Id="t" Type="http://x/threadedComment" Target="../threadedComments/t1.xml"/></Relationships>'
    content = changed(buffer.getvalue(), r"sheet1\.xml\.rels", lambda xml: xml.replace("</Relationships>", link))
    assert of(content, Parsing(comments=True)) == ["Never lift", "Ewa: Is it so?", "Ewa: Yes"]
    assert [why for _, why in beside(content)] == ["comment", "comment", "other version"]


def test_targets_of_links_follow_their_cell_or_are_left_out() -> None:
    def fill(sheet: Any) -> None:
        sheet.append(["Plan", "Mail", "Sum"])
        sheet.append(["Berth", "ewa@port.example", 1])
        sheet["A2"].hyperlink = "https://plan.example/6"
        sheet["B2"].hyperlink = "mailto:ewa@port.example"

    content = book(fill)
    assert of(content) == [table("Plan | Mail | Sum", "Berth (https://plan.example/6) | ewa@port.example | 1")]
    assert beside(content, Parsing(links=False)) == [("https://plan.example/6", "link target")]

    def by_formula(made: Any, sheet: Any) -> None:
        sheet.write_formula(0, 0, '=HYPERLINK("https://a.example/x","Berth")', None, "Berth")

    assert of(written(by_formula)) == ["Berth (https://a.example/x)"]


def test_rich_text_is_one_text_and_its_reading_aid_is_none() -> None:
    def fill(made: Any, sheet: Any) -> None:
        bold = made.add_format({"bold": True})
        sheet.write_rich_string(0, 0, "Never ", bold, "lif", "ting")

    content = changed(
        written(fill), "sharedStrings", lambda xml: xml.replace("</si>", '<rPh sb="0" eb="1"><t>kana</t></rPh></si>')
    )
    assert of(content) == ["Never lifting"]


def test_text_boxes_charts_pictures_and_heads() -> None:
    def fill(made: Any, sheet: Any) -> None:
        sheet.write_column(0, 0, ["Port", "Riga", "Kiel"])
        sheet.write_column(0, 1, ["Lifts", 31, 27])
        sheet.insert_textbox("D2", "Ask Ewa first", {"description": "A yellow box"})
        chart = made.add_chart({"type": "column"})
        chart.add_series({"name": "Per hour", "categories": ["S1", 1, 0, 2, 0], "values": ["S1", 1, 1, 2, 1]})
        chart.set_title({"name": "Lifts by port"})
        sheet.insert_chart("D20", chart)
        sheet.set_header('&L&"Arial"&12Moat Ltd&RPage &P')

    content = written(fill)
    found = of(content)
    assert found[:4] == [
        table("Port | Lifts", "Riga | 31", "Kiel | 27"),
        "Ask Ewa first",
        "A yellow box",
        "Lifts by port",
    ]
    assert "Per hour" in found[4]
    assert beside(content) == [("Moat Ltd\nPage", "running head")]


def test_the_range_of_a_declared_table_parts_it_from_its_neighbours() -> None:
    def fill(made: Any, sheet: Any) -> None:
        sheet.add_table(
            1, 0, 3, 1, {"data": [["Riga", 1], ["Kiel", 2]], "columns": [{"header": "Site"}, {"header": "Count"}]}
        )
        sheet.write(0, 0, "Stock")
        sheet.write(4, 0, "next to it")
        sheet.write(4, 1, "and this")

    assert of(written(fill)) == ["Stock", STOCK_TABLE, "next to it | and this"]


def test_strict_documents_are_read() -> None:
    content = book(STOCK)
    there = "schemas.openxmlformats.org/officeDocument/2006/relationships"

    def strict(xml: str) -> str:
        xml = xml.replace(MAIN, "http://purl.oclc.org/ooxml/spreadsheetml/main")
        return xml.replace(there, "purl.oclc.org/ooxml/officeDocument/relationships")

    content = changed(content, r"\.(xml|rels)$", strict)
    assert of(content) == [STOCK_TABLE]


def test_a_million_empty_rows_are_nothing() -> None:
    rows = "".join(f'<row r="{n}" s="1"><c r="A{n}" s="0"/></row>' for n in range(10, 100_000))
    content = changed(
        book(STOCK),
        "sheet1.xml",
        lambda xml: xml.replace("</sheetData>", f"{rows}</sheetData>").replace("A1:B3", "A1:XFD1048576"),
    )
    assert of(content) == [STOCK_TABLE]


def test_a_merge_across_the_whole_sheet_fills_no_more_than_the_cells_there() -> None:
    merge = '<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>'
    content = changed(book([["Title"]]), "sheet1.xml", lambda xml: xml.replace("</sheetData>", f"</sheetData>{merge}"))
    assert of(content) == ["Title"]


def test_damage_to_one_sheet_does_not_lose_the_others() -> None:
    content = changed(book(STOCK, STOCK), "sheet1.xml", lambda xml: xml[: xml.index("Kiel")])
    assert of(content)[-1] == STOCK_TABLE
    assert [why for _, why in beside(content)] == ["unreadable part"]
    content = changed(book(STOCK, STOCK), "sheet1.xml", lambda xml: "none")
    assert [why for _, why in beside(content)] == ["unreadable part"]


def test_a_workbook_without_sheets_is_refused() -> None:
    content = changed(book(STOCK), "workbook.xml$", lambda xml: xml.replace("<sheet ", "<none "))
    assert STOCK_TABLE in text_of(parsed(content, "x.xlsx"))  # found by the name of its part
    with pytest.raises(ParseFailed, match="no sheets"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("[Content_Types].xml", "<Types/>")
            archive.writestr("xl/workbook.xml", f'<workbook xmlns="{MAIN}"/>')
        parsed(buffer.getvalue(), "x.xlsx")


def old_book(fill: Callable[[Any, Any], None]) -> bytes:
    xlwt = pytest.importorskip("xlwt", reason="xlwt writes .xls; it is in requirements-dev.in")
    made = xlwt.Workbook()
    fill(xlwt, made)
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def test_the_old_format_keeps_dates_merges_and_what_is_hidden() -> None:
    def fill(xlwt: Any, made: Any) -> None:
        sheet = made.add_sheet("Stock")
        for i, text in enumerate(("Region", "Day", "Rate", "Margin")):
            sheet.write(0, i, text)
        sheet.write_merge(1, 2, 0, 0, "North")
        sheet.write(1, 1, date(2026, 3, 1), xlwt.easyxf(num_format_str="yyyy-mm-dd"))
        sheet.write(1, 2, 6.1, xlwt.easyxf(num_format_str="0.00"))
        sheet.write(2, 2, True)
        sheet.write(2, 3, 0.5)
        sheet.col(3).hidden = True
        very = made.add_sheet("Very")
        very.write(0, 0, "alarm")
        very.visibility = 2

    blocks: list[Block] = parsed(old_book(fill), "x.xls")
    assert [b.text for b in shown(blocks)] == [
        "Stock",
        table("Region | Day | Rate", "North | 2026-03-01 | 6.10", "North |  | TRUE"),
    ]
    assert [b.text for b in blocks if b.hidden] == [
        table("Region | Margin", "North | ", "North | 0.5"),
        "Very",
        "alarm",
    ]


SHARED = ["hidden-sheet.xlsx", "rules-flags.xlsx", "two-tables.xlsx", "wide.xlsx"]


@pytest.mark.parametrize("name", SHARED)
def test_shared_workbooks_lose_nothing(shared: Path, name: str) -> None:
    assert not lost_words((shared / "words" / name).read_bytes(), name)


def test_the_shared_workbooks_are_right(shared: Path) -> None:
    def texts(name: str) -> list[tuple[str, str]]:
        return [(b.kind, b.text) for b in shown(parsed((shared / "words" / name).read_bytes(), name))]

    assert texts("two-tables.xlsx") == [
        ("heading", "Stock March"),
        ("text", "Stock report March 2026"),
        ("table", table("Site | Item | Count", "Riga | Cable | 12", "Riga | Hub | 7", "Kiel | Plug | 31")),
        ("text", "Owner\nLind"),
        ("text", "Notes\nCounts exclude shed 4."),
        ("heading", "Stock April"),
        ("table", STOCK_TABLE),
    ]
    assert ("text", "Never lift above 5 tonnes\nAsk the foreman\nRadio channel 7") in texts("rules-flags.xlsx")
    assert "| B | FALSE | #DIV/0! |" in texts("rules-flags.xlsx")[-1][1]
    assert texts("hidden-sheet.xlsx") == [
        ("heading", "Public prices"),
        ("table", table("Item | Price", "Winch | 8400", "Crane | 99000")),
    ]
    assert texts("wide.xlsx")[1][1].count("\n") == 4


CELL = st.one_of(
    st.none(), st.integers(0, 10**6), st.text(st.sampled_from("abé 1.|\n"), min_size=1, max_size=8).filter(str.strip)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(CELL, max_size=5), min_size=1, max_size=8))
def test_every_word_of_a_written_workbook_is_there(rows: Rows) -> None:
    rows = [["w0"], *rows]
    found = WORD.findall(text_of(parsed(book(rows), "x.xlsx")))[1:]
    expected = [word for row in rows for cell in row if cell is not None for word in WORD.findall(str(cell))]
    assert sorted(found) == sorted(expected)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[st.text(st.sampled_from("abé1|"), min_size=1, max_size=6)] * 3), min_size=1, max_size=8))
def test_cells_of_a_full_table_keep_their_order(rows: list[tuple[str, ...]]) -> None:
    rows = [("head", "of", "table"), *rows]
    found = WORD.findall(text_of(parsed(book([list(row) for row in rows]), "x.xlsx")))[1:]
    assert found == [word for row in rows for cell in row for word in WORD.findall(cell)]
