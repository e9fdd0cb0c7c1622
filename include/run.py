"""The whole way in one process, without Airflow: for one who writes a source, and for the command line."""

import os
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from include.checks import FAMILIES
from include.chunk import Chunker
from include.clean import clean
from include.embed import embed, embedder_of
from include.errors import DocumentError, MoatError
from include.gate import Verdict, check, decide
from include.ledger import loads
from include.ledger.loads import Load
from include.load import load
from include.model import Tokens
from include.parse.sandbox import Sandbox
from include.prepare import prepare
from include.promote import promote
from include.read.stage import compare, read, reading_of
from include.records import Planned, RawDocument
from include.source import Source
from include.way import Options, Way

SAMPLE = 16  # documents that a dry run looks into


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to. Without a verdict there was nothing to do."""

    load: Load
    verdict: Verdict | None
    seconds: dict[str, float]  # by stage


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would do and cost. What is not counted is estimated from a sample."""

    counts: dict[str, int]
    documents: int  # that would be read
    sampled: int
    chunks: int
    tokens: int
    set_aside: int
    seconds: float


def run(way: Way, source: Source, options: Options, by: str) -> RunResult:
    """read → parse → clean → chunk → embed → gate → load → promote. A held load stops before load."""
    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], object]) -> None:
        started = time.monotonic()
        work()
        seconds[stage] = seconds.get(stage, 0.0) + time.monotonic() - started

    started = time.monotonic()
    found = read(way, source, f"cli:{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}", options)
    seconds["read"] = time.monotonic() - started
    if found.unchanged:
        return RunResult(way.load(found.load), None, seconds)
    current = way.load(found.load)
    try:
        for batch in found.batches:
            timed("parse → clean → chunk", lambda batch=batch: prepare(way, source, current.id, batch.number))  # type: ignore[misc]
            timed("embed", lambda batch=batch: embed(way, source, current.id, batch.number))  # type: ignore[misc]
        timed("gate", lambda: [check(way, source, current.id, family.name) for family in FAMILIES])
        verdict = decide(way, source, current.id)
        if verdict.outcome == "block":
            loads.reject(way.ledger, current.id, "gate", verdict.reason)
        elif verdict.outcome == "pass":
            timed("load", lambda: load(way, source, current.id))
            timed("promote", lambda: promote(way, source, current.id, by))
    except MoatError as error:
        loads.give_up(way.ledger, current, str(error))
        raise
    return RunResult(way.load(current.id), verdict, seconds)


def finish(way: Way, source: Source, number: int, by: str) -> Load:
    """Load and promote a load that a person released outside Airflow."""
    load(way, source, number)
    return promote(way, source, number, by)


def dry_run(way: Way, source: Source, options: Options) -> Estimate:
    """The plan of a run and its cost; nothing is written, neither in the ledger nor in the index."""
    counts: Counter[str] = Counter()
    with source.reader.open(reading_of(way, source)) as reader:
        wanted, size, n = list[Planned](), 0, 0
        for one in compare(way, source, reader, options, counts):
            if one.what in ("new", "changed"):
                n += 1
                size += one.size or 1_024
                if n % max(1, n // SAMPLE) == 0:  # spread over the listing, whatever its length
                    wanted.append(one)
                    wanted = wanted if len(wanted) <= 2 * SAMPLE else wanted[::2]
        sample = wanted[:: max(1, -(-len(wanted) // SAMPLE))]
        raws = [answer for answer in reader.fetch(sample) if isinstance(answer, RawDocument)]
    chunks, tokens, failed, seconds = _sampled(way, source, raws)
    sampled_size = sum(one.size or 1_024 for one in sample) or 1
    scale = size / sampled_size if raws else 0.0
    return Estimate(
        dict(counts),
        n,
        len(sample),
        round(chunks * scale),
        round(tokens * scale),
        round(failed * n / len(sample)) if sample else 0,
        round(seconds * scale, 1),
    )


def _sampled(way: Way, source: Source, raws: list[RawDocument]) -> tuple[int, int, int, float]:
    """Chunks, tokens, failures and seconds of preparing and embedding some documents."""
    if not raws:
        return 0, 0, 0, 0.0
    chunker, embedder = (
        Chunker(Tokens.of(way.settings.model), source.chunking),
        embedder_of(way.settings, way.connections),
    )
    n_chunks = n_tokens = n_failed = 0
    try:
        embedder.embed(["warm"], "query")
        with Sandbox(way.settings) as sandbox:
            sandbox.warm()
            started = time.monotonic()
            texts = list[str]()
            for raw in raws:
                try:
                    chunks = chunker.chunk(clean(sandbox.parse(raw))[0], "00000000-0000-0000-0000-000000000000")
                except DocumentError:
                    n_failed += 1
                else:
                    texts += [c.embedded_text for c in chunks]
                    n_tokens += sum(c.n_tokens for c in chunks)
                    n_chunks += len(chunks)
            prepared = time.monotonic() - started
        some = texts[:: max(1, len(texts) // 64)]
        started = time.monotonic()
        embedder.embed(some)
        embedding = (time.monotonic() - started) * len(texts) / max(1, len(some))
    finally:
        embedder.close()
    return n_chunks, n_tokens, n_failed, prepared + embedding
