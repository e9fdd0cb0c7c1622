"""Keys of a listing, in little memory."""

import hashlib
from itertools import islice

import numpy as np

from moat.errors import KeyListedTwice
from moat.readers.reader import OpenReader


class KeyDigests:
    """Keys of a listing as 16-byte digests: 160 MB for ten million."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._sorted: np.ndarray | None = None

    def add(self, keys: list[str]) -> None:
        """Add keys."""
        self._parts.append(b"".join(_digest(key) for key in keys))

    def __contains__(self, key: str) -> bool:
        digests, wanted = self._digests(), np.frombuffer(_digest(key), "S16")[0]
        at = int(np.searchsorted(digests, wanted))
        return at < len(digests) and bool(digests[at] == wanted)

    def once(self, source: str, reader: OpenReader) -> None:
        """Raise KeyListedTwice if a key is listed twice, as one of its documents would be lost."""
        digests = self._digests()
        twice = set(digests[1:][digests[1:] == digests[:-1]].tolist())
        if twice:
            same = (one.key for one in reader.listing() if np.frombuffer(_digest(one.key), "S16")[0] in twice)
            raise KeyListedTwice(
                f"source {source}: {len(twice):,} keys are listed more than once, such as "
                f"{', '.join(map(repr, islice(dict.fromkeys(same), 5)))}: a key must name one document, so choose a unique one"
            )

    def _digests(self) -> np.ndarray:
        if self._sorted is None:
            self._sorted = np.sort(np.frombuffer(b"".join(self._parts), "S16"))
            self._parts = []
        return self._sorted


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()[:16]
