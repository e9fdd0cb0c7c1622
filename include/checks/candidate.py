"""A load that stands before the gate: everything in staging and in the ledger that checks look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from include.ledger.loads import Load
from include.records import Chunk, Embedded, Planned, Prepared, SetAside
from include.source import Source
from include.way import Way, path


@dataclass(frozen=True)
class Candidate:
    """One load of one source, read as streams."""

    way: Way
    source: Source
    load: Load

    @cached_property
    def batches(self) -> range:
        return range(self.load.counts.get("batches", 0))

    def plan(self) -> Iterator[Planned]:
        return self.way.staging.read(path(self.source.name, self.load.id, "read", "plan.parquet"), Planned)

    def prepared(self) -> Iterator[Prepared]:
        for batch in self.batches:
            yield from self.way.staging.read(self._path("document", batch), Prepared)

    def chunks(self) -> Iterator[Chunk]:
        for batch in self.batches:
            yield from self.way.staging.read(self._path("chunk", batch), Chunk)

    def embedded(self) -> Iterator[tuple[Chunk, Embedded]]:
        """Every chunk with its vector. Raises ValueError where the two files do not match."""
        for batch in self.batches:
            chunks = self.way.staging.read(self._path("chunk", batch), Chunk)
            vectors = self.way.staging.read(self._path("embed", batch), Embedded)
            for chunk, embedded in zip(chunks, vectors, strict=True):
                if (chunk.id, chunk.text_hash) != (embedded.chunk_id, embedded.text_hash):
                    raise ValueError(
                        f"batch {batch}: the vector of {embedded.chunk_id} stands where chunk {chunk.id} was expected"
                    )
                yield chunk, embedded

    def aside(self) -> Iterator[SetAside]:
        """Documents of this load that ended in quarantine, from fetching and from parsing."""
        yield from self.way.staging.read(path(self.source.name, self.load.id, "read", "aside.parquet"), SetAside)
        for batch in self.batches:
            yield from self.way.staging.read(self._path("aside", batch), SetAside)

    def _path(self, stage: str, batch: int) -> str:
        return path(self.source.name, self.load.id, stage, f"{batch:04}.parquet")
