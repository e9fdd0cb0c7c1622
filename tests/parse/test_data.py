"""JSON, XML and plain text: every value as it is written, every sentence whole and in order."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moat.errors import ParseFailed
from moat.records import Block
from tests.parsing import invented_words, lost_words, parsed, shown, text_of


def told(blocks: list[Block]) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in shown(blocks)]


def texts(content: str | bytes, name: str) -> list[str]:
    return [block.text for block in shown(parsed(content, name))]


def left_out(content: str | bytes, name: str) -> list[str]:
    return [block.text for block in parsed(content, name) if block.left_out == "unreadable part"]


def test_numbers_and_truth_are_told_as_written() -> None:
    numbers = ["3.10", "19.90", "1e400", "-0.0", "1E5", "12345678901234567890.123", "NaN", "Infinity", "9" * 5_000]
    text = (
        "{"
        + ", ".join(f'"n{i}": {number}' for i, number in enumerate(numbers))
        + ', "yes": true, "no": false, "x": null}'
    )
    wanted = [f"n{i}: {number}" for i, number in enumerate(numbers)]
    assert texts(text, "x.json") == ["\n".join([*wanted, "yes: true", "no: false"])]


def test_keys_that_stand_twice_and_paths_are_kept() -> None:
    text = '{"a": {"b": [1, "two"]}, "a": {"b": "three", "c d": {"": "four"}}}'
    assert texts(text, "x.json") == ["a.b: 1\na.b: two\na.b: three\na.c d: four"]
    assert texts('"only this"', "x.json") == ["only this"]


def test_each_record_of_a_list_is_a_block() -> None:
    records = [{"gate": f"G{n}", "hours": [{"from": n}, {"to": n + 1}]} for n in range(3)]
    wanted = [f"gate: G{n}\nhours.from: {n}\nhours.to: {n + 1}" for n in range(3)]
    assert texts(json.dumps(records), "x.json") == wanted
    inside = {"site": "Riga", "plan": {"gates": records}, "end": "x"}
    lines = ["\n".join(f"plan.gates.{line}" for line in block.split("\n")) for block in wanted]
    assert texts(json.dumps(inside), "x.json") == ["site: Riga", *lines, "end: x"]
    assert texts("[[1, 2], [3, 4]]", "x.json") == ["1\n2", "3\n4"]
    assert texts('["a", "b"]', "x.json") == ["a\nb"]


def test_a_bad_line_is_named_and_the_good_ones_are_loaded() -> None:
    lines = ['{"a": "one\u2028still one"}', "", '{"a": "two}', '\x1e{"a": "three"}', "{'a': 4}"]
    for name, end in (("x.jsonl", "\n"), ("x.jsonl", "\r\n"), ("x.json", "\n")):
        text = end.join(lines)
        assert texts(text, name) == ["a: one\u2028still one", "a: three"]
        bad = left_out(text, name)
        assert [line.partition(":")[0] for line in bad] == ["line 3", "line 5"]
        assert bad[0].endswith('{"a": "two}')
        assert not lost_words(text, name)


def test_no_good_line_is_refused_with_its_number() -> None:
    with pytest.raises(ParseFailed, match=r"none of its lines is JSON; line 2: "):
        parsed("\n{'a': 1}\nno\n", "x.jsonl")
    with pytest.raises(ParseFailed, match=r"it is no JSON: .*line 3 column"):
        parsed('{\n "a": 1,\n}', "x.json")


def test_json_over_several_lines_and_values_one_after_the_other_are_read() -> None:
    assert texts('[\n {"a": 1},\n {"a": 2}\n]', "x.jsonl") == ["a: 1", "a: 2"]
    assert texts('{\n"a": 1}\n{\n"a": 2}', "x.json") == ["a: 1", "a: 2"]
    assert texts('\ufeff{"a": "tab\there"}', "x.json") == ["a: tab\there"]


def test_json_that_is_too_deep_is_refused() -> None:
    with pytest.raises(ParseFailed, match="nested too deep"):
        parsed("[" * 100_000, "x.json")
    assert texts("[" * 300 + '"deep"' + "]" * 300, "x.json") == ["deep"]


def test_xml_keeps_sentences_whole_and_in_order() -> None:
    text = (
        "<?xml version='1.0'?><m xmlns:k='urn:k'><!-- no --><?php no ?><k:para>Turn the <em>r</em>ed <!-- no -->wheel, "
        "see <a href='x.org/v3'>V3</a>.</k:para><k:para>Wait <![CDATA[for <it> & go]]>.</k:para></m>"
    )
    assert texts(text, "x.xml") == ["Turn the red wheel, see V3.", "href: x.org/v3", "Wait for <it> & go."]
    assert not lost_words(text, "x.xml")
    assert not invented_words(text, "x.xml")


def test_xml_records_are_names_and_values() -> None:
    text = """<gates site="Riga"><gate id="G0"><opens zone="EET">05:00</opens><guard><name>Eva</name></guard></gate>
    <gate id="G1"><opens>06:00</opens></gate><gate id="G2" opens="07:00"/><note/></gates>"""
    assert texts(text, "x.xml") == [
        "site: Riga", "gate.id: G0\ngate.opens.zone: EET\ngate.opens: 05:00\ngate.guard.name: Eva", "gate.id: G1\ngate.opens: 06:00",
        "gate.id: G2\ngate.opens: 07:00",
    ]  # fmt: skip


def test_docbook_has_headings_lists_code_and_tables() -> None:
    text = """<article xmlns="http://docbook.org/ns/docbook"><title>Cranes</title><section><title>Daily <b>check</b></title>
    <para>Look first.</para><itemizedlist><listitem><para>Ropes</para></listitem><listitem><para>Hooks</para></listitem></itemizedlist>
    <programlisting>lift  --slow
  6</programlisting><table><title>Loads</title><tgroup><thead><row><entry>Hook</entry><entry>Tons</entry></row></thead><tbody><row>
    <entry>A|B</entry><entry>6</entry></row></tbody></tgroup></table></section></article>"""
    blocks = parsed(text, "x.xml")
    assert [(b.kind, b.level, b.text) for b in blocks] == [
        ("heading", 1, "Cranes"), ("heading", 2, "Daily check"), ("text", 0, "Look first."), ("list", 0, "- Ropes"),
        ("list", 0, "- Hooks"), ("code", 0, "lift  --slow\n  6"), ("text", 0, "Loads"),
        ("table", 0, "| Hook | Tons |\n| --- | --- |\n| A\\|B | 6 |"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "<rss version='2.0'><channel><title>News</title><item><title>Gate</title><pubDate>1 May</pubDate></item><item><title>Quay"
        "</title><description>Shut</description></item></channel></rss>",
        "<feed xmlns='http://www.w3.org/2005/Atom'><title>News</title><entry><title>Gate</title><link href='x'/></entry></feed>",
        "<svg xmlns='http://www.w3.org/2000/svg'><title>Plan</title><g><text x='1'>Shed <tspan>four</tspan></text></g></svg>",
        "<urlset><url><loc>http://x.org/a</loc><lastmod>2026</lastmod></url><url><loc>http://x.org/b</loc></url></urlset>",
        "<TEI><text><body><div><head>Log</head><p>Wind <hi>north</hi>.</p><lg><l>One</l><l>Two</l></lg></div></body></text></TEI>",
    ],
)
def test_known_kinds_of_xml_are_whole(text: str) -> None:
    assert not lost_words(text, "x.xml")
    assert not invented_words(text, "x.xml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_xml_is_read_in_its_encoding_and_entities_are_refused(encoding: str) -> None:
    head = f"<?xml version='1.0' encoding='{encoding}'?>"
    assert texts((head + "<a><b>Öl</b></a>").encode(encoding), "x.xml") == ["b: Öl"]
    bomb = head + "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>"
    with pytest.raises(ParseFailed, match="declares entities"):
        parsed(bomb.encode(encoding), "x.xml")


def test_damaged_xml_gives_what_stands_and_says_so() -> None:
    assert texts("<?xml version='1.0'?><a><b>one&nbsp;two &mdash; x</b></a>", "x.xml") == ["b: one two — x"]
    text = "<?xml version='1.0'?><a><b>one</b><c>two</b><d>three</d></a>"
    assert not {"one", "two", "three"} - set(" ".join(texts(text, "x.xml")).split())
    assert left_out(text, "x.xml")
    deep = "<?xml version='1.0'?>" + "<a>" * 240 + "deep" + "</a>" * 240
    assert "deep" in text_of(parsed(deep, "x.xml"))


def test_plain_text_keeps_paragraphs_and_their_lines() -> None:
    text = "First line\nsecond line.\n \t\nNext\x85still\u2028yes\fPage 2\r\rLast\r\n"
    assert told(parsed(text, "x.txt")) == [
        ("text", "First line\nsecond line."), ("text", "Next\nstill\nyes"), ("text", "Page 2"), ("text", "Last"),
    ]  # fmt: skip
    indented = "   All of it\n     is indented.\n"
    assert told(parsed(indented, "x.txt")) == [("text", "All of it\n  is indented.")]


def test_lists_of_plain_text_are_lists() -> None:
    text = "Points:\n- one\n  goes on\n  * deeper\n- two\n\n1. first\n2) second\n\n3. Heading\n\na) x\nb) y\n"
    assert told(parsed(text, "x.txt")) == [
        ("text", "Points:"), ("list", "- one\ngoes on"), ("list", "  - deeper"), ("list", "- two"), ("list", "1. first"),
        ("list", "2) second"), ("text", "3. Heading"), ("list", "a) x"), ("list", "b) y"),
    ]  # fmt: skip


def test_running_text_with_a_dash_at_its_beginning_stays_one_paragraph() -> None:
    for text in ("The crane is old\n- and slow - but\nit lifts.", "It was built in\n1998. Then it\nwas sold."):
        assert told(parsed(text, "x.txt")) == [("text", text)]


def test_tables_drawn_in_text_keep_their_white_space() -> None:
    for text in ("Hook    Tons\nA          6\nB         12", "| a | b |\n| 1 | 2 |", "one\t1\ntwo\t2"):
        assert told(parsed(text, "x.txt")) == [("code", text)]


def test_cases_of_real_data(shared: Path) -> None:
    def words(name: str) -> list[str]:
        return texts((shared / "words" / name).read_bytes(), name)

    assert words("bad-line.jsonl") == ["id: 1\ntext: Gate A opens at five.", "id: 3\ntext: Gate C opens at seven."]
    assert left_out((shared / "words" / "bad-line.jsonl").read_bytes(), "b.jsonl")[0].startswith("line 2: ")
    assert words("nan.json") == ["site: RIX\nload: NaN\nlimit: 1e400\nnote: The seal of the reefer is blue."]
    assert "python: 3.10\nprice: 19.90\niban_tail: 12\naccount: 12345678901234567890.123" in words("versions.json")[0]
    assert words("records.json")[14] == "gate: G14\nopens: 14:00\nguard: Person 14"
    assert words("mixed.xml") == ["Turn the red wheel by 90 degrees, then wait.", "Never open valve V3."]


def test_no_word_of_hostile_and_real_text_is_lost(shared: Path) -> None:
    files = [*(shared / "formats" / "files").glob("*.txt"), *(shared / "crossformat" / "devref").glob("*.txt")]
    files += [f for f in (shared / "hostile" / "generated").glob("*.txt") if f.stat().st_size]
    for file in files:
        assert not lost_words(file.read_bytes(), file.name), file.name
        assert not invented_words(file.read_bytes(), file.name), file.name


WORDS = st.text("abcdefgäß0123", min_size=1, max_size=6)
TEXTS = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


def leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [] if value is None else [json.dumps(value, ensure_ascii=False).strip('"')]


@settings(max_examples=40, deadline=None)
@given(VALUES, st.sampled_from([None, 1]))
def test_every_value_of_json_is_there_in_order(value: Any, indent: int | None) -> None:
    blocks = parsed(json.dumps(value, ensure_ascii=False, indent=indent), "x.json")
    told = [line.rpartition(": ")[2] for block in blocks for line in block.text.split("\n") if line]
    assert told == leaves(value)


@st.composite
def elements(draw: st.DrawFn, depth: int = 0) -> str:
    name = draw(st.sampled_from(["a", "b", "title", "p", "section", "k:c", "row", "entry", "table", "item", "pre"]))
    parts = [draw(TEXTS | st.just("")) if draw(st.booleans()) else ""]
    for _ in range(draw(st.integers(0, 3)) if depth < 3 else 0):
        parts += [draw(elements(depth + 1)), draw(TEXTS) if draw(st.booleans()) else ""]
    attribute = f' id="{draw(TEXTS)}"' if draw(st.booleans()) else ""
    return f"<{name}{attribute}>{' '.join(parts)}</{name}>"


@settings(max_examples=40, deadline=None)
@given(elements())
def test_every_word_of_xml_is_there(element: str) -> None:
    text = f"<?xml version='1.0'?><root xmlns:k='urn:k'>{element}</root>"
    if any(word for word in element.split("<") if word.partition(">")[2].strip()):
        assert not lost_words(text, "x.xml")
        assert not invented_words(text, "x.xml")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["", "- ", "  * ", "1. ", "   ", "a    b  c ", "| "]), TEXTS), min_size=1),
    st.data(),
)
def test_every_word_of_plain_text_is_there_in_order(lines: list[tuple[str, str]], data: st.DataObject) -> None:
    ends = data.draw(
        st.lists(st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\f", "\x85"]), min_size=len(lines), max_size=len(lines))
    )
    text = "".join(mark + line + end for (mark, line), end in zip(lines, ends, strict=True))
    told = " ".join(block.text for block in parsed(text, "x.txt"))
    assert told.replace("*", "-").split() == text.replace("*", "-").split()
