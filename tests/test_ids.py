"""Identity comes from the source's own key, and parts of a joined key stay apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moat.ids import chunk_id, content_hash, digest, document_id, is_id, joined, text_hash


@given(st.lists(st.text()), st.lists(st.text()))
def test_joined_parts_are_equal_only_for_equal_parts(a: list[str], b: list[str]) -> None:
    assert (joined(*a) == joined(*b)) == (a == b)


def test_keys_that_only_look_alike_when_glued_get_different_ids() -> None:
    assert document_id("t", "ab", "c") != document_id("t", "a", "bc")


@pytest.mark.parametrize("other", [("u", "s", "k"), ("t", "x", "k"), ("t", "s", "K")])
def test_tenant_source_and_key_are_all_in_a_document_id(other: tuple[str, str, str]) -> None:
    assert document_id("t", "s", "k") != document_id(*other)


def test_a_chunk_id_comes_from_text_and_which_of_equal_texts_it_is_never_from_its_place() -> None:
    document = document_id("t", "s", "k")
    assert chunk_id(document, "text", 0) == chunk_id(document, "text", 0)
    assert chunk_id(document, "text", 0) != chunk_id(document, "text", 1)
    assert chunk_id(document, "text", 0) != chunk_id(document, "other", 0)
    assert chunk_id(document, "text", 0, ("title", "a=1")) != chunk_id(document, "text", 0, ("title", "a=2"))


def test_ids_are_the_same_in_every_version_because_the_ledger_and_the_index_keep_them() -> None:
    assert document_id("default", "handbook", "leave.md") == "d8bfb7d1-0646-58ae-8f2e-161fc08aea63"


def test_digests_hold_only_what_a_token_may_hold() -> None:
    assert set(digest("a", "ü")) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert len(digest("a")) == 32


def test_hashes_are_sha256() -> None:
    assert content_hash(b"abc") == text_hash("abc")
    assert text_hash("abc").startswith("ba7816bf")


def test_nobody_can_tell_the_id_of_a_text_that_they_guess_without_the_tenants_secret() -> None:
    document, shown = document_id("t", "s", "k"), ("title", "a=1")
    ids = {chunk_id(document, "text", 0, shown, secret) for secret in ("", "a" * 64, "b" * 64)}
    assert len(ids) == 3
    assert all(is_id(one) for one in ids)
    keyed = [chunk_id(document, *parts, secret="a" * 64) for parts in (("text", 0), ("text", 1), ("other", 0))]
    assert len({*keyed, chunk_id(document, "text", 0, shown, "a" * 64)}) == 4
    assert keyed[0] == chunk_id(document, "text", 0, (), "a" * 64)


def test_ids_of_chunks_stay_in_ledgers_without_a_secret_and_in_those_with_one() -> None:
    document = document_id("default", "handbook", "leave.md")
    assert chunk_id(document, "Leave", 0, ("Leave",)) == "a34fc4ef-69e6-5ec5-9b44-baa7d07fc5d5"
    assert chunk_id(document, "Leave", 0, ("Leave",), "a" * 64) == "6eb8e9c9-c44d-5f51-9408-9b41a6e0da6e"
