"""Runs a server in a network namespace of its own, and passes on only the ports that it is given.

    python -m moat.local.confined PORT [PORT ...] -- COMMAND ...
    python -m moat.local.confined --possible        # exit status 0 where the machine allows it

Weaviate opens ports that take commands without a key, and some on every address. In the namespace nobody else can
reach them: only processes of this user that it lets in. The given ports listen on 127.0.0.1 of the machine, and each
connection is passed on to the same port inside. Where the machine allows no namespace, the command runs without one.

It runs as a script of its own, so it imports nothing of Moat.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys

NEW_USER, NEW_NET = 0x10000000, 0x40000000  # of unshare(2)
SET_FLAGS, UP, RUNNING = 0x8914, 0x1, 0x40  # of netdevice(7)
DEATH_SIGNAL = 1  # of prctl(2)
CHUNK = 1 << 18
INSIDE_S = 0.05  # between looks whether the server listens


def confine() -> None:
    """Move this process into a network namespace whose only device is loopback. Raises OSError."""
    if sys.platform != "linux":
        raise OSError("network namespaces are Linux's")
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(NEW_USER | NEW_NET) != 0:
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        fcntl.ioctl(device, SET_FLAGS, struct.pack("16sH14s", b"lo", UP | RUNNING, b""))


def possible() -> bool:
    """Whether the machine allows it, tried in a process of its own."""
    command = [sys.executable, "-S", "-E", __file__, "--possible"]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


async def _copy(source: socket.socket, target: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while data := await loop.sock_recv(source, CHUNK):
            await loop.sock_sendall(target, data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


async def _passed_on(outer: socket.socket, port: int) -> None:
    loop = asyncio.get_running_loop()
    with outer, socket.socket() as inner:
        for one in (outer, inner):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            await loop.sock_connect(inner, ("127.0.0.1", port))
            await asyncio.gather(_copy(outer, inner), _copy(inner, outer))


async def _serve(listening: socket.socket) -> None:
    """Listen as soon as the server does inside."""
    loop = asyncio.get_running_loop()
    port = listening.getsockname()[1]
    while True:
        with socket.socket() as inner:
            if inner.connect_ex(("127.0.0.1", port)) == 0:
                break
        await asyncio.sleep(INSIDE_S)
    listening.listen(512)
    listening.setblocking(False)
    passing = set[asyncio.Task[None]]()
    while True:
        outer, _ = await loop.sock_accept(listening)
        task = asyncio.create_task(_passed_on(outer, port))
        passing.add(task)
        task.add_done_callback(passing.discard)


async def _until_it_ends(child: subprocess.Popen[bytes], ports: list[socket.socket]) -> int:
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, child.send_signal, sign)
    serving = [asyncio.create_task(_serve(port)) for port in ports]
    ended = await loop.run_in_executor(None, child.wait)
    for task in serving:
        task.cancel()
    return ended


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGTERM)


def run(ports: list[int], command: list[str]) -> int:
    """Run the command confined, or as it is where that is not possible; return its exit status."""
    bound = []
    for port in ports:
        outer = socket.socket()
        outer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        outer.bind(("127.0.0.1", port))
        bound.append(outer)
    if not possible():
        for outer in bound:
            outer.close()
        sys.stderr.write("no network namespace on this machine: the server's ports are open to its other users\n")
        os.execv(command[0], command)  # noqa: S606
    confine()
    child = subprocess.Popen(command, preexec_fn=_die_with_parent)
    return asyncio.run(_until_it_ends(child, bound))


def main(arguments: list[str]) -> int:
    if arguments == ["--possible"]:
        confine()
        return 0
    at = arguments.index("--")
    return run([int(port) for port in arguments[:at]], arguments[at + 1 :])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
