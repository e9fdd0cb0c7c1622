"""Documents, revisions, chunks and access in the ledger: staged, visible, retired, brought back, cleared."""

from typing import Any

import pytest

from moat.access.policy import Policy
from moat.errors import Superseded, TooManyPrincipals
from moat.ids import chunk_id, document_id, text_hash
from moat.ledger import Ledger, access, documents, embeddings, garbage, loads, projection
from moat.ledger.loads import Load
from moat.ledger.members import principals_of, replace_members
from moat.ledger.policies import access_tokens_of, keep
from moat.ledger.quarantine import Which, listing, put, replay
from moat.ledger.second_look import second_look
from moat.records import Chunk, Prepared, SetAside

ALICE, BOB = frozenset({"user:alice", "group:hr"}), frozenset({"user:bob"})
HR, EVERYONE = Policy.of(["group:hr"]).text(), Policy.of(["group:hr", "user:bob"]).text()


def opened(ledger: Ledger, run: str = "run") -> Load:
    return loads.open_load(ledger, "s", run, {}, 3_600)


def prepared(key: str, *texts: str, policy: str = HR) -> tuple[Prepared, list[Chunk]]:
    d = document_id("default", "s", key)
    chunks = [
        Chunk(
            id=chunk_id(d, t, 0),
            document_id=d,
            key=key,
            text=t,
            heading="",
            kind="text",
            page=None,
            position=i,
            n_tokens=3,
            text_hash=text_hash(t),
        )
        for i, t in enumerate(texts)
    ]
    return Prepared(
        id=d,
        key=key,
        uri=f"u/{key}",
        title=key,
        media_type="m",
        fingerprint=f"f{texts}",
        content_hash=text_hash("".join(texts)),
        policy=policy,
        access_version=0,
        metadata=(),
        n_pages=0,
        n_characters=9,
        n_chunks=len(texts),
    ), chunks


def stage(ledger: Ledger, load: Load, *of: tuple[Prepared, list[Chunk]]) -> set[str]:
    """Stage documents; the ids of the chunks whose objects this load writes."""
    writers = documents.stage(ledger, load, "recipe", [p for p, _ in of], [c for _, cs in of for c in cs])
    assert set(writers.values()) <= set(range(1, load.id + 1))
    return {chunk for chunk, writer in writers.items() if writer == load.id}


def promote(ledger: Ledger, load: Load) -> Load:
    loads.staged(ledger, load)
    return loads.promote(ledger, load, "me")


def loaded(ledger: Ledger, run: str, *of: tuple[Prepared, list[Chunk]], gone: tuple[str, ...] = ()) -> Load:
    load = opened(ledger, run)
    stage(ledger, load, *of)
    if gone:
        documents.retire(ledger, load, gone)
    return promote(ledger, load)


def seen(ledger: Ledger, principals: frozenset[str], *of: tuple[Prepared, list[Chunk]]) -> list[str]:
    ids = [c.id for _, cs in of for c in cs]
    with ledger.read() as connection:
        return sorted(s.text for s in second_look(connection, "default", principals, ids).values())


def test_a_load_is_invisible_until_it_is_promoted_and_then_visible_whole(ledger: Ledger) -> None:
    a, b = prepared("a", "a1", "a2"), prepared("b", "b1")
    load = opened(ledger)
    assert stage(ledger, load, a, b) == {c.id for _, cs in (a, b) for c in cs}
    assert seen(ledger, ALICE, a, b) == []
    promote(ledger, load)
    assert seen(ledger, ALICE, a, b) == ["a1", "a2", "b1"]
    assert seen(ledger, BOB, a, b) == []
    assert sorted(documents.visible_keys(ledger, "s")) == ["a", "b"]
    assert documents.count_visible(ledger, "s") == 2


def test_staging_twice_leaves_the_same_rows(ledger: Ledger) -> None:
    old, new = prepared("a", "one", "two"), prepared("a", "two", "three")
    loaded(ledger, "first", old)
    load = opened(ledger, "second")
    first = stage(ledger, load, new)
    assert stage(ledger, load, new) == first
    promote(ledger, load)
    assert seen(ledger, ALICE, old, new) == ["three", "two"]


def test_an_unchanged_chunk_of_a_changed_document_is_not_written_again(ledger: Ledger) -> None:
    old, new = prepared("a", "one", "two"), prepared("a", "zero", "two")
    loaded(ledger, "first", old)
    load = opened(ledger, "second")
    assert stage(ledger, load, new) == {new[1][0].id}
    assert seen(ledger, ALICE, old, new) == ["one", "two"]
    promote(ledger, load)
    assert seen(ledger, ALICE, old, new) == ["two", "zero"]


def test_a_vanished_document_goes_at_promotion(ledger: Ledger) -> None:
    a, b = prepared("a", "a1"), prepared("b", "b1")
    loaded(ledger, "first", a, b)
    load = opened(ledger, "second")
    assert documents.retire(ledger, load, ["a"]) == 1
    assert seen(ledger, ALICE, a, b) == ["a1", "b1"]
    promote(ledger, load)
    assert seen(ledger, ALICE, a, b) == ["b1"]


def test_a_rollback_brings_back_what_was_visible_before(ledger: Ledger) -> None:
    old, new, b = prepared("a", "one", "two"), prepared("a", "two", "three"), prepared("b", "b1")
    loaded(ledger, "first", old, b)
    second = loaded(ledger, "second", new, gone=("b",))
    assert seen(ledger, ALICE, old, new, b) == ["three", "two"]
    loads.rollback(ledger, second.id, "ann")
    assert seen(ledger, ALICE, old, new, b) == ["b1", "one", "two"]
    assert documents.known(ledger, "s", ["a"])["a"].content_hash == old[0].content_hash


def test_a_text_that_comes_back_has_its_id_again(ledger: Ledger) -> None:
    one, two = prepared("a", "one"), prepared("a", "two")
    for i, version in enumerate((one, two, one, two, one)):
        loaded(ledger, f"run {i}", version)
        assert seen(ledger, ALICE, one, two) == [version[1][0].text]


def test_a_rejected_load_leaves_no_trace_in_what_is_seen_or_compared(ledger: Ledger) -> None:
    old, new = prepared("a", "one"), prepared("a", "two")
    loaded(ledger, "first", old)
    load = opened(ledger, "second")
    stage(ledger, load, new)
    loads.reject(ledger, load.id, "ann")
    assert seen(ledger, ALICE, old, new) == ["one"]
    assert documents.known(ledger, "s", ["a"])["a"].fingerprint == old[0].fingerprint
    third = opened(ledger, "third")
    assert stage(ledger, third, new) == {new[1][0].id}
    promote(ledger, third)
    assert seen(ledger, ALICE, old, new) == ["two"]


def test_a_zombie_cannot_stage(ledger: Ledger) -> None:
    zombie = loads.open_load(ledger, "s", "zombie", {}, -1)
    opened(ledger, "next")
    with pytest.raises(Superseded):
        stage(ledger, zombie, prepared("a", "one"))


def test_only_what_nobody_sees_and_no_rollback_needs_is_cleared(ledger: Ledger) -> None:
    one, two, three = prepared("a", "one", "same"), prepared("a", "two", "same"), prepared("a", "three", "same")
    embeddings.keep(ledger, "m", {c.text_hash: b"v" for _, cs in (one, two, three) for c in cs})
    first = loaded(ledger, "1", one)
    second = loaded(ledger, "2", two)
    assert garbage.ended(ledger, "s") == [first.id]
    assert garbage.remains(ledger, "s", [first.id]) == [], "load 2 may still be rolled back"
    loads.removed(ledger, [first.id])
    loaded(ledger, "3", three)
    assert garbage.ended(ledger, "s") == [second.id]
    assert garbage.remains(ledger, "s", [second.id]) == [one[1][0].id]
    garbage.forget(ledger, "s", [second.id], [one[1][0].id])
    assert set(embeddings.vectors(ledger, "m", [c.text_hash for _, cs in (one, two, three) for c in cs])) == {
        c.text_hash for _, cs in (two, three) for c in cs
    }
    assert seen(ledger, ALICE, one, two, three) == ["same", "three"]


def test_what_a_rolled_back_or_rejected_load_left_is_cleared_and_what_is_visible_stays(ledger: Ledger) -> None:
    one, two, three, four = (prepared("a", t, "same") for t in ("one", "two", "three", "four"))
    loaded(ledger, "1", one)
    back = loaded(ledger, "2", two)
    loads.rollback(ledger, back.id, "ann")
    rejected = opened(ledger, "3")
    stage(ledger, rejected, three)
    loads.reject(ledger, rejected.id, "ann")
    last = loaded(ledger, "4", four)
    ended = garbage.ended(ledger, "s")
    assert last.id not in ended
    gone = set(garbage.remains(ledger, "s", ended))
    assert gone == {two[1][0].id, three[1][0].id}
    loads.rollback(ledger, last.id, "ann")
    assert seen(ledger, ALICE, one, two, three, four) == ["one", "same"]


def narrowed(ledger: Ledger, load: Load, policy: str | None) -> None:
    access.forget_changes(ledger, load)
    access.narrow(ledger, load, [("a", policy)], access.begin(ledger, load.source))


def test_what_narrows_holds_at_once_and_what_widens_from_promotion(ledger: Ledger) -> None:
    a = prepared("a", "one", policy=EVERYONE)
    loaded(ledger, "1", a)
    assert seen(ledger, BOB, a) == ["one"]
    load = opened(ledger, "2")
    narrowed(ledger, load, HR)
    assert seen(ledger, BOB, a) == []
    assert seen(ledger, ALICE, a) == ["one"]
    promote(ledger, load)
    wider = opened(ledger, "3")
    narrowed(ledger, wider, EVERYONE)
    assert seen(ledger, BOB, a) == [], "the old text is not for those whom the new one lets in"
    promote(ledger, wider)
    assert seen(ledger, BOB, a) == ["one"]


def test_an_exchange_of_readers_lets_in_neither_until_promotion(ledger: Ledger) -> None:
    a = prepared("a", "one", policy=HR)
    loaded(ledger, "1", a)
    load = opened(ledger, "2")
    for _ in range(2):  # a retry of the same read
        narrowed(ledger, load, Policy.of(["user:bob"]).text())
        assert seen(ledger, ALICE, a) == seen(ledger, BOB, a) == []
    promote(ledger, load)
    assert (seen(ledger, ALICE, a), seen(ledger, BOB, a)) == ([], ["one"])


def test_unknown_access_masks_what_is_live_and_known_access_unmasks_at_promotion(ledger: Ledger) -> None:
    a = prepared("a", "one")
    loaded(ledger, "1", a)
    load = opened(ledger, "2")
    narrowed(ledger, load, None)
    assert seen(ledger, ALICE, a) == []
    assert projection.allowed(ledger, [a[0].id])[a[0].id].tokens == ()
    promote(ledger, load)
    assert seen(ledger, ALICE, a) == []
    again = opened(ledger, "3")
    narrowed(ledger, again, HR)
    assert seen(ledger, ALICE, a) == []
    promote(ledger, again)
    assert seen(ledger, ALICE, a) == ["one"]


def test_a_load_never_overwrites_access_that_is_newer_in_the_ledger_onyx_7384(ledger: Ledger) -> None:
    a = prepared("a", "one", policy=HR)
    loaded(ledger, "1", a)
    load = opened(ledger, "2")
    narrowed(ledger, load, EVERYONE)
    with ledger.write() as connection:  # a revocation that arrives while the load is under way
        digest = keep(connection, "default", [Policy.of([])])[Policy.of([]).text()]
        from sqlalchemy import update

        from moat.ledger.tables import document

        moved = {"policy": digest, "access_version": document.c.access_version + 1}
        connection.execute(update(document).where(document.c.id == a[0].id).values(moved))
    assert projection.allowed(ledger, [a[0].id])[a[0].id].tokens == ()
    promote(ledger, load)
    assert seen(ledger, ALICE, a) == seen(ledger, BOB, a) == []


def test_a_rollback_restores_content_and_never_access(ledger: Ledger) -> None:
    old, new = prepared("a", "one", policy=EVERYONE), prepared("a", "two", policy=HR)
    loaded(ledger, "1", old)
    load = opened(ledger, "2")
    narrowed(ledger, load, HR)
    stage(ledger, load, new)
    promote(ledger, load)
    loads.rollback(ledger, load.id, "ann")
    assert seen(ledger, ALICE, old, new) == ["one"]
    assert seen(ledger, BOB, old, new) == []


def test_equal_texts_of_two_documents_keep_their_own_readers(ledger: Ledger) -> None:
    a, b = prepared("a", "same", policy=HR), prepared("b", "same", policy=Policy.of(["user:bob"]).text())
    loaded(ledger, "1", a, b)
    with ledger.read() as connection:
        found = second_look(connection, "default", ALICE, [a[1][0].id, b[1][0].id])
    assert [s.key for s in found.values()] == ["a"]


def test_another_tenant_sees_nothing_onyx_12580(ledger: Ledger) -> None:
    a = prepared("a", "one")
    loaded(ledger, "1", a)
    with ledger.read() as connection:
        assert second_look(connection, "other", ALICE, [a[1][0].id]) == {}
        assert principals_of(connection, "other", "group:hr") == frozenset()


def members(ledger: Ledger, **groups: list[str]) -> None:
    replace_members(ledger, "test", {f"group:{name}": who for name, who in groups.items()}, "me")


def who(ledger: Ledger, asker: str) -> list[str]:
    with ledger.read() as connection:
        return sorted(principals_of(connection, "default", asker))


def test_groups_nest_form_cycles_and_may_be_empty(ledger: Ledger) -> None:
    members(ledger, a=["group:b", "user:x"], b=["group:c"], c=["group:a", "user:y"], empty=[])
    assert who(ledger, "user:Y") == ["group:a", "group:b", "group:c", "user:y"]
    assert who(ledger, "user:z") == []


def test_more_than_ten_groups_are_all_found(ledger: Ledger) -> None:
    members(ledger, **{f"g{i}": ["user:x"] for i in range(1_500)})
    assert len(who(ledger, "user:x")) == 1_501


def test_more_principals_than_a_query_carries_raise(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moat.ledger.members.MOST_PRINCIPALS", 10)
    members(ledger, **{f"g{i}": ["user:x"] for i in range(20)})
    with pytest.raises(TooManyPrincipals):
        who(ledger, "user:x")


def test_groups_of_two_directories_stay_apart_and_one_directory_is_replaced_whole(ledger: Ledger) -> None:
    replace_members(ledger, "site1", {"group:site1/staff": ["user:x"]}, "me")
    replace_members(ledger, "site2", {"group:site2/staff": ["user:x", "user:y"]}, "me")
    assert who(ledger, "user:x") == ["group:site1/staff", "group:site2/staff", "user:x"]
    replace_members(ledger, "site1", {}, "me")
    assert who(ledger, "user:x") == ["group:site2/staff", "user:x"]


@pytest.mark.parametrize(
    ("policy", "satisfied"),
    [
        (Policy.of(["group:hr"], deny=["user:bob"]), True),
        (Policy.of(["group:hr"], deny=["user:alice"]), False),
        (Policy.of(["group:hr"]).both(Policy.of(["user:alice", "user:x"])), True),
        (Policy.of(["group:hr"]).both(Policy.of(["user:x"])), False),
        (Policy.of([], deny=["user:x"], public=True), True),
        (Policy.of([f"user:{i}" for i in range(300)] + ["group:hr"]), True),
    ],
)
def test_the_asker_gets_the_token_of_exactly_the_policies_that_they_satisfy(
    ledger: Ledger, policy: Policy, satisfied: bool
) -> None:
    with ledger.write() as connection:
        keep(connection, "default", [policy])
        assert (policy.tokens("default")[0] in access_tokens_of(connection, "default", ALICE)) == satisfied
        assert policy.allows(ALICE) == satisfied


def aside(key: str, **changed: Any) -> SetAside:
    return SetAside(
        **{
            "key": key,
            "uri": "u",
            "stage": "parse",
            "error": "ParseFailed",
            "reason": "why",
            "fingerprint": "f",
            **changed,
        }
    )


def test_quarantine_counts_an_attempt_a_load_and_is_resolved_when_the_document_loads(ledger: Ledger) -> None:
    first = opened(ledger, "1")
    for _ in range(2):  # a retry of the same task
        put(ledger, first, "r", [aside("a"), aside("b")])
    assert {q.key: q.attempts for q in listing(ledger, "s")} == {"a": 1, "b": 1}
    loads.unchanged(ledger, first)
    second = opened(ledger, "2")
    put(ledger, second, "r", [aside("a", reason="still")])
    assert {q.key: (q.attempts, q.reason) for q in listing(ledger)} == {"a": (2, "still"), "b": (1, "why")}
    stage(ledger, second, prepared("a", "text"))
    promote(ledger, second)
    assert [q.key for q in listing(ledger)] == ["b"]
    assert {q.state for q in listing(ledger, which=Which(key="a"), resolved=True)} == {"resolved"}


def test_replay_marks_what_matches_and_only_that(ledger: Ledger) -> None:
    load = opened(ledger)
    put(ledger, load, "r", [aside("a"), aside("b", stage="read", error="TooLarge")])
    assert replay(ledger, source="other").marked == {}
    assert replay(ledger, which=Which(error="TooLarge")).marked == {"s": ["b"]}
    known = documents.known(ledger, "s", ["a", "b"])
    assert (bool(known["a"].set_aside), "b" in known) == (True, False)
