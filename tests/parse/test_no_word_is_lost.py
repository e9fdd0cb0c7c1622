"""Real-world constructs that lost text somewhere: no word of these files is lost, and none is invented."""

from pathlib import Path

import pytest

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
