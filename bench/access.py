"""What access costs: updates of it beside embedding again, revoke -> gone, and the filter of every query.

    .venv/bin/python -m bench.access [--chunks 100000] [--updates 10000] [--revocations 200] [--queries 200]

One Weaviate and one SQLite ledger of its own, in a folder that goes in the end; documents of
CHUNKS chunks with real texts, made vectors and access lists; half an hour on 2 cores. Everything that
is compared takes turns: what else the machine does meets all alike.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import numpy as np
import psutil
from sqlalchemy import event

from bench.embed import busy_s, texts_of
from bench.results import in_a_folder, put, ran_on
from moat.access.policy import Policy, access_token
from moat.access.rules import Columns, Facts, Needs
from moat.batching import windows
from moat.connections import EnvironmentConnections
from moat.embedding.client import Embedder, embedder_of
from moat.embedding.model import ModelInfo, TokenCounter
from moat.ids import chunk_id, document_id, text_hash
from moat.index.store import Mode, Query, WeaviateStore
from moat.index.write import prove
from moat.ledger import Ledger, documents, indexing, loads, projection
from moat.ledger.loads import Load
from moat.ledger.members import replace_members
from moat.local import servers
from moat.local.binaries import WEAVIATE, program
from moat.maintenance.access_sync import sync_access
from moat.readers.reader import Fetched, Reading
from moat.records import Chunk, IndexObject, Listed, Planned, Prepared, embedded_text
from moat.retrieve import Retriever
from moat.runtime import Runtime
from moat.settings import PROJECT, Settings
from moat.source import Limits, Source
from moat.staging import Staging

TITLE = "access: updates, revocations, and the filter of every query"
CHUNKS = 5  # of a document
TEXTS = 1_000  # different ones; a document's chunks have texts of their own
TOPICS = 200  # clusters of vectors; a document is about one of them
KINDS = (2, 200, 2_000, 20_000)  # of each of these many principals one may read a document
BARRED = 50  # every so many documents one denies a group: it has a token of its own, as nested lists have
REEMBEDDED = 12  # documents of one round
ROUNDS = 4  # of updates and re-embedding
LIMIT = 10  # answers to a question
WARM = 8  # rounds of questions before the first that counts
PATIENCE_S = 60.0
SHOWN = ("source", "key", "title", "heading", "text", "metadata")
LEAVER, STAYS = "user:leaver@bench.example", "user:stays@bench.example"


# The corpus


@dataclass(slots=True)
class Paper:
    """A document of the bench: chunks with the texts and vectors of these rows, and its access list."""

    key: str
    rows: range
    allow: list[str]
    deny: list[str] = field(default_factory=list)

    @property
    def policy(self) -> Policy:
        return Policy.of(self.allow, self.deny)


def principal(kind: int, number: int) -> str:
    """One of so many principals: of two it is a person, else a group."""
    return f"user:reader{number}@bench.example" if kind == 2 else f"group:of{kind}-{number:05}"


def papers_of(n_chunks: int, topics: np.ndarray) -> list[Paper]:
    """Documents that each let in one principal of each kind, and the group of their topic."""
    chance, made = Random(3), list[Paper]()
    for number, topic in enumerate(topics.tolist()):
        rows = range(number * CHUNKS, min(n_chunks, (number + 1) * CHUNKS))
        allow = [principal(kind, chance.randrange(kind)) for kind in KINDS] + [f"group:topic-{topic:03}"]
        deny = list[str]()
        if number % BARRED == 0:
            allow, deny = [principal(2, number // BARRED % 2)], [f"group:barred-{number // BARRED % 10}"]
        made.append(Paper(f"{number % 97:02}/paper-{number:06}", rows, allow, deny))
    return made


def vectors_of(n: int, topics: np.ndarray, dimensions: int) -> np.ndarray:
    """Unit vectors: those of a topic are near to one another, those of a document nearer."""
    chance = np.random.default_rng(5)
    document, made = np.repeat(np.arange(len(topics)), CHUNKS)[:n], np.empty((n, dimensions), np.float32)
    centres = noise(chance, TOPICS, dimensions)
    own = noise(chance, len(topics), dimensions)
    for start in range(0, n, 10_000):
        of = document[start : start + 10_000]
        part = centres[topics[of]] + 0.7 * own[of] + 0.7 * noise(chance, len(of), dimensions)
        made[start : start + 10_000] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return made


def noise(chance: np.random.Generator, n: int, dimensions: int) -> np.ndarray:
    drawn = chance.normal(size=(n, dimensions)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


@dataclass(eq=False)
class Shelf:
    """A source in memory, whose rows say who may read them."""

    papers: list[Paper]

    @property
    def offers(self) -> frozenset[Needs]:
        return frozenset({"columns"})

    def wrong(self) -> list[str]:
        return []

    @contextmanager
    def open(self, reading: Reading) -> Iterator["Opened"]:
        yield Opened(self, reading)


@dataclass(eq=False)
class Opened:
    shelf: Shelf
    reading: Reading

    def listing(self) -> Iterator[Listed]:
        judge = self.reading.rule.judge(lambda beside: None)
        for p in self.shelf.papers:
            facts = Facts(p.key, {"allow": p.allow, "deny": p.deny})
            yield self.reading.listed(p.key, f"bench:{p.key}", "1", 0, lambda facts=facts: judge(facts))  # type: ignore[misc]

    def fetch(self, wanted: Iterable[Planned]) -> Iterator[Fetched]:
        raise AssertionError("access sync fetches no document")


def source_of(name: str, papers: list[Paper]) -> Source:
    limits = Limits(max_widened_documents=1_000_000)
    return Source(name=name, reader=Shelf(papers), access=Columns(allow="allow", deny="deny"), limits=limits)


class Known:
    """An embedder that has the vector of every question already: the model's time is not what is measured."""

    def __init__(self, dimensions: int) -> None:
        self.of: dict[str, np.ndarray] = {}
        self._info = ModelInfo(model="bench", revision="1", dimensions=dimensions, max_tokens=256)

    def info(self) -> ModelInfo:
        return self._info

    def embed(self, texts: Sequence[str], priority: str = "bulk") -> np.ndarray:
        return np.stack([self.of[text] for text in texts])

    def close(self) -> None: ...


@dataclass(frozen=True, eq=False)
class Bench:
    """The doors that everything goes through, and the corpus behind them."""

    runtime: Runtime
    writer: WeaviateStore
    reader: WeaviateStore
    known: Known
    texts: list[tuple[str, str]]
    vectors: np.ndarray
    papers: list[Paper]

    @property
    def tenant(self) -> str:
        return self.runtime.ledger.tenant

    @property
    def corpus(self) -> Source:
        return source_of("corpus", self.papers)

    def records(self, source: str, paper: Paper) -> tuple[Prepared, list[Chunk]]:
        """A document as prepare leaves it."""
        identity, chunks = document_id(self.tenant, source, paper.key), list[Chunk]()
        for position, row in enumerate(paper.rows):
            heading, text = self.texts[row % len(self.texts)]
            body = embedded_text(heading, text)
            made = chunk_id(identity, body, 0, (paper.key,))
            chunks.append(
                Chunk(
                    id=made,
                    document_id=identity,
                    key=paper.key,
                    text=text,
                    heading=heading,
                    kind="text",
                    page=None,
                    position=position,
                    n_tokens=180,
                    text_hash=text_hash(body),
                )
            )
        policy, kind = paper.policy.text(), "text/plain"
        return Prepared(
            id=identity, key=paper.key, uri=f"bench:{paper.key}", title=paper.key, media_type=kind, fingerprint="1", content_hash=text_hash(paper.key), policy=policy, access_version=0, metadata=(), n_pages=0, n_characters=900,
            n_chunks=len(chunks),
        ), chunks  # fmt: skip

    def objects(
        self, source: str, papers: Sequence[Paper], writers: Mapping[str, int], vectors: np.ndarray
    ) -> list[IndexObject]:
        """Documents' chunks as the index holds them; a vector for each, in their order."""
        made = [(p, c) for p in papers for c in self.records(source, p)[1]]
        allow = projection.allowed(self.runtime.ledger, list({c.document_id for _, c in made}))
        return [
            IndexObject(
                id=c.id, source=source, document=c.document_id, key=p.key, load=writers[c.id], kind="text", title=p.key, heading=c.heading, text=c.text, metadata=(),
                allow=allow[c.document_id].tokens, vector=np.ascontiguousarray(vector, "<f4").tobytes(),
            )
            for (p, c), vector in zip(made, vectors, strict=True)
        ]  # fmt: skip

    def retriever(self, **changed: Any) -> Retriever:
        settings = self.runtime.settings.model_copy(update=changed)
        return Retriever(settings, Ledger.open(settings), WeaviateStore.open(settings, "reader"), self.known)


def shelve(bench: Bench, source: Source, papers: list[Paper]) -> None:
    """Documents into ledger and index, promoted, as if their load had run."""
    ledger, n, began = bench.runtime.ledger, 0, time.perf_counter()
    current = loads.open_load(ledger, source.name, "bench", {}, 3_600)
    loads.note(ledger, current, {}, bench.known.info().key)
    for window in windows(papers, 400):
        _stage(bench, source, current, window)
        n += sum(len(p.rows) for p in window)
        if n % 10_000 < 400 * CHUNKS:
            print(f"{source.name}: {n:,} chunks loaded, {n / (time.perf_counter() - began):,.0f} a second", flush=True)
    loads.staged(ledger, current)
    loads.promote(ledger, current, "bench")


def _stage(bench: Bench, source: Source, current: Load, papers: list[Paper]) -> None:
    ledger, made = bench.runtime.ledger, [bench.records(source.name, p) for p in papers]
    prepared = [p for p, _ in made]
    writers = documents.stage(ledger, current, "recipe", prepared, [c for _, chunks in made for c in chunks])
    mark = indexing.begin(ledger, [p.id for p in prepared], current)
    rows = [row for p in papers for row in p.rows]
    objects = bench.objects(source.name, papers, writers, bench.vectors[rows])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(bench.writer.write, windows(objects, 500)))
    allow = projection.allowed(ledger, [p.id for p in prepared])
    indexing.end(ledger, mark, {i: a.policy for i, a in allow.items()}, current)


class Others:
    """How much of the processor others take from now on: what is measured beside them is slower by as much."""

    def __init__(self) -> None:
        self._began, self._all, self._own = time.perf_counter(), busy_s(), self._ours()

    def _ours(self) -> float:
        return float(busy_s(os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))))

    def told(self) -> str:
        theirs = busy_s() - self._all - (self._ours() - self._own)
        return (
            f"others took {theirs / (time.perf_counter() - self._began) / (os.cpu_count() or 1):.0%} of the processor"
        )


# 1: access-only updates


@dataclass(slots=True)
class Updates:
    chunks: int  # of one pass
    documents: int
    listed: int
    passes: list[float] = field(default_factory=list)  # chunks a minute
    again: list[float] = field(default_factory=list)
    n_again: int = 0


def updates(bench: Bench, n_chunks: int, embedder: Embedder) -> Updates:
    """Passes of access sync over the whole source, and in between some documents embedded again."""
    chance = Random(11)
    plain = [p for p in bench.papers if not p.deny]
    chance.shuffle(plain)
    found = Updates(0, min(len(plain) // ROUNDS, n_chunks // CHUNKS), len(bench.papers))
    embedder.embed([embedded_text(*text) for text in bench.texts[:32]])  # warm
    for number in range(ROUNDS):
        some = plain[number * found.documents : (number + 1) * found.documents]
        for nth, p in enumerate(some):  # half lose a group, half get another in its place
            kept = [one for one in p.allow if not one.startswith("group:of2000-")]
            p.allow = kept + ([principal(2_000, chance.randrange(2_000))] if nth % 2 else [])
        began = time.perf_counter()
        synced = sync_access(bench.runtime, bench.corpus, "bench")
        seconds = time.perf_counter() - began
        found.chunks = synced.patched
        assert synced.patched >= 0.95 * sum(len(p.rows) for p in some), synced  # a few drew the group that they had
        found.passes.append(60 * synced.patched / seconds)
        same = some[:REEMBEDDED]
        began = time.perf_counter()
        n = again(bench, same, embedder)
        found.again.append(60 * n / (time.perf_counter() - began))
        found.n_again += n
        print(
            f"updates {number + 1} of {ROUNDS}: {synced.patched:,} chunks in {seconds:.1f} s, "
            f"{found.passes[-1]:,.0f} a minute; embedded again {found.again[-1]:,.0f} a minute",
            flush=True,
        )
    ids = {document_id(bench.tenant, "corpus", p.key): [c.id for c in bench.records("corpus", p)[1]] for p in some}
    wanted = projection.allowed(bench.runtime.ledger, list(ids))
    there = bench.reader.read_back([i for chunks in ids.values() for i in chunks])
    wrong = [i for document, chunks in ids.items() for i in chunks if there[i].allow != wanted[document].tokens]
    assert not wrong, f"the index does not hold what the ledger says of {len(wrong)} chunks"
    return found


def again(bench: Bench, papers: Sequence[Paper], embedder: Embedder) -> int:
    """Embed documents' chunks again and write them, proved as a load does. Returns how many chunks."""
    chunks = [c for p in papers for c in bench.records("corpus", p)[1]]
    vectors = embedder.embed([c.embedded_text for c in chunks])
    if vectors.shape[1] != bench.vectors.shape[1]:
        vectors = np.resize(vectors, (len(chunks), bench.vectors.shape[1]))
    stored = bench.writer.read_back([c.id for c in chunks])
    objects = bench.objects("corpus", papers, {i: found.load for i, found in stored.items()}, vectors)
    bench.writer.write(objects)
    prove(bench.writer, {o.id: o for o in objects})
    return len(chunks)


# 2: revoke -> gone


class Watch(threading.Thread):
    """Somebody who asks without a pause until a chunk is not in the answer any more."""

    def __init__(self, ask: Callable[[], list[str]], chunk: str) -> None:
        super().__init__(daemon=True)
        self.ask, self.chunk = ask, chunk
        self.there = threading.Event()
        self.with_it: list[float] = []  # when the answers that held it were asked for
        self.gone_at = 0.0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while True:
                asked = time.perf_counter()
                if self.chunk not in self.ask():
                    self.gone_at = time.perf_counter()
                    break
                self.with_it.append(asked)
                self.there.set()
        except Exception as error:  # noqa: BLE001  told by the one who waits
            self.error = error
        self.there.set()

    def until_gone(self, since: float, held: float) -> tuple[float, int]:
        """Seconds from `since` to the first answer without it; how many that held it were asked for after `held`."""
        self.join(PATIENCE_S)
        if self.error:
            raise self.error
        assert not self.is_alive(), f"it is still there after {PATIENCE_S:g} s"
        assert self.with_it, "it was not there before it was revoked"
        return max(0.0, self.gone_at - since), sum(asked > held for asked in self.with_it)


@dataclass(slots=True)
class Gone:
    """Milliseconds from the commit to the first answer without it, and answers that still held it."""

    ms: list[float] = field(default_factory=list)
    late: int = 0

    def add(self, found: tuple[float, int]) -> None:
        self.ms.append(1_000 * found[0])
        self.late += found[1]


def revocations(bench: Bench, n: int, principals: Sequence[str]) -> dict[str, Gone]:
    """A person with these principals loses documents one by one while they ask for them."""
    commits, first_cut = [0.0], list[float]()
    row = iter(range(3 * n))
    papers = {
        how: [Paper(f"{how}-{i:04}", range(r := next(row), r + 1), allow) for i in range(n)]
        for how, allow in (
            ("searched", [LEAVER, STAYS]), ("in the index", [LEAVER, STAYS]), ("member", ["group:leavers", STAYS])
        )
    }  # fmt: skip
    everything = [p for of_one in papers.values() for p in of_one]
    chance = np.random.default_rng(17)
    lonely = noise(chance, len(everything), bench.vectors.shape[1])
    for p, vector in zip(everything, lonely, strict=True):
        bench.known.of[p.key] = vector
    rows = {p.rows[0]: vector for p, vector in zip(everything, lonely, strict=True)}
    own = Bench(
        Runtime(settings=bench.runtime.settings, ledger=bench.runtime.ledger, staging=bench.runtime.staging, connections=bench.runtime.connections, progress=lambda line: cut(line)),
        bench.writer, bench.reader, bench.known, bench.texts, np.stack([rows[i] for i in range(len(rows))]), everything,
    )  # fmt: skip

    def cut(line: str) -> None:
        if "fewer readers" in line:  # told right after the ledger's commit
            first_cut.extend((commits[-1], time.perf_counter()))

    source = source_of("leaving", everything)
    shelve(own, source, everything)
    groups = {p: [LEAVER] for p in principals if p.startswith("group:")}
    replace_members(bench.runtime.ledger, "staff", groups, "bench")
    found = {name: Gone() for name in papers}
    tokens = [access_token(bench.tenant, p) for p in (*principals, LEAVER)]
    told = lambda connection: commits.append(time.perf_counter())  # noqa: E731  before the commit: its own time counts
    event.listen(bench.runtime.ledger.engine, "commit", told)
    with bench.retriever() as door:

        def search(question: str) -> list[str]:
            answer = door.search(question, LEAVER, LIMIT, "vector")
            assert answer.refused is None, answer.refused
            return [hit.chunk_id for hit in answer]

        def raw(question: str) -> list[str]:
            return [i for i, _ in bench.reader.search(asked("vector", question, bench.known.of[question], tokens))]

        def watched(ask: Callable[[str], list[str]], paper: Paper) -> Watch:
            watch = Watch(lambda: ask(paper.key), own.records("leaving", paper)[1][0].id)
            watch.start()
            watch.there.wait(PATIENCE_S)
            return watch

        for number in range(n):
            for name, ask in (("searched", search), ("in the index", raw)):
                paper = papers[name][number]
                watch = watched(ask, paper)
                paper.allow = [STAYS]
                first_cut.clear()
                sync_access(own.runtime, source, "bench", bench.writer)
                found[name].add(watch.until_gone(first_cut[0], first_cut[1]))
            replace_members(bench.runtime.ledger, "leavers", {"group:leavers": [LEAVER, STAYS]}, "bench")
            watch = watched(search, papers["member"][number])
            replace_members(bench.runtime.ledger, "leavers", {"group:leavers": [STAYS]}, "bench")
            found["member"].add(watch.until_gone(commits[-1], time.perf_counter()))
            if (number + 1) % 20 == 0:
                tell = ", ".join(f"{name} {median(gone.ms):.0f} ms" for name, gone in found.items())
                print(f"revocations {number + 1} of {n}: {tell}", flush=True)
    event.remove(bench.runtime.ledger.engine, "commit", told)
    return found


# 3: what the filter costs


@dataclass(frozen=True, slots=True)
class Who:
    """An asker with some principals, and the share of the chunks that they let in."""

    name: str
    principals: tuple[str, ...]
    share: float
    searches: bool = True  # through the ledger too


def askers(bench: Bench) -> list[Who]:
    """The same share for 1 to 10,000 principals, and other shares for 100."""

    def some(kind: int, n: int) -> tuple[str, ...]:
        return tuple(principal(kind, number) for number in range(n))

    def who(n: int, *principals: str, searches: bool = True) -> Who:
        mine = frozenset(principals)
        share = sum(len(p.rows) for p in bench.papers if p.policy.allows(mine)) / len(bench.vectors)
        person = (f"user:has{n}-{round(100 * share)}@bench.example",) if n > 1 else ()
        assert len(principals) + len(person) == n
        return Who(f"{n:,}", person + principals, share, searches)

    return [
        who(1, *some(2, 1)),
        who(100, *some(200, 99)),
        who(1_000, *some(2_000, 999)),
        who(10_000, *some(20_000, 9_999)),
        who(100, *some(2, 1), *some(200, 98), searches=False),
        who(100, *some(200, 70), *some(20_000, 29), searches=False),
        who(100, *some(200, 40), *some(20_000, 59), searches=False),
        who(100, *some(2_000, 99), searches=False),
        who(100, *some(20_000, 99), searches=False),
        who(100, *(f"group:topic-{number:03}" for number in range(99)), searches=False),
    ]


def asked(mode: Mode, text: str, vector: np.ndarray, tokens: Sequence[str], limit: int = LIMIT) -> Query:
    return Query(mode=mode, text=text, vector=vector, tokens=tokens, hidden_loads=(), filters={}, limit=limit)


def unfiltered(store: WeaviateStore, query: Query, properties: Sequence[str] = ()) -> int:
    """What store.search does, without any filter; with properties, what an application without access would ask."""
    from weaviate.classes.query import HybridFusion, MetadataQuery

    assert query.vector is not None
    vector, search = query.vector.tolist(), store._collection.query
    given: Any = {
        "limit": query.limit,
        "return_metadata": MetadataQuery(score=True, distance=True),
        "return_properties": list(properties),
    }
    if query.mode == "vector":
        return len(search.near_vector(vector, **given).objects)
    fields = ["text", "title^2", "heading"]
    fusion = HybridFusion.RELATIVE_SCORE
    return len(search.hybrid(query.text, vector=vector, query_properties=fields, fusion_type=fusion, **given).objects)


@dataclass(slots=True)
class Timed:
    """Milliseconds of every query of one kind, in the order of the rounds; answers that were short."""

    ms: list[float] = field(default_factory=list)
    short: int = 0


def queries(bench: Bench, n: int, everyone: Sequence[Who]) -> dict[str, Timed]:
    """Every kind of query once a round, in an order that changes. Names: how, mode, number of the asker."""
    replace_members(
        bench.runtime.ledger,
        "staff",
        memberships([who for who in everyone if who.searches and len(who.principals) > 1]),
        "bench",
    )
    chance, dice = Random(23), np.random.default_rng(29)
    ways: dict[str, Callable[[str, np.ndarray], int]] = {}
    modes: tuple[Mode, ...] = ("vector", "hybrid")
    with bench.retriever() as door, bench.retriever(principals_cache_s=0.0) as cold:
        for mode in modes:
            ways[f"texts {mode}"] = lambda text, vector, mode=mode: unfiltered(  # type: ignore[misc]
                bench.reader, asked(mode, text, vector, ()), SHOWN
            )
            ways[f"none {mode}"] = lambda text, vector, mode=mode: unfiltered(
                bench.reader, asked(mode, text, vector, ())
            )  # type: ignore[misc]
            for number, who in enumerate(everyone):
                tokens = [access_token(bench.tenant, p) for p in who.principals]
                if mode == "vector" or who.searches:
                    ways[f"filter {mode} {number}"] = lambda text, vector, mode=mode, tokens=tokens: len(  # type: ignore[misc]
                        bench.reader.search(asked(mode, text, vector, tokens))
                    )
                if who.searches:
                    ways[f"search {mode} {number}"] = searched(door, who.principals[0], mode)
                if who.searches and mode == "vector":
                    ways[f"cold {mode} {number}"] = searched(cold, who.principals[0], mode)
        found = {name: Timed() for name in ways}
        for number in range(-WARM, n):
            row = int(dice.integers(len(bench.vectors)))
            vector = bench.vectors[row] + 0.5 * noise(dice, 1, bench.vectors.shape[1])[0]
            vector = np.asarray(vector / np.linalg.norm(vector), np.float32)
            words = bench.texts[row % len(bench.texts)][1].split()
            start = chance.randrange(max(1, len(words) - 6))
            text = f"{' '.join(words[start : start + 6])} {number}"
            bench.known.of[text] = vector
            for name in chance.sample(list(ways), len(ways)):
                began = time.perf_counter()
                answers = ways[name](text, vector)
                if number >= 0:
                    found[name].ms.append(1_000 * (time.perf_counter() - began))
                    found[name].short += answers < LIMIT
            if number >= 0 and (number + 1) % 20 == 0:
                print(f"queries {number + 1} of {n}: " + told_briefly(found), flush=True)
    return found


def told_briefly(found: Mapping[str, Timed]) -> str:
    shown = ("none vector", "filter vector 1", "search vector 1")
    return ", ".join(f"{name} {median(found[name].ms):.1f} ms" for name in shown)


def searched(door: Retriever, asker: str, mode: Mode) -> Callable[[str, np.ndarray], int]:
    def ask(text: str, vector: np.ndarray) -> int:
        answer = door.search(text, asker, LIMIT, mode)
        assert answer.refused is None, answer.refused
        return len(answer)

    return ask


def memberships(everyone: Sequence[Who]) -> dict[str, list[str]]:
    """Groups with their members: each asker's person in each of the asker's groups."""
    groups: dict[str, list[str]] = {}
    for who in everyone:
        person, *rest = who.principals
        for group in rest:
            groups.setdefault(group, []).append(person)
    return groups


# Everything


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--chunks", type=int, default=100_000)
    options.add_argument("--updates", type=int, default=10_000, help="chunks of one pass")
    options.add_argument("--revocations", type=int, default=200, help="of each kind")
    options.add_argument("--queries", type=int, default=200, help="of each kind")
    options.add_argument("--dimensions", type=int, default=384)
    given = options.parse_args()
    threads = os.cpu_count() or 1
    os.environ["OMP_NUM_THREADS"] = str(threads)  # of the embedder
    put(TITLE, in_a_folder(lambda home: measured(given, home)))


def measured(given: argparse.Namespace, home: Path) -> str:
    binary = program(WEAVIATE, PROJECT / ".moat" / "bin", print)
    keys, (port, grpc_port, embedder_port) = servers.WeaviateKeys.new(), servers.free_ports(3)
    settings = Settings.model_validate(
        {
            "home": home, "weaviate_port": port, "weaviate_grpc_port": grpc_port, "weaviate_operator_key": keys.operator,
            "weaviate_writer_key": keys.writer, "weaviate_reader_key": keys.reader, "embedder_port": embedder_port,
            "embedder_device": "cpu",
        }
    )  # fmt: skip
    env = {"MOAT_HOME": str(home), "MOAT_EMBEDDER_PORT": str(embedder_port), "MOAT_EMBEDDER_DEVICE": "cpu"}
    with servers.running(servers.weaviate(binary, home / "weaviate", port, grpc_port, keys)):
        bench = prepared(given, settings)
        everyone = askers(bench)
        try:
            others, busy = Others(), list[str]()
            cost = queries(bench, given.queries, everyone)
            busy.append(f"While the questions were asked, {others.told()}")
            others = Others()
            gone = revocations(bench, given.revocations, everyone[1].principals[1:])
            busy.append(f"during the revocations {others.told()}")
            with servers.running(servers.embedder(settings, Path(sys.executable), env)):
                embedder = embedder_of(settings, EnvironmentConnections({}))
                others = Others()
                moved = updates(bench, given.updates, embedder)
                busy.append(f"during the updates {others.told()}")
                embedder.close()
            version = bench.reader.version()
        finally:
            for one in (bench.writer, bench.reader, bench.runtime):
                one.close()
    on = (
        f"{len(bench.vectors):,} chunks of {len(bench.papers):,} documents, {bench.vectors.shape[1]} dimensions, "
        f"Weaviate {version} and a SQLite ledger on the same machine. {'; '.join(busy)}"
    )
    return told(on, moved, gone, cost, everyone)


def prepared(given: argparse.Namespace, settings: Settings) -> Bench:
    """The corpus, loaded."""
    ledger = Ledger(settings.ledger, settings.tenant)
    ledger.migrate()
    known = Known(given.dimensions)
    operator = WeaviateStore.open(settings, "operator")
    operator.ensure(known.info().key)
    operator.grant()
    operator.close()
    topics = np.random.default_rng(2).integers(TOPICS, size=-(-given.chunks // CHUNKS))
    runtime = Runtime(
        settings=settings,
        ledger=ledger,
        staging=Staging(settings.staging),
        connections=EnvironmentConnections({}),
        progress=lambda line: None,
    )
    bench = Bench(
        runtime, WeaviateStore.open(settings, "writer"), WeaviateStore.open(settings, "reader"), known,
        texts_of(TEXTS, TokenCounter.of(settings.model)), vectors_of(given.chunks, topics, given.dimensions),
        papers_of(given.chunks, topics),
    )  # fmt: skip
    shelve(bench, bench.corpus, bench.papers)
    return bench


def p99(values: Sequence[float]) -> float:
    return float(np.percentile(values, 99))


def told(on: str, moved: Updates, gone: Mapping[str, Gone], cost: Mapping[str, Timed], everyone: Sequence[Who]) -> str:
    """The section of RESULTS.md."""
    return "\n\n".join(
        [
            f"On {on}.",
            told_updates(moved),
            told_gone(gone),
            told_cost(cost, everyone),
            f"{ran_on('weaviate-client', 'sqlalchemy')} By `python -m bench.access`.",
        ]
    )


def told_updates(moved: Updates) -> str:
    ratio = median(ours / theirs for ours, theirs in zip(moved.passes, moved.again, strict=True))
    return "\n".join(
        [
            "| chunks whose access alone changes | a minute |",
            "|---|---|",
            f"| a pass of access sync | **{median(moved.passes):,.0f}** ({min(moved.passes):,.0f} to {max(moved.passes):,.0f}) |",
            f"| the same documents embedded and written again | {median(moved.again):,.0f} ({min(moved.again):,.0f} to {max(moved.again):,.0f}) |",
            f"| faster by | **{ratio:.0f} ×** |",
            "",
            f"Medians of {len(moved.passes)} rounds, least and most in brackets. A pass reads the access of all {moved.listed:,} documents, records what "
            f"differs in the ledger, patches the {moved.chunks:,} chunks of {moved.documents:,} documents and reads each back. Half of the documents lose a "
            f"group, half get another in its place. Embedded again by the resident embedder, written and proved as a load does: {moved.n_again:,} chunks whose texts aim at "
            "150 to 250 tokens.",
        ]
    )


def told_gone(gone: Mapping[str, Gone]) -> str:
    names = {
        "searched": "a document's access revoked → gone from `search`",
        "member": "a person taken out of a group → gone from `search`",
        "in the index": "a document's access revoked → gone in the index alone",
    }
    rows = [
        f"| {name} | **{median(gone[key].ms):.0f}** | {p99(gone[key].ms):.0f} | {gone[key].late} |"
        for key, name in names.items()
    ]
    n = len(gone["searched"].ms)
    return "\n".join(
        [
            "| from the ledger's commit | p50, ms | p99, ms | answers with it that were asked for after the commit |",
            "|---|---|---|---|",
            *rows,
            "",
            f"{n} revocations of each kind. Somebody with some 100 principals asks without a pause for the one document; the time ends when the first answer "
            "without it has come, and begins before the commit is written to the disk. The index alone: the same question, with the tokens that the person "
            "had, to Weaviate, until the patch of access sync is seen. Out of a group: the index does not change, the person's tokens do.",
        ]
    )


def told_cost(cost: Mapping[str, Timed], everyone: Sequence[Who]) -> str:
    def cell(name: str, mode: str) -> str:
        found, free = cost[name].ms, cost[f"none {mode}"].ms
        return f"{median(found):.1f}, {p99(found):.1f} (**{median(found) / median(free):.2f} ×**)"

    free, hybrid = cost["none vector"].ms, cost["none hybrid"].ms
    texts = [cell(f"texts {mode}", mode) for mode in ("vector", "hybrid")]
    rows = [f"| none | 100 % | {median(free):.1f}, {p99(free):.1f} | | | {median(hybrid):.1f}, {p99(hybrid):.1f} | |"]
    rows.append(f"| none, with the texts | 100 % | {texts[0]} | | | {texts[1]} | |")
    for number, who in enumerate(everyone):
        if who.searches:
            cells = [
                cell(f"{how} {mode} {number}", mode)
                for how, mode in (
                    ("filter", "vector"), ("search", "vector"), ("cold", "vector"), ("filter", "hybrid"), ("search", "hybrid")
                )
            ]  # fmt: skip
            rows.append(f"| {who.name} | {who.share:.1%} | {' | '.join(cells)} |")
    others = [
        f"| {who.name}{', asks beside their topics' if 'group:topic-000' in who.principals else ''} | {who.share:.1%} | {cell(f'filter vector {number}', 'vector')} |"
        for number, who in enumerate(everyone)
        if not who.searches
    ]
    short = sum(timed.short for timed in cost.values())
    return "\n".join(
        [
            "| principals | chunks they may read | vector: filter | vector: `search` | the same, groups expanded each time | hybrid: filter | hybrid: `search` |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "| principals | chunks they may read | vector: filter |",
            "|---|---|---|",
            *others,
            "",
            f"Milliseconds, p50 and p99 of {len(free)} questions each, {LIMIT} answers, the ratio of medians to no filter. Filter: the query that Weaviate is "
            "asked, with that many tokens. `search`: the whole way of an asker with that many principals through the ledger, its expansion of groups, the "
            "filter, and the second look at twice as many answers, with the texts; the vector of the question is there already. All kinds took turns, question by question. "
            f"Each document lets in one of {', '.join(f'{k:,}' for k in KINDS)} principals each and its topic's group; {short} answers had fewer than {LIMIT}.",
        ]
    )


if __name__ == "__main__":
    main()
