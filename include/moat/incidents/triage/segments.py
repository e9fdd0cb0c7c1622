"""Finds the folder, file type, author or batch with most bad documents."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from moat.incidents.triage.evidence import Segment

MOST_VALUES = 200  # values compared per kind; metadata with more identifies single documents
LONGEST_VALUE = 80
TELLING = 0.1  # lift from which a segment is kept
MOST = 12


@dataclass(frozen=True, slots=True)
class Trait:
    """What is known of one document besides its text."""

    key: str
    media_type: str = ""
    metadata: tuple[str, ...] = ()
    batch: int | None = None

    def parts(self) -> Iterator[tuple[str, str]]:
        """Kinds and values of the parts that the document belongs to."""
        folders = self.key.split("/")[:-1]
        yield "folder", "/".join(folders[:2]) or "(the top one)"
        name = self.key.rpartition("/")[2]
        yield "file type", name.rpartition(".")[2].lower() if "." in name else "none"
        if self.media_type:
            yield "parser", self.media_type
        if self.batch is not None:
            yield "batch", str(self.batch)
        for pair in self.metadata:
            kind, _, value = pair.partition("=")
            if kind and value and len(value) <= LONGEST_VALUE:
                yield kind, value


@dataclass(slots=True)
class SegmentShares:
    """Counts documents by part, bad ones and all."""

    whole: Counter[tuple[str, str]] = field(default_factory=Counter)
    bad: Counter[tuple[str, str]] = field(default_factory=Counter)
    n_whole: int = 0
    n_bad: int = 0

    def add(self, traits: Iterable[Trait], bad: bool) -> None:
        """Count documents as bad or not; each counts towards all."""
        for trait in traits:
            parts = list(trait.parts())
            self.whole.update(parts)
            self.n_whole += 1
            if bad:
                self.bad.update(parts)
                self.n_bad += 1

    def segments(self) -> tuple[Segment, ...]:
        """Parts that stand out, the farthest first. None if all are bad, or none."""
        if not self.n_bad or self.n_bad == self.n_whole:
            return ()
        values = Counter(kind for kind, _ in self.whole)
        found = [
            Segment(
                of=kind, value=value, bad=n, bad_all=self.n_bad, whole=self.whole[kind, value], whole_all=self.n_whole
            )
            for (kind, value), n in self.bad.items()
            if 1 < values[kind] <= MOST_VALUES
        ]
        telling = [s for s in found if s.lift >= TELLING and s.bad > 1]
        return tuple(sorted(telling, key=lambda s: -s.lift * s.share)[:MOST])
