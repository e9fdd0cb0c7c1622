"""Whose texts are next: questions first, then bulk clients in turn, one forward pass at a time."""

import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from moat.embedding.limits import Priority
from moat.embedding.packed import Packing


@dataclass(eq=False)
class Job:
    """The texts of one request, longest first, and the vectors made so far."""

    items: Sequence[Any]  # as the encoder takes them
    lengths: Sequence[int]  # in tokens
    client: str
    order: deque[int] = field(init=False)
    vectors: list[np.ndarray | None] = field(init=False)
    left: int = field(init=False)  # texts without a vector
    done: Future[list[np.ndarray | None]] = field(default_factory=Future)

    def __post_init__(self) -> None:
        self.order = deque(sorted(range(len(self.items)), key=lambda i: -self.lengths[i]))
        self.vectors = [None] * len(self.items)
        self.left = len(self.items)


class Turns:
    """Schedules the model: queries first, then bulk clients in turn, one forward pass each.

    Args:
        encode: Makes the vectors of one forward pass.
        budget: Tokens of one forward pass.
        packing: padded: each text counts as the longest of its pass, and a bulk pass has texts of one request, which
            are of like length. packed: each counts as it is, and the next requests fill what one leaves.
    """

    def __init__(self, encode: Callable[[list[Any]], Iterable[Any]], budget: int, packing: Packing) -> None:
        self._encode, self._budget, self._packing = encode, budget, packing
        self._queries: deque[Job] = deque()
        self._bulk: OrderedDict[str, deque[Job]] = OrderedDict()
        self._changed = threading.Condition()
        self.passes = 0
        threading.Thread(target=self._work, name="model", daemon=True).start()

    def submit(self, job: Job, priority: Priority) -> None:
        """Queue a job by its priority."""
        with self._changed:
            if priority == "query":
                self._queries.append(job)
            else:
                self._bulk.setdefault(job.client, deque()).append(job)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queries and not self._bulk:
                    self._changed.wait()
                taken = self._take()
            self._pass(taken)

    def _take(self) -> list[tuple[Job, int]]:
        """Take the texts of the next forward pass, within the budget."""
        taken: list[tuple[Job, int]] = []
        longest = total = 0

        def fill(jobs: deque[Job], most: int) -> bool:
            """Take of up to so many jobs; False: the pass is full."""
            nonlocal longest, total
            while jobs and most:
                job = jobs[0]
                while job.order:
                    n = job.lengths[job.order[0]]
                    size = total + n if self._packing == "packed" else (len(taken) + 1) * max(longest, n)
                    if taken and size > self._budget:
                        return False
                    longest, total = max(longest, n), total + n
                    taken.append((job, job.order.popleft()))
                jobs.popleft()
                most -= 1
            return True

        if self._queries:
            fill(self._queries, len(self._queries))
            return taken
        for client in list(self._bulk):
            jobs = self._bulk.pop(client)
            room = fill(jobs, 1 if self._packing == "padded" else len(jobs))
            if jobs:
                self._bulk[client] = jobs  # behind all others
            if not room or self._packing == "padded":
                break
        return taken

    def _pass(self, taken: list[tuple[Job, int]]) -> None:
        """Run one forward pass; out of memory, run two of half the size."""
        self.passes += 1
        try:
            vectors = self._encode([job.items[i] for job, i in taken])
        except Exception as error:  # noqa: BLE001  whatever the model raises belongs to the requests in this pass
            if _out_of_memory(error) and len(taken) > 1:
                self._budget = max(512, self._budget // 2)
                half = len(taken) // 2
                self._pass(taken[:half])
                self._pass(taken[half:])
                return
            for job in {id(job): job for job, _ in taken}.values():
                if not job.done.done():
                    job.done.set_exception(error)
            return
        for (job, i), vector in zip(taken, vectors, strict=True):
            job.vectors[i] = vector
            job.left -= 1
            if not job.left and not job.done.done():
                job.done.set_result(job.vectors)


def _out_of_memory(error: Exception) -> bool:
    torch = sys.modules.get("torch")  # where nothing imported it, it raised nothing
    return isinstance(error, MemoryError if torch is None else (MemoryError, torch.OutOfMemoryError))
