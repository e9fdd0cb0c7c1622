"""Cursors, links and highlights: what a page carries, and what a hit shows a person."""

import base64
import time
import uuid
from datetime import date
from typing import Any

import pytest

from moat.errors import CursorExpired, CursorRefused
from moat.filters import Range
from moat.links import link_of, wrong_link
from moat.links import page as page_of
from moat.search import cursor as cursors
from moat.search.cursor import Cursors, bound_to
from moat.search.highlights import asked_terms, highlights

HITS = [(str(uuid.uuid4()), 0.5), (str(uuid.uuid4()), 0.25)]
OURS: dict[str, Any] = {"filters": {"team": ["hr", "ops"], "modified": Range(below=date(2026, 1, 1))}}


def test_a_cursor_is_of_one_asker_and_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    made, bound = Cursors("secret"), bound_to("user:ann", "how?", **OURS)
    text = made.write(made.first(HITS), bound)
    assert Cursors("secret").read(text, bound).hits == tuple(HITS), "another process of the same ledger"
    others = [
        bound_to("user:hugo", "how?", **OURS),
        bound_to("user:ann", "who?", **OURS),
        bound_to("user:ann", "how?", filters={}),
        bound_to("user:ann", "how?", filters={**OURS["filters"], "modified": Range(below=date(2026, 1, 2))}),
    ]
    assert bound_to("user:ann", "how?", filters={**OURS["filters"], "team": ["ops", "hr"]}) == bound
    raw = base64.urlsafe_b64decode(text + "==")
    changed = [base64.urlsafe_b64encode(bytes([*raw[:i], raw[i] ^ 1, *raw[i + 1 :]])).decode() for i in range(len(raw))]
    for wrong, of in (
        *((text, other) for other in others),
        *((one, bound) for one in ("", "é", "A", text[:-4], *changed)),
    ):
        with pytest.raises(CursorRefused):
            made.read(wrong, of)
    for reader in (Cursors("another"), Cursors("")):
        with pytest.raises(CursorRefused):
            reader.read(text, bound)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + cursors.KEPT_S + 2)
    with pytest.raises(CursorExpired, match="15 minutes"):
        made.read(text, bound)


@pytest.mark.parametrize(
    "template",
    [
        "wiki.example.com/{key}", "javascript:alert({key})", "https://{key}", "https://{key}.example.com/", "https://a@b/{key}",
        "https://wiki.example.com/", "https://wiki.example.com/{key}/{key}", "https://wiki.example.com/{key}?{title}",
        "https://wiki.example.com/a b/{key}", "https://wiki.example.com/ü/{key}", "https:///{key}", "https://w:x/{key}",
        "https://w.example.com\\{key}", "https://w.example.com/{key}" + "x" * 2_000, "file:///{key}", "https://[::1/{key}",
    ],
)  # fmt: skip
def test_a_malformed_address_is_refused(template: str) -> None:
    assert wrong_link(template)


def test_a_key_is_percent_encoded_and_never_leads_elsewhere() -> None:
    wiki, page = "https://wiki.example.com/docs/{key}", "http://localhost:8080/show?id={key}#top"
    assert (wrong_link(wiki), wrong_link(page)) == ("", "")
    assert link_of(wiki, "a b/ü?#%&.md", "") == "https://wiki.example.com/docs/a%20b/%C3%BC%3F%23%25%26.md"
    assert link_of(page, "a/b&c=d", "") == "http://localhost:8080/show?id=a%2Fb%26c%3Dd#top"
    assert page_of("", "quarantine", source="a&b") == "plugin/moat?view=quarantine&source=a%26b"
    assert page_of("https://x.org/air/", "load", load=7) == "https://x.org/air/plugin/moat?view=load&load=7"
    assert link_of(wiki, "a/../../admin", "") is None
    assert link_of(page, "../x", "") == "http://localhost:8080/show?id=..%2Fx#top"
    assert link_of(None, "k", "https://crm.example.com/7") == "https://crm.example.com/7"
    for uri in ("file:///srv/a.md", "s3://b/k", "javascript:alert(1)", "https://a@b/", "https://a/ b", 'https://a/"'):
        assert link_of(None, "k", uri) is None, uri


@pytest.mark.parametrize(
    ("question", "text", "words"),
    [
        ("What does a crane driver earn?", "A Crane-driver, earns; CRANE", ["Crane-driver", "CRANE"]),
        ("INV-2024-001", "see INV-2024-001.", ["INV-2024-001"]),
        ("is it 40?", "It is 40 today", ["40"]),
        ("of the", "one of the two", ["of", "the"]),
        ("住宿费", "关于住宿费的规定", ["住宿费"]),
        ("Überstunden", "Die überstunden zählen", ["überstunden"]),
        ("crane", "", []),
        ("?", "crane", []),
    ],
)
def test_words_of_a_question_are_found_in_a_text(question: str, text: str, words: list[str]) -> None:
    assert [text[begin:end] for begin, end in highlights(text, asked_terms(question))] == words
