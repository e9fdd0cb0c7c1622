"""load: vectors, text and access tokens -> Weaviate, still invisible, verified by reading back."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from moat.batching import windows
from moat.checks import golden
from moat.checks import moves as checked_moves
from moat.checks.candidate import Candidate
from moat.checks.verdict import released, verdict
from moat.embedding.client import model_of
from moat.errors import FatalError, IndexNotKept, LoadRefused
from moat.index.store import Store
from moat.index.write import open_writer, patch, prove
from moat.ledger import documents, embeddings, indexing, loads, projection
from moat.ledger import moves as ledger_moves
from moat.ledger.former_names import document_ids, first_name
from moat.ledger.loads import Load
from moat.maintenance.in_step import keep_in_step, started_again
from moat.recipe import recipe_of
from moat.records import Chunk, Embedded, IndexObject, Prepared
from moat.runtime import Runtime, timed
from moat.settings import PROJECT
from moat.source import Source

WINDOW = 1_000  # chunks written and verified at a time, in whole documents


@timed("load")
def load(runtime: Runtime, source: Source, number: int, store: Store | None = None) -> dict[str, int]:
    """Stage a load in the ledger and the index, and verify every object; nothing becomes visible.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        number: Number of the load.
        store: Index to use, which the caller closes; None: opened with the writer's key.

    Returns:
        Number of chunks `written`, `kept`, `retired`, `proved`, `repaired`, and `patched` in access.

    Raises:
        LoadRefused: Neither the gate nor a person has released the load.
        Superseded: The run lost its lease on the source.
        SchemaError: The live collection is not what Moat needs.
        IndexUnavailable: Weaviate did not answer, or does not hold what was written.
    """
    current = runtime.load(number)
    found = verdict(runtime, number)
    if not released(current, found):
        raise LoadRefused(
            f"load {number} of {source.name} is not let through: the gate says {found.outcome}, {found.reason or 'nobody has released it'}"
        )
    loads.renew(runtime.ledger, current, runtime.lease_s)
    model = current.model or model_of(runtime.settings, runtime.connections)
    index = store or open_writer(runtime, model)
    try:
        index.check(model)
        keep_in_step(runtime, index, current)
        counts = _load(runtime, source, current, index, model)
        if started_again(runtime, index, current):
            raise IndexNotKept(
                f"Weaviate was started again while load {number} of {source.name} was written: what was proved before may be lost. "
                "Run the task again: it proves all of it"
            )
    finally:
        if store is None:
            index.close()
    loads.note(runtime.ledger, current, counts, model)
    loads.staged(runtime.ledger, current)
    runtime.progress(
        f"{source.name} load {number}: {counts['written']:,} chunks written, {counts['kept']:,} kept, {counts['retired']:,} retired, {counts['proved']:,} proved"
    )
    return counts


def _load(runtime: Runtime, source: Source, current: Load, index: Store, model: str) -> dict[str, int]:
    candidate, recipe = Candidate(runtime=runtime, source=source, load=current), recipe_of(runtime, source)
    counts = {"written": 0, "kept": 0, "retired": 0, "proved": 0, "repaired": 0}
    gone, first = [p.key for p in candidate.plan() if p.what == "vanished"], first_name(runtime.ledger, source.name)
    mine = {p.id for p in candidate.prepared()} | set(document_ids(runtime.ledger, source.name, gone))
    if loose := documents.unstage(runtime.ledger, current, mine):
        index.delete(loose)
    for prepared, pairs in _groups(candidate):
        chunks = [chunk for chunk, _ in pairs]
        embeddings.keep(runtime.ledger, model, {e.text_hash: e.vector for _, e in pairs})
        writers = documents.stage(runtime.ledger, current, recipe, prepared, chunks)
        mark = indexing.begin(runtime.ledger, (p.id for p in prepared), current)
        allow = projection.allowed(runtime.ledger, [p.id for p in prepared])
        objects = {o.id: o for o in _objects(first, writers, prepared, pairs, allow)}
        new = [o for o in objects.values() if o.load == current.id]
        index.write(new)
        counts["repaired"] += prove(index, objects)
        indexing.end(runtime.ledger, mark, {i: a.policy for i, a in allow.items()}, current)
        counts["written"] += len(new)
        counts["kept"] += len(objects) - len(new)
        counts["proved"] += len(objects)
        loads.renew(runtime.ledger, current, runtime.lease_s)
        runtime.progress(f"{source.name} load {current.id}: {counts['proved']:,} chunks in the index")
    for window in windows(gone):
        counts["retired"] += documents.retire(runtime.ledger, current, window)
    _keep_moves(runtime, source, candidate)
    counts["patched"] = _patch(runtime, current, index, candidate)
    return counts


def _keep_moves(runtime: Runtime, source: Source, candidate: Candidate) -> None:
    """Keep where documents of golden questions went: the golden file names their old keys until it is corrected."""
    if source.golden is None:
        return
    keys = golden.keys_of(golden.questions_of(Path(PROJECT, source.golden.file)))
    ledger_moves.keep(runtime.ledger, candidate.load, checked_moves.to_keep(candidate, keys))


def _groups(candidate: Candidate) -> Iterator[tuple[list[Prepared], list[tuple[Chunk, Embedded]]]]:
    """Group whole documents with their chunks and vectors, one window at a time."""
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
    source: str,
    writers: dict[str, int],
    prepared: Sequence[Prepared],
    pairs: Sequence[tuple[Chunk, Embedded]],
    allow: dict[str, projection.Allowed],
) -> Iterator[IndexObject]:
    of = {p.id: p for p in prepared}
    for c, e in pairs:
        if c.id not in writers:
            continue  # its document was erased after it was read
        p = of[c.document_id]
        yield IndexObject(
            id=c.id,
            source=source,
            document=p.id,
            key=p.key,
            load=writers[c.id],
            kind=c.kind,
            title=p.title,
            heading=c.heading,
            text=c.text,
            metadata=p.metadata,
            allow=allow[p.id].tokens,
            vector=e.vector,
        )


def _patch(runtime: Runtime, current: Load, index: Store, candidate: Candidate) -> int:
    """Write the access of documents whose content is unchanged to the index, and verify it."""
    n = 0
    for window in windows((p.key for p in candidate.plan() if p.what == "access"), WINDOW):
        n += patch(runtime, index, list(projection.ids(runtime.ledger, current.source, window).values()), current)
        loads.renew(runtime.ledger, current, runtime.lease_s)
    return n
