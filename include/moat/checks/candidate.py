"""A load at the gate, as the checks read it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

from moat.errors import FatalError
from moat.ledger.loads import Load
from moat.ledger.older_versions import VersionPair
from moat.records import Chunk, Embedded, Planned, Prepared, SetAside
from moat.runtime import Runtime, batch_path, path
from moat.source import Source


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One load of one source, read as streams, with its measured values.

    Args:
        runtime: Ledger, staging, settings and connections.
        source: The declared source.
        load: The load to check, as stored in the ledger.
        measured: Measured values by the names of `Measure`; filled by the checks.
        behind: Keys of a few documents behind a measured value, by its name; filled by the checks.
        explained: Why a departure of a measured value only warns, by its name; filled by the checks.
        versions: Documents beside a newer version of themselves; filled by the checks.
    """

    runtime: Runtime
    source: Source
    load: Load
    measured: dict[str, float] = field(default_factory=dict)  # by the names of include/moat/checks/measures.py
    behind: dict[str, tuple[str, ...]] = field(default_factory=dict)  # keys of a few documents, by measure
    explained: dict[str, str] = field(default_factory=dict)  # in words, by measure
    versions: list[VersionPair] = field(default_factory=list)

    @cached_property
    def batches(self) -> range:
        return range(self.load.counts.get("batches", 0))

    @property
    def n_documents(self) -> int:
        """Number of documents in this load, including quarantined ones."""
        n = self.load.counts.get
        return n("new", 0) + n("changed", 0) - n("touched", 0) - n("gone", 0)

    def plan(self) -> Iterator[Planned]:
        return self.runtime.staging.read(path(self.source.name, self.load.id, "read", "plan.parquet"), Planned)

    def prepared(self) -> Iterator[Prepared]:
        for batch in self.batches:
            yield from self.runtime.staging.read(self._path("document", batch), Prepared)

    def chunks(self) -> Iterator[Chunk]:
        for batch in self.batches:
            yield from self.runtime.staging.read(self._path("chunk", batch), Chunk)

    def embedded(self) -> Iterator[tuple[Chunk, Embedded]]:
        """Every chunk with its vector. Raises ValueError if the two files do not match."""
        for batch in self.batches:
            yield from self.embedded_of(batch)

    def embedded_of(self, batch: int) -> Iterator[tuple[Chunk, Embedded]]:
        """Every chunk of one batch with its vector. Raises FatalError."""
        chunks = self.runtime.staging.read(self._path("chunk", batch), Chunk)
        vectors = self.runtime.staging.read(self._path("embed", batch), Embedded)
        for chunk, embedded in zip(chunks, vectors, strict=True):
            if (chunk.id, chunk.text_hash) != (embedded.chunk_id, embedded.text_hash):
                raise FatalError(
                    f"batch {batch}: the vector of {embedded.chunk_id} is in the place of chunk {chunk.id}"
                )
            yield chunk, embedded

    def whole(self) -> Iterator[tuple[Prepared, list[Chunk]]]:
        """Every document with its chunks. Raises FatalError for a chunk without its document."""
        for batch in self.batches:
            of = {p.id: p for p in self.runtime.staging.read(self._path("document", batch), Prepared)}
            chunks = self.runtime.staging.read(self._path("chunk", batch), Chunk)
            for identity, of_it in groupby(chunks, key=lambda chunk: chunk.document_id):
                if identity not in of:
                    raise FatalError(f"batch {batch}: there are chunks of {identity}, and no such document")
                yield of[identity], list(of_it)

    def aside(self) -> Iterator[SetAside]:
        """Documents of this load that were quarantined while fetching or parsing."""
        yield from self.runtime.staging.read(path(self.source.name, self.load.id, "read", "aside.parquet"), SetAside)
        for batch in self.batches:
            yield from self.runtime.staging.read(self._path("aside", batch), SetAside)

    def _path(self, stage: str, batch: int) -> str:
        return batch_path(self.source.name, self.load.id, stage, batch)
