"""Terms: one form of words for texts and questions, in every script."""

import unicodedata
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moat.index.terms import LONGEST, MOST_ASKED, _pattern, question_terms, searched, terms


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("住宿费上限为每晚四百五十元。发票须在月底之前交给财务部。", "住宿费"),
        ("住宿费上限为每晚四百五十元。发票须在月底之前交给财务部。", "财务部"),
        ("サービスを東京で始める", "東京"),
        ("サービスを東京で始める", "ｻｰﾋﾞｽ"),  # half width
        ("서울에서 회의를 한다", "서울"),
        ("猫が寝る", "猫"),
        ("กรุณาส่งใบเสร็จให้ฝ่ายการเงิน", "ใบเสร็จ"),
        ("IT is in room 4.", "IT"),
        ("IT is in room 4.", "it"),
        ("the ﬁle is here", "file"),
        ("Straße 5", "STRASSE"),
        ("İstanbul", "istanbul"),
        ("re\u0301sume\u0301", "résumé"),
        ("e\u00adrr\u200dor", "error"),
        ("हिन्दी में लिखा", "हिन्दी"),
        ("the e-mail of john.doe@corp.com", "john.doe@corp.com"),
        ("an e-mail", "email"),
        ("order INV-2024-001 is late", "INV 2024 001"),
        ("order INV-2024-001 is late", "inv_2024_001"),
        ("net sales of $82,959 million", "82959"),
        ("PythonOperator", "python operator"),
        ("the driver’s seat", "driver"),
        ("written in C++17", "C++"),
        ("notepad++ is an editor", "notepad"),
        ("ASP.NET and .NET", ".NET"),
        ("people 18+ only", "18"),
    ],
)
def test_every_term_of_the_question_stands_in_the_text(text: str, question: str) -> None:
    asked = question_terms(question)
    assert asked
    assert set(asked) <= set(terms(text))


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("C++ and C#", "C"),
        ("C and C#", "C++"),
        ("C and C++", "C#"),
        ("the net is full", ".NET"),
        ("McDonald", "mc"),
        ("GmbH", "gmb"),
        ("version 1.5", "15"),
        ("order INV-2024-001", "INV2024002"),
    ],
)
def test_what_differs_shares_not_every_term(text: str, question: str) -> None:
    assert not set(question_terms(question)) <= set(terms(text))


def test_a_question_of_chinese_asks_for_pairs_not_for_every_character() -> None:
    assert question_terms("住宿费") == ["住宿", "宿费"]
    assert question_terms("费") == ["费"]


def test_a_long_question_is_cut_and_its_terms_stand_once() -> None:
    assert question_terms("a b a B") == ["a", "b"]
    assert len(question_terms(" ".join(f"w{i}" for i in range(1_000)))) == MOST_ASKED


def test_a_title_that_begins_the_heading_is_read_once() -> None:
    assert searched("Pay", "Pay › Cranes", "text") == "pay cranes text"
    assert searched("Pay", "Cranes", "text") == "pay cranes text"
    assert searched("", "", "text") == "text"


@given(st.text(max_size=300))
def test_any_text_has_terms_of_its_own_form_without_spaces(text: str) -> None:
    for term in terms(text):
        assert 0 < len(term) <= LONGEST
        assert term.split() == [term]
    assert terms(unicodedata.normalize("NFD", text)) == terms(unicodedata.normalize("NFC", text))
    asked = question_terms(text)
    assert set(asked) <= set(terms(text))
    assert bool(asked) == bool(terms(text))


def test_the_quick_way_for_ascii_finds_what_the_other_finds() -> None:
    chance, letters = Random(7), "abcXYZ0189+#.-_/:@&' \n,(|"
    for _ in range(3_000):
        text = "".join(chance.choices(letters, k=40))
        quick, other = _pattern(True).finditer(text), _pattern(False).finditer(text)
        assert [(m.span(), m.lastgroup) for m in quick] == [(m.span(), m.lastgroup) for m in other], text
