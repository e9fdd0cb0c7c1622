"""prepare: parse → clean → judge → chunk, streamed over one batch.

All of it runs in the child process of `stages/child.py`. Here documents are handed to it, and ids and records are made.
"""

import time
from collections import Counter
from collections.abc import Iterator

from moat.errors import DocumentError, FatalError, RiskFound
from moat.ids import document_id
from moat.ledger import id_secret
from moat.ledger.former_names import first_name
from moat.ledger.quarantine import put
from moat.parse.sandbox import Sandbox
from moat.recipe import limited, recipe_of
from moat.records import Chunk, Prepared, RawDocument, SetAside
from moat.runtime import Runtime, batch_path, raw_path, timed
from moat.source import Source
from moat.stages.cutter import Cutter
from moat.stages.lease import renewed
from moat.stages.pieces import Cut, Identity, chunks_of

TELL_EVERY_S = 10.0


@timed("prepare")
def prepare(runtime: Runtime, source: Source, number: int, batch: int) -> dict[str, int]:
    """Turn a batch of raw documents into chunks.

    A document that cannot be prepared is quarantined with its bytes, and the batch goes on. The lease of the load is
    renewed meanwhile, however long a document takes.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        number: Number of the load.
        batch: Number of the batch, from 0.

    Returns:
        Number of documents `prepared`, of `chunks`, and of documents `set aside`.

    Raises:
        StagingError: A staged file is missing or damaged.
        Superseded: Another run took over.
        FatalError: The parser does not start, or a document was lost on the way.
    """
    load, secret = runtime.load(number), id_secret.of(runtime.ledger)
    first = first_name(runtime.ledger, source.name)
    prepared, aside, counts = list[Prepared](), list[SetAside](), Counter[str]()

    def chunks() -> Iterator[Chunk]:
        told = time.monotonic()
        with renewed(runtime, load) as check, Sandbox(runtime.settings) as sandbox:
            cutter = Cutter(sandbox, runtime.settings.model, source)
            runtime.progress(f"{source.name} batch {batch}: parser: {sandbox.protections()}")
            for raw in runtime.staging.read(batch_path(source.name, number, "read", batch), RawDocument):
                counts["documents"] += 1
                try:
                    cut = cutter.cut(raw)
                except DocumentError as error:
                    for trace in getattr(error, "__notes__", ()):
                        runtime.progress(f"{source.name}: {raw.key} is set aside\n{trace}")
                    aside.append(_set_aside(runtime, source, raw, error))
                else:
                    counts.update(cut.cleaned)
                    identity = document_id(runtime.settings.tenant, first, raw.key)
                    made = chunks_of(cut.pieces, Identity(identity, raw.key, (cut.title, *cut.metadata), secret))
                    prepared.append(_prepared(raw, identity, cut))
                    yield from made
                check()
                if time.monotonic() - told > TELL_EVERY_S:
                    told = time.monotonic()
                    runtime.progress(
                        f"{source.name} batch {batch}: {counts['documents']:,} documents, {sum(p.n_chunks for p in prepared):,} chunks"
                    )

    n_chunks = runtime.staging.write(batch_path(source.name, number, "chunk", batch), Chunk, chunks())
    runtime.staging.write(batch_path(source.name, number, "document", batch), Prepared, prepared)
    recipe_now = recipe_of(runtime, source)
    put(runtime.ledger, load, recipe_now, aside, limited(runtime, recipe_now))
    # Last of all: a load that is resumed takes a batch with this file for prepared.
    runtime.staging.write(batch_path(source.name, number, "aside", batch), SetAside, aside)
    if counts["documents"] != len(prepared) + len(aside):
        raise FatalError(
            f"batch {batch} of load {number}: {counts['documents']} documents went in, {len(prepared)} + {len(aside)} came out"
        )
    runtime.progress(
        f"{source.name} batch {batch}: {len(prepared):,} documents in {n_chunks:,} chunks, {len(aside):,} set aside; cleaned: "
        + (", ".join(f"{name} {n:,}" for name, n in sorted(counts.items()) if name != "documents" and n) or "nothing")
    )
    return {"prepared": len(prepared), "chunks": n_chunks, "set aside": len(aside)}


def _prepared(raw: RawDocument, identity: str, cut: Cut) -> Prepared:
    """Build the record of a document that was cut into chunks."""
    return Prepared(
        id=identity,
        key=raw.key,
        uri=raw.uri,
        title=cut.title,
        media_type=cut.media_type,
        fingerprint=raw.fingerprint,
        content_hash=raw.content_hash,
        policy=raw.policy,
        access_version=raw.access_version,
        metadata=cut.metadata,
        n_pages=cut.n_pages,
        n_characters=cut.n_characters,
        n_chunks=len(cut.pieces),
        n_replaced=cut.n_replaced,
        language=cut.language,
        modified=raw.modified,
        risks=cut.risks,
        n_words=cut.kept.n_words,
        n_missing=cut.kept.n_missing,
        n_invented=cut.kept.n_invented,
        missing=cut.kept.missing,
        left_out=cut.kept.left_out,
    )


def _set_aside(runtime: Runtime, source: Source, raw: RawDocument, error: DocumentError) -> SetAside:
    kept = runtime.staging.write_bytes(raw_path(runtime, source.name, raw.key), raw.content)
    stage = "clean" if isinstance(error, RiskFound) else "parse"
    return SetAside(
        key=raw.key,
        uri=raw.uri,
        stage=stage,
        error=type(error).__name__,
        reason=str(error),
        fingerprint=raw.fingerprint,
        raw_uri=kept,
    )
