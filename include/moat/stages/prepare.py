"""prepare: parse → clean → chunk, streamed over one batch."""

import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from moat.embedding.model import TokenCounter
from moat.errors import DocumentError, FatalError, MoatError, NothingLeft, PrepareFailed, RiskFound
from moat.ids import document_id
from moat.ledger import loads
from moat.ledger.quarantine import put
from moat.parse.language import language_of
from moat.parse.sandbox import Sandbox
from moat.recipe import recipe_of
from moat.records import Chunk, Document, Prepared, RawDocument, SetAside
from moat.risks.judge import Judged, hidden_in, judge
from moat.runtime import Runtime, batch_path, raw_path, timed
from moat.source import Risks, Source
from moat.stages.chunk import Chunker
from moat.stages.clean import clean
from moat.stages.words_kept import WordsKept, words_kept

TELL_EVERY_S = 10.0


@timed("prepare")
def prepare(runtime: Runtime, source: Source, number: int, batch: int) -> dict[str, int]:
    """Turn a batch of raw documents into chunks.

    A document that cannot be prepared is quarantined with its bytes, and the batch goes on.

    Args:
        runtime: The runtime of this process.
        source: The declared source.
        number: Number of the load.
        batch: Number of the batch, from 0.

    Returns:
        Number of documents `prepared`, of `chunks`, and of documents `set aside`.

    Raises:
        StagingError: A staged file is missing or damaged.
        FatalError: The parser does not start, or a document was lost on the way.
    """
    load = runtime.load(number)
    prepared, aside, counts = list[Prepared](), list[SetAside](), Counter[str]()

    def chunks() -> Iterator[Chunk]:
        chunker = Chunker(TokenCounter.of(runtime.settings.model), source.chunking)
        told = time.monotonic()
        with Sandbox(runtime.settings) as sandbox:
            for raw in runtime.staging.read(batch_path(source.name, number, "read", batch), RawDocument):
                counts["documents"] += 1
                try:
                    identity = document_id(runtime.settings.tenant, source.name, raw.key)
                    made = cut(source, raw, identity, sandbox, chunker)
                    found = _prepared(raw, identity, made)
                except DocumentError as error:
                    aside.append(_set_aside(runtime, source, raw, error))
                except MoatError:
                    raise
                except Exception as error:  # noqa: BLE001  any library may raise anything: one document never ends its batch
                    runtime.progress(f"{source.name}: {raw.key} is set aside\n{traceback.format_exc()}")
                    aside.append(_set_aside(runtime, source, raw, _unforeseen(error)))
                else:
                    counts.update(made.cleaned)
                    prepared.append(found)
                    yield from made.chunks
                if time.monotonic() - told > TELL_EVERY_S:
                    told = time.monotonic()
                    loads.renew(runtime.ledger, load, runtime.lease_s)
                    runtime.progress(
                        f"{source.name} batch {batch}: {counts['documents']:,} documents, {sum(p.n_chunks for p in prepared):,} chunks"
                    )

    n_chunks = runtime.staging.write(batch_path(source.name, number, "chunk", batch), Chunk, chunks())
    runtime.staging.write(batch_path(source.name, number, "document", batch), Prepared, prepared)
    runtime.staging.write(batch_path(source.name, number, "aside", batch), SetAside, aside)
    put(runtime.ledger, load, recipe_of(runtime, source), aside)
    if counts["documents"] != len(prepared) + len(aside):
        raise FatalError(
            f"batch {batch} of load {number}: {counts['documents']} documents went in, {len(prepared)} + {len(aside)} came out"
        )
    runtime.progress(
        f"{source.name} batch {batch}: {len(prepared):,} documents in {n_chunks:,} chunks, {len(aside):,} set aside; cleaned: "
        + (", ".join(f"{name} {n:,}" for name, n in sorted(counts.items()) if name != "documents" and n) or "nothing")
    )
    return {"prepared": len(prepared), "chunks": n_chunks, "set aside": len(aside)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Result of preparing one document: parsed text, findings, cleaning counts, chunks."""

    parsed: Document
    judged: Judged
    cleaned: Mapping[str, int]  # blocks changed or dropped, by step of clean
    chunks: Sequence[Chunk]
    kept: WordsKept


def cut(source: Source, raw: RawDocument, identity: str, sandbox: Sandbox, chunker: Chunker) -> Cut:
    """Run parse → clean → judge → chunk on one document. Raises DocumentError."""
    parsed = sandbox.parse(raw, source.parsing)
    judged, counts, cleaned = clean_and_judge(parsed, raw.metadata, source.risks)
    chunks = chunker.chunk(judged.document, identity, judged.metadata)
    if not chunks:
        raise NothingLeft("nothing is left of its text after cleaning, and after what is hidden was taken out")
    kept = words_kept(cleaned, judged.document, chunks, source.risks)
    return Cut(parsed=parsed, judged=judged, cleaned=counts, chunks=chunks, kept=kept)


def clean_and_judge(
    parsed: Document, metadata: tuple[str, ...], policy: Risks
) -> tuple[Judged, Mapping[str, int], Document]:
    """Clean a document and judge the risks of what is loaded.

    Hidden text is counted before clean removes it. Raises RiskFound.

    Returns:
        The judged document, changes by step of clean, and the cleaned document with what is hidden or left out.
    """
    shown, hidden = hidden_in(replace(parsed, blocks=tuple(b for b in parsed.blocks if not b.left_out)))
    document, counts = clean(shown)
    left_out = clean(replace(parsed, blocks=tuple(b for b in parsed.blocks if b.left_out)))[0].blocks
    judged = judge(document, metadata, hidden, policy)
    return judged, counts, replace(document, blocks=(*document.blocks, *left_out))


def _prepared(raw: RawDocument, identity: str, made: Cut) -> Prepared:
    """Build the record of a document that was cut into chunks."""
    document = made.judged.document
    return Prepared(
        id=identity,
        key=raw.key,
        uri=raw.uri,
        title=document.title,
        media_type=document.media_type,
        fingerprint=raw.fingerprint,
        content_hash=raw.content_hash,
        policy=raw.policy,
        access_version=raw.access_version,
        metadata=made.judged.metadata,
        n_pages=document.n_pages,
        n_characters=sum(len(b.text) for b in document.blocks),
        n_chunks=len(made.chunks),
        n_replaced=sum(b.text.count("\ufffd") for b in made.parsed.blocks),
        language=language_of(b.text for b in document.blocks if b.kind != "heading"),
        risks=made.judged.risks,
        n_words=made.kept.n_words,
        n_missing=made.kept.n_missing,
        n_invented=made.kept.n_invented,
        missing=made.kept.missing,
        left_out=made.kept.left_out,
    )


def _unforeseen(error: Exception) -> PrepareFailed:
    """Wrap an unexpected error, with its class and the innermost frame of our code."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = next((f for f in reversed(frames) if "moat" in Path(f.filename).parts), frames[-1])
    said = " ".join(str(error).encode("utf-8", "backslashreplace").decode().split())[:300]
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    return PrepareFailed(
        f"preparing it raised {kind}: {said} ({Path(ours.filename).name}:{ours.lineno} in {ours.name}). "
        "The trace stands in the log of prepare; mend the document, or report it and replay after an upgrade"
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
