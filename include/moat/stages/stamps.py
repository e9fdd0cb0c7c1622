"""Change stamps, checked by sample: documents whose stamp did not move are read all the same, and compared.

A constant `updated_at`, a stamp that runs backwards, or a copy that keeps the old time says "unchanged" of a document
that is another one by now, and no later run would ever see it.
"""

import hashlib
from collections import Counter
from dataclasses import replace

from moat.ledger import documents, loads
from moat.ledger.documents import Known
from moat.ledger.loads import Load
from moat.readers.reader import OpenReader
from moat.records import Listed, Planned, RawDocument
from moat.runtime import Runtime, path
from moat.source import Source

LOADS_IN_DOUBT = 14  # loads that read everything, after the last one that found a wrong stamp
MOST_BYTES = 8 << 20  # of a document that is read for this; larger ones would make every run slow


class Stamps:
    """The documents of one listing whose stamp did not move, as far as this run looks at them.

    Every document is looked at once in as many loads as the samples fill; which ones follows from their keys.
    """

    def __init__(self, runtime: Runtime, source: Source, load: Load) -> None:
        self.runtime, self.source, self.load = runtime, source, load
        self.sample: list[tuple[Planned, str]] = []  # with the digest of the content that is known
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
        """Take a document into the sample if it is its turn."""
        if not self._parts or planned.what != "unchanged" or planned.why or known is None or not known.content_hash:
            return
        if listed.size <= MOST_BYTES and _number(listed.key) % self._parts == self._part:
            self.sample.append((planned, known.content_hash))

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


def _number(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8])
