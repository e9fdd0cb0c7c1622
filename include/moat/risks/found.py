"""What a finder of risks returns: place and kind in a text, never the value."""

from bisect import bisect_left
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
    kept = list[Find]()
    for one in sorted(found, key=lambda f: (-f.score, f.start - f.end, f.start, f.kind)):
        at = bisect_left(kept, one)
        before, after = kept[at - 1 : at] if at else [], kept[at : at + 1]
        if all(one.end <= other.start or other.end <= one.start for other in (*before, *after)):
            kept.insert(at, one)
    return kept
