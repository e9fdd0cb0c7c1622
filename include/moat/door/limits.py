"""Limits of the door: requests of one asker, and requests at a time."""

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from moat.errors import DoorRefused

T = TypeVar("T")
BURST_S = 10.0  # seconds' worth of requests that an asker may make at once
REMEMBERED = 100_000  # askers; one who was forgotten begins anew
WAITING = 4  # times as many requests as are answered at once may wait


class Rates:
    """Counts requests of each asker in a bucket of tokens; safe to use from several threads.

    It counts in this process: behind several doors, an asker has each one's rate.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._most = per_minute / 60, max(1.0, per_minute / 60 * BURST_S)
        self._clock, self._lock = clock, threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def take(self, asker: str) -> None:
        """Count a request. Raises DoorRefused with `too_many_requests` and the seconds to wait."""
        if wait_s := self._wait_s(asker):
            raise DoorRefused("too_many_requests", retry_s=wait_s)

    def allows(self, asker: str) -> bool:
        """Count a request, and tell whether it is within the rate."""
        return not self._wait_s(asker)

    def _wait_s(self, asker: str) -> int:
        """Count a request; seconds to wait before it, 0 if it is within the rate."""
        with self._lock:
            now = self._clock()
            tokens, at = self._left.pop(asker, (self._most, now))
            tokens = min(self._most, tokens + (now - at) * self._per_s)
            taken = tokens >= 1
            self._left[asker] = (tokens - 1 if taken else tokens, now)
            while len(self._left) > REMEMBERED:
                self._left.popitem(last=False)
        return 0 if taken else max(1, math.ceil((1 - tokens) / self._per_s))


class Turns:
    """Lets so many requests be answered at once, some wait, and no more come in."""

    def __init__(self, at_once: int) -> None:
        self._free, self._most, self._in = asyncio.Semaphore(at_once), at_once * (1 + WAITING), 0

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]], deadline_s: float) -> T:
        """Do the work in its turn, within the deadline.

        Work that has begun keeps its turn until it ends, also when nobody waits for it any more.

        Raises:
            DoorRefused: `busy`, if as many as are allowed wait already; `timeout`, if it takes longer.
        """
        if self._in >= self._most:
            raise DoorRefused("busy")
        self._in += 1
        begun = False
        try:
            async with asyncio.timeout(deadline_s):
                await self._free.acquire()
                task = asyncio.get_running_loop().create_task(work())
                task.add_done_callback(self._ended)
                begun = True
                return await asyncio.shield(task)
        except TimeoutError:
            raise DoorRefused("timeout") from None
        finally:
            if not begun:
                self._in -= 1

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._free.release()
        self._in -= 1
        if not task.cancelled():
            task.exception()  # whoever waited has it; if nobody does, it is of no use
