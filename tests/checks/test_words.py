"""No word is lost between a document's bytes and its chunks, or somebody is told which."""

from dataclasses import replace
from pathlib import Path

import pytest

from moat.ledger import history
from moat.parse.words import count, words_of
from moat.records import Block, Chunk, Document, LeftOut, Prepared, SourceWords
from moat.runtime import Runtime, path
from moat.source import Limits, Risks
from moat.stages.gate import check
from moat.stages.load import load
from moat.stages.words_kept import words_kept
from tests.company import Company

TEXT = "The crane lifts twelve tonnes at pier nine."


def document(*blocks: Block, text: str = TEXT) -> Document:
    words = SourceWords(count(text), count("crane-note"))
    return Document(key="k", uri="u", title="", media_type="text/plain", blocks=blocks, words=words)


def chunk(text: str, heading: str = "") -> Chunk:
    about = {"id": "c", "document_id": "d", "key": "k", "kind": "text", "page": None, "position": 0}
    return Chunk(**about, text=text, heading=heading, n_tokens=1, text_hash="h")  # type: ignore[arg-type]


def block(text: str, left_out: LeftOut = "", hidden: str = "") -> Block:
    return Block(kind="text", text=text, left_out=left_out, hidden=hidden)


def test_a_word_in_no_chunk_is_missing() -> None:
    whole = document(block("The crane lifts at pier nine."))
    found = words_kept(whole, whole, [chunk("The crane lifts at pier nine.")], Risks())
    assert (found.n_words, found.n_missing, set(found.missing)) == (8, 2, {"twelve", "tonnes"})


def test_a_word_that_the_chunker_loses_is_missing() -> None:
    whole = document(block(TEXT))
    found = words_kept(whole, whole, [chunk("The crane lifts twelve tonnes at pier")], Risks())
    assert (found.n_missing, found.missing) == (1, ("nine",))


def test_a_word_that_stands_twice_and_comes_once_is_missing() -> None:
    whole = document(block(TEXT), text=f"{TEXT} {TEXT}")
    assert words_kept(whole, whole, [chunk(TEXT)], Risks()).n_missing == 8


def test_what_a_rule_left_out_is_declared_with_its_words() -> None:
    cleaned = document(block("The crane lifts"), block("twelve tonnes at pier nine.", left_out="navigation"))
    judged = replace(cleaned, blocks=cleaned.blocks[:1])
    found = words_kept(cleaned, judged, [chunk("The crane lifts")], Risks())
    assert (found.n_missing, found.left_out) == (0, ("navigation=5=twelve tonnes at pier nine.",))


def test_what_the_risks_redact_is_not_missing_and_in_no_sample() -> None:
    secret = "AKIA" + "IOSFODNN7EXAMPLQ"
    cleaned = document(
        block(f"The crane lifts twelve tonnes {secret}"), block(f"at pier nine. {secret}", left_out="comment"),
        block("hidden words", hidden="css"), text=f"{TEXT} {secret} {secret} hidden words",
    )  # fmt: skip
    judged = replace(cleaned, blocks=(block("The crane lifts twelve tonnes [redacted]"),))
    found = words_kept(cleaned, judged, [chunk("The crane lifts twelve tonnes [redacted]")], Risks())
    assert found.n_missing == 0
    assert secret not in str(found)


def test_numbers_that_may_be_somebodys_are_counted_and_not_stored() -> None:
    whole = document(block("The crane lifts"), text="The crane lifts 4929123412341234 tonnes")
    found = words_kept(whole, whole, [chunk("The crane lifts")], Risks())
    assert (found.n_missing, found.missing) == (2, ("tonnes",))


def test_a_word_that_the_document_does_not_have_is_invented() -> None:
    whole = document(block(f"Slide crane {TEXT} note"))
    assert words_kept(whole, whole, [chunk(whole.blocks[0].text)], Risks()).n_invented == 1, (
        "note stands beside the text"
    )


def test_words_have_one_normal_form() -> None:
    assert count("of\ufb01cer ＡＢＣ Straße infor-\nmation soft\u00adhyphen zero\u200bwidth") == count(
        "officer abc strasse information softhyphen zerowidth"
    )
    assert count("住宿费 9") == {"住": 1, "宿": 1, "费": 1, "9": 1}, "where no spaces stand, a character is a word"


@pytest.mark.parametrize(("kind", "content"), [
    ("html", "<p>un<b>broken</b> word</p><script>no</script><ul><li>one<li>two</ul>"),
    ("md", "# un**broken** word\n\n- one [two](http://no.example/x)\n"),
    ("json", '{"no": "unbroken word", "nested": [["one", {"no": "two"}]]}'),
    ("jsonl", '{"no": "unbroken\u2028word"}\n{broken\n["one", "two"]'),
    ("xml", "<a no='no'><p>un<i>broken</i> word</p><b>one</b><b>two</b></a>"),
    ("eml", "Subject: unbroken\nContent-Type: text/plain\n\nword\n\none two\n"),
    ("csv", "unbroken,word\none,two\n"),
    ("rst", "unbroken\n========\n\n.. note::\n\n   word *one* ``two``\n"),
])  # fmt: skip
def test_the_second_road_takes_the_words_of_a_format(kind: str, content: str) -> None:
    found = words_of(content.encode(), kind)
    assert found is not None
    assert found.text == {"unbroken": 1, "word": 1, "one": 1, "two": 1}


def test_a_second_road_that_fails_on_damage_is_none() -> None:
    assert words_of(b"PK\x03\x04 no archive", "docx") is None
    assert words_of(b"%PDF-1.4 nothing", "pdf") is None
    assert words_of(b"\x89PNG", "image") is None


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    made = Company(runtime, tmp_path / "docs")
    made.write("crane.md", f"# Cranes\n\n{TEXT}\n")
    made.write("pier.md", "# Pier\n\nThe pier is closed on Sundays and on every holiday.\n")
    return made


def lose(company: Company, number: int, n: int) -> None:
    """Let the load's first document have lost n words."""
    file = path("docs", number, "document", "0000.parquet")
    rows = list(company.runtime.staging.read(file, Prepared))
    lost = replace(rows[0], n_words=100, n_missing=n, missing=("twelve", "tonnes"))
    company.runtime.staging.write(file, Prepared, [lost, *rows[1:]])


@pytest.mark.parametrize(("n", "severities"), [
    (2, {}), (3, {}), (4, {"words lost": "warn"}), (10, {"words lost": "warn"}),
    (11, {"words lost": "warn", "many words lost": "hold"}),
])  # fmt: skip
def test_lost_words_are_told_and_many_hold(company: Company, n: int, severities: dict[str, str]) -> None:
    number = company.to_the_gate()
    lose(company, number, n)
    failed = [r for r in check(company.runtime, company.source, number, "words") if r.failed]
    assert {r.name: r.severity for r in failed} == severities
    for result in failed:
        assert result.documents == ("crane.md",)
        assert "twelve, tonnes" in result.seen


def test_the_source_decides_how_many_words_may_be_lost(company: Company) -> None:
    number = company.to_the_gate()
    lose(company, number, 30)
    lax = replace(company.source, limits=Limits(min_words_kept=0.5))
    assert {r.name for r in check(company.runtime, lax, number, "words") if r.failed} == {"words lost"}


def test_the_ledger_keeps_what_a_document_lost_and_what_rules_left_out(company: Company) -> None:
    number = company.to_the_load()
    lose(company, number, 3)
    load(company.runtime, company.source, number)
    assert history.words_lost(company.runtime.ledger, number, 5) == [("crane.md", 100, 3, ["twelve", "tonnes"])]
