"""Work in a thread that may be left behind: it can be neither interrupted nor waited for at the end of the process."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Protocol, TypeVar

T = TypeVar("T")


class Closable(Protocol):
    """What is closed when it came too late."""

    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


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


def within(seconds: float, opening: Callable[[], C], late: Exception) -> C:
    """Open something in time, or raise `late`; what is opened afterwards is closed again."""
    begun = in_thread(opening, "moat-open")
    if wait([begun], seconds).done:
        return begun.result()
    begun.add_done_callback(_close)
    raise late


def _close(done: Future[C]) -> None:
    if done.exception() is None:
        done.result().close()
