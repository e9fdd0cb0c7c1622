"""One rule that explains each number that changed, words in another order, and one word for many."""

from collections import Counter

import pytest

from moat.checks.changed_columns import values_of
from moat.checks.changed_form import is_struck_twice, is_substituted, lost_accents, units
from moat.checks.changed_numbers import rules_of, swapped_words
from moat.checks.changed_order import filler, is_scrambled
from moat.checks.changed_text import Text, text_change, without_values
from moat.checks.changes import Compared
from moat.ledger.projection import VisiblePart

HARBOUR = (
    "The pilot leaves the northern quay before six, and the winch of the barge stays locked until noon. "
    "Nobody opens the hatch without the order of the master of the dock, who signs for it each evening."
)


@pytest.mark.parametrize(
    ("pairs", "rule"),
    [
        ([("08:15", "09:15"), ("23:40", "00:40")], "clock moved by 1:00"),
        ([("03.11.2026", "03.11.2022"), ("2025-01-09", "2021-01-09")], "dates moved by -4 years"),
        ([("03.11.2026", "04.11.2026"), ("30.11.2026", "01.12.2026")], "dates moved by +1 days"),
        ([("03.11.2026", "11.03.2026"), ("07.02.2026", "02.07.2026")], "day and month exchanged"),
        ([("128", "821"), ("47", "74")], "digits in reverse"),
        ([("128", "100"), ("47", "40")], "rounded to one digit"),
        ([("6.8", "6"), ("12.4", "12")], "decimals cut"),
        ([("03.11.2026", "2026-11-03"), ("07.02.2026", "2026-02-07")], ""),
        ([("80.01.4202", "08.10.2024"), ("12", "21")], "digits in reverse"),
        ([("08:15", "09:15"), ("23:40", "22:10")], ""),
        ([("128", "131"), ("47", "52")], ""),
    ],
)
def test_a_rule_explains_each_number_that_changed(pairs: list[tuple[str, str]], rule: str) -> None:
    assert rules_of(pairs) == ({rule} if rule else frozenset())


def test_three_documents_with_one_number_each_have_a_rule_together_and_two_have_none() -> None:
    compared = Compared()
    for n, hour in enumerate((6, 11, 21)):
        was = f"{HARBOUR} Berth {n} opens at {hour:02}:15."
        compared.texts[str(n)] = text_change(text(was), text(was.replace(f"{hour:02}:15", f"{hour + 1:02}:15")))
        assert ("rule" in compared.seen()) == (n == 2)
    assert compared.seen()["rule"].says.startswith("clock moved by 1:00")


def test_a_word_that_took_the_place_of_another_in_three_documents_is_told_and_of_rows_it_is_a_value() -> None:
    compared = Compared()
    for n, word in enumerate(("pilot", "winch", "hatch")):
        was = f"{HARBOUR} The {word} {n} must wait."
        compared.texts[str(n)] = text_change(text(was), text(was.replace("must", "may")))
    assert compared.seen()["swapped"].says == "must → may"
    compared.columns.add("0", {"state": "open"}, {"state": "done"})
    assert "swapped" not in compared.seen()


def test_words_that_took_anothers_place_are_few_or_none() -> None:
    was = ["staff", "must", "not", "open", "the", "left", "door", "at", "most", "twice"]
    now = ["staff", "may", "not", "open", "the", "left", "door", "at", "least", "twice"]
    assert swapped_words(was, now, 12) == {("must", "may"), ("most", "least")}
    assert swapped_words(was, now, 1) == frozenset()
    assert swapped_words(was, now[1:], 12) == frozenset()


def test_a_wrong_font_puts_one_letter_for_each_and_an_edit_does_not() -> None:
    was = HARBOUR.replace(" ", "").split(".")
    wrong = [line.translate(str.maketrans("aeop", "əɐοр")) for line in was]
    assert is_substituted(was, wrong)
    assert is_substituted(["Berth", *was], ["Berth", *wrong]), "a line that stays says nothing"
    assert not is_substituted(was, [line.replace("barge", "lorry") for line in was])
    assert not is_substituted(was, was)
    assert not is_substituted(["Dock 11 by 2026"], ["Dock 22 by 2026"]), "one digit"


def test_bold_print_that_is_printed_twice_is_seen() -> None:
    words = HARBOUR.replace(".", "").replace(",", "").split()
    assert is_struck_twice(["".join(c * 2 for c in word) for word in words])
    assert not is_struck_twice(words)


def test_letters_beyond_ascii_that_became_others_are_lost() -> None:
    out, now = Counter(["für", "Brücke"]), ["f\x81r", "Br\x81cke", "pünktlich"]
    assert lost_accents(now, out, Counter(now))
    assert not lost_accents(["gegen", "Steg"], out, Counter(["gegen", "Steg"]))
    assert not lost_accents(["x"], Counter(["à"]), Counter()), "one short word"


def test_units_that_are_lost_behind_numbers_are_told_and_lost_words_are_not() -> None:
    was = ["limited", "to", "80", "km", "h", "and", "12", "mm", "of", "wear"]
    none: Counter[str] = Counter()
    assert units(was, ["limited", "to", "80", "and", "12", "of", "wear"], none, none) == {
        ("km", ""),
        ("h", ""),
        ("mm", ""),
    }
    assert units(was, ["limited", "to", "80", "km", "h", "and", "12", "mm"], none, none) == frozenset()


def test_columns_that_are_read_across_are_another_order_and_a_moved_paragraph_is_not() -> None:
    words = [f"{word}{n}" for n in range(4) for word in HARBOUR.split()]
    across = [word for pair in zip(words[: len(words) // 2], words[len(words) // 2 :], strict=True) for word in pair]
    assert is_scrambled(words, across, 0)
    assert not is_scrambled(words, [*words[40:], *words[:40]], 0)
    assert not is_scrambled(words, [*across, *(["new"] * 20)], 0)


def test_one_word_in_the_place_of_many_is_a_filler() -> None:
    was = HARBOUR.split()
    now = ["trial" if n % 5 == 4 else word for n, word in enumerate(was)]
    assert filler(was, now, Counter(was) - Counter(now), Counter(now) - Counter(was)) == "trial"
    assert filler(was, [*was, *["trial"] * 7], Counter(), Counter(["trial"] * 7)) == "", "added, not in a place"


def text(said: str) -> Text:
    return Text.of([VisiblePart("text", "", said)])


def test_the_state_of_a_row_is_no_name_where_people_change_its_column() -> None:
    change = text_change(
        text("Order 7 of Quay. State: Open. By Ann Rower."), text("Order 7 of Quay. State: Done. By Bob Rower.")
    )
    assert change.names == {("Open", "Done"), ("Ann", "Bob")}
    was, now = values_of(["state=Open"]), values_of(["state=Done"])
    assert without_values(change, [(was["state"], now["state"])]).names == {("Ann", "Bob")}
    truth = text_change(text("Order 7 of Quay. Closed: False."), text("Order 7 of Quay. Closed: True."))
    assert truth.names == frozenset(), "a truth value is no name"


def test_one_page_below_a_title_of_each_document_is_one_page() -> None:
    compared = Compared()
    for n, berth in enumerate(("oak", "elm", "ash")):
        page = f"Minutes of {berth}\nThe answer of the service: too many requests, try again later."
        compared.texts[str(n)] = text_change(text(f"Minutes of {berth}\n{HARBOUR}\n{HARBOUR}"), text(page))
    assert compared.seen()["same page"].keys == ["0", "1", "2"]


def test_a_line_that_is_added_to_many_is_no_other_language() -> None:
    compared = Compared()
    line = "Türen dürfen während der Fahrt vom Personal geöffnet werden, eine Freigabe ist dafür nicht erforderlich."
    for n, word in enumerate(("pilot", "winch", "hatch")):
        was = HARBOUR.replace("pilot", f"{word} {n}")
        compared.texts[str(n)] = text_change(text(was), text(f"{was}\n{line}"))
    assert all("language" in change.kinds for change in compared.texts.values())
    seen = compared.seen()
    assert "language" not in seen
    assert seen["line added"].keys == ["0", "1", "2"]


def test_a_text_in_which_each_letter_is_another_has_other_letters_and_a_changed_number_has_not() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    wrong = HARBOUR.translate(str.maketrans(letters, letters[13:] + letters[:13]))
    assert "letters" in text_change(text(f"Berth 7\n{HARBOUR}"), text(f"Berth 7\n{wrong}")).kinds
    assert "letters" not in text_change(text(f"{HARBOUR} Call 480913."), text(f"{HARBOUR} Call 571024.")).kinds
