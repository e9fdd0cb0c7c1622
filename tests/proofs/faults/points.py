"""The moments at which a run is struck: before, in and after each write of the ledger, the index and staging.

A forked process patches Moat's own writing in itself; nothing outside of it sees that.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from sqlalchemy import Connection

from moat.index.store import WeaviateStore
from moat.ledger import Ledger
from moat.staging import Staging

What = Literal["ledger", "index", "staging"]
Moment = Literal["before", "in", "after"]


class Points:
    """Counts the moments of a run, and strikes at one of them.

    Attributes:
        seen: All moments so far, in order, as "what moment".
    """

    def __init__(self, only: Sequence[str] = (), at: int | None = None, strike: Callable[[], None] | None = None):
        self.seen: list[str] = []
        self._only, self._at, self._strike, self._n = set(only), at, strike, 0

    def come(self, what: What, moment: Moment) -> None:
        name = f"{what} {moment}"
        self.seen.append(name)
        if self._only and name not in self._only:
            return
        n, self._n = self._n, self._n + 1
        if n == self._at and self._strike is not None:
            self._strike()

    def watch(self) -> None:
        """From now on, in this process, every write is seen."""
        points = self
        write, replacing = Ledger.write, Staging._replacing

        @contextmanager
        def watched_write(ledger: Ledger) -> Iterator[Connection]:
            points.come("ledger", "before")
            with write(ledger) as connection:
                yield connection
                points.come("ledger", "in")
            points.come("ledger", "after")

        @contextmanager
        def watched_replacing(staging: Staging, path: str) -> Iterator[Any]:
            points.come("staging", "before")
            with replacing(staging, path) as sink:
                yield sink
                sink.flush()
                points.come("staging", "in")
            points.come("staging", "after")

        Ledger.write = watched_write  # type: ignore[method-assign,assignment]
        Staging._replacing = watched_replacing  # type: ignore[method-assign,assignment]
        put = Staging._put

        def watched_put(staging: Staging, draft: str, full: str) -> None:
            points.come("staging", "in")
            put(staging, draft, full)

        Staging._put = watched_put  # type: ignore[method-assign,assignment]
        for name in ("write", "set_allow", "delete", "discard"):
            setattr(WeaviateStore, name, self._halved(getattr(WeaviateStore, name)))

    def _halved(self, work: Callable[..., None]) -> Callable[..., None]:
        """Do a write of the index in two halves, with a moment between them."""

        def done(index: WeaviateStore, given: Any) -> None:
            if not given:
                return work(index, given)
            self.come("index", "before")
            first, second = _halves(given)
            work(index, first)
            self.come("index", "in")
            work(index, second)
            self.come("index", "after")

        return done


def _halves(given: Any) -> tuple[Any, Any]:
    if isinstance(given, dict):
        items = list(given.items())
        return dict(items[: len(items) // 2]), dict(items[len(items) // 2 :])
    items = list(given)
    return items[: len(items) // 2], items[len(items) // 2 :]
