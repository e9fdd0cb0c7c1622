"""Split long streams into lists of bounded size, and gather values by what they have in common."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K")
IN_AT_ONCE = 1_000  # values of one IN (...), far below every database's limit


def windows(values: Iterable[T], size: int = IN_AT_ONCE) -> Iterator[list[T]]:
    """Yield the values in lists of at most `size`."""
    window: list[T] = []
    for value in values:
        window.append(value)
        if len(window) == size:
            yield window
            window = []
    if window:
        yield window


def grouped(pairs: Iterable[tuple[K, T]]) -> dict[K, list[T]]:
    """Values by what they have in common, the first of each pair."""
    by: dict[K, list[T]] = defaultdict(list)
    for common, value in pairs:
        by[common].append(value)
    return by
