"""What a store must keep, so that access holds in the index as well: the real one keeps it against a real Weaviate."""

import uuid
from typing import Any

import numpy as np
import pytest

from moat.access.policy import Policy, access_token
from moat.errors import FatalError
from moat.ids import text_hash
from moat.index.store import Query, Store
from moat.records import IndexObject, embedded_text

HR, BOB = (access_token("default", "group:hr"),), (access_token("default", "user:bob"),)
RANDOM = np.random.default_rng(7)


def vector() -> np.ndarray:
    made = RANDOM.normal(size=384).astype("<f4")
    return np.asarray(made / np.linalg.norm(made), "<f4")


def an_object(**changed: Any) -> IndexObject:
    given = {
        "id": str(uuid.uuid4()), "source": "s", "document": str(uuid.uuid4()), "key": "k", "load": 1, "kind": "text", "title": "Title",
        "heading": "Head", "text": "some text", "metadata": (), "allow": HR, "vector": vector().tobytes(),
    }  # fmt: skip
    return IndexObject(**{**given, **changed})


def query(like: IndexObject, tokens: tuple[str, ...] = HR, **changed: Any) -> Query:
    given = {
        "mode": "vector",
        "text": like.text,
        "vector": np.frombuffer(like.vector, "<f4"),
        "hidden_loads": (),
        "filters": {},
        "limit": 10,
    }
    return Query(**{**given, "tokens": tokens, **changed})


class StoreContract:
    """A subclass gives the fixture `store`, empty."""

    def found(self, store: Store, q: Query) -> set[str]:
        return {chunk_id for chunk_id, _ in store.search(q)}

    def test_what_is_written_is_read_back_with_the_hash_of_its_own_text(self, store: Store) -> None:
        o = an_object(allow=tuple(sorted(HR + BOB)))
        store.write([o])
        there = store.read_back([o.id, str(uuid.uuid4())])
        assert set(there) == {o.id}
        assert there[o.id].text_hash == text_hash(embedded_text("Head", "some text"))
        assert (there[o.id].allow, there[o.id].load, there[o.id].source) == (tuple(sorted(HR + BOB)), 1, "s")
        assert np.allclose(store.vectors([o.id])[o.id], np.frombuffer(o.vector, "<f4"), atol=1e-6)

    def test_writing_again_overwrites(self, store: Store) -> None:
        o = an_object()
        store.write([o])
        store.write([an_object(id=o.id, text="other", load=2)])
        assert store.read_back([o.id])[o.id].load == 2
        assert len(list(store.every())) == 1

    def test_a_search_reaches_what_is_there_and_nothing_else(self, store: Store) -> None:
        objects = [an_object(allow=()) for _ in range(3)]
        store.write(objects[:2])
        ids = [o.id for o in objects]
        assert store.reached(ids, np.frombuffer(objects[0].vector, "<f4")) == set(ids[:2])

    def test_objects_are_counted_by_source_without_those_of_hidden_loads(self, store: Store) -> None:
        store.write([an_object(), an_object(load=2), an_object(allow=()), an_object(source="t")])
        assert (store.count("s", ()), store.count("s", (2, 7)), store.count("none", ())) == (3, 2, 0)

    def test_the_mark_of_a_start_stays_while_the_server_runs(self, store: Store) -> None:
        assert store.started() == store.started() != ""

    def test_more_objects_than_a_batch_all_arrive(self, store: Store) -> None:
        objects = [an_object(text=f"text {i}") for i in range(1_203)]
        store.write(objects)
        assert set(store.read_back([o.id for o in objects])) == {o.id for o in objects}
        assert {s.id for s in store.every()} == {o.id for o in objects}
        store.delete([o.id for o in objects])
        assert list(store.every()) == []

    def test_a_documents_objects_are_found_by_what_they_say_themselves(self, store: Store) -> None:
        document = str(uuid.uuid4())
        mine = [an_object(document=document, load=i, allow=(), text=f"text {i}") for i in range(1_203)]
        store.write([*mine, an_object(), an_object(document=document[:-1] + "x")])
        assert set(store.ids_of_document(document)) == {o.id for o in mine}
        store.delete([o.id for o in mine])
        assert store.ids_of_document(document) == []
        assert store.ids_of_document("") == []
        assert store.exists()

    @pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
    def test_only_who_is_allowed_finds_it(self, store: Store, mode: str) -> None:
        o = an_object(text="harbour crane")
        store.write([o])
        assert self.found(store, query(o, HR, mode=mode)) == {o.id}
        assert self.found(store, query(o, BOB, mode=mode)) == set()
        assert self.found(store, query(o, (), mode=mode)) == set()

    def test_tokens_are_terms_of_their_own_never_words(self, store: Store) -> None:
        stored = an_object(
            allow=(access_token("default", "user:bob@corp.com"), access_token("default", "user:alice@other.org"))
        )
        store.write([stored])
        assert self.found(store, query(stored, (access_token("default", "user:alice@corp.com"),))) == set()
        half = stored.allow[0].split(":")[0]
        assert self.found(store, query(stored, (half, stored.allow[0].split(":")[1], stored.allow[0].upper()))) == set()

    def test_nobodys_object_is_found_by_nobody(self, store: Store) -> None:
        o = an_object(allow=())
        store.write([o])
        assert self.found(store, query(o, (*HR, *BOB, "public", "")[:3])) == set()

    @pytest.mark.parametrize("bad", ["", "user:alice", "g:short", " public", "p:" + "1" * 32])
    def test_what_is_no_token_is_never_written(self, store: Store, bad: str) -> None:
        o = an_object(allow=(bad,))
        with pytest.raises(FatalError, match="no access token"):
            store.write([an_object(), o])
        assert list(store.every()) == []
        with pytest.raises(FatalError, match="no access token"):
            store.set_allow({o.id: (bad,)})

    def test_a_load_that_is_under_way_is_left_out(self, store: Store) -> None:
        old, new = an_object(load=1), an_object(load=2)
        store.write([old, new])
        assert self.found(store, query(old, hidden_loads=(2, 3))) == {old.id}

    def test_a_source_that_is_masked_is_left_out(self, store: Store) -> None:
        a, b = an_object(source="a"), an_object(source="b")
        store.write([a, b])
        assert self.found(store, query(a, hidden_sources=("b", "c"))) == {a.id}
        assert self.found(store, query(a, hidden_sources=("b",), filters={"source": "b"})) == set()

    def test_the_callers_filters_narrow_and_never_widen(self, store: Store) -> None:
        a = an_object(source="a", metadata=("status=open", "prio=high"))
        b = an_object(source="b", metadata=("status=done",))
        secret = an_object(source="a", metadata=("status=open",), allow=BOB)
        store.write([a, b, secret])
        assert self.found(store, query(a, filters={"source": "a"})) == {a.id}
        assert self.found(store, query(a, filters={"status": ["open", "done"]})) == {a.id, b.id}
        assert self.found(store, query(a, filters={"status": "open", "prio": "high"})) == {a.id}
        assert self.found(store, query(a, filters={"allow": BOB[0]})) == set()
        assert self.found(store, query(a, filters={"status": "*"})) == set()

    def test_access_changes_alone_and_the_vector_stays(self, store: Store) -> None:
        o = an_object()
        store.write([o])
        before = store.vectors([o.id])[o.id]
        store.set_allow({o.id: BOB, str(uuid.uuid4()): BOB})
        assert self.found(store, query(o, HR)) == set()
        assert self.found(store, query(o, BOB)) == {o.id}
        assert np.array_equal(store.vectors([o.id])[o.id], before)
        store.set_allow({o.id: ()})
        assert self.found(store, query(o, BOB)) == set()

    def test_the_best_comes_first(self, store: Store) -> None:
        near, far = an_object(text="crane crane harbour"), an_object(text="a completely different sentence about lunch")
        store.write([near, far])
        for mode in ("vector", "keyword", "hybrid"):
            hits = store.search(query(near, mode=mode, text="harbour crane"))
            assert hits[0][0] == near.id
            assert [score for _, score in hits] == sorted((score for _, score in hits), reverse=True)

    def test_a_policy_token_is_found_like_any(self, store: Store) -> None:
        policy = Policy.of(["group:hr"], deny=["user:x"])
        o = an_object(allow=policy.tokens("default"))
        store.write([o])
        assert self.found(store, query(o, HR)) == set()
        assert self.found(store, query(o, policy.tokens("default"))) == {o.id}
