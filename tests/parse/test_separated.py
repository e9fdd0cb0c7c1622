"""Separated values: the separator, quotes, titles, remarks, several tables in a file."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moat.errors import ParseTooMuchText
from moat.parse.separated import separated_blocks
from moat.parse.words import WORD
from tests.parsing import invented_words, lost_words, parsed, shown, text_of

CABLES = "| name | qty |\n| --- | --- |\n| Cable | 1 |\n| Hub | 2 |"


def kinds(text: str, name: str = "x.csv") -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in shown(parsed(text, name))]


@pytest.mark.parametrize(
    "text",
    [
        "Check the crane, then call the foreman.\nWait, then lift.\nNever lift above 5 tonnes, ask first.\nStop.",
        "Open the valve, then wait\nClose the lid, then lock it\nTurn the key, then pull",
        "Rule\nOpen the valve, then wait.\nClose the lid, then lock it.\nTurn the key, then pull.",
        "First do this; then that.\nThen rest; wait a bit.\nStop; go home.",
        "Price\n1,5\n2,5\n3,75",
        "Lind, Ewa\nOzols, Jan\nKowalska, Ida",
        "Name\nRiga\nKiel",
        "just one line, with a comma",
    ],
)
def test_one_column_stays_one(text: str) -> None:
    assert kinds(text) == [("text", text)]


def test_quotes_around_the_lines_of_one_column_are_not_its_text() -> None:
    assert kinds('"Wait, then lift."\n"Stop, then rest."\n"Go."\n') == [
        ("text", "Wait, then lift.\nStop, then rest.\nGo.")
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["x.csv", "x.tsv"])
def test_each_separator_is_told(separator: str, name: str) -> None:
    assert kinds(f"name{separator}qty\nCable{separator}1\nHub{separator}2\n", name) == [("table", CABLES)]


def test_decimal_commas_do_not_separate() -> None:
    [(_, table)] = kinds("Item;Price;Weight\nCable;12,50;1,2\nHub;7,00;0,4\n")
    assert "| Cable | 12,50 | 1,2 |" in table


def test_spaces_after_commas_are_no_sentences_where_a_column_holds_numbers() -> None:
    [(_, table)] = kinds("name, qty, site\nCable, 1, Riga\nHub, 2, Kiel\nPlug, 3, Oslo\n")
    assert "| Plug | 3 | Oslo |" in table


@pytest.mark.parametrize("line", ["sep=;", "SEP=;"])
def test_the_line_that_sets_the_separator_is_declared_and_obeyed(line: str) -> None:
    blocks = parsed(f"{line}\nname;qty\nCable;1\nHub;2\n", "x.csv")
    assert [(block.left_out, block.text) for block in blocks] == [("setting", line), ("", CABLES)]


@pytest.mark.parametrize("between", ["", "\n", ",\n", "\n\n"])
def test_titles_above_the_header_are_text_and_notes_below_too(between: str) -> None:
    text = f"Report of stock, March\nMade 2026-03-01\n{between}name,qty,site\nCable,1,Riga\nHub,2,Kiel\nCounts exclude shed 4.\n"
    assert kinds(text) == [
        ("text", "Report of stock, March\nMade 2026-03-01"),
        ("table", "| name | qty | site |\n| --- | --- | --- |\n| Cable | 1 | Riga |\n| Hub | 2 | Kiel |"),
        ("text", "Counts exclude shed 4."),
    ]


def test_remarks_are_text_and_a_header_that_begins_with_a_hash_is_none() -> None:
    text = "# made by export, 2026\nname,qty\nCable,1\n# counted, by hand\nHub,2\n"
    assert kinds(text) == [
        ("text", "# made by export, 2026"),
        ("table", "| name | qty |\n| --- | --- |\n| Cable | 1 |\n| # counted, by hand |  |\n| Hub | 2 |"),
    ]
    assert kinds("#id,name\n1,Riga\n") == [("table", "| #id | name |\n| --- | --- |\n| 1 | Riga |")]


def test_empty_lines_part_tables_but_not_the_rows_of_one() -> None:
    two = kinds("name,qty\nCable,1\nHub,2\n\nsite,owner\nRiga,Lind\nKiel,Ozols\n")
    assert two == [("table", CABLES), ("table", "| site | owner |\n| --- | --- |\n| Riga | Lind |\n| Kiel | Ozols |")]
    assert kinds("name,qty\n\nCable,1\n\nHub,2\n\n") == [("table", CABLES)]
    assert kinds("name,qty\nCable,1\n,\nHub,2\n") == [("table", CABLES)]


def test_rows_without_a_header_get_an_empty_one() -> None:
    [(_, table)] = kinds("900,Crane,2026-01-02\n901,Hub,2026-01-03\n902,Plug,2026-01-04\n")
    assert table.startswith("|  |  |  |\n| --- | --- | --- |\n| 900 | Crane | 2026-01-02 |\n")
    [(_, years)] = kinds("site,2024,2025\nRiga,5,6\nKiel,7,8\n")
    assert years.startswith("| site | 2024 | 2025 |\n| ---")


def test_quoted_cells_keep_separators_quotes_and_lines() -> None:
    text = 'id,note,x\n1,"he said ""go"", and left",a\n2,"first line\nsecond line\nthird",b\n3,a | b,c\n'
    assert kinds(text) == [
        (
            "table",
            '| id | note | x |\n| --- | --- | --- |\n| 1 | he said "go", and left | a |\n'
            "| 2 | first line second line third | b |\n| 3 | a \\| b | c |",
        )
    ]


@pytest.mark.parametrize(
    ("stray", "row"),
    [
        ('2,"never closed,4', '| 2 | "never closed | 4 |'),
        ('2,5" pipe,4', '| 2 | 5" pipe | 4 |'),
        ('2,a "b" c,4', '| 2 | a "b" c | 4 |'),
        ('2,"a" b,4', '| 2 | "a" b | 4 |'),
    ],
)
def test_a_stray_quote_swallows_nothing(stray: str, row: str) -> None:
    after = "".join(f'{n},"fine, {n}",x\n' for n in range(3, 50))
    [(_, table)] = kinds(f"id,text,n\n1,a,b\n{stray}\n{after}")
    assert row in table
    assert table.count("\n") == 1 + 2 + 47
    assert "| 49 | fine, 49 | x |" in table


def test_two_stray_quotes_do_not_join_the_records_between_them() -> None:
    [(_, table)] = kinds('id,text,n\n1,"open,3\n2,a,4\n3,b,5\n4,c",6\n5,d,7\n')
    assert "| 2 | a | 4 |" in table


def test_commas_of_an_unquoted_sentence_stay_in_its_cell() -> None:
    [(_, table)] = kinds('Question,Answer\n"How, when?",Ask the foreman, he knows.\nWho?,Ewa\nWhere?,Riga\n')
    assert "| How, when? | Ask the foreman, he knows. |" in table


def test_rows_of_unequal_length_and_empty_columns() -> None:
    [(_, table)] = kinds("a,b,c,,,\n1,2\n3,4,5,6,,\n")
    assert table == "| a | b | c |  |\n| --- | --- | --- | --- |\n| 1 | 2 |  |  |\n| 3 | 4 | 5 | 6 |"


def test_a_line_with_another_separator_does_not_decide() -> None:
    [(_, table)] = kinds("id,name,note\n1,Ann\n2,Bob,ok,extra,extra2\n3,Carl,x\n4;Dora;semi\n")
    assert "| 2 | Bob | ok | extra | extra2 |" in table
    assert "| 4;Dora;semi |" in table


def test_one_endless_row_does_not_widen_all_others() -> None:
    rows = "".join(f"{n},x\n" for n in range(2_000))
    [(_, table)] = kinds(f"id,name\n{rows}last{',y' * 3_000}\n")
    assert len(table) < 100_000


@pytest.mark.parametrize(
    "text", ["\ufeffname,qty\nCable,1\nHub,2\n", "name,qty\rCable,1\rHub,2\r", "name,qty\r\nCable,\x001\r\nHub,2"]
)
def test_marks_line_ends_and_zeros_are_no_text(text: str) -> None:
    assert kinds(text) == [("table", CABLES)]


def test_a_single_row_is_text() -> None:
    assert kinds("id,title,body\n") == [("text", "id | title | body")]


def test_too_much_text_is_refused() -> None:
    with pytest.raises(ParseTooMuchText, match="MOAT_PARSE_OUTPUT_MB"):
        separated_blocks("a,b\n" * 100, 50)


@pytest.mark.parametrize("name", ["long-row.csv", "title-above-header.csv"])
def test_shared_files_lose_and_invent_nothing(shared: Path, name: str) -> None:
    content = (shared / "words" / name).read_bytes()
    assert not lost_words(content, name)
    assert not invented_words(content, name)


def test_the_shared_file_with_a_title_finds_its_header(shared: Path) -> None:
    name = "title-above-header.csv"
    title, table = shown(parsed((shared / "words" / name).read_bytes(), name))
    assert title.text == "Monthly stock report\nCreated 2026-03-01"
    assert table.text.startswith("| Artikel | Menge | Ort |")


CELL = st.text(st.sampled_from('abcé ,;|"\n1.'), max_size=12).map(lambda text: text.replace("\n\n", "\n"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=6), st.sampled_from(",;\t"))
def test_every_word_of_a_written_file_is_there_in_order(rows: list[list[str]], separator: str) -> None:
    rows = [["key", "said", "place"], *([f"k{i}", *row[1:]] for i, row in enumerate(rows))]
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator, quoting=csv.QUOTE_ALL).writerows(rows)
    text = text_of(parsed(buffer.getvalue(), "x.csv"))
    assert WORD.findall(text) == [word for row in rows for cell in row for word in WORD.findall(cell)]
