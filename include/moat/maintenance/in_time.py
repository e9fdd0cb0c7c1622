"""Work on a foreign system that may never answer, given up once nothing is heard of it."""

import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from moat.errors import SourceUnavailable

T = TypeVar("T")
Alive = Callable[[], None]  # called by the work with every sign of life


def in_time(work: Callable[[Alive], T], quiet_s: float, what: str) -> T:
    """Run work that writes nothing, and leave it behind once it gave no sign of life for so long.

    Args:
        work: Takes a function to call with every sign of life. It runs in a thread of its own, because a share
            that does not answer lets itself be neither interrupted nor timed out.
        quiet_s: Seconds without a sign of life.
        what: Subject of the error's message.

    Returns:
        What the work returns.

    Raises:
        SourceUnavailable: Nothing was heard of it for `quiet_s` seconds.
        Exception: Whatever the work raised.
    """
    heard, done = time.monotonic(), queue.SimpleQueue[tuple[bool, T | Exception]]()

    def alive() -> None:
        nonlocal heard
        heard = time.monotonic()

    def run() -> None:
        try:
            done.put((True, work(alive)))
        except Exception as error:  # noqa: BLE001  raised in the thread that waits
            done.put((False, error))

    threading.Thread(target=run, name="moat-access", daemon=True).start()
    while True:
        try:
            well, found = done.get(timeout=max(0.01, heard + quiet_s - time.monotonic()))
        except queue.Empty:
            if time.monotonic() - heard < quiet_s:
                continue
            raise SourceUnavailable(f"{what}: nothing was heard of it for {quiet_s:,.0f} s") from None
        if well:
            return found  # type: ignore[return-value]
        raise found  # type: ignore[misc]
