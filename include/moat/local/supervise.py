"""Servers of one state folder, held by one process: started with a line each, started again when they end, stopped."""

import fcntl
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NoReturn

from rich.markup import escape

from moat.errors import FatalError
from moat.local.progress import Progress
from moat.local.servers import Server

RESTARTS, FORGIVEN_S = 3, 3_600.0  # of a server that ends by itself; after so long a time they count anew
Say = Callable[[str], None]


class Supervisor:
    """The servers of a state folder. Stopped in reverse order of their start.

    Args:
        home: The state folder; its `pid` file is locked while the servers are held.
        say: Takes a line of progress.
        restarts: How often a server that ends by itself is started again within an hour.
    """

    started_by = "make run"  # the command that a message names

    def __init__(self, home: Path, say: Say, restarts: int = RESTARTS) -> None:
        self.home, self._say = home, say if isinstance(say, Progress) else Progress(say)
        self.running: list[Server] = []
        self._restarts = restarts
        self._begin: dict[str, Callable[[], Server]] = {}  # by the name of a server: what starts it again
        self._ends: Counter[str] = Counter()  # how often each was started again
        self._coming: list[Server] = []  # that were started again and do not answer yet
        self._held: IO[str] | None = None  # the pid file, locked while this process lives
        self._umask: int | None = None  # as it was before the start

    def hold(self) -> None:
        """Take the state folder for this process alone, and let nobody else read what it makes. Raises FatalError."""
        self._umask = os.umask(0o077)
        (self.home / "pid").touch(0o600)
        held = (self.home / "pid").open("a")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            raise FatalError(
                f"Moat runs here already (process {running_pid(self.home)}): `make stop` ends it"
            ) from None
        held.truncate(0)
        held.write(str(os.getpid()))
        held.flush()
        self._held = held

    def begin(self, begin: Callable[[], Server]) -> Server:
        """Start a server without waiting for it; from now on it is stopped with the others, and started again."""
        server = begin()
        self.running.append(server)
        self._begin[server.name] = begin
        return server

    def one(self, name: str, begin: Callable[[], Server], timeout_s: float = 300.0) -> None:
        """Start a server and wait until it answers. Raises FatalError with the end of its log."""
        self.up(name, [self.begin(begin)], timeout_s)

    def up(self, name: str, servers: Sequence[Server], timeout_s: float = 300.0) -> None:
        """Wait until these servers answer. Raises FatalError with the end of a log."""
        with self._say.during(f"{name} starts"):
            for server in servers:
                server.wait(timeout_s)
        self._say(f"{name} is up ({time.monotonic() - min(server.began for server in servers):.0f} s)")

    def ended(self, name: str, begun: Server) -> None:
        """Wait for a program that ends by itself, such as a migration. Raises FatalError unless it ends well."""
        self.running.append(begun)  # an interrupt stops it too
        with self._say.during(name):
            code = begun.process.wait()
        if code != 0:
            raise FatalError(f"{name}: {begun.name} ended with {code}: {begun.last_error()}; its log is {begun.log}")
        self.running.remove(begun)
        begun.stop()

    def watch(self) -> NoReturn:
        """Start again what ends by itself, until this process is interrupted."""
        while True:
            self.look()
            time.sleep(1.0)

    def look(self) -> None:
        """Start each server again that has ended by itself, three times; the others stay whatever happens to it."""
        for at, server in enumerate(self.running):
            if server.process.poll() is None:
                if server in self._coming and server.ready():
                    self._coming.remove(server)
                    self._say(f"{server.name} answers again")
                continue
            how, why = server.how, server.last_error()
            server.stop()  # its children
            if server.began + FORGIVEN_S < time.monotonic():
                self._ends[server.name] = 0
            self._ends[server.name] += 1
            n, begin = self._ends[server.name], self._begin.get(server.name)
            told = "" if "signal" in how else f": {escape(why)}"  # who is killed has said nothing of it
            if n <= self._restarts and begin is not None:
                self._say(f"{server.name} {how} and is started again ({n} of {self._restarts}){told}")
                self.running[at] = begin()
                self._coming.append(self.running[at])
            elif n == self._restarts + 1 or begin is None:
                self._begin.pop(server.name, None)
                self._say(
                    f"[red]{server.name} {how} once more and stays down: {escape(f'{why}; its log is {server.log}')}.[/] The other servers stay; "
                    f"when its cause is mended, Ctrl-C and `{self.started_by}`"
                )
        self.running = [
            server for server in self.running if server.process.poll() is None or server.name in self._begin
        ]

    def stop(self) -> None:
        """Stop every server, last started first."""
        while self.running:
            self.running.pop().stop()
        if self._held is not None:
            self._held.truncate(0)  # keep the file: a new one could be locked beside it
            self._held.close()
            self._held = None
        if self._umask is not None:
            os.umask(self._umask)
            self._umask = None


def running_pid(home: Path) -> int | None:
    """The living process that holds this state folder's servers, known by its lock on the pid file.

    The number alone is not enough: after a crash another program may have it.
    """
    try:
        with (home / "pid").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read())
    except (OSError, ValueError):
        pass
    return None
