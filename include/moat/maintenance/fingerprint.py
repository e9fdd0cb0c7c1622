"""moat fingerprint: one hash of what people can find in a source, from the ledger.

It is the same wherever the same documents are visible with the same access, whatever order, batches or retries
brought them there: numbers of loads, ids, which hold the ledger's own secret, and vectors are left out.
"""

import hashlib
import json
from dataclasses import dataclass

from moat.ledger import Ledger, projection
from moat.records import IndexObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """A source's visible chunks and their hash, SHA-256 in hex."""

    source: str
    chunks: int
    hash: str


def fingerprints(ledger: Ledger, source: str | None = None) -> list[Fingerprint]:
    """Compute the fingerprint of one source, or of every source with documents, by name.

    A document whose access a load in progress changes is left out: both forms are valid.
    """
    names = [source] if source else sorted(projection.sources(ledger))
    return [_fingerprint(ledger, name) for name in names]


def _fingerprint(ledger: Ledger, source: str) -> Fingerprint:
    digests = sorted(_digest(o) for o in projection.visible_objects(ledger, source))
    return Fingerprint(source=source, chunks=len(digests), hash=hashlib.sha256(b"".join(digests)).hexdigest())


def _digest(o: IndexObject) -> bytes:
    """The hash of a chunk as people find it."""
    shown = [o.source, o.key, o.kind, o.title, o.heading, o.text, sorted(o.metadata), sorted(o.allow)]
    return hashlib.sha256(json.dumps(shown, ensure_ascii=True).encode()).digest()
