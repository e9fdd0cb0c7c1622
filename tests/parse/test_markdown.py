"""Markdown gives what its readers see; its code as it was written."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moat.parse.options import Parsing
from moat.records import Block
from tests.parsing import invented_words, lost_words, parsed, shown, text_of, title_of


def lines(text: str) -> list[str]:
    return [block.text for block in shown(parsed(text, "p.md"))]


def one(text: str) -> Block:
    (block,) = shown(parsed(text, "p.md"))
    return block


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Some **bold** and *it* and ~~gone~~ and `co_de`.", ["Some bold and it and gone and co_de."]),
        ("One\ntwo  \nthree\\\nfour", ["One two\nthree\nfour"]),
        ("a\n\n***\n\nb", ["a", "b"]),
        ("> Said\n>\n> > deeper", ["Said", "deeper"]),
        ("Fact.[^1]\n\n[^1]: Note", ["Fact.[^1]", "[^1]: Note"]),
        ("Fact.[^a]\n\n[^a]: A longer note.", ["Fact.[^a]", "[^a]: A longer note."]),
        ("- [x] done\n- [ ] open", ["- [x] done", "- [ ] open"]),
        ("3. c\n4. d", ["3. c", "4. d"]),
        ("- a\n  - b\n\n    c\n- d", ["- a", "  - b", "    c", "- d"]),
        ("\\*not it\\* 5 \\< 6 &amp; &lt;b&gt; \\[x\\](y) C:\\dir", ["*not it* 5 < 6 & <b> [x](y) C:\\dir"]),
        ("Read <stdin> into List<String>, Map<K, V>.", ["Read <stdin> into List<String>, Map<K, V>."]),
        ("cp <source> <target> and <my-file>", ["cp <source> <target> and <my-file>"]),
        ("Use the <title> tag, <script> and <style>.\n\nMore", ["Use the <title> tag, <script> and <style>.", "More"]),
        ("<stdin>\n\nMore", ["<stdin>", "More"]),
        ("if a < b and c > d: <!-- open", ["if a < b and c > d: <!-- open"]),
        ("H<sub>2</sub>O <kbd>Q</kbd><br>next", ["H2O Q\nnext"]),
        ("<details>\n<summary>Steps</summary>\n\n1. Close\n\n</details>", ["Steps", "1. Close"]),
        ("![Plan of the quay](plan.png 'x')", ["Plan of the quay"]),
        ("[the rules](https://x.example/a) and <https://y.example>",
         ["the rules (https://x.example/a) and https://y.example"]),
        ("[the rules][r]\n\n[r]: https://x.example/a", ["the rules (https://x.example/a)"]),
        ("Term\n: Meaning", ["Term : Meaning"]),
    ],
)  # fmt: skip
def test_every_construct_gives_its_text(text: str, expected: list[str]) -> None:
    assert lines(text) == expected


@pytest.mark.parametrize(
    ("text", "level", "expected"),
    [("# A `b` #", 1, "A b"), ("A\nb\n===", 1, "A b"), ("A\n---", 2, "A"), ("###### F", 6, "F")],
)
def test_headings(text: str, level: int, expected: str) -> None:
    block = one(text)
    assert (block.kind, block.level, block.text) == ("heading", level, expected)


@pytest.mark.parametrize(
    "code",
    [
        '```python title="x.py"\ndef f():\n    return "<b>&amp;"  # c\n\n\n    x\n```',
        "~~~~\n```\ninner\n```\n~~~~",
        "```\n\\* *no* <stdin>\n```",
    ],
)
def test_a_fence_is_code_with_its_fence_lines(code: str) -> None:
    block = one(code)
    assert (block.kind, block.text) == ("code", code)


def test_indented_code_keeps_its_spaces() -> None:
    block = one("    x = 1\n      y")
    assert (block.kind, block.text) == ("code", "x = 1\n  y")


def test_code_in_a_list_stands_in_it() -> None:
    assert lines("- a\n\n  ```sh\n  ls\n  ```\n- b") == ["- a", "```sh\nls\n```", "- b"]


def test_a_table_keeps_its_cells() -> None:
    block = one("| A | B |\n|---|:-:|\n| 1 \\| 2 | **x** |\n| only |\n| 1 | 2 | 3 past | 4 |")
    assert (block.kind, block.text) == (
        "table", "| A | B |\n| --- | --- |\n| 1 \\| 2 | x |\n| only |  |\n| 1 | 2 3 past 4 |",
    )  # fmt: skip


def test_comments_and_targets_are_left_out_and_said() -> None:
    text = "Text <!-- in line --> of\n\n<!-- its own\nlines -->\n\n[rel](../a.md)\n\n[unused]: https://u.example/x"
    assert [(b.text, b.left_out) for b in parsed(text, "p.md")] == [
        ("Text of", ""), ("in line", "comment"), ("its own lines", "comment"), ("rel", ""),
        ("../a.md\nhttps://u.example/x", "link target"),
    ]  # fmt: skip
    found = parsed("[a](https://x.example)", "p.md", Parsing(links=False))
    assert [(b.text, b.left_out) for b in found] == [("a", ""), ("https://x.example", "link target")]


def test_what_html_in_it_hides_is_hidden() -> None:
    found = parsed("a\n\n<p style='display:none'>W</p>\n\nb <span hidden>V</span> c", "p.md")
    assert [(b.text, b.hidden) for b in found] == [("a", ""), ("W", "css"), ("b c", ""), ("V", "markup")]


def test_front_matter_is_text_and_states_the_title() -> None:
    text = "---\ntitle: 'Quay rules'\nowner: ops\n---\n# Berths\n"
    assert lines(text) == ["title: 'Quay rules'\nowner: ops", "Berths"]
    assert title_of(text, "p.md") == "Quay rules"
    assert lines("---\n\nnot front matter\n\n---\n") == ["not front matter"]


def test_depth_without_end_loses_no_word() -> None:
    for text in (">" * 3000 + " deep", "- " * 3000 + "deep", "[" * 3000 + "deep", "*" * 3000 + "deep" + "*" * 3000):
        assert "deep" in text_of(parsed(text + "\n\nafter", "p.md"))
        assert "after" in text_of(parsed(text + "\n\nafter", "p.md"))
    nested = "\n".join("  " * n + f"- item{n}" for n in range(120))
    assert [n for n in range(120) if f"item{n}" not in text_of(parsed(nested, "p.md")).split()] == []


@pytest.mark.parametrize("name", ["html-in-md.md", "about-pdf.md", "kw-zh.md", "kw-it.md"])
def test_real_documents(shared: Path, name: str) -> None:
    content = (shared / "words" / name).read_bytes()
    assert not lost_words(content, name)
    assert not invented_words(content, name)
    if name == "html-in-md.md":
        assert [line for line in ("Steps for model V2", "1. Close the inlet.", "The torque is 45 Nm.", "| V2 | 45 Nm |")
                if line not in text_of(parsed(content, name))] == []  # fmt: skip


word = st.text("abcdefghijklmnopqrstuvwxyzäöüß漢字", min_size=2, max_size=7)
words = st.lists(word, min_size=1, max_size=4).map(" ".join)
line = st.one_of(
    words,
    words.map(lambda found: f"**{found}**"),
    words.map(lambda found: f"`{found}`"),
    words.map(lambda found: f"![{found}](p.png)"),
    words.map(lambda found: f"[{found}](#x)"),
)
block = st.one_of(
    line,
    line.map(lambda found: f"## {found}"),
    line.map(lambda found: f"{found}\n==="),
    st.lists(line, min_size=1, max_size=3).map(lambda found: "\n".join(f"- {item}" for item in found)),
    st.lists(line, min_size=1, max_size=3).map(lambda found: "\n".join(f"{n}. {x}" for n, x in enumerate(found, 5))),
    line.map(lambda found: f"> {found}"),
    words.map(lambda found: f"```\n{found}\n```"),
    words.map(lambda found: f"    {found}"),
    st.tuples(line, line, line).map(lambda c: f"| {c[0]} | {c[1]} |\n|---|---|\n| {c[2]} | {c[0]} | {c[1]} |"),
    words.map(lambda found: f"<details>\n<summary>{found}</summary>\n\n{found}\n\n</details>"),
    words.map(lambda found: f"[^1]: {found}"),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(block, min_size=1, max_size=6))
def test_every_word_of_any_document_is_in_its_blocks_in_order(blocks: list[str]) -> None:
    text = "\n\n<!-- -->\n\n".join(blocks)
    bare = re.sub(r"\]\((?:p\.png|#x)\)|</?(?:details|summary)>", " ", text)
    found = "\n".join(b.text for b in shown(parsed(text, "p.md")))
    assert re.findall(r"[^\W\d_]+", found) == re.findall(r"[^\W\d_]+", bare)
