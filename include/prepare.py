"""parse → clean → chunk, streamed one into the other over one batch."""

import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from include.chunk import Chunker
from include.errors import DocumentError, FatalError, MoatError, ParseFailed, PrepareFailed, RiskFound
from include.ids import document_id
from include.language import language_of
from include.ledger import loads
from include.model import Tokens
from include.parse.sandbox import Sandbox
from include.quarantine import put, raw_path
from include.read.stage import recipe_of
from include.records import Chunk, Prepared, RawDocument, SetAside
from include.risks.judge import judge
from include.source import Source
from include.way import Way, path, timed

TELL_EVERY_S = 10.0


@timed("prepare")
def prepare(way: Way, source: Source, number: int, batch: int) -> dict[str, int]:
    """Turn a batch of raw documents into chunks; returns how many documents, chunks and set aside.

    A document that cannot be parsed is quarantined with its bytes, and the batch goes on.
    """
    load = way.load(number)
    prepared, aside, counts = list[Prepared](), list[SetAside](), Counter[str]()

    def chunks() -> Iterator[Chunk]:
        chunker = Chunker(Tokens.of(way.settings.model), source.chunking)
        told = time.monotonic()
        with Sandbox(way.settings) as sandbox:
            for raw in way.staging.read(path(source.name, number, "read", f"{batch:04}.parquet"), RawDocument):
                counts["documents"] += 1
                try:
                    found, of_it = _prepared(way, source, raw, sandbox, chunker, counts)
                except DocumentError as error:
                    aside.append(_set_aside(way, source, raw, error))
                except MoatError:
                    raise
                except Exception as error:  # noqa: BLE001  any library may raise anything: one document never ends its batch
                    way.progress(f"{source.name}: {raw.key} is set aside\n{traceback.format_exc()}")
                    aside.append(_set_aside(way, source, raw, _unforeseen(error)))
                else:
                    prepared.append(found)
                    yield from of_it
                if time.monotonic() - told > TELL_EVERY_S:
                    told = time.monotonic()
                    loads.renew(way.ledger, load, way.lease_s)
                    way.progress(
                        f"{source.name} batch {batch}: {counts['documents']:,} documents, {sum(p.n_chunks for p in prepared):,} chunks"
                    )

    n_chunks = way.staging.write(path(source.name, number, "chunk", f"{batch:04}.parquet"), Chunk, chunks())
    way.staging.write(path(source.name, number, "document", f"{batch:04}.parquet"), Prepared, prepared)
    way.staging.write(path(source.name, number, "aside", f"{batch:04}.parquet"), SetAside, aside)
    put(way.ledger, load, recipe_of(way, source), aside)
    if counts["documents"] != len(prepared) + len(aside):
        raise FatalError(
            f"batch {batch} of load {number}: {counts['documents']} documents went in, {len(prepared)} + {len(aside)} came out"
        )
    way.progress(
        f"{source.name} batch {batch}: {len(prepared):,} documents in {n_chunks:,} chunks, {len(aside):,} set aside; cleaned: "
        + (", ".join(f"{name} {n:,}" for name, n in sorted(counts.items()) if name != "documents" and n) or "nothing")
    )
    return {"prepared": len(prepared), "chunks": n_chunks, "set aside": len(aside)}


def _prepared(
    way: Way, source: Source, raw: RawDocument, sandbox: Sandbox, chunker: Chunker, counts: Counter[str]
) -> tuple[Prepared, list[Chunk]]:
    parsed = sandbox.parse(raw)
    judged = judge(parsed, raw.metadata, source.risks)
    document = judged.document
    counts.update(judged.cleaned)
    identity = document_id(way.settings.tenant, source.name, raw.key)
    chunks = chunker.chunk(document, identity, judged.metadata)
    if not chunks:
        raise ParseFailed("nothing is left of its text after cleaning, and after what is hidden was taken out")
    return Prepared(
        identity,
        raw.key,
        raw.uri,
        document.title,
        document.media_type,
        raw.fingerprint,
        raw.content_hash,
        raw.policy,
        raw.access_version,
        judged.metadata,
        document.n_pages,
        sum(len(b.text) for b in document.blocks),
        len(chunks),
        sum(b.text.count("\ufffd") for b in parsed.blocks),
        language_of(b.text for b in document.blocks if b.kind != "heading"),
        judged.risks,
    ), chunks


def _unforeseen(error: Exception) -> PrepareFailed:
    """Whatever a library raised, with its class and the last place of ours that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = next((f for f in reversed(frames) if "include" in Path(f.filename).parts), frames[-1])
    said = " ".join(str(error).encode("utf-8", "backslashreplace").decode().split())[:300]
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    return PrepareFailed(
        f"preparing it raised {kind}: {said} ({Path(ours.filename).name}:{ours.lineno} in {ours.name}). "
        "The trace stands in the log of prepare; mend the document, or report it and replay after an upgrade"
    )


def _set_aside(way: Way, source: Source, raw: RawDocument, error: DocumentError) -> SetAside:
    kept = way.staging.write_bytes(raw_path(way, source.name, raw.key), raw.content)
    stage = "clean" if isinstance(error, RiskFound) else "parse"
    return SetAside(raw.key, raw.uri, stage, type(error).__name__, str(error), raw.fingerprint, kept)
