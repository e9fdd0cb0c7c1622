"""What a finder of risks gives: where in a text, and of which kind. Never the value."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple


class Find(NamedTuple):
    """A place in a text, by characters."""

    start: int
    end: int
    kind: str  # such as EMAIL_ADDRESS
    score: float = 1.0  # the surer of two at the same place is kept


def apart(found: Iterable[Find]) -> list[Find]:
    """The finds in the order of the text, none over another: the surer is kept, of equals the longer."""
    kept = list[Find]()
    for one in sorted(found, key=lambda f: (-f.score, f.start - f.end, f.start, f.kind)):
        at = bisect_left(kept, one)
        before, after = kept[at - 1 : at] if at else [], kept[at : at + 1]
        if all(one.end <= other.start or other.end <= one.start for other in (*before, *after)):
            kept.insert(at, one)
    return kept
