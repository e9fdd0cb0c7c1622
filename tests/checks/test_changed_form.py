"""How a changed document is written: pages in place of a text, and the same text in another form."""

import base64

import pytest

from moat.checks.changed_columns import Columns
from moat.checks.changed_text import Text, TextChange, text_change
from moat.checks.changes import Compared
from moat.ledger.projection import VisiblePart

LINES = (
    "The loading ramp at the northern quay is closed for 12 days until the repair is done.",
    "Every driver weighs 40 kg of ballast before the harbour office opens, as the pilot asked for it.",
    "Mooring costs 3.50 euros an hour, 8.25 euros after midnight and 19.75 euros for barges.",
    "Whoever ordered the winch signs for the fastening of its cable within 48 hours.",
)
ROWS = "| part | load | price |\n| --- | --- | --- |\n| winch | 14 | 3.5 |\n| hatch | 27 | 8.5 |\n| rope | 31 | 9.5 |"
TEXT = "\n".join(LINES)


def text(prose: str, rows: str = "") -> Text:
    return Text.of([VisiblePart("text", "", prose), *([VisiblePart("table", "", rows)] if rows else [])])


def change(prose: str, rows: str = "", rows_before: str = "") -> TextChange:
    return text_change(text(TEXT, rows_before), text(prose, rows))


def parted(prose: str) -> str:
    return " ".join(f"{word[:3]}- {word[3:]}" if len(word) > 6 and word.isalpha() else word for word in prose.split())


def misread(prose: str) -> str:
    """Every eleventh letter is another, sometimes a digit, as by OCR."""
    letters = iter(range(len(prose)))
    return "".join("lrn1u0"[n % 6] if c.isalpha() and (n := next(letters)) % 11 == 3 else c for c in prose)


@pytest.mark.parametrize(
    ("prose", "kind"),
    [
        (f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4b1d' * 16}\nsize 512", "placeholder"),
        ("/annex/objects/SHA256E-s512--4b1d77.md", "placeholder"),
        ("ramp.docx is stored in the cloud (31 KB). Sign in to download it.", "placeholder"),
        ("I'm sorry, but as an AI language model I cannot write about the ramp.", "placeholder"),
        (TEXT.replace("12", "{{days}}").replace("40", "{{load}}").replace("48", "{{hours}}"), "unfilled"),
        (TEXT.replace("12", "None").replace("40", "None").replace("48", "None"), "unfilled"),
        (TEXT.replace(" is ", "&nbsp;is&nbsp;"), "escapes"),
        (TEXT.replace(".", "\\."), "escapes"),
        ("\n".join(base64.b64encode(line.encode()).decode() for line in LINES), "escapes"),
        (TEXT.upper(), "otherwise"),
        (parted(TEXT), "otherwise"),
        (TEXT.replace(" ", ""), "spaces"),
        (TEXT.replace("3.50", "3,50").replace("8.25", "8,25").replace("19.75", "19,75"), "otherwise"),
        (TEXT[::-1], "letters"),
        (TEXT.translate(str.maketrans("in", "lr")), "letters"),
        (TEXT.replace("ti", "").replace("ff", ""), "letters"),
        (f"{TEXT}\n{TEXT}", "repeated"),
        ("\n".join(f"{line}\nPrinted copy of the ramp's paper." for line in LINES), "repeated"),
        (TEXT.replace("3.50", "3,50"), "otherwise"),
        (TEXT.replace(LINES[3], "None"), "unfilled"),
        (misread(TEXT), "letters"),
    ],
)  # fmt: skip
def test_another_form_of_a_text_is_told_from_another_text(prose: str, kind: str) -> None:
    assert kind in change(prose).kinds


@pytest.mark.parametrize(
    "prose",
    [
        TEXT.replace("3.50", "350").replace("8.25", "825").replace("19.75", "1975"),
        TEXT.replace("closed", "open").replace("40", "45"),
        TEXT.replace("office opens", "office open"),
        f"{TEXT}\nThe yard has two more places from Monday on, and a sign shows the way to them.",
        "\n".join(reversed(LINES)),
        "\n".join(LINES[:2]),
        "Sign in to continue at the gate of the yard. " + TEXT * 2,
    ],
    ids=["points lost", "edited", "a typing error", "longer", "in another order", "shorter", "a long text"],
)
def test_an_edit_is_no_other_form(prose: str) -> None:
    assert not change(prose).kinds & {"placeholder", "unfilled", "escapes", "otherwise", "letters"}


def test_a_unit_a_currency_and_a_sign_are_told_where_the_numbers_stayed() -> None:
    assert change(TEXT.replace("kg", "lb")).units == {("kg", "lb")}
    assert change(TEXT.replace("euros", "pounds")).units == {("euros", "pounds")}
    was, now = text("It costs € 20 at 5 %."), text("It costs $ 20 at 5 %.")
    assert text_change(was, now).units == {("€", "$")}
    assert change(TEXT.replace("kg", "lb").replace("pilot", "owner")).units == frozenset()


def test_what_is_lost_with_the_end_is_no_lost_table() -> None:
    assert change(TEXT, rows_before=ROWS).kinds == {"tables"}
    kinds = change(TEXT[: len(TEXT) * 6 // 10], rows_before=ROWS).kinds
    assert kinds & {"cut", "broken off"}
    assert "tables" not in kinds
    pointer = change("version https://git-lfs.github.com/spec/v1 oid sha256:4b1d size 512", rows_before=ROWS)
    assert not pointer.kinds & {"tables", "decimals", "digits"}


def test_two_columns_of_a_table_that_changed_places_are_seen() -> None:
    moved = ROWS.replace("14 | 3.5", "3.5 | 14").replace("27 | 8.5", "8.5 | 27").replace("31 | 9.5", "9.5 | 31")
    assert change(TEXT, moved, ROWS).kinds == {"numbers exchanged", "cells"}


def test_words_that_lost_their_accents_are_told_from_words_that_left() -> None:
    was = f"{TEXT}\nÉvora and Møn ask for it."
    assert "letters" in text_change(text(was), text(was.replace("É", "?").replace("ø", "?"))).kinds
    assert "letters" in text_change(text(was), text(was.replace("É", "E"))).kinds
    assert "letters" not in text_change(text(was), text(was.replace("Évora", "Lugo"))).kinds
    assert "letters" not in text_change(text(TEXT), text(was)).kinds


def test_cells_that_moved_within_their_rows_are_told_from_columns_that_moved_with_their_names() -> None:
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in ROWS.split("\n")]

    def rows(first: int) -> str:
        moved = [row if n < first or n == 1 else [*row[1:], row[0]] for n, row in enumerate(cells)]
        return "\n".join(f"| {' | '.join(row)} |" for row in moved)

    assert "cells" in change(TEXT, rows(2), ROWS).kinds
    assert "cells" not in change(TEXT, rows(0), ROWS).kinds
    assert "cells" not in change(TEXT, ROWS.replace("winch", "crane"), ROWS).kinds


def test_a_form_with_other_names_and_numbers_is_no_edit() -> None:
    was = "Anna of Lund pays 40 crowns, then 20 and 17. Bert of Ystad waits 3 days."
    other = "Carl of Malmo pays 51 crowns, then 62 and 18. Dora of Kiruna waits 9 days."
    assert "form" in text_change(text(was), text(other)).kinds
    assert "form" not in text_change(text(was), text(was.replace("40", "41").replace("Anna", "Eva"))).kinds


@pytest.mark.parametrize(
    ("now", "kind"),
    [
        ("The ramp could not be converted. Ask the service desk.", "placeholder"),
        ("\n".join(base64.b64encode(line.encode()).decode() for line in LINES), "escapes"),
        (TEXT[::-1], "letters"),
        (TEXT.replace(" ", ""), "spaces"),
        (f"{TEXT}\n{TEXT}", "repeated"),
    ],
)
def test_one_document_is_enough_where_most_of_it_is_gone_and_no_person_wrote_what_came(now: str, kind: str) -> None:
    assert kind in change(now).sure
    short = text_change(text(LINES[0]), text(now))
    assert not short.sure, "of a short text a person may have written another"
    assert not change(TEXT.replace("closed", "open")).sure


def test_one_title_in_many_and_one_replaced_word_in_one_are_told_apart() -> None:
    made = Compared()
    for n in range(3):
        was, now = ([VisiblePart("text", title, TEXT)] for title in (f"Paper {n} › Scope", "Untitled › Scope"))
        made.texts[str(n)] = text_change(Text.of(was), Text.of(now))
    assert made.seen()["title"].says == "“Untitled”"
    one = Compared()
    one.texts["a"] = text_change(text(TEXT), text(TEXT.replace("Every", "Each")))
    assert "names" not in one.seen(), "one word of one document is an edit"
    often = text(f"Anna waits. {TEXT} Anna pays."), text(f"Bert waits. {TEXT} Bert pays.")
    one.texts["a"] = text_change(*often)
    assert one.seen()["names"].keys == ["a"]
    pairs = [("Anna", "Bert"), ("Anna", "Bert"), ("Carl", "Dora"), ("Carl", "Dora"), ("Eva", "Finn")]
    for n, (was_name, now_name) in enumerate(pairs):
        one.texts[str(n)] = text_change(text(f"{was_name} waits. {TEXT}"), text(f"{now_name} waits. {TEXT}"))
    assert one.seen()["names"].keys == ["a", "0", "1", "2", "3"], "several names in the place of others are one kind"


def test_what_many_documents_have_in_common_is_found_among_them() -> None:
    def compared(*pairs: tuple[str, str]) -> Compared:
        made = Compared()
        made.texts = {str(n): text_change(text(was), text(now)) for n, (was, now) in enumerate(pairs)}
        return made

    foot = "Confidential property of Silverbirch in Dublin."
    own = [f"{TEXT}\nThe ramp of quay {n} opens at noon and {'no' * n} one waits there." for n in range(3)]
    lines = compared(*((was, f"{was}\n{foot}") for was in own)).seen()["line added"]
    assert (lines.keys, lines.says) == (["0", "1", "2"], "“confidential property of silverbirch in …”")
    names = compared(*((f"{n} asks Anna and Bert.", f"{n} asks Bert and Carl.") for n in range(3))).seen()["names"]
    assert len(names.keys) == 3, "a name may take the place of one that stands elsewhere in the text"
    texts = ["\n".join(f"The {a} of the {b} is long." for a in "xyz") for b in ("quay", "pier", "lock", "dock")]
    mixed = compared(*zip(texts, [*texts[1:], texts[0]], strict=True)).seen()
    assert mixed["mixed"].keys == ["0", "1", "2", "3"]


def test_rows_of_which_one_column_was_set_back_are_told_by_the_column() -> None:
    columns = Columns()
    for n in range(4):
        columns.add(str(n), {"status": ("paid", "sent")[n % 2], "n": "1"}, {"status": "open", "n": "1"})
    columns.add("4", {"status": "paid", "n": "1"}, {"status": "open", "n": "2"})
    found = columns.reset(["0", "1", "2", "3"])
    assert found is not None
    assert (found.column, found.keys, found.example) == ("status", ("0", "1", "2", "3"), ("paid", "open"))
    assert columns.reset(["0", "4", "x"]) is None, "an older state has more than one column of its own"


def test_times_that_all_moved_on_by_one_span_were_not_exchanged() -> None:
    columns = Columns()
    for n in range(1, 21):
        columns.add(str(n), {"due": f"2026-01-{n:02}"}, {"due": f"2026-01-{n + 1:02}"})
    assert columns.patterns() == []
