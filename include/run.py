"""The whole way in one process, without Airflow: for one who writes a source, and for the command line."""

import os
import socket
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from include.budget import cost, judge
from include.chunk import Chunker
from include.embed import embed, embedder_of
from include.errors import DocumentError, MoatError
from include.freshness import stale
from include.gate import Verdict, check, decide, released, verdict
from include.incidents import late, task_failed
from include.ledger import loads
from include.ledger.loads import Load
from include.load import load
from include.model import Tokens
from include.parse.sandbox import Sandbox
from include.prepare import prepare
from include.promote import promote
from include.read.stage import compare, read, reading_of
from include.records import Planned, RawDocument
from include.risks import judge as risks
from include.source import Source
from include.way import Options, Way, path

SAMPLE = 16  # documents that a dry run looks into


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to. Without a verdict there was nothing to do, or the load waits for its budget."""

    load: Load
    verdict: Verdict | None
    seconds: dict[str, float]  # by stage

    @property
    def passed(self) -> bool:
        """Whether it ended as a run should: promoted, or with nothing to do."""
        return self.load.state in ("promoted", "unchanged")


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
    cost: float  # in `currency`, at the most: texts embedded before cost nothing
    currency: str  # empty: no price is set


class _Watch:
    """Adds up how long each stage of a run takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.stage = "read"  # the one under way

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started, self.stage = time.monotonic(), stage.partition(" ")[0]
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - started


def run(way: Way, source: Source, options: Options, by: str) -> RunResult:
    """read → parse → clean → chunk → embed → gate → load → promote.

    A held load stops: before embed where it is over its budget, before load where the gate holds it.
    """
    watch, name = _Watch(), f"cli:{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    try:
        with watch("read"):
            found = read(way, source, name, options)
    except MoatError as error:
        for begun in loads.recent(way.ledger, source.name, 1):
            if begun.run == name and begun.state == "open":
                loads.give_up(way.ledger, begun, str(error))
        task_failed(way, source.name, "read", "read", f"{type(error).__name__}: {error}", None, name)
        raise
    if found.unchanged:
        if quiet := stale(way, source.name):
            late(way, source.name, quiet)
        return RunResult(way.load(found.load), None, watch.seconds)
    current = way.load(found.load)
    with _told(way, current, watch):
        try:
            return _go_on(way, source, current.id, by, watch)
        except MoatError as error:
            loads.give_up(way.ledger, current, str(error))
            raise


def finish(way: Way, source: Source, number: int, by: str) -> RunResult:
    """Go on with a load that a person released outside Airflow, from where it stopped; the gate may hold it again."""
    current, watch = way.load(number), _Watch()
    loads.renew(way.ledger, current, way.lease_s)
    with _told(way, current, watch):
        return _go_on(way, source, number, by, watch)


@contextmanager
def _told(way: Way, current: Load, watch: _Watch) -> Iterator[None]:
    """Record the stage that fails as an incident, or as part of one."""
    try:
        yield
    except MoatError as error:
        said = f"{type(error).__name__}: {error}"
        task_failed(way, current.source, watch.stage, watch.stage, said, current.id, current.run)
        raise


def _go_on(way: Way, source: Source, number: int, by: str, watch: _Watch) -> RunResult:
    """Take a load that was read as far as it may go; what is done already is left as it is."""
    if not _embedded(way, source, number, watch):
        return RunResult(way.load(number), None, watch.seconds)
    found = verdict(way, number)
    if found.unjudged:
        with watch("gate"):
            for family in found.unjudged:
                check(way, source, number, family)
        found = decide(way, source, number)
    if found.outcome == "block":
        loads.reject(way.ledger, number, "gate", found.reason)
    elif released(way.load(number), found):
        with watch("load"):
            load(way, source, number)
        with watch("promote"):
            promote(way, source, number, by)
    return RunResult(way.load(number), found, watch.seconds)


def _embedded(way: Way, source: Source, number: int, watch: _Watch) -> bool:
    """Prepare and embed every batch; False where the load waits for its budget, and nothing is embedded."""
    batches = range(way.load(number).counts["batches"])

    def prepared(batch: int) -> None:
        if not _staged(way, source, number, "aside", batch):  # the last file of a batch that is prepared
            with watch("parse → clean → chunk"):
                prepare(way, source, number, batch)

    if source.limits.budget and batches:
        for batch in batches:
            prepared(batch)
        with watch("budget"):
            judge(way, source, number)
        if way.load(number).state == "held":
            return False
    for batch in batches:
        prepared(batch)
        if not _staged(way, source, number, "embed", batch):
            with watch("embed"):
                embed(way, source, number, batch)
    return True


def _staged(way: Way, source: Source, number: int, stage: str, batch: int) -> bool:
    return way.staging.exists(path(source.name, number, stage, f"{batch:04}.parquet"))


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
    found = _sampled(way, source, raws)
    sampled_size = sum(one.size or 1_024 for one in sample) or 1
    scale = size / sampled_size if raws else 0.0
    tokens, embedding = round(found.tokens * scale), found.embedding * scale
    settings = way.settings
    return Estimate(
        dict(counts),
        n,
        len(sample),
        round(found.chunks * scale),
        tokens,
        round(found.failed * n / len(sample)) if sample else 0,
        round(found.preparing * scale + embedding, 1),
        round(cost(settings, {"embed": (embedding, tokens)}), 6),
        settings.currency if settings.cost_per_million_tokens or settings.cost_per_hour else "",
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    """What some documents came to: counts, and seconds of preparing and of embedding."""

    chunks: int = 0
    tokens: int = 0
    failed: int = 0
    preparing: float = 0.0
    embedding: float = 0.0


def _sampled(way: Way, source: Source, raws: list[RawDocument]) -> _Sample:
    """Prepare and embed some documents, and keep nothing of it."""
    if not raws:
        return _Sample()
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
                    judged = risks.judge(sandbox.parse(raw), raw.metadata, source.risks)
                    chunks = chunker.chunk(judged.document, "00000000-0000-0000-0000-000000000000")
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
    return _Sample(n_chunks, n_tokens, n_failed, prepared, embedding)
