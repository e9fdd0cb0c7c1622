"""Runs a server in a network namespace of its own, and passes on only the ports that it is given.

    python -m moat.local.confined PORT [PORT ...] -- COMMAND ...
    python -m moat.local.confined PORT=INSIDE[,INSIDE ...] ...   # a namespace for several servers, without one itself
    python -m moat.local.confined --join PID -- COMMAND ...      # a server in the namespace of that process
    python -m moat.local.confined --join PID PORT=INSIDE ...     # the doors of a namespace that is there already
    python -m moat.local.confined --as-user -- COMMAND ...       # as no root, for a server that refuses to be root
    python -m moat.local.confined --possible        # exit status 0 where the machine allows it

Weaviate opens ports that take commands without a key, and some on every address. In the namespace nobody else can
reach them: only processes of this user that it lets in. The given ports listen on 127.0.0.1 of the machine, and each
connection is passed on to the same port inside, or to one of several: the next in turn that takes it, as a load
balancer does. Where the machine allows no namespace, the command runs without one.

It runs as a script of its own, so it imports nothing of Moat.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import itertools
import os
import signal
import socket
import struct
import subprocess
import sys

NEW_USER, NEW_NET = 0x10000000, 0x40000000  # of unshare(2)
NOBODY = 65534  # who root is inside, where a server refuses to be root
SET_FLAGS, UP, RUNNING = 0x8914, 0x1, 0x40  # of netdevice(7)
DEATH_SIGNAL = 1  # of prctl(2)
CHUNK = 1 << 18
INSIDE_S = 0.05  # between looks whether the server listens


def confine() -> None:
    """Move this process into a network namespace whose only device is loopback. Raises OSError."""
    _unshare(NEW_USER | NEW_NET, os.geteuid(), os.getegid())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        fcntl.ioctl(device, SET_FLAGS, struct.pack("16sH14s", b"lo", UP | RUNNING, b""))


def _unshare(kinds: int, inside_user: int, inside_group: int) -> None:
    """Move this process into new namespaces, where its user and group have these numbers. Raises OSError."""
    if sys.platform != "linux":
        raise OSError("namespaces are Linux's")
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(kinds) != 0:
        raise OSError(ctypes.get_errno(), f"unshare: {os.strerror(ctypes.get_errno())}")
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside_user} {user} 1"),
        ("gid_map", f"{inside_group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)


def join(pid: int) -> None:
    """Move this process into the network namespace of another process of this user. Raises OSError."""
    if sys.platform != "linux":
        return  # nobody has one
    libc = ctypes.CDLL(None, use_errno=True)
    for kind in ("user", "net"):
        there = f"/proc/{pid}/ns/{kind}"
        if os.readlink(there) == os.readlink(f"/proc/self/ns/{kind}"):
            continue  # that process has none of its own
        with open(there) as namespace:
            if libc.setns(namespace.fileno(), 0) != 0:
                raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")


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


async def _passed_on(outer: socket.socket, ports: list[int]) -> None:
    """Pass a connection on to the first of these ports that takes it; with none it is closed."""
    loop = asyncio.get_running_loop()
    with outer:
        outer.setblocking(False)
        outer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for port in ports:
            with socket.socket() as inner, contextlib.suppress(OSError):
                inner.setblocking(False)
                inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await loop.sock_connect(inner, ("127.0.0.1", port))
                await asyncio.gather(_copy(outer, inner), _copy(inner, outer))
                return


async def _serve(listening: socket.socket, ports: list[int]) -> None:
    """Listen as soon as one of the servers does inside."""
    loop = asyncio.get_running_loop()
    while not any(_listens(port) for port in ports):
        await asyncio.sleep(INSIDE_S)
    listening.listen(512)
    listening.setblocking(False)
    passing = set[asyncio.Task[None]]()
    for turn in itertools.count():
        outer, _ = await loop.sock_accept(listening)
        first = turn % len(ports)
        task = asyncio.create_task(_passed_on(outer, ports[first:] + ports[:first]))
        passing.add(task)
        task.add_done_callback(passing.discard)


def _listens(port: int) -> bool:
    with socket.socket() as inner:
        return inner.connect_ex(("127.0.0.1", port)) == 0


async def _until_it_ends(child: subprocess.Popen[bytes], doors: list[tuple[socket.socket, list[int]]]) -> int:
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, child.send_signal, sign)
    serving = [asyncio.create_task(_serve(outer, inside)) for outer, inside in doors]
    ended = await loop.run_in_executor(None, child.wait)
    for task in serving:
        task.cancel()
    return ended


async def _until_asked(doors: list[tuple[socket.socket, list[int]]]) -> int:
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, asked.set)
    serving = [asyncio.create_task(_serve(outer, inside)) for outer, inside in doors]
    await asked.wait()
    for task in serving:
        task.cancel()
    return 0


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGTERM)


def _bound(port: int) -> socket.socket:
    """A socket at this port of the machine's loopback."""
    outer = socket.socket()
    outer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    outer.bind(("127.0.0.1", port))
    return outer


def run(ports: list[int], command: list[str]) -> int:
    """Run the command confined, or as it is where that is not possible; return its exit status."""
    bound = [_bound(port) for port in ports]
    if not possible():
        for outer in bound:
            outer.close()
        sys.stderr.write("no network namespace on this machine: the server's ports are open to its other users\n")
        os.execv(command[0], command)  # noqa: S606
    confine()
    child = subprocess.Popen(command, preexec_fn=_die_with_parent)
    return asyncio.run(_until_it_ends(child, [(outer, [outer.getsockname()[1]]) for outer in bound]))


def hold(doors: list[str], pid: int = 0) -> int:
    """Hold a namespace that servers join, or join that of a process, and pass connections on until this one is ended."""
    bound = [(_bound(int(port)), [int(one) for one in inside.split(",")]) for port, _, inside in map(_parted, doors)]
    if pid:
        join(pid)
    elif possible():
        confine()
    return asyncio.run(_until_asked(bound))


def _parted(door: str) -> tuple[str, str, str]:
    return door.partition("=")


def main(arguments: list[str]) -> int:
    if arguments == ["--possible"]:
        confine()
        return 0
    joined = int(arguments[1]) if arguments[:1] == ["--join"] else 0
    rest = arguments[2:] if joined else arguments
    if "--" not in rest:
        return hold(rest, joined)
    at = rest.index("--")
    how, command = rest[:at], rest[at + 1 :]
    if how == ["--as-user"]:
        if os.geteuid() == 0:
            _unshare(NEW_USER, NOBODY, NOBODY)
    elif joined:
        join(joined)
    else:
        return run([int(port) for port in how], command)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
