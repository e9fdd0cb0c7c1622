"""What a rebuild of the index costs, beside writing the same objects without a proof.

    .venv/bin/python -m bench.rebuild [--chunks 20000] [--rounds 2]

One Weaviate and one SQLite ledger of its own, with the documents of `bench.access`: real texts, each another one, and
made vectors. In each round the whole index is rebuilt, and then the same objects go into a collection of their own in
requests of 500, read from the ledger before and proved by nothing. No embedder runs.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import psutil

from bench.access import CHUNKS, TEXTS, TOPICS, Bench, Known, Others, papers_of, shelve, vectors_of
from bench.embed import busy_s, texts_of
from bench.results import in_a_folder, put, ran_on
from moat.batching import windows
from moat.connections import EnvironmentConnections
from moat.embedding.model import TokenCounter
from moat.index.collections import Collections
from moat.index.store import WeaviateStore
from moat.index.write import open_writer
from moat.ledger import Ledger, embeddings, projection
from moat.local import servers
from moat.local.binaries import WEAVIATE, program
from moat.maintenance.rebuild import rebuild
from moat.records import IndexObject
from moat.runtime import Runtime
from moat.settings import PROJECT, Settings
from moat.staging import Staging

TITLE = "rebuild: the index written anew from the ledger"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--chunks", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--dimensions", type=int, default=384)
    given = options.parse_args()
    put(TITLE, in_a_folder(lambda home: measured(given, home)))


def weaviate_of(home: Path) -> tuple[Settings, Callable[[], servers.Server]]:
    """Settings that lead to a Weaviate of a folder's own, and what starts it."""
    binary = program(WEAVIATE, PROJECT / ".moat" / "bin", print)
    keys, (port, grpc_port) = servers.WeaviateKeys.new(), servers.free_ports(2)
    names = {"operator": keys.operator, "writer": keys.writer, "reader": keys.reader}
    settings = Settings.model_validate(
        {"home": home, "weaviate_port": port, "weaviate_grpc_port": grpc_port}
        | {f"weaviate_{role}_key": key for role, key in names.items()}
    )
    return settings, lambda: servers.weaviate(binary, home / "weaviate", port, grpc_port, keys)


def measured(given: argparse.Namespace, home: Path) -> str:
    settings, started = weaviate_of(home)
    weaviate = started()
    with servers.running(weaviate):
        bench = prepared(given, settings)
        ours, bare, others, spent = list[float](), list[float](), list[str](), list[tuple[Spent, Spent]]()
        for _ in range(given.rounds):
            busy, began = Others(), Spent.until_now(weaviate)
            made = rebuild(bench.runtime, "bench")
            between = Spent.until_now(weaviate)
            ours.append(made.chunks / made.seconds)
            bare.append(written(bench))
            spent.append((between - began, Spent.until_now(weaviate) - between))
            others.append(busy.told())
            print(f"rebuilt {ours[-1]:,.0f} a second, written only {bare[-1]:,.0f}; {others[-1]}", flush=True)
        version = bench.reader.version()
        for one in (bench.writer, bench.reader, bench.runtime):
            one.close()
    ratio = median(one / other for one, other in zip(ours, bare, strict=True))
    return "\n\n".join(
        [
            f"{made.chunks:,} chunks, {given.dimensions} dimensions, Weaviate {version} and a SQLite ledger on the same machine.",
            "\n".join(
                [
                    "| | chunks a second |",
                    "|---|---|",
                    f"| `moat rebuild`: read from the ledger, written, read back, found by search, swapped | {_rates(ours)} |",
                    f"| the same objects written in requests of 500, and nothing else | {_rates(bare)} |",
                    f"| ratio | **{ratio:.2f}** |",
                ]
            ),
            f"Median, least and most of {given.rounds} rounds; in them {'; '.join(others)}. CPU of a chunk: "
            f"{_ms(made.chunks, [one for one, _ in spent])} of a rebuild, {_ms(made.chunks, [one for _, one in spent])} of "
            "writing only.",
            f"{ran_on('weaviate-client', 'sqlalchemy')} By `python -m bench.rebuild`.",
        ]
    )


@dataclass(frozen=True)
class Spent:
    """CPU seconds of this process and of Weaviate."""

    own: float
    server: float

    @classmethod
    def until_now(cls, weaviate: servers.Server) -> "Spent":
        process = psutil.Process(weaviate.process.pid)  # it starts Weaviate in a namespace of its own
        return cls(time.process_time(), busy_s(process.pid, *(child.pid for child in process.children(recursive=True))))

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.own - other.own, self.server - other.server)


def _ms(n: int, spent: list[Spent]) -> str:
    own, server = median(one.own for one in spent), median(one.server for one in spent)
    return f"{own / n * 1e3:.2f} ms by Moat and {server / n * 1e3:.2f} ms by Weaviate"


def _rates(values: list[float]) -> str:
    return f"{median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def prepared(given: argparse.Namespace, settings: Settings) -> Bench:
    """The corpus, loaded, with its vectors in the ledger."""
    ledger = Ledger(settings.ledger, settings.tenant)
    ledger.migrate()
    known = Known(given.dimensions)
    quiet: Callable[[str], None] = lambda line: None  # noqa: E731
    runtime = Runtime(
        settings=settings,
        ledger=ledger,
        staging=Staging(settings.staging),
        connections=EnvironmentConnections({}),
        progress=quiet,
    )
    open_writer(runtime, known.info().key).close()
    topics = np.random.default_rng(2).integers(TOPICS, size=-(-given.chunks // CHUNKS))
    texts = texts_of(TEXTS, TokenCounter.of(settings.model))
    own = [(texts[i % TEXTS][0], f"{texts[i % TEXTS][1]} {i}") for i in range(given.chunks)]
    bench = Bench(
        runtime, WeaviateStore.open(settings, "writer"), WeaviateStore.open(settings, "reader"), known, own,
        vectors_of(given.chunks, topics, given.dimensions), papers_of(given.chunks, topics),
    )  # fmt: skip
    shelve(bench, bench.corpus, bench.papers)
    hashes = [chunk.text_hash for paper in bench.papers for chunk in bench.records("corpus", paper)[1]]
    for window in windows(zip(hashes, bench.vectors, strict=True)):
        made = {h: np.ascontiguousarray(vector, "<f4").tobytes() for h, vector in window}
        embeddings.keep(ledger, known.info().key, made)
    return bench


def written(bench: Bench) -> float:
    """Chunks a second, of the same objects written into a collection of their own."""
    settings, model = bench.runtime.settings, bench.known.info().key
    name = f"{settings.collection_name}_Bare"
    objects = list[IndexObject]()
    for window in windows(projection.kept_objects(bench.runtime.ledger, "corpus")):
        vectors = embeddings.vectors(bench.runtime.ledger, model, [o.text_hash for o in window])
        objects += [replace(o, vector=vectors[o.text_hash]) for o in window]
    with (
        closing(Collections.open(settings)) as collections,
        closing(WeaviateStore.open(settings, "operator", name)) as index,
    ):
        index.ensure(model)
        began = time.perf_counter()
        index.write(objects)
        seconds = time.perf_counter() - began
        collections.drop(name)
    return len(objects) / seconds


if __name__ == "__main__":
    main()
