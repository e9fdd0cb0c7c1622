"""dry run: estimate what a run would do and cost, writing nothing."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from moat.checks.audience import Audience, policy_of
from moat.embedding.client import embedder_of
from moat.errors import DocumentError
from moat.parse.sandbox import Sandbox
from moat.pricing import cost
from moat.records import Planned, RawDocument, SetAside, embedded_text
from moat.runtime import Options, Runtime
from moat.source import Source
from moat.stages.compare import compare
from moat.stages.cutter import Cutter

SAMPLE = 16  # documents that a dry run prepares
SHOWN = 5  # groups that a warning names


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run would do and cost.

    `counts` and `documents` are exact, the rest is estimated from a sample.
    """

    counts: dict[str, int]
    documents: int  # that would be fetched
    sampled: int
    chunks: int
    tokens: int
    set_aside: int
    seconds: float
    cost: float  # in `currency`, an upper bound: texts embedded before cost nothing
    currency: str  # empty: no price is set
    warnings: tuple[str, ...] = ()  # what a load of it would be held for, or readers who would see nothing


def dry_run(runtime: Runtime, source: Source, options: Options) -> Estimate:
    """Plan a run and estimate its cost, writing nothing to ledger, staging or index.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        options: What the run would ask for.

    Returns:
        The plan in counts, and chunks, tokens, seconds and cost scaled up from a sample of at most 16 documents.

    Raises:
        SourceUnavailable: The listing or a fetch broke off.
        EmbedderUnavailable: The embedder did not answer.
    """
    counts: Counter[str] = Counter()
    with source.reader.open(runtime.reading(source)) as reader:
        wanted, size, n, policies = list[Planned](), 0, 0, Counter[str]()
        for one in compare(runtime, source, reader, options, counts):
            if one.policy:
                policies[one.policy] += 1
            if one.what in ("new", "changed"):
                n += 1
                size += one.size or 1_024
                if n % max(1, n // SAMPLE) == 0:  # spread over the listing, whatever its length
                    wanted.append(one)
                    wanted = wanted if len(wanted) <= 2 * SAMPLE else wanted[::2]
        sample = wanted[:: max(1, -(-len(wanted) // SAMPLE))]
        answers = list(reader.fetch(sample))
    raws = [answer for answer in answers if isinstance(answer, RawDocument)]
    n_aside = sum(isinstance(answer, SetAside) for answer in answers)
    found = _sampled(runtime, source, raws)
    sampled_size = sum(one.size or 1_024 for one in sample) or 1
    scale = size / sampled_size if raws else 0.0
    tokens, embedding = round(found.tokens * scale), found.embedding * scale
    settings = runtime.settings
    return Estimate(
        counts=dict(counts),
        documents=n,
        sampled=len(sample),
        chunks=round(found.chunks * scale),
        tokens=tokens,
        set_aside=round((found.failed + n_aside) * n / len(sample)) if sample else 0,
        seconds=round(found.preparing * scale + embedding, 1),
        cost=round(cost(settings, {"embed": (embedding, tokens)}), 6),
        currency=settings.currency if settings.cost_per_million_tokens or settings.cost_per_hour else "",
        warnings=tuple(_warnings(runtime, source, counts, policies)),
    )


def _warnings(runtime: Runtime, source: Source, counts: Counter[str], policies: Counter[str]) -> Iterator[str]:
    """What looks well in counts and is not: nothing listed, groups that nobody is in, documents for nobody."""
    if not counts["listed"]:
        yield f"nothing is listed by {source.reader!r}"
    audience, unknown, unread = Audience(runtime.ledger), Counter[str](), 0
    for text, n in policies.items():
        policy = policy_of(text)
        unread += n * audience.none(policy)
        unknown.update(dict.fromkeys(audience.unknown_groups(policy), n))
    for group, n in unknown.most_common(SHOWN):
        yield f"no directory has a member of {group}{audience.like(group)}, which {n:,} documents let in"
    if len(unknown) > SHOWN:
        yield f"and {len(unknown) - SHOWN:,} more groups that no directory has a member of"
    if unread:
        yield f"{unread:,} documents are for nobody who is known"
    if counts["unknown"]:
        yield f"who may read {counts['unknown']:,} documents is unknown: nobody would see them"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """Counts of the sampled documents, and seconds of preparing and of embedding."""

    chunks: int = 0
    tokens: int = 0
    failed: int = 0
    preparing: float = 0.0
    embedding: float = 0.0


def _sampled(runtime: Runtime, source: Source, raws: list[RawDocument]) -> _Sample:
    """Prepare and embed the sampled documents, and keep nothing."""
    if not raws:
        return _Sample()
    embedder = embedder_of(runtime.settings, runtime.connections, runtime.progress)
    n_chunks = n_tokens = n_failed = 0
    try:
        embedder.embed(["warm"], "query")
        with Sandbox(runtime.settings) as sandbox:
            sandbox.warm()
            cutter = Cutter(sandbox, runtime.settings.model, source)
            started = time.monotonic()
            texts = list[str]()
            for raw in raws:
                try:
                    pieces = cutter.cut(raw).pieces
                except DocumentError:
                    n_failed += 1
                else:
                    texts += [embedded_text(piece.heading, piece.text) for piece in pieces]
                    n_tokens += sum(piece.n_tokens for piece in pieces)
                    n_chunks += len(pieces)
            prepared = time.monotonic() - started
        some = texts[:: max(1, len(texts) // 64)]
        started = time.monotonic()
        embedder.embed(some)
        embedding = (time.monotonic() - started) * len(texts) / max(1, len(some))
    finally:
        embedder.close()
    return _Sample(chunks=n_chunks, tokens=n_tokens, failed=n_failed, preparing=prepared, embedding=embedding)
