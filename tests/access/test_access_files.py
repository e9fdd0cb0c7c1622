"""Access files under keys and names of every shape: each is judged in bounded time, and equal names alike."""

import unicodedata
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moat.access.access_files import LONGEST_REASON, MOST_FOLDERS, above
from moat.access.file_names import folded, looks_like
from moat.access.policy import Policy
from moat.access.rules import AccessFiles, AccessRule, Facts, Groups, ObjectTags, Public
from moat.errors import AccessUnknown

PARTS = st.sampled_from(["", "", ".", "..", "a", "hr", "é", "~", "\\", " ", "%2e%2e", "\n", ".access.yaml", "a" * 300])
KEYS = st.one_of(st.lists(PARTS, min_size=1, max_size=130).map("/".join), st.text(max_size=40))
TAGS = {"readers": "group:a"}


@pytest.mark.timeout(300)
@settings(deadline=None, max_examples=300)
@given(KEYS, st.booleans())
@example("/a.md", False)
@example("//a.md", False)
@example("/", True)
@example("a//b/../../../c", True)
@example("/" * 2_000, False)
def test_every_rule_judges_every_key_and_ends(key: str, inherit: bool) -> None:
    asked = Counter[str]()

    def beside(path: str) -> str | None:
        asked[path] += 1
        assert asked[path] == 1, "each file is asked for once"
        return "allow: [group:a]\ninherit: true" if inherit and "a" in path else None

    rules: list[AccessRule] = [AccessFiles(), Groups(allow=("a",)), Public(), ObjectTags(allow="readers")]
    for rule in rules:
        rule.judge(beside)(Facts(key, tags=TAGS))
    assert sum(asked.values()) <= MOST_FOLDERS + 1


@settings(deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=MOST_FOLDERS).map("/".join))
def test_the_folders_of_a_key_are_its_parts_as_they_are(key: str) -> None:
    found = above(key)
    assert found[-1] == ""
    assert all(key.startswith(folder) and folder.endswith("/") for folder in found[:-1])
    assert len(found) == len(set(found)) == key.count("/") + 1


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("/a.md", "/"), ("a//b.md", "a//"), ("a/../b.md", "a/../"), ("./b.md", "./"), ("//", "//"), ("b.md", "")],
)
def test_the_nearest_file_of_an_odd_key_is_that_of_its_own_folder(key: str, nearest: str) -> None:
    files = {".access.yaml": "allow: [group:root]", f"{nearest}.access.yaml": "allow: [group:near]"}
    assert AccessFiles().judge(files.get)(Facts(key)).policy == Policy.of(["group:near"])


def test_a_pattern_is_compared_with_a_key_as_it_is() -> None:
    body = "allow: [group:root]\npatterns: [{match: 'a/../b.md', allow: [group:odd]}]"
    judge = AccessFiles().judge({".access.yaml": body}.get)
    assert judge(Facts("a/../b.md")).policy == Policy.of(["group:odd"])
    assert judge(Facts("b.md")).policy == Policy.of(["group:root"])


def test_a_key_in_too_many_folders_is_unknown() -> None:
    access = AccessFiles().judge({".access.yaml": "public: true"}.get)(Facts("a/" * (MOST_FOLDERS + 1) + "b.md"))
    assert access.policy is None
    assert "folders" in access.reason


def variants(name: str) -> list[str]:
    """The name as systems may give it: composed or not, in capitals or not."""
    cases = [name, name.upper(), name.lower(), name.title(), name.swapcase()]
    same = [one for one in cases if folded(one) == folded(name)]
    return [unicodedata.normalize(form, one) for form in ("NFC", "NFD") for one in same]


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/*?[]!\0", exclude_categories=("Cc", "Cs")),
    min_size=1,
    max_size=20,
)


@settings(deadline=None, max_examples=300)
@given(NAMES, st.sampled_from(["{}", "{}*", "*{}", "x/{}"]))
@example("Incident-1", "{}")
@example("résumé", "{}*")
@example("Ǆ", "{}")
@example("ß", "{}")
def test_a_pattern_decides_alike_for_every_way_to_write_a_name(name: str, pattern: str) -> None:
    written = name.replace("'", "''")
    for one in variants(written):
        body = f"allow: [group:wide]\npatterns:\n- match: '{pattern.format(one)}'\n  allow: [group:narrow]"
        judge = AccessFiles().judge({".access.yaml": body}.get)
        found = [judge(Facts(pattern.replace("*", "").format(key))) for key in variants(name)]
        assert len({access.policy for access in found}) == 1, (one, found)
        if all(character.isalnum() for character in name):
            assert found[0].policy == Policy.of(["group:narrow"])


def test_letters_that_only_capitals_share_are_one() -> None:
    assert folded("STRASSE") == folded("straße")
    assert folded("e\u0301") == folded("É")


def test_a_name_that_is_right_is_not_nearly_right() -> None:
    assert not looks_like(".access.yaml", ".access.yaml")
    assert not looks_like("readers.yaml", "readers.yaml")
    assert looks_like("readers.yml", "readers.yaml")
    assert looks_like(".readers.yaml", "readers.yaml")


@pytest.mark.timeout(300)
@settings(deadline=None, max_examples=200)
@given(
    st.recursive(
        st.sampled_from(["a", "*a", "&a a", "1", "2026-02-30", "0x" + "f" * 200, "!!int x", "<<", "~", '"', "{", "]", ":", "\t"]),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
            st.lists(st.tuples(inner, inner), max_size=3).map(lambda items: "{" + ", ".join(f"{k}: {v}" for k, v in items) + "}"),
        ),
        max_leaves=20,
    )
)  # fmt: skip
def test_whatever_stands_in_an_access_file_ends_as_a_policy_or_as_unknown_with_a_short_reason(text: str) -> None:
    for body in (text, f"allow: {text}", f"allow: [group:a]\npatterns: {text}", f"{text}: x"):
        access = AccessFiles().judge({".access.yaml": body}.get)(Facts("a.md"))
        assert access.policy is not None or 0 < len(access.reason) <= LONGEST_REASON


def test_a_reader_that_cannot_read_an_access_file_says_why() -> None:
    def beside(path: str) -> str | None:
        raise AccessUnknown("it is frozen" + "!" * 10_000)

    access = AccessFiles().judge(beside)(Facts("hr/a.md"))
    assert access.reason.startswith("hr/.access.yaml cannot be read: it is frozen")
    assert len(access.reason) == LONGEST_REASON
