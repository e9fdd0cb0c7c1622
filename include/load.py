"""load: vectors, text and access tokens -> Weaviate, still invisible, proved by reading back."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from include.checks.candidate import Candidate
from include.embed import embedder_of
from include.errors import FatalError, IndexUnavailable, LoadRefused
from include.gate import released, verdict
from include.ledger import documents, embeddings, indexing, loads, projection, windows
from include.ledger.loads import Load
from include.read.stage import recipe_of
from include.records import Chunk, Embedded, IndexObject, Prepared
from include.source import Source
from include.store import Store, Stored, WeaviateStore
from include.way import Way, timed

WINDOW = 1_000  # chunks written and proved at a time, whole documents
SAMPLE = 64  # vectors of a load that are read back and compared
ALIKE = 0.9999  # cosine of a vector with itself, after the index has stored it
ACCESS = "its access differs"


@timed("load")
def load(way: Way, source: Source, number: int, store: Store | None = None) -> dict[str, int]:
    """Stage a load in the ledger and the index, and prove every object of it. Nothing of it is visible.

    Raises LoadRefused for a load that the gate has not let through, Superseded for one that lost
    its lease, IndexUnavailable when the index does not hold what it was given.
    """
    current = way.load(number)
    found = verdict(way, number)
    if not released(current, found):
        raise LoadRefused(
            f"load {number} of {source.name} is not let through: the gate says {found.outcome}, {found.reason or 'nobody has released it'}"
        )
    loads.renew(way.ledger, current, way.lease_s)
    model = current.model or model_of(way)
    index = store or opened(way, model)
    try:
        index.check(model)
        counts = _load(way, source, current, index, model)
    finally:
        if store is None:
            index.close()
    loads.note(way.ledger, current, counts, model)
    loads.staged(way.ledger, current)
    way.progress(
        f"{source.name} load {number}: {counts['written']:,} chunks written, {counts['kept']:,} kept, {counts['retired']:,} retired, {counts['proved']:,} proved"
    )
    return counts


def opened(way: Way, model: str) -> WeaviateStore:
    """The index with the writer's key; the operator makes its collection where there is none."""
    if way.settings.weaviate_operator_key.get_secret_value():
        operator = WeaviateStore.open(way.settings, "operator")
        try:
            operator.ensure(model)
            operator.grant()
        finally:
            operator.close()
    return WeaviateStore.open(way.settings, "writer")


def model_of(way: Way) -> str:
    """The key of the model that the embedder serves: of a load that embedded nothing, and of a new collection."""
    embedder = embedder_of(way.settings, way.connections)
    try:
        return embedder.info().key
    finally:
        embedder.close()


def _load(way: Way, source: Source, current: Load, index: Store, model: str) -> dict[str, int]:
    candidate, recipe = Candidate(way, source, current), recipe_of(way, source)
    counts = {"written": 0, "kept": 0, "retired": 0, "proved": 0, "repaired": 0}
    for prepared, pairs in _groups(candidate):
        chunks = [chunk for chunk, _ in pairs]
        embeddings.keep(way.ledger, model, {e.text_hash: e.vector for _, e in pairs})
        writers = documents.stage(way.ledger, current, recipe, prepared, chunks)
        mark = indexing.begin(way.ledger, (p.id for p in prepared), current)
        allow = projection.allowed(way.ledger, [p.id for p in prepared])
        objects = {o.id: o for o in _objects(source, writers, prepared, pairs, allow)}
        new = [o for o in objects.values() if o.load == current.id]
        index.write(new)
        counts["repaired"] += prove(index, objects)
        indexing.end(way.ledger, mark, {i: a.policy for i, a in allow.items()}, current)
        counts["written"] += len(new)
        counts["kept"] += len(objects) - len(new)
        counts["proved"] += len(objects)
        loads.renew(way.ledger, current, way.lease_s)
        way.progress(f"{source.name} load {current.id}: {counts['proved']:,} chunks in the index")
    for window in windows(p.key for p in candidate.plan() if p.what == "vanished"):
        counts["retired"] += documents.retire(way.ledger, current, window)
    counts["patched"] = _patch(way, current, index, candidate)
    return counts


def _groups(candidate: Candidate) -> Iterator[tuple[list[Prepared], list[tuple[Chunk, Embedded]]]]:
    """Whole documents with their chunks and vectors, some at a time."""
    waiting = candidate.prepared()
    prepared, pairs = list[Prepared](), list[tuple[Chunk, Embedded]]()
    for identity, of_document in groupby(candidate.embedded(), key=lambda pair: pair[0].document_id):
        p = next(waiting)
        of_it = list(of_document)
        if p.id != identity or p.n_chunks != len(of_it):
            raise FatalError(
                f"load {candidate.load.id}: document {p.key} has {p.n_chunks} chunks of its own, {len(of_it)} were embedded for {identity}"
            )
        prepared.append(p)
        pairs += of_it
        if len(pairs) >= WINDOW:
            yield prepared, pairs
            prepared, pairs = [], []
    if prepared:
        yield prepared, pairs
    if left := next(waiting, None):
        raise FatalError(f"load {candidate.load.id}: document {left.key} was prepared and has no vectors")


def _objects(
    source: Source,
    writers: dict[str, int],
    prepared: Sequence[Prepared],
    pairs: Sequence[tuple[Chunk, Embedded]],
    allow: dict[str, projection.Allowed],
) -> Iterator[IndexObject]:
    of = {p.id: p for p in prepared}
    for c, e in pairs:
        if c.id not in writers:
            continue  # its document was erased since it was read
        p = of[c.document_id]
        yield IndexObject(
            c.id,
            source.name,
            p.id,
            p.key,
            writers[c.id],
            c.kind,
            p.title,
            c.heading,
            c.text,
            p.metadata,
            allow[p.id].tokens,
            e.vector,
        )


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


def _patch(way: Way, current: Load, index: Store, candidate: Candidate) -> int:
    """Bring the access of documents whose content stays into the index, and prove it."""
    n = 0
    for window in windows((p.key for p in candidate.plan() if p.what == "access"), WINDOW):
        n += patch(way, index, list(projection.ids(way.ledger, current.source, window).values()), current)
        loads.renew(way.ledger, current, way.lease_s)
    return n


def patch(way: Way, index: Store, wanted: Sequence[str], current: Load | None = None) -> int:
    """Write the tokens of some documents to their chunks, and prove it. Returns how many chunks that were.

    Raises IndexUnavailable when the index did not take them. A chunk that is not there yet, of a load
    under way, is written with its tokens later.
    """
    mark = indexing.begin(way.ledger, wanted, current)
    allow = projection.allowed(way.ledger, wanted)
    tokens = {
        chunk_id: allow[document].tokens
        for document, chunk_ids in projection.chunks_of(way.ledger, wanted).items()
        for chunk_id in chunk_ids
    }
    index.set_allow(tokens)
    there = index.read_back(list(tokens))
    if different := [i for i, found in there.items() if found.allow != tuple(sorted(tokens[i]))]:
        raise IndexUnavailable(
            f"the index did not take the access of {len(different):,} of {len(tokens):,} chunks, such as {different[0]}"
        )
    indexing.end(way.ledger, mark, {i: a.policy for i, a in allow.items()}, current)
    return len(there)
