r"""What RTF says is in the blocks: each construct with its right value, in its place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moat.parse.options import Parsing
from tests.parsing import parsed, text_of

HEAD = (
    r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial Cyr;}{\f2\fcharset2 Symbol;}"
    r"{\f3\fcharset128 MS Mincho;}}{\colortbl;\red255\green255\blue255;\red0\green0\blue0;}"
    r"{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 heading 1;}{\s2 Title;}{\s3\outlinelevel2 Mine;}}"
    r"{\*\generator Any;}{\info{\title Not here}}\f0 "
)


def rtf(body: str) -> bytes:
    return (HEAD + body + "}").encode("latin-1")


@pytest.mark.parametrize(
    ("body", "right"),
    [
        (r"caf\'e9 {\f1 \'cc\'ee} {\f2 \'b0}C {\f3 \'93\'fa}\par", "café Мо °C 日"),
        (r"5\u8364?!\par", "5€!"),
        (r"{\uc2\u937\'83\'b6}\uc1 \u-10179?\u-8704?\par", "Ω😀"),
        (r"a\tab b\line c\emdash d\~e\_f\-g\par", "a\tb\nc—d\u00a0e-fg"),
        (r"Text{\super\chftn}{\footnote\pard\plain The note.} goes on.\par Next.\par", "Text goes on.\nThe note.\nNext."),
        (r'See {\field{\*\fldinst{HYPERLINK "https://x.org/r"}}{\fldrslt{rules}}}\par', "See rules (https://x.org/r)"),
        (r"{\deleted old }{\revised new}\par", "new"),
        (r"{\upr{a?}{\*\ud{a\u246?}}}\par", "aö"),
        (r"{\*\shppict{\pict{\*\picprop{\sp{\sn wzDescription}{\sv A crane}}}\pngblip 8950}}{\nonshppict{\pict 00}}\par",
         "[picture: A crane]"),
        (r"{\shp{\*\shpinst{\shptxt In a box\par}}{\shprslt{\*\do In a box}}}\par", "In a box"),
        (r"{\*\bkmkstart x}Text{\*\bkmkend x}\par", "Text"),
        (r"a\bin2 {}bc\par", "abc"),
        (r"{\object{\*\objclass Sheet}{\*\objdata 00ff}{\result shown}}\par", "shown"),
        (r"broken off {\b here", "broken off here"),
    ],
)  # fmt: skip
def test_each_construct_has_its_text(body: str, right: str) -> None:
    assert text_of(parsed(rtf(body), "a.rtf")) == right


def test_headings_and_lists_are_as_they_are_shown() -> None:
    body = r"\pard\s2 Lease\par\pard\s1 Rent\par\pard\s3 Own\par\pard\outlinelevel1 By itself\par"
    body += r"\pard\ls1{\listtext 1.\tab}one\par\pard\ilvl1\ls1{\listtext a)\tab}deep\par\pard\ls2{\pntext\f2\'b7\tab}dot\par"
    assert [(b.kind, b.level, b.text) for b in parsed(rtf(body), "a.rtf")] == [
        ("heading", 1, "Lease"), ("heading", 1, "Rent"), ("heading", 3, "Own"), ("heading", 2, "By itself"),
        ("list", 0, "1. one"), ("list", 0, "  a) deep"), ("list", 0, "- dot"),
    ]  # fmt: skip


def test_merged_cells_repeat_their_value_and_tables_in_tables_stay() -> None:
    body = r"\trowd\cellx2000\cellx3000\pard\intbl Wide\cell C\cell\row"
    body += r"\trowd\clvmgf\cellx1000\cellx2000\cellx3000\pard\intbl Tall\cell a\par b\cell "
    body += r"\pard\intbl\itap2 k\nestcell l\nestcell{\*\nesttableprops\trowd\cellx500\cellx900\nestrow}\pard\intbl\itap1\cell"
    body += r"\trowd\clvmgf\cellx1000\cellx2000\cellx3000\row\trowd\clvmrg\cellx1000\cellx2000\cellx3000"
    body += r"\pard\intbl\cell x\cell y|z\cell\row\pard After.\par"
    assert text_of(parsed(rtf(body), "a.rtf")).split("\n") == [
        "| Wide | Wide | C |", "| --- | --- | --- |", "| Tall | a b | k l |", "| Tall | x | y\\|z |", "After.",
    ]  # fmt: skip


def test_hidden_text_is_told_apart() -> None:
    body = r"Shown {\v gone }{\cf1 white }{\fs2 tiny }on\par"
    assert [(b.text, b.hidden) for b in parsed(rtf(body), "a.rtf")] == [
        ("Shown on", ""), ("gone", "markup"), ("white", "colour"), ("tiny", "size"),
    ]  # fmt: skip


def test_heads_stand_once_and_what_is_not_loaded_is_declared() -> None:
    body = r"{\header Tidewater {\field{\*\fldinst PAGE}{\fldrslt 3}}\par}{\headerf Tidewater\par}"
    body += r"Text{\*\annotation Sure?}.\par{\field{\*\fldinst TOC}{\fldrslt Rent 3\par}}"
    blocks = parsed(rtf(body), "a.rtf")
    assert text_of(blocks).split("\n") == ["Tidewater", "Text."]
    assert [(b.left_out, b.text) for b in blocks if b.left_out] == [
        ("page number", "3"), ("running head", "Tidewater"), ("comment", "Sure?"), ("contents page", "Rent 3"),
    ]  # fmt: skip
    assert "[comment: Sure?]" in text_of(parsed(rtf(body), "a.rtf", Parsing(comments=True)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(alphabet="abcäЖ日😀 ", min_size=1, max_size=12), min_size=1, max_size=6))
def test_every_word_is_there_in_order(lines: list[str]) -> None:
    def escaped(text: str) -> str:
        units = text.encode("utf-16-le")
        codes = [int.from_bytes(units[at : at + 2], "little", signed=True) for at in range(0, len(units), 2)]
        return "".join(chr(c) if 0 < c < 128 else rf"\u{c}?" for c in codes)

    body = "".join(rf"{{\b {escaped(line)}}}\par " for line in lines)
    if any(line.strip() for line in lines):
        assert text_of(parsed(rtf(body), "a.rtf")).split() == " ".join(lines).split()
