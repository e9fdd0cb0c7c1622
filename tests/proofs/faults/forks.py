"""Work in a fork of a warm process: it costs milliseconds, may be killed, and leaves nothing in the one that goes on."""

import contextlib
import ctypes
import importlib
import os
import pickle
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

DEATH_SIGNAL = 1  # of prctl(2)
End = Literal["done", "raised", "killed", "stopped", "hung"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a fork ended: with its result, or with the error's class and text, or by a signal."""

    end: End
    result: Any = None
    error: str = ""
    said: str = ""
    trace: str = ""


class Fork:
    """A process that does one work."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._reading)
            os.setsid()
            ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)  # a runner that is killed leaves nobody behind
            _do(work, writing)
        os.close(writing)
        self._said = b""

    def wait(self, limit_s: float) -> Outcome:
        """How it ended, or that it stands still by SIGSTOP. One that takes longer than its limit is killed, as hung."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if select.select([self._reading], [], [], 0.05)[0]:
                self._said += os.read(self._reading, 1 << 20)
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                return Outcome(end="stopped")
            if pid:
                return self._ended(status)
        self.kill()
        return Outcome(end="hung", error="Hung", said=f"it did not end in {limit_s:g} s")

    def _ended(self, status: int) -> Outcome:
        while part := os.read(self._reading, 1 << 20):
            self._said += part
        os.close(self._reading)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # what it started
        if os.WIFSIGNALED(status):
            return Outcome(end="killed", error=signal.Signals(os.WTERMSIG(status)).name)
        outcome: Outcome = pickle.loads(self._said)
        return outcome

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def end(self, limit_s: float) -> Outcome:
        """Ask it by SIGUSR1 to end, and wait."""
        os.kill(self.pid, signal.SIGUSR1)
        return self.wait(limit_s)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._reading)


def _do(work: Callable[[], Any], writing: int) -> None:
    try:
        outcome = Outcome(end="done", result=work())
    except BaseException as error:  # noqa: BLE001  whatever it is, the one that waits is told
        trace = traceback.format_exc()
        outcome = Outcome(end="raised", error=type(error).__name__, said=str(error), trace=trace)
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(pickle.dumps(outcome))
    os._exit(0)


def warmed(work: Callable[[], Any], limit_s: float = 300.0) -> Any:
    """The result of a work in a fork, whose modules this process imports, so that later forks have them."""

    def noting() -> tuple[Any, list[str]]:
        before = set(sys.modules)
        result = work()
        return result, [name for name in sys.modules if name not in before]

    result, names = done(noting, limit_s)
    for name in names:
        with contextlib.suppress(ImportError):  # what is made in memory has no file to import
            importlib.import_module(name)
    return result


def done(work: Callable[[], Any], limit_s: float = 120.0) -> Any:
    """The result of a work in a fork. Raises RuntimeError with its trace."""
    outcome = Fork(work).wait(limit_s)
    if outcome.end != "done":
        raise RuntimeError(f"{outcome.end}: {outcome.error}: {outcome.said}\n{outcome.trace}")
    return outcome.result
