"""A helper process that ends the servers of a killed process.

python -m moat.local.reaper    # reads "+ GROUP" and "- GROUP", one per line, until its input ends
"""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable

PATIENCE_S = 10.0  # between asking and forcing
_reaper: subprocess.Popen[str] | None = None


def watch(group: int) -> None:
    """End this process group when this process ends, for whatever reason."""
    global _reaper
    if _reaper is None or _reaper.poll() is not None:
        _reaper = subprocess.Popen(
            [sys.executable, "-S", "-E", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # signals to this process do not reach it
        )
        atexit.register(_end, _reaper)
    _tell("+", group)


def forget(group: int) -> None:
    """Stop watching an ended group, whose number may be reused."""
    if _reaper is not None:
        _tell("-", group)


def _end(reaper: subprocess.Popen[str]) -> None:
    assert reaper.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        reaper.stdin.close()
    reaper.wait()


def _tell(word: str, group: int) -> None:
    assert _reaper is not None
    assert _reaper.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        _reaper.stdin.write(f"{word} {group}\n")
        _reaper.stdin.flush()


def reap(lines: Iterable[str]) -> None:
    """Read the lines to their end, then end the remaining groups."""
    groups: set[int] = set()
    for line in lines:
        word, number = line.split()
        (groups.add if word == "+" else groups.discard)(int(number))
    for sign in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE_S
        while groups and time.monotonic() < deadline:
            for group in list(groups):
                try:
                    os.killpg(group, sign)
                except ProcessLookupError:
                    groups.discard(group)
            time.sleep(0.2)


if __name__ == "__main__":
    reap(sys.stdin)
