"""Which process of this machine listens at an address, for messages about one that does not answer.

Read from /proc; where there is none, or another user's process cannot be looked into, nothing is known.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from moat.loopback import is_loopback

PROC = Path("/proc")
LISTENS = "0A"  # state of a socket in /proc/net/tcp
ACCEPTS = "00010000"  # flags of one in /proc/net/unix
STATE, STARTED = 0, 19  # fields of /proc/PID/stat, counted behind the name


def at_port(host: str, port: int) -> str:
    """Name the process that listens at a port of this machine, such as "process 12 (weaviate), …"; or nothing."""
    return _holder(_at_port(port)) if is_loopback(host) else ""


def at_url(url: str) -> str:
    """The same for the address of a URL."""
    parts = urlsplit(url)
    return at_port(parts.hostname or "", parts.port or 0)


def at_socket(path: Path) -> str:
    """Name the process that listens at a unix socket; or nothing."""
    return _holder(_at_socket(path))


def _holder(inodes: Iterator[str]) -> str:
    """The process that has one of these sockets open."""
    with contextlib.suppress(OSError, ValueError):
        links = {f"socket:[{inode}]" for inode in inodes}
        for folder in PROC.glob("[0-9]*/fd") if links else ():
            with contextlib.suppress(OSError):  # it has ended, or is another user's
                if any(_target(file) in links for file in folder.iterdir()):
                    return named(int(folder.parent.name))
    return ""


def _target(file: Path) -> str:
    """What a process has open under a number; empty if it was closed meanwhile."""
    try:
        return os.readlink(file)
    except OSError:
        return ""


def named(pid: int) -> str:
    """A process by number, name, and since when it runs; empty if it is gone."""
    try:
        name, _, rest = (PROC / str(pid) / "stat").read_text().partition("(")[2].rpartition(")")
        fields = rest.split()
        booted = next(line for line in (PROC / "stat").read_text().splitlines() if line.startswith("btime"))
    except (OSError, StopIteration):
        return ""
    started = int(booted.split()[1]) + int(fields[STARTED]) / os.sysconf("SC_CLK_TCK")
    at = datetime.fromtimestamp(min(started, time.time()), UTC)
    stopped = f", stopped: `kill -CONT {pid}` lets it go on" if fields[STATE] in "Tt" else ""
    return f"process {pid} ({name}), which runs since {at:%Y-%m-%d %H:%M} UTC{stopped}"


def _at_port(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _at_socket(path: Path) -> Iterator[str]:
    for line in (PROC / "net" / "unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[3] == ACCEPTS and fields[7] == str(path):
            yield fields[6]
