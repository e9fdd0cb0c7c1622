"""A deterministic sample of a stream: the values with the lowest hashes."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Lowest(Generic[T]):
    """At most `most` distinct values by hexadecimal hash, a random sample."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: dict[str, T] = {}
        self._highest = ""  # highest hash that still enters; empty: any

    def add(self, hash_: str, value: T) -> None:
        if not self.most or (self._highest and hash_ > self._highest) or hash_ in self._kept:
            return
        self._kept[hash_] = value
        if len(self._kept) >= 2 * self.most:
            self._cut()

    def _cut(self) -> None:
        self._kept = dict(sorted(self._kept.items())[: self.most])
        self._highest = max(self._kept, default="")

    def values(self) -> dict[str, T]:
        """The sample by hash, lowest first."""
        return dict(sorted(self._kept.items())[: self.most])
