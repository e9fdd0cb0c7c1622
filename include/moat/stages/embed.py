"""embed: chunk texts -> vectors, unless the model has embedded them already.

The embedder is one of those in `moat.embedding.client`.
"""

import time
from collections.abc import Iterator

import numpy as np

from moat.batching import windows
from moat.embedding.client import Embedder, embedder_of
from moat.embedding.model import ModelInfo
from moat.errors import OverBudget
from moat.ledger import embeddings, loads, spending
from moat.records import Chunk, Embedded
from moat.runtime import Runtime, batch_path, timed
from moat.source import Source

WINDOW = 2_048  # texts between two checkpoints


@timed("embed")
def embed(runtime: Runtime, source: Source, number: int, batch: int) -> dict[str, int]:
    """Embed the chunks of a batch.

    Each window is stored in the ledger when it is done, so a retry does not embed it again.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        number: Number of the load.
        batch: Number of the batch, from 0.

    Returns:
        Number of texts `embedded` and `reused`, and the `tokens` of those embedded.

    Raises:
        OverBudget: The load waits for a person to decide on its budget.
        EmbedderUnavailable: The embedder did not answer.
        ModelError: The embedder serves another model or revision.
    """
    load = runtime.load(number)
    if load.state == "held" and load.held_for == "budget":
        raise OverBudget(
            f"load {number} of {source.name} waits for a person, nothing of it is embedded before ({load.reason}): "
            f"`moat release {number}` or `moat reject {number}`"
        )
    embedder = embedder_of(runtime.settings, runtime.connections, runtime.progress)
    try:
        info = embedder.info()
        loads.note(runtime.ledger, load, {}, model=info.key)
        counts = {"embedded": 0, "reused": 0, "tokens": 0}
        started = time.monotonic()

        def embedded() -> Iterator[Embedded]:
            n = 0
            for window in windows(runtime.staging.read(batch_path(source.name, number, "chunk", batch), Chunk), WINDOW):
                before = counts["tokens"]
                vectors = _window(runtime, embedder, info, window, counts)
                spending.spend(runtime.ledger, number, "embed", batch, tokens=counts["tokens"] - before)
                yield from (Embedded(c.id, c.text_hash, vectors[c.text_hash]) for c in window)
                n += len(window)
                loads.renew(runtime.ledger, load, runtime.lease_s)
                seconds = max(time.monotonic() - started, 1e-6)
                runtime.progress(
                    f"{source.name} batch {batch}: {n:,} chunks have vectors, {counts['embedded'] / seconds:,.0f} made a second"
                )

        runtime.staging.write(batch_path(source.name, number, "embed", batch), Embedded, embedded())
    finally:
        embedder.close()
    return counts


def _window(
    runtime: Runtime, embedder: Embedder, info: ModelInfo, window: list[Chunk], counts: dict[str, int]
) -> dict[str, bytes]:
    """Vectors of a window by text hash, reused or newly embedded."""
    texts = {c.text_hash: c.embedded_text for c in window}
    vectors = embeddings.vectors(runtime.ledger, info.key, texts)
    missing = [text_hash for text_hash in texts if text_hash not in vectors]
    made = embedder.embed([texts[text_hash] for text_hash in missing])
    new = {h: np.ascontiguousarray(row, "<f4").tobytes() for h, row in zip(missing, made, strict=True)}
    embeddings.keep(runtime.ledger, info.key, new)
    sizes = {c.text_hash: c.n_tokens for c in window}
    counts["tokens"] += sum(sizes[text_hash] for text_hash in missing)
    counts["embedded"] += len(new)
    counts["reused"] += len(vectors)
    return vectors | new
