"""A reader for tests, whose listing does what a test says."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from moat.access.rules import Needs
from moat.declarations import declared
from moat.readers.reader import Reading
from moat.records import Listed


@declared
class Odd:
    """A reader whose listing does what a test says."""

    listing: Callable[[], Iterator[Listed]]
    offers: ClassVar[frozenset[Needs]] = frozenset({"nothing"})

    def wrong(self) -> list[str]:
        return []

    @contextmanager
    def open(self, reading: Reading) -> Iterator[Any]:
        yield self
