"""A row's text: what the parser of Markdown gives back of a value is the value, wherever it stands."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from moat.readers.row_template import columns, fill, wrong

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
PIECES = [
    *"ab1 2\n\t#*_-+=>`~|[]()<>&;:!.\\'\"{}$^%/@,",
    "\n\n", "    ", "1.", "2)", "```", "~~~", "&amp;", "&#35;", "<b>", "</div>", "<!--", "-->", "<script>", "---", "===",
    "http://a_b.c/d_e", "a@b.example", "ü", "\u00a0", "\u2028", "| a |", "|---|", ":-:", "[x](y)", "![", "[x]: y", "__main__",
    "\\\\server\\_x", "2*3*4", "- [ ] ", "\r\n", "\f", "朱", "🚢",
]  # fmt: skip
VALUES = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
PLACES = {
    "text": ("{a}", "A"),
    "heading": ("# {a}\n\n{b}", "AB"),
    "underlined": ("x{a}\n===\n\n{b}", "xAB"),
    "side by side": ("{a}{b}", "AB"),
    "two lines": ("{a}\n{b}", "AB"),
    "list": ("- {a}\n- {b}", "AB"),
    "numbered list": ("1. {a}\n2. {b}", "AB"),
    "a number's place": ("{a}. {b}", "A.B"),
    "a number with a parenthesis": ("{a}) {b}", "A)B"),
    "a list that is none": ("Text\n10. {a}\n{b}", "Text10.AB"),
    "quotation": ("> {a}\n> {b}", "AB"),
    "list in a quotation": ("> - {a}\n> - {b}", "AB"),
    "table": ("| h | i |\n|---|---|\n| {a} | {b} |", "hiAB"),
    "behind a label": ("**N:** {a} *it* {b}", "N:AitB"),
    "fence": ("```\n{a}\n```\n\n{b}", "AB"),
    "fence in a list": ("- x\n  ~~~py\n  {a}\n  ~~~\n  {b}", "xAB"),
    "indented code": ("x\n\n    {a}\n\n{b}", "xAB"),
    "raw HTML": ("<div>\n{a}\n</div>\n\n{b}", "AB"),
    "inside a tag": ("<b>{a}</b> and {b}", "AandB"),
    "behind an ampersand": ("R&{a} {b}", "R&AB"),
    "behind a backslash": ("C:\\{a} {b}", "C:\\AB"),
    "behind an angle bracket": ("an <{a}> {b}", "an<A>B"),
    "behind a sign": ("x #{a} {b}", "x#AB"),
    "in brackets": ("({a}) [{b}]", "(A)[B]"),
}  # fmt: skip


class Shown(HTMLParser):
    """The text that a reader of the page sees, and the addresses of its links."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.links, self.tags = "", list[str](), set[str]()
        self.feed(page)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]


def shown(template: str, **values: object) -> Shown:
    return Shown(MARKDOWN.render(fill(template, values)))


def packed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=60, deadline=None)
@given(a=VALUES, b=VALUES)
def test_every_value_comes_back_with_exactly_its_characters(place: str, a: str, b: str) -> None:
    template, order = PLACES[place]
    wanted = "".join({"A": a, "B": b}.get(one, one) for one in order)
    assert packed(shown(template, a=a, b=b).text) == packed(wanted)


@settings(max_examples=300, deadline=None)
@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_comes_back(value: str) -> None:
    assert packed(shown("{a}", a=value).text) == packed(value)


@settings(max_examples=200, deadline=None)
@given(value=VALUES)
def test_a_value_in_a_code_span_comes_back(value: str) -> None:
    assert packed(shown("x `{a}` y", a=value).text) == packed(f"x{value}y")


@pytest.mark.parametrize(
    "value", ["2*3*4", "__main__", "\\\\server\\_x", "# not a heading", "<script>alert(1)</script>", "1. one", "- one",
              "    four", "\tone", "&lt;", "a | b", "> said", "---", "~~no~~", "[a](b)", "{braces}", "Setext\n===", "a\n---"],
)  # fmt: skip
def test_a_body_that_looks_like_markup_is_text(value: str) -> None:
    page = shown("# {subject}\n\n{body}", subject=value, body=value)
    assert packed(page.text) == packed(value * 2)
    assert page.tags <= {"h1", "p", "br"}


def test_lines_and_paragraphs_stay() -> None:
    assert MARKDOWN.render(fill("{a}", {"a": "one\ntwo\r\n\r\n\r\nthree"})) == "<p>one<br />\ntwo</p>\n<p>three</p>\n"
    nested = MARKDOWN.render(fill("- {a}\n- x", {"a": "one\n\ntwo"}))
    assert nested.count("<li>") == 2
    assert "<p>two</p>\n</li>" in nested
    assert shown("# {a}\n\nx", a="one\ntwo").text == "one two\nx\n"


def test_words_of_neighbouring_values_stay_apart() -> None:
    assert shown("{a}{b}", a="one ", b="two").text == "one two\n"
    assert shown("{a}{b}", a="one", b="\ntwo").text == "one two\n"


def test_a_value_that_is_markdown_stands_as_it_is() -> None:
    assert fill("{a|markdown}\n\n{a}", {"a": "# T\n\n* x"}) == "# T\n\n* x\n\n\\# T\n\n\\* x"
    assert fill("- {a|markdown}", {"a": "x\n\ny"}) == "- x\n  \n  y"


def test_a_value_that_is_html_is_a_block_closed_and_apart() -> None:
    value = "<style>.x {color: red}</style><p class='x'>Hi <b>you</b> 2*3*4\n\n\n<pre>a\n\nb</pre><!-- open"
    page = MARKDOWN.render(fill("# {t}\n\n{b|html}\nnext *x*", {"t": "T", "b": value}))
    assert page.startswith("<h1>T</h1>\n<div><style>")
    assert "<b>you</b> 2*3*4" in page
    assert page.endswith("</div>\n<p>next <em>x</em></p>\n")
    assert MARKDOWN.render(fill("- x\n- {b|html}\n- z", {"b": "<p>y</p>"})).count("<li>") == 3
    assert (
        fill("{b|html}", {"b": "<?xml version='1.0' encoding='utf-8'?><html><body>x</body></html>"}).strip()
        == "<div>x</div>"
    )
    for nothing in ("", None, "<!-- only -->", " \n"):
        assert fill("{b|html}", {"b": nothing}) == ""


def test_a_value_that_is_html_needs_its_own_paragraph() -> None:
    with pytest.raises(ValueError, match="its own paragraph"):
        fill("# {b|html}", {"b": "<p>x</p>"})


def test_a_value_in_an_address_stays_in_it() -> None:
    page = shown('[{a}](https://h/{b}?q={a} "{a}") <https://h/{b}>', a='x"y)(z', b="a_b c>*d")
    assert page.links == ["https://h/a_b%20c%3E*d?q=x%22y)(z", "https://h/a_b%20c%3E*d"]
    assert shown("[x][r]\n\n[r]: http://h/{b}", b="a b)").links == ["http://h/a%20b)"]
    assert shown('<a href="{b}">x</a>', b='" onclick="y').links == ['" onclick="y']


def test_code_is_refused_only_what_would_end_it() -> None:
    assert shown("```{a}\n{b}\n```", a="py", b="```\nx\n````").text.rstrip() == "```\nx\n````"
    with pytest.raises(ValueError, match="24 backticks"):
        fill("`{a}`", {"a": "`" * 24})


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{a|x}", "markdown or html"),
        ("{}", "not a column's name"),
        ("{|html}", "not a column's name"),
        ("{a.b}", "not a column's name"),
        ("{a[0]}", "not a column's name"),
        ("{a |html}", "not a column's name"),
        ("{a", "write {{ for a brace"),
        ("{a!z}", "a conversion is r, s or a"),
        ("{a:{b}}", "holds a brace"),
        ("none", "same document"),
    ],
)
def test_a_template_that_is_wrong_says_what_to_write(template: str, words: str) -> None:
    assert words in wrong(template)[0]


def test_columns_are_those_of_the_fields() -> None:
    assert columns("{{x}} {a|html} {b!r:>3}") == ["a", "b"]
    assert wrong("{{x}} {a|html} {b!r:>3}") == []
