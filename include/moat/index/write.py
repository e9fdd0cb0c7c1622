"""Writing to the index so that it is proved: everything written is read back and compared."""

from collections.abc import Sequence

import numpy as np

from moat.errors import IndexUnavailable
from moat.index.store import Store, Stored, WeaviateStore
from moat.ledger import indexing, projection
from moat.ledger.loads import Load
from moat.records import IndexObject
from moat.runtime import Runtime

SAMPLE = 64  # vectors of a load that are read back and compared
ALIKE = 0.9999  # cosine of a vector with itself, after the index has stored it
ACCESS = "its access differs"


def open_writer(runtime: Runtime, model: str) -> WeaviateStore:
    """The index with the writer's key; the operator makes its collection where there is none."""
    if runtime.settings.weaviate_operator_key.get_secret_value():
        operator = WeaviateStore.open(runtime.settings, "operator")
        try:
            operator.ensure(model)
            operator.grant()
        finally:
            operator.close()
    return WeaviateStore.open(runtime.settings, "writer")


def prove(index: Store, expected: dict[str, IndexObject]) -> int:
    """Read back every object and compare; mend what differs, once. Returns how many that were.

    Where only the access differs, it alone is changed: the object of a kept chunk is in front of
    people, and must not be hidden by a load that is under way. Raises IndexUnavailable when it
    still differs: a client's count of errors is no proof.
    """
    wrong = _wrong(index, expected)
    if wrong:
        index.write([expected[i] for i, what in wrong.items() if what != ACCESS])
        index.set_allow({i: expected[i].allow for i, what in wrong.items() if what == ACCESS})
        if still := _wrong(index, {i: expected[i] for i in wrong}):
            first = next(iter(still))
            raise IndexUnavailable(
                f"the index does not hold {len(still):,} of {len(expected):,} objects as they were written, such as {first} of "
                f"{expected[first].key}: {still[first]}. Look for a read-only shard or a full disk, then run the task again"
            )
    sample = sorted(expected)[:: max(1, len(expected) // SAMPLE)]
    vectors = index.vectors(sample)
    for chunk_id in sample:
        wanted = np.frombuffer(expected[chunk_id].vector, "<f4")
        if not float(vectors[chunk_id] @ wanted) >= ALIKE * float(np.linalg.norm(vectors[chunk_id])):
            raise IndexUnavailable(
                f"the index holds another vector for {chunk_id} of {expected[chunk_id].key} than was written"
            )
    return len(wrong)


def _wrong(index: Store, expected: dict[str, IndexObject]) -> dict[str, str]:
    """Ids whose object is missing or differs, with what differs."""
    found, wrong = index.read_back(list(expected)), dict[str, str]()
    for chunk_id, o in expected.items():
        there: Stored | None = found.get(chunk_id)
        if there is None:
            wrong[chunk_id] = "it is not there"
        elif there.text_hash != o.text_hash:
            wrong[chunk_id] = "its text differs"
        elif there.load != o.load:
            wrong[chunk_id] = "another load wrote it"
        elif there.allow != tuple(sorted(o.allow)):
            wrong[chunk_id] = ACCESS
    return wrong


def patch(runtime: Runtime, index: Store, wanted: Sequence[str], current: Load | None = None) -> int:
    """Write the tokens of some documents to their chunks, and prove it. Returns how many chunks that were.

    Raises IndexUnavailable when the index did not take them. A chunk that is not there yet, of a load
    under way, is written with its tokens later.
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
        raise IndexUnavailable(
            f"the index did not take the access of {len(different):,} of {len(tokens):,} chunks, such as {different[0]}"
        )
    indexing.end(runtime.ledger, mark, {i: a.policy for i, a in allow.items()}, current)
    return len(there)
