"""Work in a thread that may be left behind: it can be neither interrupted nor waited for at the end of the process."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_thread(work: Callable[[], T], name: str) -> Future[T]:
    """Begin work in a daemon thread; the future has its result, or what it raised."""
    done = Future[T]()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  raised in the thread that waits
            done.set_exception(error)
        else:
            done.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return done
