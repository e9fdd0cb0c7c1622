"""rebuild: write a new collection from the ledger beside the live one, prove it, and let searches read it instead.

Nothing is parsed or embedded again. Searches read the old collection until the new one is proved; loads and access sync go
on and write to the old one. So before the swap every source that moved since it was copied is copied again, and loads
that have objects which nobody sees yet are waited for; after it, each source is compared once more where it moved, and a
load that was under way proves all of its own again.

Each step may be repeated: a rebuild that was killed leaves a row in the ledger, and the next one goes on with its
collection.
"""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

from moat.batching import windows
from moat.embedding.client import model_of
from moat.errors import FatalError, LoadInProgress, SchemaError
from moat.index.collections import Collections
from moat.index.store import WeaviateStore
from moat.index.write import bring
from moat.ledger import embeddings, index_starts, projection, rebuilds, runs
from moat.ledger.former_names import first_name
from moat.ledger.rebuilds import Rebuild
from moat.maintenance.reconcile import Drift, against_index, index_against_ledger, with_vectors
from moat.records import IndexObject
from moat.runtime import Runtime

WINDOW = 1_000  # chunks written and proved at a time
AT_ONCE = 2  # windows at a time: while Weaviate indexes one, the next one is read and packed
ROUNDS = 20  # of copying what moved meanwhile
TELL_S, POLL_S, WAIT_S = 5.0, 1.0, 600.0
Moved = dict[str, tuple[int, int]]  # how each source stood when it was copied


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild made."""

    collection: str  # own name of the collection that searches read now
    chunks: int  # that it holds, those among them that only a rollback shows
    copied: int  # chunks looked at by this process, those that it found written included
    written: int  # of these, chunks that were not there yet
    seconds: float


def rebuild(runtime: Runtime, by: str) -> Rebuilt:
    """Rebuild the index beside the live collection, and swap.

    Args:
        runtime: Ledger, settings and connections.
        by: Who rebuilds, for the audit.

    Returns:
        The new collection and its size.

    Raises:
        SettingsError: There is no operator's key.
        LoadInProgress: Another rebuild is under way, or a load stays under way that would lose what it has written.
        Superseded: Another process took this rebuild over.
        IndexUnavailable: Weaviate did not answer or did not take what was written; the same command goes on.
        FatalError: Sources were loaded with more than one model.
    """
    began, ledger = time.monotonic(), runtime.ledger
    with closing(Collections.open(runtime.settings)) as collections:
        model = _model(runtime)
        current = rebuilds.take(ledger, collections.next(), runs.of_this_process(), by)
        copy = _Copy(runtime, current, model)
        if collections.live() != current.collection:
            _made(runtime, collections, current, model)
            copy.fill()
            rebuilds.uncompared(ledger)  # a load that is under way proves again what it wrote
            collections.swap(current.collection)
            runtime.progress(f"searches read {current.collection} from now on")
        rebuilds.uncompared(ledger)
        with closing(WeaviateStore.open(runtime.settings, "writer")) as live:
            _what_moved(runtime, live, copy)
            for name in collections.others():
                rebuilds.renew(ledger, current)
                collections.drop(name)
            rebuilds.end(ledger, current, live.started())
            chunks = sum(live.count(first_name(ledger, source), ()) for source in projection.sources(ledger))
    return Rebuilt(
        collection=current.collection,
        chunks=chunks,
        copied=copy.n,
        written=copy.written,
        seconds=time.monotonic() - began,
    )


def drop(runtime: Runtime, by: str) -> list[str]:
    """Give up a rebuild that was not brought to its end, and remove what it wrote beside the live collection.

    Returns the names of the removed collections. Raises LoadInProgress while a process works on it.
    """
    with closing(Collections.open(runtime.settings)) as collections:
        current = rebuilds.left(runtime.ledger)
        if current is not None and collections.live() in (None, current.collection):
            raise FatalError(
                f"{current}: {current.collection} is what searches read, or will read: `moat rebuild` brings it to its end"
            )
        gone = collections.others()
        for name in gone:
            collections.drop(name)
        rebuilds.give_up(runtime.ledger, by)  # last of all: until then no erasure takes its text for gone
    return gone


def _model(runtime: Runtime) -> str:
    """Key of the model whose vectors the ledger has; the embedder is asked only where nothing was loaded."""
    sources = projection.sources(runtime.ledger)
    found = {model: name for name in sources if (model := index_starts.model_of_newest(runtime.ledger, name))}
    if len(found) > 1:
        raise FatalError(
            f"sources were loaded with {len(found)} models: {', '.join(f'{name} with {model}' for model, name in found.items())}. "
            "Vectors of two models do not compare: run the others with --full first"
        )
    return next(iter(found), "") or model_of(runtime.settings, runtime.connections)


def _made(runtime: Runtime, collections: Collections, current: Rebuild, model: str) -> None:
    """Make the collection beside the live one, with the rights of the keys; one of another schema is made anew."""
    with closing(WeaviateStore.open(runtime.settings, "operator", current.collection)) as beside:
        try:
            if beside.exists():
                beside.check(model)
        except SchemaError:
            collections.drop(current.collection)
        beside.ensure(model)
        beside.grant()


class _Copy:
    """Fills the collection, and knows how each source stood when it was copied."""

    def __init__(self, runtime: Runtime, current: Rebuild, model: str) -> None:
        self._runtime, self._current, self._model = runtime, current, model
        self.proved: Moved = {}
        self.n = self.written = 0
        self._told = self._began = time.monotonic()

    def fill(self) -> None:
        """Copy and prove until the collection holds all that the live one must hold, and nobody is writing there."""
        ledger = self._runtime.ledger
        with closing(WeaviateStore.open(self._runtime.settings, "writer", self._current.collection)) as index:
            started = index.started()
            for _ in range(ROUNDS):
                if index.started() != started:  # what was proved before may be lost
                    self.proved, started = {}, index.started()
                states = rebuilds.states(ledger)
                left = [name for name in states if self.proved.get(name) != states[name]]
                for name in left:
                    self._source(index, name)
                    self.proved[name] = states[name]
                if left:
                    index_against_ledger(self._runtime, index, {}, repair=True, alive=self.renew)
                elif not self._waited():
                    return
        raise LoadInProgress(
            "sources change faster than they are copied: pause their DAGs, then `moat rebuild` goes on"
        )

    def _source(self, index: WeaviateStore, name: str) -> None:
        """Write and prove every chunk of a source, some windows at a time."""
        n_of_it = 0

        def put(objects: list[IndexObject]) -> int:
            return bring(index, {o.id: o for o in objects})

        with ThreadPoolExecutor(AT_ONCE) as pool:
            under_way = deque[tuple[int, Future[int]]]()
            for objects in self._windows(name):
                under_way.append((len(objects), pool.submit(put, objects)))
                while len(under_way) > AT_ONCE:
                    n_of_it += self._ended(name, *under_way.popleft())
            while under_way:
                n_of_it += self._ended(name, *under_way.popleft())
        self._tell(f"{name}: {n_of_it:,} chunks are in the new collection, and found there")

    def _windows(self, name: str) -> Iterator[list[IndexObject]]:
        """The chunks of a source with their vectors; a text whose vector the ledger lost is embedded again."""
        for window in windows(projection.kept_objects(self._runtime.ledger, name), WINDOW):
            kept = embeddings.vectors(self._runtime.ledger, self._model, [o.text_hash for o in window])
            lost = [o for o in window if o.text_hash not in kept]
            made = with_vectors(self._runtime, lost) if lost else []
            yield [replace(o, vector=kept[o.text_hash]) for o in window if o.text_hash in kept] + made

    def _ended(self, name: str, n: int, writing: "Future[int]") -> int:
        self.written += writing.result()
        self.n += n
        if time.monotonic() - self._told >= TELL_S:
            self.renew()
            rate = self.n / (time.monotonic() - self._began)
            self._tell(f"{name}: {self.n:,} chunks are in the new collection, {rate:,.0f} a second")
        return n

    def _waited(self) -> bool:
        """Wait until no load has objects in the live collection that nobody sees yet; whether there was one."""
        began, ledger = time.monotonic(), self._runtime.ledger
        while left := rebuilds.writing(ledger):
            if time.monotonic() - began > WAIT_S:
                raise LoadInProgress(
                    f"the new collection is written and proved, and would lose what {', '.join(left)} has written: let it end, "
                    "or `moat reject` it; then `moat rebuild` goes on from here"
                )
            if time.monotonic() - self._told >= TELL_S or time.monotonic() - began < POLL_S:
                self.renew()
                self._tell(f"the new collection waits for {', '.join(left)}")
            time.sleep(POLL_S)
        return time.monotonic() - began >= POLL_S

    def renew(self) -> None:
        """Say that the rebuild goes on. Raises Superseded where another process took it over."""
        rebuilds.renew(self._runtime.ledger, self._current)

    def _tell(self, line: str) -> None:
        self._runtime.progress(line)
        self._told = time.monotonic()


def _what_moved(runtime: Runtime, live: WeaviateStore, copy: _Copy) -> None:
    """Compare with the collection that is live now the sources that moved since they were copied, and repair it."""
    moved = [name for name, state in rebuilds.states(runtime.ledger).items() if copy.proved.get(name) != state]
    for name in moved:
        against_index(runtime, live, Drift(source=name), repair=True)
    if moved:
        index_against_ledger(runtime, live, {}, repair=True, alive=copy.renew)
