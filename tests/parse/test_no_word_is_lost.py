"""Real-world constructs that lost text somewhere: no word of these files is lost, and none is invented."""

from pathlib import Path

import pytest

from moat.parse.words import MBOX, words_of
from tests.parsing import invented_words, lost_words

NO_DOCUMENTS = {".yaml", ".sql"}


def test_no_word_of_the_collected_cases_is_lost_or_invented(shared: Path) -> None:
    files = [f for f in sorted((shared / "words").iterdir()) if f.suffix not in NO_DOCUMENTS and f.name != "CASES.md"]
    assert len(files) > 30
    wrong = {}
    for file in files:
        content = file.read_bytes()
        lost, invented = lost_words(content, file.name), invented_words(content, file.name)
        if lost or [word for word in invented if not word.isdigit()]:
            wrong[file.name] = (lost, invented)
    assert wrong == {}


@pytest.mark.parametrize("name", ["devref/developers-reference.html", "devref/developers-reference.epub"])
def test_no_word_of_a_long_page_and_its_e_book_is_lost(shared: Path, name: str) -> None:
    content = (shared / "crossformat" / name).read_bytes()
    assert lost_words(content, name) == {}


HOSTILE = {
    "marks": "a" + "\u0301\u0323" * 150_000,
    "a word broken by lines without end": "a-" + "\n" * 300_000,
    "comments begun": "<!--" * 75_000,
    "links begun": "](" * 150_000,
    "a link's spaces": "](" + " " * 300_000,
    "references begun": "[\n" * 150_000,
    "addresses begun": "<http://" * 40_000,
    "roles begun": ":a" * 150_000,
    "links of Org mode begun": "[[" * 150_000,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_the_words_of_a_hostile_text_take_the_time_of_its_length(what: str) -> None:
    """Work that grew with the square of the length would take an hour here."""
    text = f"Cranes lift.\n\n{HOSTILE[what]}\n\nAnd load."
    for kind in ("md", "rst", "txt"):
        found = words_of(text.encode(), kind)
        assert found is not None
        assert {"cranes", "load"} <= {*found.text, *found.beside}


def test_a_mailbox_is_parted_in_the_time_of_its_length() -> None:
    assert len(MBOX.split(b"\n\nFrom " + b"a" * 300_000 + b"\n\nFrom a@b.org Fri May  1 10:00:00 2026\n")) == 2
