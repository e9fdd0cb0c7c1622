"""A TCP proxy that stands before a server and breaks what goes through it; a process of its own, that threads cannot fork.

A line goes down, is slow, is reset in the middle of an answer, stands half-open, or loses the end of an answer.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Break = Literal["", "down", "slow", "reset", "half-open", "cut", "busy"]
CHUNK = 1 << 14
RESET = struct.pack("ii", 1, 0)  # closes with RST instead of FIN
BUSY = b"HTTP/1.1 503 Slow Down\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to a line: once `after` bytes of answers came, for `seconds` or for `times` connections."""

    kind: Break = ""
    after: int = 0
    seconds: float = 0.0
    times: int = 1


class Line:
    """One server behind the proxy."""

    def __init__(self, target: str | tuple[str, int]) -> None:
        self.target, self.fault = target, Fault()
        self.answered = 0  # bytes of the server's answers since the fault was set
        self._left, self._until = 0, 0.0
        self._open = set[asyncio.StreamWriter]()

    def set(self, fault: Fault) -> int:
        """Begin a fault; returns the bytes that were answered since the one before."""
        before, self.answered = self.answered, 0
        self.fault, self._left, self._until = fault, fault.times, 0.0
        if fault.kind == "down":
            self._until = time.monotonic() + fault.seconds
            for writer in list(self._open):
                _abort(writer)
        return before

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fault.kind == "down" and time.monotonic() < self._until:
            return _abort(writer)
        if self.fault.kind == "busy" and self._left > 0:
            self._left -= 1
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await reader.read(CHUNK)
                writer.write(BUSY)
                await writer.drain()
            return writer.close()
        try:
            if isinstance(self.target, str):
                there, onward = await asyncio.open_unix_connection(self.target)
            else:
                there, onward = await asyncio.open_connection(*self.target)
        except OSError:
            return _abort(writer)
        both = {writer, onward}
        self._open |= both
        asking = asyncio.create_task(_pump(reader, onward))
        try:
            await self._answers(there, writer, onward)
        finally:
            asking.cancel()
            self._open -= both
            for one in both:
                one.close()

    async def _answers(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, onward: asyncio.StreamWriter
    ) -> None:
        """Pass the server's answers on, until the fault's moment has come."""
        with contextlib.suppress(OSError):
            while data := await there.read(CHUNK):
                fault, before = self.fault, self.answered
                self.answered += len(data)
                hit = self._left > 0 and fault.kind in ("reset", "cut", "half-open") and self.answered > fault.after
                if fault.kind == "slow":
                    await asyncio.sleep(fault.seconds)
                if hit:
                    self._left -= 1
                    if fault.kind == "half-open":  # neither goes on nor ends
                        await asyncio.sleep(fault.seconds)
                    elif fault.kind == "cut":
                        writer.write(data[: max(0, fault.after - before)])
                        await writer.drain()
                        return
                    _abort(onward)
                    return _abort(writer)
                writer.write(data)
                await writer.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


def _abort(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset."""
    plain = writer.get_extra_info("socket")
    if plain is not None and plain.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


async def _main(targets: Mapping[str, Any]) -> None:
    lines = {name: Line(t if isinstance(t, str) else (t[0], t[1])) for name, t in targets.items()}
    servers = {name: await asyncio.start_server(line.serve, "127.0.0.1", 0) for name, line in lines.items()}

    async def ordered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name, fault = json.loads(await reader.readline())
        writer.write(f"{lines[name].set(Fault(**fault))}\n".encode())
        await writer.drain()
        writer.close()

    orders = await asyncio.start_server(ordered, "127.0.0.1", 0)
    ports = {name: s.sockets[0].getsockname()[1] for name, s in servers.items()}
    print(json.dumps([ports, orders.sockets[0].getsockname()[1]]), flush=True)
    await asyncio.Event().wait()


class Proxy:
    """The process with a line for each server: by name the target, a Unix socket or a host and port."""

    def __init__(self, targets: Mapping[str, str | tuple[str, int]]) -> None:
        from moat.local import reaper  # the process itself needs nothing of Moat

        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), json.dumps(targets)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        reaper.watch(self._process.pid)
        assert self._process.stdout is not None
        self.ports: dict[str, int]
        self.ports, self._orders = json.loads(self._process.stdout.readline())

    def set(self, line: str, fault: Fault = Fault()) -> int:
        """Begin a fault on a line, or end it; returns the bytes of answers since the last call for this line.

        A fork may call it, too.
        """
        with socket.create_connection(("127.0.0.1", self._orders), 10.0) as asking:
            asking.sendall((json.dumps([line, asdict(fault)]) + "\n").encode())
            with asking.makefile() as answer:
                return int(answer.readline())

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        from moat.local import reaper

        reaper.forget(self._process.pid)


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
