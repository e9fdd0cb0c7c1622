"""Change stamps, checked by sample: documents whose stamp did not move are read all the same, and compared.

A constant `updated_at`, a stamp that runs backwards, or a copy that keeps the old time says "unchanged" of a document
that is another one by now, and no later run would ever see it.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from moat.checks.stamps import in_words
from moat.ledger import documents, loads
from moat.ledger.documents import Known
from moat.ledger.loads import Load
from moat.readers.reader import OpenReader
from moat.records import Listed, Planned, RawDocument
from moat.runtime import Runtime, path
from moat.source import Source

LOADS_IN_DOUBT = 14  # loads that read everything, after the last one that found a wrong stamp
MOST_BYTES = 8 << 20  # of a document that is read for this; larger ones would make every run slow
FEWEST = 20  # stamps from which they say something together
FEWEST_MOVED = 5
AHEAD = timedelta(days=1)  # clocks and time zones differ by less


@dataclass(slots=True, kw_only=True)
class Values:
    """What the stamps of one listing are, where they are times that the source says."""

    now: datetime
    n: int = 0
    n_ahead: int = 0
    n_moved: int = 0
    n_behind: int = 0
    first: set[str] = field(default_factory=set)  # of all values, two at the most

    def add(self, listed: Listed, planned: Planned, known: Known | None) -> None:
        """Count one document."""
        at = _moment(listed.fingerprint)
        if at is None:
            return
        self.n += 1
        self.n_ahead += at > self.now + AHEAD
        if len(self.first) < 2:
            self.first.add(listed.fingerprint)
        was = _moment(known.fingerprint) if known is not None and known.visible else None
        if was is not None and planned.what == "changed" and known and listed.fingerprint != known.fingerprint:
            self.n_moved += 1
            self.n_behind += at < was

    def odd(self) -> dict[str, int]:
        """What no change stamp does, by the name of its count: with the number of documents."""
        found = {
            "stamp_one": self.n if self.n >= FEWEST and len(self.first) == 1 else 0,
            "stamp_ahead": self.n_ahead if self.n >= FEWEST and 2 * self.n_ahead > self.n else 0,
            "stamp_behind": self.n_behind if self.n_moved >= FEWEST_MOVED and 2 * self.n_behind > self.n_moved else 0,
        }
        return {name: n for name, n in found.items() if n}


class Stamps:
    """The documents of one listing whose stamp did not move, as far as this run looks at them.

    Every document is looked at once in as many loads as the samples fill; which ones follows from their keys.
    """

    def __init__(self, runtime: Runtime, source: Source, load: Load) -> None:
        self.runtime, self.source, self.load = runtime, source, load
        self.sample: list[tuple[Planned, str]] = []  # with the digest of the content that is known
        self._values = Values(now=datetime.now(UTC)) if getattr(source.reader, "stamped", False) else None
        wanted = runtime.settings.stamp_sample if getattr(source.reader, "stamped", True) else 0
        n = documents.count_visible(runtime.ledger, source.name) if wanted else 0
        self._parts = -(-n // wanted) if wanted else 0
        self._part = load.fence % self._parts if self._parts else 0

    @property
    def in_doubt(self) -> bool:
        """Whether one of the newest loads found a stamp that did not tell of a change."""
        past = loads.recent(self.runtime.ledger, self.source.name, LOADS_IN_DOUBT + 1)
        return bool(self._parts) and any(one.counts.get("unstamped") for one in past if one.id != self.load.id)

    def look(self, listed: Listed, planned: Planned, known: Known | None) -> None:
        """Count a document's stamp, and take the document into the sample if it is its turn."""
        if self._values is not None:
            self._values.add(listed, planned, known)
        if not self._parts or planned.what != "unchanged" or planned.why or known is None or not known.content_hash:
            return
        if listed.size <= MOST_BYTES and _number(listed.key) % self._parts == self._part:
            self.sample.append((planned, known.content_hash))

    def tell(self, counts: Counter[str]) -> None:
        """Count what the stamps of the listing are, and say what is odd about them."""
        if self._values is None or not self._values.n:
            return
        counts.update(stamped=self._values.n, stamp_moved=self._values.n_moved, **self._values.odd())
        if odd := in_words(counts):
            self.runtime.progress(
                f"{self.source.name}: {odd}; what changes without a stamp that moves on is seen only by sample"
            )

    def wrong(self, reader: OpenReader) -> list[str]:
        """Keys of the sample whose content is another one though their stamp is the same."""
        known = {planned.key: content for planned, content in self.sample}
        stamps = {planned.key: planned.fingerprint for planned, _ in self.sample}
        asked = (replace(planned, what="changed", why="fingerprint") for planned, _ in self.sample)
        return sorted(
            answer.key
            for answer in (reader.fetch(asked) if self.sample else ())
            if isinstance(answer, RawDocument)
            and answer.fingerprint
            == stamps[answer.key]  # else it changed since it was listed, and is told so next time
            and answer.content_hash != known[answer.key]
        )

    def note(self, counts: Counter[str], wrong: list[str]) -> None:
        """Count what was looked at, and name what was wrong."""
        counts.update(sampled=len(self.sample), unstamped=len(wrong))
        if not wrong:
            return
        self.runtime.staging.write_bytes(
            path(self.source.name, self.load.id, "read", "unstamped.txt"), "\n".join(wrong[:5]).encode()
        )
        self.runtime.progress(
            f"{self.source.name}: {len(wrong):,} of {len(self.sample):,} documents changed and their stamp did not, such as "
            f"{wrong[0]!r}: the whole source is read"
        )


def _moment(fingerprint: str) -> datetime | None:
    """The time in a fingerprint such as updated_at=2026-07-05T14:30:00; UTC without a zone."""
    try:
        found = datetime.fromisoformat(fingerprint.partition("=")[2])
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _number(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8])
