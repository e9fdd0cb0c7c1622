"""Puts documents through Moat without parser and model: real ledger, real index, real read, load and promote.

`settle` brings a whole organisation in, as if its loads had run. `Shelf` is a source whose documents
and access files a test changes in memory, and `Moat` drives it through the real stages one by one.
"""

import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import update

from moat.access.policy import Policy
from moat.access.rules import Facts, Needs
from moat.batching import windows
from moat.checks import FAMILIES
from moat.connections import EnvironmentConnections
from moat.embedding.model import ModelInfo
from moat.errors import LoadRefused
from moat.ids import chunk_id, content_hash, document_id, text_hash
from moat.index.store import Store, WeaviateStore
from moat.ledger import Ledger, access, access_sync, checks, documents, holds, indexing, loads, projection
from moat.ledger.access_sync import Observed
from moat.ledger.checks import CheckResult
from moat.ledger.loads import Load
from moat.ledger.members import replace_members
from moat.ledger.tables import document
from moat.maintenance.access_sync import SyncedAccess, sync_access
from moat.readers.reader import Fetched, Gone, Reading, raw
from moat.records import Chunk, Embedded, IndexObject, Listed, Planned, Prepared, RawDocument, SetAside
from moat.retrieve import Retriever
from moat.runtime import Options, ReadResult, Runtime, path
from moat.settings import Settings
from moat.source import AccessFiles, Limits, Source
from moat.stages.load import load as load_stage
from moat.stages.promote import promote as promote_stage
from moat.stages.read import read as read_stage
from moat.staging import Staging
from tests.company import remove_collection
from tests.proofs.access.organisation import DIMENSIONS, EVERYONE, Organisation, Paper, Rule, vector

INFO = ModelInfo(model="proof", revision="1", dimensions=DIMENSIONS, max_tokens=512)


class Embedding:
    """An embedder whose vector of a text is the test's own."""

    def info(self) -> ModelInfo:
        return INFO

    def embed(self, texts: Sequence[str], priority: str = "bulk") -> np.ndarray:
        return np.stack([vector(text) for text in texts])

    def close(self) -> None: ...


def retriever(settings: Settings, store: Store | None = None) -> Retriever:
    """The door, with a reader's key of its own."""
    return Retriever(settings, Ledger.open(settings), store or WeaviateStore.open(settings, "reader"), Embedding())  # type: ignore[arg-type]


def policy(rule: Rule) -> Policy:
    """A rule as Moat's own type."""
    layers = (
        Policy.of((p for p in one_of if p != EVERYONE), rule.none_of, public=EVERYONE in one_of)
        for one_of in rule.all_of
    )
    return reduce(Policy.both, layers)


@contextmanager
def place(server: Settings, home: Path, ledger: Path | None = None) -> Iterator[Settings]:
    """Settings with a ledger and a collection of their own, which goes in the end; `ledger` is a fresh one to begin with."""
    settings = server.model_copy(update={"home": home, "collection": f"P{uuid.uuid4().hex}", "search_timeout_s": 60.0})
    home.mkdir(parents=True, exist_ok=True)
    if ledger:
        shutil.copy(ledger, home / "ledger.db")
    else:
        migrated(settings)
    operator = WeaviateStore.open(settings, "operator")
    operator.ensure(INFO.key)
    operator.grant()
    try:
        yield settings
    finally:
        operator.close()
        remove_collection(settings)


def migrated(settings: Settings) -> None:
    made = Ledger(settings.ledger, settings.tenant)
    made.migrate()
    with made.read() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    made.close()


def way_of(settings: Settings, lines: list[str] | None = None) -> Runtime:
    tell = (lambda line: None) if lines is None else lines.append
    return Runtime(
        settings=settings,
        ledger=Ledger.open(settings),
        staging=Staging(settings.staging),
        connections=EnvironmentConnections({}),
        progress=tell,
    )


def one_chunk(
    tenant: str, source: str, key: str, text: str, policy: str, fingerprint: str, version: int = 0
) -> tuple[Prepared, Chunk, Embedded]:
    """A document of one chunk, as prepare and embed would leave it."""
    identity = document_id(tenant, source, key)
    chunk = Chunk(
        id=chunk_id(identity, text, 0, (key,)),
        document_id=identity,
        key=key,
        text=text,
        heading="",
        kind="text",
        page=None,
        position=0,
        n_tokens=len(text.split()) + 2,
        text_hash=text_hash(text),
    )
    prepared = Prepared(
        id=identity,
        key=key,
        uri=f"shelf:{key}",
        title=key,
        media_type="text/plain",
        fingerprint=fingerprint,
        content_hash=content_hash(text.encode()),
        policy=policy,
        access_version=version,
        metadata=(f"half={key.partition('/')[0]}",),
        n_pages=0,
        n_characters=len(text),
        n_chunks=1,
    )
    return prepared, chunk, Embedded(chunk.id, chunk.text_hash, vector(text).tobytes())


# A whole organisation at once


def settle(settings: Settings, org: Organisation) -> list[str]:
    """Everything of an organisation into ledger and index; returns each paper's chunk id."""
    ledger, store = Ledger.open(settings), WeaviateStore.open(settings, "writer")
    for name, groups in org.directories.items():
        replace_members(ledger, name, groups, "proof")
    of = {
        state: [p for p in org.papers if p.state == state]
        for state in ("replaced", "live", "erased", "masked", "withdrawn", "staged")
    }
    for papers in (of["replaced"], of["live"] + of["erased"], of["masked"], of["withdrawn"], of["staged"]):
        for source in dict.fromkeys(p.source for p in papers):
            mine = [p for p in papers if p.source == source]
            current = loads.open_load(ledger, source, f"proof {source} {mine[0].state}", {}, 3_600)
            loads.note(ledger, current, {}, INFO.key)
            for window in windows(mine):
                _stage(ledger, store, current, window)
            loads.staged(ledger, current)
            if mine[0].state != "staged":
                loads.promote(ledger, current, "proof")
            if mine[0].state == "withdrawn":
                loads.rollback(ledger, current.id, "proof")
            if mine[0].state == "masked":
                access.unreadable(ledger, source, "it does not answer", 0.0)
    _take_back(ledger, [p for p in of["live"] if p.before])
    with ledger.write() as connection:
        gone = [document_id(ledger.tenant, p.source, p.key) for p in of["erased"]]
        connection.execute(update(document).where(document.c.id.in_(gone)).values(erased_at=datetime.now(UTC)))
    ids = [one_chunk(ledger.tenant, p.source, p.key, p.text, "", "")[1].id for p in org.papers]
    store.close()
    ledger.close()
    return ids


def _stage(ledger: Ledger, store: Store, current: Load, papers: Iterable[Paper]) -> None:
    three = []
    for p in papers:
        rule = p.before or p.rule or Rule(((EVERYONE,),))
        said = policy(rule).within(p.directory).text()
        three.append(one_chunk(ledger.tenant, p.source, p.key, p.text, said, p.text))
    prepared, chunks = [t[0] for t in three], [t[1] for t in three]
    writers = documents.stage(ledger, current, "recipe", prepared, chunks)
    mark = indexing.begin(ledger, [p.id for p in prepared], current)
    allow = projection.allowed(ledger, [p.id for p in prepared])
    store.write(
        [
            IndexObject(
                id=c.id,
                source=current.source,
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
            for p, c, e in three
        ]
    )
    indexing.end(ledger, mark, {i: a.policy for i, a in allow.items()}, current)


def _take_back(ledger: Ledger, papers: Sequence[Paper]) -> None:
    """Narrow papers to their rule, in the ledger and not in the index."""
    for source in dict.fromkeys(p.source for p in papers):
        observed = []
        for p in (p for p in papers if p.source == source):
            wanted = policy(p.rule).within(p.directory) if p.rule else None
            identity = document_id(ledger.tenant, source, p.key)
            observed.append(
                Observed(
                    document=identity,
                    key=p.key,
                    wanted=wanted,
                    digest=wanted.digest(ledger.tenant) if wanted else None,
                    same_content=True,
                )
            )
        access_sync.revoke(ledger, source, observed, access.begin(ledger, source), "proof")


# One source, stage by stage


@dataclass(eq=False)
class Shelf:
    """A source in memory: texts and access files by their paths. A reader that a test can change and listen to."""

    texts: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    while_listing: Callable[[int], None] = lambda n: None  # told before each document, and once after the last
    while_fetching: Callable[[str], None] = lambda key: None

    @property
    def offers(self) -> frozenset[Needs]:
        return frozenset({"nothing", "files beside"})

    def wrong(self) -> list[str]:
        return []

    @contextmanager
    def open(self, reading: Reading) -> Iterator["Opened"]:
        yield Opened(self, reading)


class Opened:
    """A shelf while it is read."""

    def __init__(self, shelf: Shelf, reading: Reading) -> None:
        self.shelf, self.reading = shelf, reading

    def listing(self) -> Iterator[Listed]:
        judge = self.reading.rule.judge(self.shelf.files.get)
        keys = sorted(self.shelf.texts)
        for n, key in enumerate(keys):
            self.shelf.while_listing(n)
            if (text := self.shelf.texts.get(key)) is not None:
                yield self.reading.listed(key, f"shelf:{key}", text_hash(text), len(text), partial(judge, Facts(key)))
        self.shelf.while_listing(len(keys))

    def fetch(self, wanted: Iterable[Planned]) -> Iterator[Fetched]:
        for one in wanted:
            self.shelf.while_fetching(one.key)
            text = self.shelf.texts.get(one.key)
            yield Gone(one.key) if text is None else raw(one, one.key, text.encode(), text_hash(text))


class Moat:
    """One source on its way: each stage a method, parse and model left out."""

    def __init__(self, settings: Settings, shelf: Shelf, name: str = "shelf", **limits: Any) -> None:
        self.settings, self.shelf, self.runtime = settings, shelf, way_of(settings)
        shares = {"max_vanished_ratio": 1.0, "max_failed_ratio": 1.0, "max_duplicate_ratio": 1.0}
        given = {**shares, "max_widened_ratio": 1.0, "max_reader_factor": 1e9, **limits}
        self.source = Source(name=name, reader=shelf, access=AccessFiles(), limits=Limits(**given))
        self.store: Store = WeaviateStore.open(settings, "writer")
        self.door = retriever(settings)
        self._runs = 0

    @property
    def ledger(self) -> Ledger:
        return self.runtime.ledger

    def read(self, run: str = "") -> ReadResult:
        self._runs += 1
        return read_stage(self.runtime, self.source, run or f"proof:{self._runs}", Options())

    def prepare(self, found: ReadResult) -> None:
        """What prepare leaves: each text is one chunk."""
        for batch in found.batches:
            at = self._at(found.load, "read", batch.number)
            made = [
                one_chunk(
                    self.ledger.tenant,
                    self.source.name,
                    r.key,
                    r.content.decode(),
                    r.policy,
                    r.fingerprint,
                    r.access_version,
                )
                for r in self.runtime.staging.read(at, RawDocument)
            ]
            for stage, kind, records in (
                ("document", Prepared, [m[0] for m in made]),
                ("chunk", Chunk, [m[1] for m in made]),
                ("aside", SetAside, []),
            ):
                self.runtime.staging.write(self._at(found.load, stage, batch.number), kind, records)

    def embed(self, found: ReadResult) -> None:
        loads.note(self.ledger, self.runtime.load(found.load), {}, INFO.key)
        for batch in found.batches:
            chunks = self.runtime.staging.read(self._at(found.load, "chunk", batch.number), Chunk)
            vectors = [Embedded(c.id, c.text_hash, vector(c.text).tobytes()) for c in chunks]
            self.runtime.staging.write(self._at(found.load, "embed", batch.number), Embedded, vectors)

    def gate(self, found: ReadResult) -> None:
        """Every family of checks passed."""
        for family in FAMILIES:
            passed = CheckResult(
                name=family.name, family=family.name, severity="warn", passed=True, seen="looked", allowed=""
            )
            checks.keep(self.ledger, self.runtime.load(found.load), family.name, [passed])

    def load(self, found: ReadResult, store: Store | None = None) -> None:
        load_stage(self.runtime, self.source, found.load, store or self.store)

    def promote(self, found: ReadResult, store: Store | None = None) -> None:
        promote_stage(self.runtime, self.source, found.load, "proof", store or self.store)

    def run(self, *between: Callable[[], object]) -> ReadResult:
        """The whole way; `between` are done after read, prepare, embed, gate, load and promote, as far as there are any."""
        found = self.read()
        steps: list[Callable[[], object]] = [] if found.unchanged else [
            lambda: self.prepare(found), lambda: self.embed(found), lambda: self.gate(found), lambda: self.load(found), lambda: self.promote(found)
        ]  # fmt: skip
        todo = [*between]
        for step in [lambda: None, *steps]:
            step()
            if todo:
                todo.pop(0)()
        return found

    def sync(self, store: Store | None = None) -> SyncedAccess:
        return sync_access(self.runtime, self.source, "proof", store or self.store)

    def groups(self, groups: Mapping[str, Sequence[str]], directory: str = "staff") -> None:
        replace_members(self.ledger, directory, groups, "proof")

    def rollback(self) -> bool:
        """Whether the newest promoted load could be taken back."""
        promoted = [one for one in loads.recent(self.ledger, self.source.name, 100) if one.state == "promoted"]
        try:
            return bool(promoted) and loads.rollback(self.ledger, promoted[0].id, "proof").state == "rolled back"
        except LoadRefused:
            return False

    def waiting(self) -> list[holds.Hold]:
        return [hold for hold in holds.listing(self.ledger) if hold.subject == self.source.name]

    def ids(self, texts: Iterable[tuple[str, str]]) -> dict[str, tuple[str, str]]:
        """Chunk ids of (key, text)."""
        return {
            one_chunk(self.ledger.tenant, self.source.name, key, text, "", "")[1].id: (key, text) for key, text in texts
        }

    def disagreements(self) -> list[str]:
        """Visible chunks whose access in the index is not the ledger's, or that are not there."""
        wanted = {o.id: o for o in projection.visible_objects(self.ledger, self.source.name)}
        there = self.store.read_back(list(wanted))
        return [
            f"{o.key}: the ledger says {o.allow}, the index {there[i].allow if i in there else 'has no such chunk'}"
            for i, o in wanted.items()
            if i not in there or there[i].allow != o.allow
        ]

    def reopen(self) -> None:
        """As after a restart of everything that talks to ledger and index."""
        self.close()
        self.runtime = way_of(self.settings)
        self.store = WeaviateStore.open(self.settings, "writer")
        self.door = retriever(self.settings)

    def close(self) -> None:
        self.door.close()
        self.store.close()
        self.runtime.close()

    def _at(self, number: int, stage: str, batch: int) -> str:
        return path(self.source.name, number, stage, f"{batch:04}.parquet")
