"""Cursors: what is left of a question's hits, for the asker and the question that they belong to.

A cursor holds the ids and scores of the hits that its asker could read when the first page was asked for, best first,
and a signature over them, over the asker and over the question. So the pages after the first are of one view, whatever
is promoted meanwhile, and no process has to keep anything. It holds no text, and each page looks at access again.
"""

import base64
import hashlib
import hmac
import json
import secrets
import struct
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moat.errors import CursorExpired, CursorRefused
from moat.filters import Compared, Filters, values_of

KEPT_S = 900  # that a cursor can be used, from the first page on
VERSION = 1
SIGNED = 16  # bytes of a signature
LONGEST = 8_192  # characters of a cursor
_HEAD = struct.Struct(">BI")
_HIT = struct.Struct(">16sf")

Scored = tuple[str, float]  # id of a chunk, and its score


@dataclass(frozen=True, slots=True)
class Left:
    """Hits that the next pages show, and since when (seconds of the epoch) they are kept."""

    hits: tuple[Scored, ...]
    since: int


class Cursors:
    """Makes and reads cursors of one tenant; without a secret, those of this process only."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(f"cursor {secret or secrets.token_hex(32)}".encode()).digest()

    def first(self, hits: Sequence[Scored]) -> Left:
        """All hits of a question that is asked now."""
        return Left(tuple(hits), int(time.time()))

    def write(self, left: Left, bound: bytes) -> str:
        """Write what is left for the asker and the question of `bound`."""
        body = _HEAD.pack(VERSION, left.since) + b"".join(_HIT.pack(uuid.UUID(i).bytes, s) for i, s in left.hits)
        return base64.urlsafe_b64encode(body + self._signature(body, bound)).decode().rstrip("=")

    def read(self, cursor: str, bound: bytes) -> Left:
        """Read a cursor. Raises CursorRefused if it is not exactly one that was given for `bound`, CursorExpired."""
        try:
            whole = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (ValueError, TypeError):
            whole = b""
        body, signature = whole[:-SIGNED], whole[-SIGNED:]
        known = len(cursor) <= LONGEST and hmac.compare_digest(signature, self._signature(body, bound))
        if not known or len(body) < _HEAD.size:
            raise CursorRefused(
                "the cursor was changed, or is of another asker, question, filter or server: ask for the first page again"
            )
        _, since = _HEAD.unpack_from(body)
        if time.time() - since > KEPT_S:
            raise CursorExpired(f"the cursor is older than {KEPT_S // 60} minutes: ask for the first page again")
        hits = ((str(uuid.UUID(bytes=i)), score) for i, score in _HIT.iter_unpack(body[_HEAD.size :]))
        return Left(tuple(hits), since)

    def _signature(self, body: bytes, bound: bytes) -> bytes:
        return hmac.digest(self._key, bound + body, "sha256")[:SIGNED]


def bound_to(*parts: Any, filters: Filters) -> bytes:
    """A digest of an asker and a question, 32 bytes; another of either has another digest."""
    plain = {name: _plain(value) for name, value in filters.items()}
    return hashlib.sha256(json.dumps([*parts, plain], sort_keys=True).encode()).digest()


def _plain(value: Any) -> Any:
    return repr(value) if isinstance(value, Compared) else sorted(values_of(value))
