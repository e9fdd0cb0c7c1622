"""Confine a process that reads untrusted bytes, with what the machine's kernel allows without rights.

Three kinds of walls, each tried on its own, because containers and older kernels forbid some: namespaces (no network,
no other process in sight, killed whole), Landlock (no file but Python's, the system's programs and its own folder) and
a seccomp filter (no socket, no tracing, no new namespace). Limits are hard, so that the process cannot raise them.
"""

import ctypes
import glob
import os
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moat.parse import landlock, seccomp

NEW_USER, NEW_PID, NEW_NET, NEW_IPC = 0x1000_0000, 0x2000_0000, 0x4000_0000, 0x0800_0000
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 24, 36, 38
PROCESSES = 256 + 8 * (os.cpu_count() or 1)  # with threads: a library may start some for each core
FILE_BYTES = 1 << 30
OPEN_FILES = 1_024
# What parsers read: programs and libraries, fonts, and what a C library looks up.
SYSTEM = (
    *("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/share", "/usr/local/bin"),
    *("/usr/local/lib", "/usr/local/lib64", "/usr/local/share", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store"),
    *("/proc", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/dev/urandom", "/dev/random", "/dev/zero"),
    *("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/localtime", "/etc/mime.types", "/etc/nsswitch.conf"),
    *("/etc/passwd", "/etc/group", "/etc/libreoffice", *glob.glob("/opt/libreoffice*")),
)  # fmt: skip
OF_PYTHON = ("bin", "lib", "lib64", "share", "pyvenv.cfg", "Python", "Resources")  # inside a prefix


@dataclass(frozen=True, slots=True)
class Walls:
    """What holds a process, in words, and whether it is the first one of a namespace of processes."""

    words: tuple[str, ...]
    first_process: bool


def confine(folder: str) -> Walls:
    """Confine this process to a folder, for good.

    On Linux it goes on in a new child of this process, whose end this one waits for and takes over. Call it before
    anything has started a thread.

    Args:
        folder: The only folder that it may write to.
    """
    words, namespaces = list[str](), False
    if sys.platform == "linux":
        namespaces = _linux(folder, words)
    else:
        words.append("killed with its process group")
    _hard(resource.RLIMIT_CORE, 0)
    _hard(resource.RLIMIT_FSIZE, FILE_BYTES)
    _hard(resource.RLIMIT_NOFILE, OPEN_FILES)
    return Walls(tuple(words), namespaces)


def _linux(folder: str, words: list[str]) -> bool:
    """Raise every wall that this kernel has; returns whether the namespaces hold."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    namespaces = _namespaces(libc)
    if child := os.fork():
        _take_over(child)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if namespaces:
        words += ["no network (namespace)", "killed whole (namespace)"]
        _most_processes()
        _hard(resource.RLIMIT_NPROC, PROCESSES)  # elsewhere it counts all that this user runs
    else:
        words.append("killed with its children")
    _drop_rights(libc)
    if landlock.confine(libc, _readable(), [folder]):
        words.append("no files but its own (Landlock)")
    if seccomp.confine(libc):
        words.append("no sockets (seccomp)" if not seccomp.LOCAL_SOCKETS else "no sockets but local ones (seccomp)")
    return namespaces


def _namespaces(libc: ctypes.CDLL) -> bool:
    """Leave the network, and let the next child be the first process of its own namespace."""
    user, group = os.getuid(), os.getgid()
    if libc.unshare(NEW_USER | NEW_PID | NEW_NET | NEW_IPC) != 0:
        return False
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        try:
            Path("/proc/self", name).write_text(text)
        except OSError:  # without a name for its user it can do less, not more
            break
    return True


def _take_over(child: int) -> None:
    """Wait for the child, kill whatever it left, and end as it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, status = os.waitpid(child, 0)
    kill_descendants(os.getpid())
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _most_processes() -> None:
    """Limit the processes of this namespace, which the limit of a user does not do for root."""
    try:
        Path("/proc/sys/kernel/pid_max").write_text(str(max(PROCESSES, 400)))
    except OSError:  # before Linux 6.14 it is the machine's, and not ours to set
        return


def _drop_rights(libc: ctypes.CDLL) -> None:
    """Give up every capability, also those inside the namespace, and gain none by a program."""
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x2008_0522, 0)  # version 3, this process
    libc.capset(header, (ctypes.c_uint32 * 6)())
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _readable() -> list[str]:
    """Folders of Python, of the code and of the programs that parsers start."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    own = [*(os.path.join(prefix, part) for prefix in sorted(prefixes) for part in OF_PYTHON), *sys.path]
    named = [os.environ.get("TESSDATA_PREFIX", ""), *os.environ.get("PATH", "").split(os.pathsep)]
    return [place for place in (*SYSTEM, *own, *named) if place.startswith("/") and place != "/"]


def _hard(limit: int, value: int) -> None:
    """Lower a limit, soft and hard, for good."""
    most = resource.getrlimit(limit)[1]
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(limit, (value, value))


def kill_descendants(pid: int) -> None:
    """Kill all that a process started, also what left its process group; Linux only."""
    for _ in range(100):  # those that were starting others meanwhile
        found = _descendants(pid)
        if not found:
            return
        for one in found:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if pid == os.getpid():
            _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, 0)[0]:
            continue
    except ChildProcessError:
        return


def _descendants(pid: int) -> Sequence[int]:
    """Living processes below one, by /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if sys.platform == "linux" else ():
        if name.isdigit():
            try:
                state, parent = Path("/proc", name, "stat").read_bytes().rpartition(b")")[2].split()[:2]
            except (OSError, ValueError):  # it has ended
                continue
            if state not in b"ZX":
                children.setdefault(int(parent), []).append(int(name))
    found, todo = list[int](), [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found
