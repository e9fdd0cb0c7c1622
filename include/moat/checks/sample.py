"""A sample of a stream that is the same in every try, in any order: the values with the lowest hashes."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Lowest(Generic[T]):
    """At most `most` values, by hexadecimal hash, each once. Hashes are even, so it is as good as drawn by lot."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: dict[str, T] = {}
        self._highest = ""  # of what can still come in; empty: anything

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
        """The sample by hash, the lowest first."""
        return dict(sorted(self._kept.items())[: self.most])
