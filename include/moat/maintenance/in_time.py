"""Work on a foreign system that may never answer, given up once nothing is heard of it."""

import time
from collections.abc import Callable
from concurrent.futures import wait
from typing import TypeVar

from moat.errors import SourceUnavailable
from moat.threads import in_thread

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
    heard = time.monotonic()

    def alive() -> None:
        nonlocal heard
        heard = time.monotonic()

    done = in_thread(lambda: work(alive), "moat-access")
    while not wait([done], timeout=max(0.01, heard + quiet_s - time.monotonic())).done:
        if time.monotonic() - heard >= quiet_s:
            raise SourceUnavailable(f"{what}: nothing was heard of it for {quiet_s:,.0f} s")
    return done.result()
