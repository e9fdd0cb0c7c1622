"""Ends a child that works too long, by the CPU time of all its processes: a busy machine loses no document."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

LOOKS_S = 0.25
MOVES_S = 0.02  # of CPU: a child that had less for a whole limit stands still
MOST = 20  # times its limit that a child may take on the clock
PPID, UTIME, STIME, CUTIME, CSTIME = 1, 11, 12, 13, 14  # of /proc/PID/stat, counted behind the name


def cpu_s(pid: int) -> float | None:
    """CPU seconds of a process, its children and what they have waited for; None where /proc does not tell."""
    ticks, found = 0, False
    for one in _tree(pid):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(fields[n]) for n in (UTIME, STIME, CUTIME, CSTIME))
            found = True
    return ticks / os.sysconf("SC_CLK_TCK") if found else None


def _tree(pid: int) -> Iterator[int]:
    todo = [pid]
    while todo:
        one = todo.pop()
        yield one
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]


class Watch:
    """Calls `kill` once a process has used its seconds; `why` says so then.

    Args:
        pid: The process.
        limit_s: CPU seconds that it may use from now on, and seconds that it may stand still.
        kill: Ends it.
    """

    def __init__(self, pid: int, limit_s: float, kill: Callable[[], None]) -> None:
        self._pid, self._limit_s, self._kill = pid, limit_s, kill
        self._ended = threading.Event()
        self.why = ""
        threading.Thread(target=self._look, name="watch", daemon=True).start()

    def _look(self) -> None:
        begun, before = time.monotonic(), cpu_s(self._pid)
        used, moved = 0.0, begun
        while not self._ended.wait(min(LOOKS_S, self._limit_s / 4)):
            now, cpu = time.monotonic(), cpu_s(self._pid)
            # What ended without being waited for takes its seconds along.
            now_used = now - begun if before is None else max(used, (cpu or 0.0) - before)
            if now_used >= used + MOVES_S:
                used, moved = now_used, now
            if now_used > self._limit_s:
                self.why = f"it took longer than MOAT_PARSE_TIMEOUT_S, {self._limit_s:g} s of CPU"
            elif now - moved > self._limit_s or now - begun > MOST * self._limit_s:
                self.why = f"it took longer than MOAT_PARSE_TIMEOUT_S allows: {now - begun:,.0f} s, of which it worked {used:,.0f}"
            if self.why:
                self._kill()
                return

    def end(self) -> None:
        self._ended.set()
