"""How a source says who may read: what a rule cannot read is unknown, never wide."""

from pathlib import Path

import pytest

from moat.access.policy import Access, Policy
from moat.access.rules import AccessFiles, Columns, Facts, Groups, ObjectTags, Public


def allowed(access: Access) -> list[str] | None:
    """Principals of a plain policy; None for unknown."""
    return None if access.policy is None else sorted(p for layer in access.policy.layers for p in layer)


def judged(files: dict[str, str], path: str) -> Access:
    return AccessFiles().judge(files.get)(Facts(path))


def test_groups_take_bare_names_for_groups() -> None:
    access = Groups(allow=("HR", "user:a@x.org")).judge(lambda p: None)(Facts("x"))
    assert allowed(access) == ["group:hr", "user:a@x.org"]


def test_public_is_only_where_a_rule_says_so_in_words() -> None:
    assert Public().judge(lambda p: None)(Facts("x")).policy == Policy.of([], public=True)
    cell = Columns(allow="team").judge(lambda p: None)(Facts("x", columns={"team": "public"}))
    assert allowed(cell) == ["group:public"]
    tag = ObjectTags(allow="readers").judge(lambda p: None)(Facts("x", tags={"readers": "public"}))
    assert allowed(tag) == ["group:public"]


@pytest.mark.parametrize(
    "value", [None, "", "  ", "a,,b", ",", float("nan"), [None], ["a", None], "display name", "a\u200b"]
)
def test_a_column_that_says_nothing_is_unknown(value: object) -> None:
    access = Columns(allow="team").judge(lambda p: None)(Facts("x", columns={"team": value}))
    assert access.policy is None
    assert access.reason


@pytest.mark.parametrize(
    ("value", "groups"),
    [
        ("emea", ["group:emea"]),
        ("emea, apac", ["group:apac", "group:emea"]),
        (["a", "b"], ["group:a", "group:b"]),
        (7, ["group:7"]),
        ([], []),
    ],
)
def test_a_column_holds_one_several_or_an_array(value: object, groups: list[str]) -> None:
    assert allowed(Columns(allow="team").judge(lambda p: None)(Facts("x", columns={"team": value}))) == groups


def test_an_empty_array_is_nobody_which_is_known() -> None:
    access = Columns(allow="team").judge(lambda p: None)(Facts("x", columns={"team": []}))
    assert access.policy is not None
    assert access.policy.nobody


def test_a_deny_column_denies_and_its_null_denies_nobody() -> None:
    rule = Columns(allow="team", deny="without").judge(lambda p: None)
    assert rule(Facts("x", columns={"team": "a", "without": None})).policy == Policy.of(["group:a"])
    assert rule(Facts("x", columns={"team": "a", "without": "user:b"})).policy == Policy.of(
        ["group:a"], deny=["user:b"]
    )


def test_a_deny_column_that_cannot_be_read_makes_access_unknown() -> None:
    rule = Columns(allow="team", deny="without").judge(lambda p: None)
    assert rule(Facts("x", columns={"team": "a", "without": "b,,c"})).policy is None


def test_an_object_without_the_tag_is_unknown_with_the_tags_that_it_has() -> None:
    access = ObjectTags(allow="readers").judge(lambda p: None)(Facts("x", tags={"owner": "me"}))
    assert access.policy is None
    assert "owner" in access.reason


def test_tags_hold_several_principals() -> None:
    rule = ObjectTags(allow="readers", deny="not").judge(lambda p: None)
    access = rule(Facts("x", tags={"readers": "legal user:a@x.org", "not": "user:b@x.org"}))
    assert access.policy == Policy.of(["group:legal", "user:a@x.org"], deny=["user:b@x.org"])


def test_the_nearest_access_file_upward_decides() -> None:
    files = {".access.yaml": "allow: [group:all]", "hr/.access.yaml": "allow: [group:hr]"}
    assert allowed(judged(files, "a.md")) == ["group:all"]
    assert allowed(judged(files, "hr/deep/er/a.md")) == ["group:hr"]


def test_without_an_access_file_access_is_unknown() -> None:
    assert judged({}, "a/b.md").policy is None


def test_the_first_matching_pattern_decides() -> None:
    body = "allow: [group:all]\npatterns:\n- {match: 'pay/*', allow: [group:pay]}\n- {match: '*', allow: [group:rest]}"
    assert allowed(judged({"x/.access.yaml": body}, "x/pay/a.md")) == ["group:pay"]
    assert allowed(judged({"x/.access.yaml": body}, "x/b.md")) == ["group:rest"]


def test_a_file_that_does_not_speak_for_a_document_leaves_it_unknown_though_one_above_would() -> None:
    files = {".access.yaml": "allow: [group:all]", "hr/.access.yaml": "patterns: [{match: 'a.md', allow: [group:hr]}]"}
    assert judged(files, "hr/b.md").policy is None


def test_inherited_restriction_is_applied_elastic_connectors_4095() -> None:
    files = {
        ".access.yaml": "allow: [group:all]\ndeny: [user:out]",
        "hr/.access.yaml": "allow: [group:hr]\ninherit: true",
    }
    policy = judged(files, "hr/a.md").policy
    assert policy == Policy.of(["group:hr"]).both(Policy.of(["group:all"], deny=["user:out"]))


def test_inheriting_from_what_is_unknown_is_unknown() -> None:
    assert judged({"hr/.access.yaml": "allow: [group:hr]\ninherit: true"}, "hr/a.md").policy is None
    broken = {".access.yaml": "allow: [", "hr/.access.yaml": "allow: [group:hr]\ninherit: true"}
    assert judged(broken, "hr/a.md").policy is None


@pytest.mark.parametrize(
    "body",
    [
        "allow: [", "- a", "allow: group:hr", "allow:", "allow: [hr]", "allow: ['']", "alow: [group:hr]", "allow: [7]", "\0", "",
        "patterns: [{match: x}]", "patterns: {}", "allow: [group:a]\npublic: maybe", "public: 'yes'", "allow: [group:a]\ndeny: user:x",
    ],
)  # fmt: skip
def test_an_access_file_that_cannot_be_read_is_unknown_and_never_looked_past(body: str) -> None:
    files = {".access.yaml": "public: true", "hr/.access.yaml": body}
    access = judged(files, "hr/a.md")
    assert access.policy is None
    assert ".access.yaml" in access.reason


def test_public_in_an_access_file_is_said_in_words() -> None:
    assert judged({".access.yaml": "public: true"}, "a.md").policy == Policy.of([], public=True)


TWICE = {
    "the last would open what the first closes": "allow: [group:legal]\nallow: [group:staff]",
    "a deny that the second undoes": "allow: [group:staff]\ndeny: ['user:bob@tide.example']\ndeny: []",
    "two lists of patterns": "allow: [group:a]\npatterns: [{match: x, allow: []}]\npatterns: []",
    "inside a pattern": "patterns:\n- match: '*'\n  allow: [group:legal]\n  allow: [group:staff]",
    "quoted and plain": 'allow: [group:legal]\n"allow": [group:staff]',
    "by another notation of the text": 'allow: [group:legal]\n"\\u0061llow": [group:staff]',
    "with a tag": "allow: [group:legal]\n!!str allow: [group:staff]",
    "merged from an anchor": "patterns:\n- &legal {match: x, allow: [group:legal]}\n- <<: *legal\n  match: '*'",
    "merged twice": "patterns: [&a {match: x, allow: [group:a]}, {<<: *a, <<: *a}]",
    "in a flow mapping": "{allow: [group:legal], allow: [group:staff]}",
    "with the same value": "allow: [group:staff]\nallow: [group:staff]",
}


@pytest.mark.parametrize("body", TWICE.values(), ids=TWICE)
def test_a_key_that_stands_twice_leaves_the_folder_unknown_with_its_lines_pyyaml_165(body: str) -> None:
    access = judged({".access.yaml": "public: true", "hr/.access.yaml": body}, "hr/a.md")
    assert access.policy is None
    assert "stands twice, in lines" in access.reason


@pytest.mark.parametrize("name", ["access-dup-allow.yaml", "access-dup-deny.yaml"])
def test_the_shared_access_files_with_a_key_twice_are_unknown(shared: Path, name: str) -> None:
    access = judged({".access.yaml": (shared / "words" / name).read_text("utf-8")}, "a.md")
    assert access.policy is None
    assert "stands twice" in access.reason


def test_what_an_anchor_gives_once_is_read() -> None:
    body = "allow: &who [group:hr]\npatterns:\n- &base {match: 'x*', allow: *who}\n- {match: 'y*', allow: *who}"
    assert allowed(judged({".access.yaml": body}, "y.md")) == ["group:hr"]


@pytest.mark.parametrize(
    "body",
    [
        "allow: [group:a]\n---\nallow: [group:b]",
        "allow: [group:a]\n\"allow \": [group:b]",
        "allow: [group:a]\nAllow: [group:b]",
        "allow: [group:a]\n\tdeny: [user:b]",
        "allow: [on, yes, no]",
        "allow: [group:a, null]",
        "allow: [group:a]\ndeny: [user:b, ~]",
        "allow: [2026-99-99]",
        "allow: [group:a]\npublic: !!bool maybe",
        "allow: [!!int x]",
        "allow: [!!timestamp x]",
        "allow: " + "[" * 5_000,
        "? [allow]\n: [group:a]",
        "allow: &a [*a]",
        "a: &a [x, x]\nb: &b [*a, *a]\nallow: [*b, *b]",
        "allow: !!python/name:os.system [group:a]",
    ],
    ids=lambda body: body[:30],
)  # fmt: skip
def test_yaml_that_two_people_could_read_differently_is_unknown_and_ends_no_listing(body: str) -> None:
    access = judged({".access.yaml": "public: true", "hr/.access.yaml": body}, "hr/a.md")
    assert access.policy is None
    assert len(access.reason) < 1_000


@pytest.mark.parametrize("value", [b"legal", memoryview(b"legal"), {"legal": True}])
def test_a_column_of_bytes_or_of_a_mapping_names_nobody(value: object) -> None:
    access = Columns(allow="team").judge(lambda p: None)(Facts("x", columns={"team": value}))
    assert access.policy is None
