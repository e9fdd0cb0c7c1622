"""Write to the index with proof: everything written is read back and compared."""

import time
from collections.abc import Sequence
from typing import Literal

import numpy as np

from moat.errors import IndexNotKept, IndexUnavailable
from moat.index.objects import Stored
from moat.index.store import Store, WeaviateStore
from moat.ledger import indexing, projection, rebuilds
from moat.ledger.loads import Load
from moat.records import IndexObject
from moat.runtime import Runtime

SAMPLE = 64  # vectors of a call that are read back and compared
ALIKE = 0.9999  # least cosine of a vector with its stored copy
PAUSES = (0.2, 0.8, 3.2)  # seconds
Differs = Literal["missing", "text", "load", "access", "search"]
WORDS: dict[Differs, str] = {
    "missing": "it is not there",
    "text": "its text differs",
    "load": "another load wrote it",
    "access": "its access differs",
    "search": "no vector search finds it",
}


def open_writer(runtime: Runtime, model: str) -> WeaviateStore:
    """Open the index with the writer's key; with an operator's key, create a missing collection."""
    if runtime.settings.weaviate_operator_key.get_secret_value():
        operator = WeaviateStore.open(runtime.settings, "operator")
        try:
            if not operator.exists() and (begun := rebuilds.under_way(runtime.ledger)) is not None:
                raise IndexUnavailable(
                    f"there is no collection {runtime.settings.collection_name}: {begun} and makes it; `moat rebuild` brings it to its end"
                )
            operator.ensure(model)
            operator.grant()
        finally:
            operator.close()
    return WeaviateStore.open(runtime.settings, "writer")


def prove(index: Store, expected: dict[str, IndexObject]) -> int:
    """Read back every object, compare it, look whether a search finds it, and repair differences once.

    Returns the number of differences. If only access differs, only access is changed, so that a visible chunk
    is not hidden by the load that keeps it. Raises IndexUnavailable if an object still differs: a client's
    count of errors is no proof.
    """
    wrong = _wrong(index, expected)
    if wrong:
        index.write([expected[i] for i, what in wrong.items() if what != "access"])
        index.set_allow({i: expected[i].allow for i, what in wrong.items() if what == "access"})
        again = _wrong(index, {i: expected[i] for i in wrong})
        # A server that was killed may keep an object that its indexes lost, and takes the same object, written again,
        # for unchanged.
        kept = [i for i, what in again.items() if what in ("missing", "search")]
        index.discard(kept)
        index.write([expected[i] for i in kept])
        if still := _wrong(index, {i: expected[i] for i in again}):
            first = next(iter(still))
            raise IndexNotKept(
                f"the index does not hold {len(still):,} of {len(expected):,} objects as they were written, such as {first} of "
                f"{expected[first].key}: {WORDS[still[first]]}. Look for a read-only shard or a full disk, then run the task again"
            )
    sample = sorted(expected)[:: max(1, len(expected) // SAMPLE)]
    vectors = index.vectors(sample)
    for chunk_id in sample:
        wanted = np.frombuffer(expected[chunk_id].vector, "<f4")
        if not float(vectors[chunk_id] @ wanted) >= ALIKE * float(np.linalg.norm(vectors[chunk_id])):
            raise IndexNotKept(
                f"the index holds another vector for {chunk_id} of {expected[chunk_id].key} than was written"
            )
    return len(wrong)


def bring(index: Store, expected: dict[str, IndexObject]) -> int:
    """Write those objects that are missing or differ, and prove all of them, as `prove` does; returns how many."""
    missing = _wrong(index, expected)
    index.write([expected[i] for i in missing])
    prove(index, expected)
    return len(missing)


def _wrong(index: Store, expected: dict[str, IndexObject]) -> dict[str, Differs]:
    """Ids of objects that are missing or differ, with the difference."""
    found, wrong = index.read_back(list(expected)), dict[str, Differs]()
    for chunk_id, o in expected.items():
        there: Stored | None = found.get(chunk_id)
        if there is None:
            wrong[chunk_id] = "missing"
        elif there.text_hash != o.text_hash:
            wrong[chunk_id] = "text"
        elif there.load != o.load:
            wrong[chunk_id] = "load"
        elif there.allow != tuple(sorted(o.allow)):
            wrong[chunk_id] = "access"
    right = sorted(found.keys() - wrong.keys())
    lost = unfound(index, right, np.frombuffer(expected[right[0]].vector, "<f4")) if right else set()
    return wrong | dict.fromkeys(lost, "search")


def unfound(index: Store, ids: Sequence[str], vector: np.ndarray) -> set[str]:
    """Those objects in the index that no vector search finds. A server that indexes later gets some seconds.

    `vector` is of any of them, float32.
    """
    for pause in (*PAUSES, 0.0):
        left = set(ids) - index.reached(ids, vector)
        if not left:
            break
        time.sleep(pause)
    return left


def patch(runtime: Runtime, index: Store, wanted: Sequence[str], current: Load | None = None) -> int:
    """Write the access tokens of documents to their chunks, and verify them.

    Returns the number of chunks. A chunk that is not in the index yet is written with its tokens by its own
    load. Raises IndexUnavailable if the index did not store the tokens.
    """
    mark = indexing.begin(runtime.ledger, wanted, current)
    allow = projection.allowed(runtime.ledger, wanted)
    tokens = {
        chunk_id: allow[document].tokens
        for document, chunk_ids in projection.chunks_of(runtime.ledger, wanted).items()
        for chunk_id in chunk_ids
    }
    index.set_allow(tokens)
    there = index.read_back(list(tokens))
    if different := [i for i, found in there.items() if found.allow != tuple(sorted(tokens[i]))]:
        raise IndexNotKept(
            f"the index did not take the access of {len(different):,} of {len(tokens):,} chunks, such as {different[0]}"
        )
    indexing.end(runtime.ledger, mark, {i: a.policy for i, a in allow.items()}, current)
    return len(there)
