"""Each cleaning step is a pure function with its count, in one listed order."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moat.records import Block, Document
from moat.stages import clean as steps
from moat.stages.clean import STEPS, clean

Make = Callable[..., Document]


def text_of(document: Document) -> str:
    return "\n".join(block.text for block in document.blocks)


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        (steps.nfc, "cafe\u0301", "caf\u00e9"),
        (steps.control_characters, "a\x00\x01b \x07c\r\nd\te", "a b c\nd\te"),
        (steps.invisible_characters, "pass\u200bword \u202egpj.exe \U000e0041x a\u200db", "password gpj.exe x ab"),
        (steps.soft_hyphens, "Donau\u00addampf", "Donaudampf"),
        (steps.data_uris, "see ![x](data:image/png;base64," + "QUJD" * 40 + ") here", "see ![x]() here"),
        (steps.broken_hyphenation, "informa-\ntion and pre-\nWar", "information and pre-\nWar"),
        (steps.leaders, "Chapter 1 . . . . . . . . 7", "Chapter 1 …  7"),
        (steps.white_space, "a  b\u00a0\u00a0c \n\n\n\n d  ", "a b c\n\n d"),
    ],
)
def test_a_step_changes_what_it_is_for_and_counts_it(step: steps.Step, before: str, after: str, document: Make) -> None:
    changed, n = step(document(("text", before)))
    assert text_of(changed) == after
    assert n == 1
    assert step(changed)[1] == 0


@pytest.mark.parametrize("kept", ["سلام\u200cعلیکم", "क\u094d\u200dष", "👩\u200d💻"])
def test_joiners_that_mean_something_stay(kept: str, document: Make) -> None:
    assert text_of(steps.invisible_characters(document(("text", kept)))[0]) == kept


def test_a_pdf_joins_words_broken_at_a_line_but_not_compounds(document: Make) -> None:
    before = document(("text", "the environ- ment of pre- and post-war"), media_type="application/pdf")
    assert text_of(steps.broken_hyphenation(before)[0]) == "the environment of pre- and post-war"


def test_lines_that_differ_in_digits_only_stay(document: Make) -> None:
    sheets = document(*(("table", f"| Maximum load: {n} t |", 0, n) for n in range(1, 30)))
    assert clean(sheets)[0].blocks == sheets.blocks


def test_indentation_of_lists_and_code_stays(document: Make) -> None:
    assert text_of(clean(document(("list", "  - inner  item")))[0]) == "  - inner item"


def test_steps_are_listed_once_and_each_is_counted(document: Make) -> None:
    _, counts = clean(document(("text", "a")))
    assert list(counts) == [step.__name__ for step in STEPS]


@given(st.lists(st.text(), max_size=5))
def test_cleaning_twice_changes_nothing_more(texts: list[str]) -> None:
    once, _ = clean(
        Document(
            key="k", uri="u", title="", media_type="text/plain", blocks=tuple(Block(kind="text", text=t) for t in texts)
        )
    )
    twice, counts = clean(once)
    assert twice == once
    assert not any(counts.values())


def test_the_title_is_cleaned_too() -> None:
    assert (
        clean(
            Document(
                key="k",
                uri="u",
                title="A\u200b  B\x00",
                media_type="text/plain",
                blocks=(Block(kind="text", text="x"),),
            )
        )[0].title
        == "A B"
    )
