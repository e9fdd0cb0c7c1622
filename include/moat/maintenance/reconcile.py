"""reconcile: compare source, ledger and index; report differences and optionally repair them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from moat.batching import windows
from moat.embedding.client import embedder_of
from moat.errors import MoatError
from moat.index.store import Store
from moat.index.write import patch, prove, unfound
from moat.ledger import documents, embeddings, index_starts, projection
from moat.ledger.former_names import names_now
from moat.ledger.loads import invisible
from moat.records import IndexObject, embedded_text
from moat.runtime import Runtime

WINDOW = 1_000
BEHIND = ("listed", "new", "changed", "access", "vanished", "unknown")
Pending = Callable[[], Mapping[str, int]]  # documents by what the next run will do with them
EXAMPLES = 5


@dataclass(kw_only=True)
class Drift:
    """Differences found for one source. `behind` is what its next run will do."""

    source: str
    visible_documents: int = 0
    visible_chunks: int = 0
    behind: dict[str, int] = field(default_factory=dict)
    unreadable: str = ""  # why the source could not be read
    missing: int = 0  # visible chunks that the index does not hold
    text: int = 0  # whose text differs in the index
    access: int = 0  # whose access differs in the index
    unfound: int = 0  # that the index holds, and no vector search finds
    orphans: int = 0  # objects of the index that the ledger does not know
    examples: list[str] = field(default_factory=list)
    repaired: bool = False

    @property
    def ahead(self) -> dict[str, int]:
        """What its next run will do beyond listing; empty where that is nothing."""
        return {what: n for what, n in self.behind.items() if what != "listed"}

    @property
    def agrees(self) -> bool:
        return not (self.missing or self.text or self.access or self.unfound or self.orphans or self.unreadable)


def reconcile(
    runtime: Runtime, index: Store, model: str, pending: Mapping[str, Pending], repair: bool = False
) -> list[Drift]:
    """Compare every declared or loaded source with the index, and optionally repair.

    The ledger is the truth: objects that the index lacks are written from it, objects unknown to it are
    removed. What the source has beyond it is reported, and loaded by the source's next run.

    Args:
        runtime: Ledger, staging, settings and connections.
        index: Writer of the index.
        model: Key of the embedding model.
        pending: What the next run of each declared source will do, computed when called.
        repair: Whether to correct the index.

    Returns:
        The differences of each source, by name.

    Raises:
        SchemaError: The index has another schema or model.
    """
    index.check(model)
    started = index.started()
    drifts = {name: Drift(source=name) for name in sorted({*pending, *projection.sources(runtime.ledger)})}
    for drift in drifts.values():
        if drift.source in pending:
            _behind(pending[drift.source], drift)
        drift.visible_documents = documents.count_visible(runtime.ledger, drift.source)
        against_index(runtime, index, drift, repair)
        runtime.progress(f"{drift.source}: {drift.visible_chunks:,} visible chunks compared")
    index_against_ledger(runtime, index, drifts, repair)
    for drift in drifts.values():
        drift.repaired = repair and not drift.agrees and not drift.unreadable
        if drift.repaired or drift.agrees:
            index_starts.keep(runtime.ledger, drift.source, started)
    return list(drifts.values())


def _behind(pending: Pending, drift: Drift) -> None:
    try:
        counts = pending()
    except MoatError as error:
        drift.unreadable = str(error)
    else:
        drift.behind = {name: n for name in BEHIND if (n := counts.get(name, 0))}


def against_index(runtime: Runtime, index: Store, drift: Drift, repair: bool) -> None:
    """Compare the visible chunks of a source with the index, and optionally repair that; counts into `drift`."""
    with runtime.ledger.read() as connection:
        hidden = set(invisible(connection, runtime.ledger.tenant))
    for window in windows(projection.visible_objects(runtime.ledger, drift.source), WINDOW):
        drift.visible_chunks += len(window)
        there = index.read_back([o.id for o in window])
        wrong, moved = list[IndexObject](), set[str]()
        lost = _unfound(index, list(there))
        for o in window:
            found = there.get(o.id)
            absent = found is None or found.load in hidden  # an object that searches leave out is missing for everyone
            if found is None or absent or found.text_hash != o.text_hash:
                drift.missing += absent
                drift.text += not absent
                wrong.append(o)
            elif o.id in lost:
                drift.unfound += 1
                wrong.append(o)
            elif found.allow != o.allow:
                drift.access += 1
                moved.add(o.document)
            else:
                continue
            if len(drift.examples) < EXAMPLES:
                drift.examples.append(f"{o.id} of {o.key}")
        if repair and wrong:
            objects = with_vectors(runtime, wrong)
            index.write(objects)
            prove(index, {o.id: o for o in objects})
            now = projection.allowed(runtime.ledger, list({o.document for o in objects}))
            moved |= {
                o.document for o in objects if set(now[o.document].tokens) != set(o.allow)
            }  # access moved meanwhile
        if repair and moved:
            patch(runtime, index, sorted(moved))


def _unfound(index: Store, ids: list[str]) -> set[str]:
    """Those of the index's objects that no vector search finds."""
    vector = next(iter(index.vectors(ids[:1]).values()), None)
    return unfound(index, ids, vector) if vector is not None else set()


def with_vectors(runtime: Runtime, wanted: list[IndexObject]) -> list[IndexObject]:
    """Add the ledger's vectors to objects; texts whose vector is missing are embedded again."""
    embedder = embedder_of(runtime.settings, runtime.connections, runtime.progress)
    try:
        model = embedder.info().key
        hashes = [o.text_hash for o in wanted]
        kept = embeddings.vectors(runtime.ledger, model, hashes)
        lost = {h: o for h, o in zip(hashes, wanted, strict=True) if h not in kept}
        made = embedder.embed([embedded_text(o.heading, o.text) for o in lost.values()])
        new = {h: np.ascontiguousarray(v, "<f4").tobytes() for h, v in zip(lost, made, strict=True)}
        embeddings.keep(runtime.ledger, model, new)
    finally:
        embedder.close()
    vectors = kept | new
    return [replace(o, vector=vectors[h]) for o, h in zip(wanted, hashes, strict=True)]


def index_against_ledger(
    runtime: Runtime,
    index: Store,
    drifts: dict[str, Drift],
    repair: bool,
    alive: Callable[[], None] = lambda: None,
) -> None:
    """Count the objects that the ledger does not know into `drifts`, by source, and optionally remove them.

    `alive` is called with each window of objects, as a sign that the work goes on.
    """
    names = names_now(runtime.ledger)
    for window in windows(index.every(), WINDOW):
        alive()
        known = projection.expected(runtime.ledger, [o.id for o in window])
        orphans = [o for o in window if o.id not in known]
        for o in orphans:
            name = names.get(o.source, o.source)
            drift = drifts.setdefault(name, Drift(source=name))
            drift.orphans += 1
            if len(drift.examples) < EXAMPLES:
                drift.examples.append(f"{o.id}, which the ledger does not know")
        if repair and orphans:
            index.delete([o.id for o in orphans])
