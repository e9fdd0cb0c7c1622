"""Chunks a second of the embed stage, beside bare sentence-transformers on the same texts.

    .venv/bin/python -m bench.embed [--chunks 600] [--rounds 8] [--device cpu]

All have the same model, device, precision and number of threads. They take turns in short rounds, each
round with chunks of its own, and who begins changes: what else the machine does meets all alike. The
stage does all that it does in a run: it reads chunks from staging, looks for vectors in the ledger,
asks the resident embedder over HTTP, keeps each vector in the ledger and writes the batch to staging.
Bare is measured twice: as its manual shows it, and with a batch as large as the embedder's passes.
"""

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from bench.results import put, ran_on
from bench.texts import LONGEST, SAMPLES, texts_of
from moat.connections import EnvironmentConnections
from moat.embedding.encoder import CPU_BUDGET, GPU_BUDGET, open_encoder
from moat.embedding.model import TokenCounter, folder_of
from moat.ids import chunk_id, text_hash
from moat.ledger import Ledger, loads
from moat.local import servers
from moat.records import Chunk, Embedded, embedded_text
from moat.runtime import Runtime, path
from moat.settings import Settings
from moat.source import AccessFiles, LocalFiles, Source
from moat.stages.embed import embed
from moat.staging import Staging

TITLE = "embed: the stage beside bare sentence-transformers"
SOURCE = Source(name="bench", reader=LocalFiles(path=str(SAMPLES)), access=AccessFiles())
STAGE = "embed stage"


def chunks_of(texts: list[tuple[str, str]], tokens: TokenCounter) -> list[Chunk]:
    document = str(uuid.UUID(int=0))
    made = []
    for position, (heading, text) in enumerate(texts):
        body = embedded_text(heading, text)
        n_tokens = tokens.count(body) + tokens.special
        made.append(
            Chunk(
                id=chunk_id(document, body, 0), document_id=document, key="bench", text=text, heading=heading, kind="text", page=None, position=position, n_tokens=n_tokens,
                text_hash=text_hash(body),
            )
        )  # fmt: skip
    assert len({c.text_hash for c in made}) == len(made), "two equal texts: the second would not be embedded"
    return made


def stage(settings: Settings, chunks: list[Chunk]) -> tuple[float, np.ndarray]:
    """Seconds of the stage over one batch, with a ledger and a staging that know none of it, and the vectors."""
    with tempfile.TemporaryDirectory() as home:
        fresh = settings.model_copy(update={"home": Path(home)})
        Ledger(fresh.ledger, fresh.tenant).migrate()
        runtime = Runtime(
            settings=fresh,
            ledger=Ledger.open(fresh),
            staging=Staging(fresh.staging),
            connections=EnvironmentConnections(),
            progress=lambda line: None,
        )
        load = loads.open_load(runtime.ledger, SOURCE.name, "bench", {}, runtime.lease_s)
        runtime.staging.write(path(SOURCE.name, load.id, "chunk", "0001.parquet"), Chunk, chunks)
        started = time.perf_counter()
        counts = embed(runtime, SOURCE, load.id, 1)
        seconds = time.perf_counter() - started
        assert counts == {"embedded": len(chunks), "reused": 0}, counts
        made = runtime.staging.read(path(SOURCE.name, load.id, "embed", "0001.parquet"), Embedded)
        vectors = np.stack([np.frombuffer(one.vector, "<f4") for one in made])
        runtime.close()
    return seconds, vectors


def bare(model: Any, texts: list[str], **given: int) -> tuple[float, np.ndarray]:
    """Seconds of SentenceTransformer.encode, and the vectors."""
    started = time.perf_counter()
    vectors = model.encode(texts, **given)
    return time.perf_counter() - started, vectors


def busy_s(*pids: int) -> float:
    """CPU seconds of these processes until now; without one, of the whole machine."""
    if pids:
        return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)
    return sum(psutil.cpu_times()[:3])  # user, nice, system


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--chunks", type=int, default=600, help="of all rounds together")
    options.add_argument("--rounds", type=int, default=8)
    options.add_argument("--device", default="cpu")
    given = options.parse_args()
    threads = os.cpu_count() or 1
    os.environ["OMP_NUM_THREADS"] = str(threads)  # before torch is imported, here and in the embedder

    with tempfile.TemporaryDirectory() as home:
        settings = Settings.model_validate(
            {"home": home, "embedder_port": servers.free_ports(1)[0], "embedder_device": given.device}
        )
        tokens = TokenCounter.of(settings.model)
        chunks = chunks_of(texts_of(given.chunks, tokens), tokens)
        env = {
            "MOAT_HOME": home,
            "MOAT_EMBEDDER_PORT": str(settings.embedder_port),
            "MOAT_EMBEDDER_DEVICE": given.device,
        }
        with servers.running(server := servers.embedder(settings, Path(sys.executable), env)):
            model = open_encoder(folder_of(settings.model), given.device, settings.embedder_precision, tokens).model
            size = (GPU_BUDGET if model.device.type == "cuda" else CPU_BUDGET) // LONGEST
            ways: dict[str, Callable[[list[Chunk]], tuple[float, np.ndarray]]] = {
                STAGE: lambda some: stage(settings, some),
                "`encode(texts)`": lambda some: bare(model, [c.embedded_text for c in some]),
                f"`encode(texts, batch_size={size})`": lambda some: bare(
                    model, [c.embedded_text for c in some], batch_size=size
                ),
            }
            for runtime in ways.values():
                runtime(chunks[:64])  # warm
            speeds: dict[str, list[float]] = {name: [] for name in ways}
            vectors: dict[str, list[np.ndarray]] = {name: [] for name in ways}
            began, everyone, own = time.perf_counter(), busy_s(), busy_s(os.getpid(), server.process.pid)
            for number in range(given.rounds):
                some = chunks[number :: given.rounds]
                for name in np.roll(list(ways), number).tolist():
                    seconds, made = ways[name](some)
                    vectors[name].append(made)
                    speeds[name].append(len(some) / seconds)
                print(f"round {number + 1}: " + ", ".join(f"{name} {speeds[name][-1]:.1f}/s" for name in ways))
            ours_s = busy_s(os.getpid(), server.process.pid) - own
            others = (busy_s() - everyone - ours_s) / (time.perf_counter() - began) / threads
    ours, theirs, _ = (np.concatenate(each) for each in vectors.values())
    cosine = np.sum(ours * theirs, axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    how = f"{settings.model} on {model.device.type} in {str(model.dtype).removeprefix('torch.')} with {threads} threads, while others took {others:.0%} of the processor"
    report = told(speeds, chunks, float(cosine.min()), how)
    print(f"\n{report}")
    put(TITLE, report)


def told(speeds: dict[str, list[float]], chunks: list[Chunk], least_cosine: float, how: str) -> str:
    """The section of RESULTS.md, the ratios first."""
    rows = []
    for name, each in speeds.items():
        ratios = [ours / theirs for ours, theirs in zip(speeds[STAGE], each, strict=True)]
        faster = f"**{median(ratios):.2f} ×** ({min(ratios):.2f} to {max(ratios):.2f})" if name != STAGE else ""
        rows.append(f"| {name} | {faster} | {median(each):.1f} ({min(each):.1f} to {max(each):.1f}) |")
    lengths = [c.n_tokens for c in chunks]
    return "\n".join(
        [
            "| | the stage is faster by | chunks a second |",
            "|---|---|---|",
            *rows,
            "",
            f"Medians of {len(speeds[STAGE])} rounds, least and most in brackets. {len(chunks)} chunks of {min(lengths)} to {max(lengths)} tokens "
            f"(median {median(lengths):.0f}), none equal, from the sample documents; {how}. The stage goes through "
            "staging, ledger and the resident embedder's HTTP, with nothing known before. "
            f"Least cosine between its vectors and the bare ones: {least_cosine:.6f}.",
            "",
            f"{ran_on('torch', 'sentence-transformers')} By `python -m bench.embed`.",
        ]
    )


if __name__ == "__main__":
    main()
