"""Principals, policies and tokens: one canonicaliser, deny wins, unknown is not nobody."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moat.access.policy import PLAIN_LIMIT, TOKEN, Access, Policy, access_token, canonical
from moat.errors import AccessUnknown

PEOPLE = [f"user:u{i}" for i in range(5)]
policies = st.builds(
    lambda layers, deny: Policy(tuple(frozenset(layer) for layer in layers), frozenset(deny)).normal(),
    st.lists(st.sets(st.sampled_from([*PEOPLE, "public"]), max_size=3), min_size=1, max_size=3),
    st.sets(st.sampled_from(PEOPLE), max_size=2),
)
everyone = [frozenset(c) for n in range(4) for c in itertools.combinations(PEOPLE, n)]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("user:Alice@Example.com", "user:alice@example.com"),
        ("group:HR", "group:hr"),
        ("user:Jose\u0301@x.org", "user:jos\u00e9@x.org"),
        ("group:site/1234-abcd", "group:site/1234-abcd"),
        ("user:o'brien+x@corp.com", "user:o'brien+x@corp.com"),
    ],
)
def test_one_form_for_case_and_unicode_twins(written: str, read: str) -> None:
    assert canonical(written) == read
    assert canonical(read) == read


@pytest.mark.parametrize(
    "bad",
    [
        "", "alice", "user:", "role:x", "user: alice", "user:alice smith", "user:a\u200bb", "user:a\u202eb", "user:\uff21",
        "user:a\nb", "group:\u00a0x", "user:\ufb01ona",
    ],
)  # fmt: skip
def test_what_two_systems_could_read_differently_is_refused(bad: str) -> None:
    with pytest.raises(AccessUnknown):
        canonical(bad)


def test_tokens_are_opaque_and_apart_between_tenants_and_kinds() -> None:
    tokens = {access_token(t, p) for t in ("a", "b") for p in ("user:x", "group:x")}
    assert len(tokens) == 4
    assert all(TOKEN.match(t) and "x" not in t.split(":")[1][:0] for t in tokens)


def test_a_plain_policy_is_stored_as_its_principals_tokens() -> None:
    assert Policy.of(["group:b", "user:a"]).tokens("t") == tuple(
        sorted([access_token("t", "user:a"), access_token("t", "group:b")])
    )


@pytest.mark.parametrize(
    "policy",
    [
        Policy.of(["group:a"], deny=["user:b"]),
        Policy.of(["group:a"]).both(Policy.of(["group:b"])),
        Policy.of([f"user:{i}" for i in range(PLAIN_LIMIT + 1)]),
    ],
)
def test_deny_layers_and_very_many_principals_are_one_token(policy: Policy) -> None:
    assert policy.tokens("t") == (f"p:{policy.digest('t')}",)
    assert TOKEN.match(policy.tokens("t")[0])


def test_known_and_empty_is_nobody_and_holds_no_token() -> None:
    nobody = Policy.of([])
    assert nobody.nobody
    assert nobody.tokens("t") == ()
    assert not any(nobody.allows(who) for who in everyone)


def test_unknown_is_not_nobody() -> None:
    assert Access.unknown("why").policy is None
    assert Access(Policy.of([])).policy is not None


def test_deny_wins_over_allow_and_over_public() -> None:
    assert not Policy.of(["user:a"], deny=["user:a"]).allows(frozenset(["user:a"]))
    assert not Policy.of([], deny=["group:out"], public=True).allows(frozenset(["user:a", "group:out"]))
    assert Policy.of([], deny=["group:out"], public=True).allows(frozenset(["user:a"]))


@given(policies, policies)
def test_both_lets_in_exactly_those_whom_each_lets_in(a: Policy, b: Policy) -> None:
    for who in everyone:
        assert a.both(b).allows(who) == (a.allows(who) and b.allows(who))


@given(policies, policies)
def test_a_policy_that_does_not_widen_lets_in_nobody_new(new: Policy, old: Policy) -> None:
    if not new.widens(old):
        assert all(old.allows(who) for who in everyone if new.allows(who))


@given(policies)
def test_the_normal_form_keeps_meaning_text_and_digest(policy: Policy) -> None:
    again = Policy.from_text(policy.text())
    assert again == policy
    assert again.normal() == policy
    assert again.digest("t") == policy.digest("t")
    assert not policy.widens(policy)


def test_a_policy_of_another_tenant_has_another_digest() -> None:
    assert Policy.of(["user:a"]).digest("a") != Policy.of(["user:a"]).digest("b")
