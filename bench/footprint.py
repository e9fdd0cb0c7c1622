"""Bytes of a chunk at rest: in the ledger, in staging, on Weaviate's disk and in its memory, by kind of vector index.

    .venv/bin/python -m bench.footprint [--chunks 20000]

For each kind a Weaviate and a SQLite ledger of its own, with the documents of `bench.access`: texts of 150 to 250
tokens and made vectors. Weaviate is started again after the load, as after an upgrade, and its memory is looked at
when its vectors are read: anonymous pages, which no system takes back, less those of an empty server. Go may keep
GOGC percent more than what lives.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil

from bench.access import Bench
from bench.rebuild import prepared, weaviate_of
from bench.results import in_a_folder, put, ran_on
from moat.local import servers
from moat.records import Chunk, Embedded
from moat.staging import Staging

TITLE = "footprint: bytes of a chunk at rest"
FIGURES = Path(__file__).with_name("footprint.json")  # what bench/scale.py and bench/night.py read
KINDS = {"": "HNSW, 32 bits a dimension", "rq-8": "HNSW, RQ of 8 bits", "rq-1": "HNSW, RQ of 1 bit"}
GOGC = 20
SETTLED_S = 20.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--chunks", type=int, default=20_000)
    options.add_argument("--dimensions", type=int, default=384)
    given = options.parse_args()
    put(TITLE, in_a_folder(lambda home: measured(given, home)))


def measured(given: argparse.Namespace, home: Path) -> str:
    found = dict[str, dict[str, float]]()
    for kind in KINDS:
        os.environ |= {"DEFAULT_QUANTIZATION": kind, "GOGC": str(GOGC), "HNSW_STARTUP_WAIT_FOR_VECTOR_CACHE": "true"}
        found[kind or "float32"] = of_kind(given, home / (kind or "float32"))
        print(kind or "float32", found[kind or "float32"], flush=True)
    FIGURES.write_text(
        json.dumps({"chunks": given.chunks, "dimensions": given.dimensions, "kinds": found}, indent=1) + "\n"
    )
    first = found["float32"]
    rows = [
        f"| {name} | {found[kind or 'float32']['memory']:,.0f} | {found[kind or 'float32']['disk']:,.0f} |"
        for kind, name in KINDS.items()
    ]
    return "\n\n".join(
        [
            f"{given.chunks:,} chunks of {first['text']:,.0f} bytes of text on average, heading included, "
            f"{given.dimensions} dimensions.",
            "\n".join(["| Weaviate's index | memory, bytes a chunk | disk, bytes a chunk |", "|---|---:|---:|", *rows]),
            f"The ledger (SQLite, with text, vector, access and every index of its tables) keeps {first['ledger']:,.0f} "
            f"bytes a chunk, staging {first['staging']:,.0f} while its load is under way. An empty Weaviate has "
            f"{first['empty'] / 2**20:,.0f} MiB. GOGC was {GOGC}.",
            f"{ran_on('weaviate-client', 'sqlalchemy')} By `python -m bench.footprint`.",
        ]
    )


def of_kind(given: argparse.Namespace, home: Path) -> dict[str, float]:
    """Bytes a chunk of one kind of index."""
    settings, started = weaviate_of(home)

    @contextmanager
    def weaviate() -> Iterator[servers.Server]:
        server = started()
        with servers.running(server):
            yield server

    with weaviate() as server:
        empty = anonymous(server)
        bench = prepared(SimpleNamespace(chunks=given.chunks, dimensions=given.dimensions), settings)
        texts, staged = staged_bytes(bench, home)
        for one in (bench.writer, bench.reader, bench.runtime):
            one.close()
    with weaviate() as server:
        full = anonymous(server)
    n = given.chunks
    return {
        "memory": (full - empty) / n,
        "disk": on_disk(home / "weaviate" / "data") / n,
        "ledger": on_disk(home / "ledger.db") / n,
        "staging": staged / n,
        "text": texts / n,
        "empty": float(empty),
    }


def staged_bytes(bench: Bench, home: Path) -> tuple[int, int]:
    """Bytes of the chunks' texts, and of their records and vectors in staging."""
    staging, texts = Staging(str(home / "measured")), 0
    of = [(p, *bench.records("corpus", p)) for p in bench.papers]
    for number, start in enumerate(range(0, len(of), 2_000)):
        window = of[start : start + 2_000]
        chunks = [c for _, _, made in window for c in made]
        texts += sum(len(c.text.encode()) + len(c.heading.encode()) for c in chunks)
        staging.write(f"chunk/{number}.parquet", Chunk, chunks)
        rows = [row for p, _, _ in window for row in p.rows]
        vectors = [
            Embedded(c.id, c.text_hash, bench.vectors[row].tobytes()) for c, row in zip(chunks, rows, strict=True)
        ]
        staging.write(f"embed/{number}.parquet", Embedded, vectors)
    return texts, on_disk(home / "measured")


def anonymous(server: servers.Server) -> int:
    """Least anonymous memory of a server and its children within SETTLED_S, in bytes."""
    deadline, least = time.monotonic() + SETTLED_S, 2**62
    while time.monotonic() < deadline:
        process = psutil.Process(server.process.pid)
        pids = [process.pid, *(child.pid for child in process.children(recursive=True))]
        least = min(least, sum(_anonymous(pid) for pid in pids))
        time.sleep(1.0)
    return least


def _anonymous(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def on_disk(place: Path) -> int:
    """Bytes that a file or a folder takes on the disk."""
    files = [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]
    return sum(file.stat().st_blocks * 512 for file in files)


if __name__ == "__main__":
    main()
