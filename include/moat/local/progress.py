"""Lines of progress, and one after each while in which nothing was said."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_S = 9.0


class Progress:
    """Prints lines; during a piece of work that is silent it says every nine seconds what it waits for.

    Args:
        say: Prints a line.
        every_s: Seconds of silence after which a line is said.
    """

    def __init__(self, say: Callable[[str], None], every_s: float = EVERY_S) -> None:
        self._say, self._every_s = say, every_s
        self._last = time.monotonic()
        self.doing = ""  # what is waited for; may change meanwhile

    def __call__(self, line: str) -> None:
        self._last = time.monotonic()
        self._say(line)

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """Say what is waited for, and for how long already, until the block ends."""
        began, over, before = time.monotonic(), threading.Event(), self.doing
        self._last, self.doing = began, what

        def tell() -> None:
            while not over.wait(max(0.01, self._last + self._every_s - time.monotonic())):
                if time.monotonic() - self._last >= self._every_s and self.doing:
                    self(f"{self.doing} ({time.monotonic() - began:.0f} s so far)")

        teller = threading.Thread(target=tell, name="progress", daemon=True)
        teller.start()
        try:
            yield
        finally:
            over.set()
            teller.join()
            self.doing = before
