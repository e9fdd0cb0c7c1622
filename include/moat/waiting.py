"""A line now and then while something takes long, so that nobody takes waiting for standing still."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_S = 25.0  # of silence
STAGE_S = 29.0  # of silence of a whole stage: whoever knows what is waited for speaks first


class Heard:
    """Passes lines of progress on, and knows when the last one was."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress, self.at = progress, time.monotonic()

    def __call__(self, line: str) -> None:
        self.at = time.monotonic()
        self._progress(line)


@contextmanager
def told(progress: Callable[[str], None] | None, words: str, every_s: float | None = None) -> Iterator[Heard | None]:
    """Say what is waited for, and for how long already, whenever nothing was said for a while; None says nothing.

    Yields:
        What passes lines on to `progress`: a line through it counts as news.
    """
    if progress is None:
        yield None
        return
    heard = progress if isinstance(progress, Heard) else Heard(progress)
    ended, begun, pause = threading.Event(), time.monotonic(), EVERY_S if every_s is None else every_s

    def tell() -> None:
        while not ended.wait(max(0.0, max(begun, heard.at) + pause - time.monotonic())):
            now = time.monotonic()
            if now >= max(begun, heard.at) + pause:
                heard(f"{words}, for {now - begun:,.0f} s already")

    threading.Thread(target=tell, name="waiting", daemon=True).start()
    try:
        yield heard
    finally:
        ended.set()
