"""What a finder of risks returns: place and kind in a text, never the value."""

from collections.abc import Iterable
from typing import NamedTuple


class Find(NamedTuple):
    """A place in a text, in characters, with its kind."""

    start: int
    end: int
    kind: str  # such as EMAIL_ADDRESS
    score: float = 1.0  # of two at the same place, the higher score is kept


def apart(found: Iterable[Find]) -> list[Find]:
    """Sort finds by place and drop overlaps: the higher score wins, then the longer find."""
    ordered = sorted(found, key=lambda f: (-f.score, f.start - f.end, f.start, f.kind))
    taken = bytearray(max((one.end for one in ordered), default=0))
    kept = list[Find]()
    for one in ordered:
        if taken.find(1, one.start, one.end) < 0:
            taken[one.start : one.end] = b"\1" * (one.end - one.start)
            kept.append(one)
    return sorted(kept)
