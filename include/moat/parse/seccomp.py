"""A seccomp filter: no sockets, no look into other processes, no new namespaces. Linux on x86-64 and ARM64."""

import ctypes
import errno
import platform
import shutil
import sys
from typing import NamedTuple

PR_SET_SECCOMP, FILTER = 22, 2
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # places in what the kernel shows the filter
ALLOW, REFUSE = 0x7FFF_0000, 0x0005_0000
X32 = 0x4000_0000  # a second way to call the same kernel on x86-64
NEW_NAMESPACES = 0x7E02_0000  # flags of clone
LOCAL_SOCKETS = shutil.which("soffice") is not None  # LibreOffice does not start without unix sockets


class _Calls(NamedTuple):
    """Numbers of system calls on one architecture."""

    architecture: int
    socket: int
    clone: int
    refused: tuple[int, ...]


CLONE3 = 435  # its flags cannot be seen; without it C libraries take clone
CALLS = {
    # ptrace, process_vm_readv and writev, unshare, setns, mount, pivot_root, bpf, perf_event_open, userfaultfd,
    # io_uring_setup (which opens sockets by itself), add_key, request_key, keyctl, open_by_handle_at
    "x86_64": _Calls(
        0xC000_003E, 41, 56, (101, 310, 311, 272, 308, 165, 155, 321, 298, 323, 425, 248, 249, 250, 304)
    ),
    "aarch64": _Calls(
        0xC000_00B7, 198, 220, (117, 270, 271, 97, 268, 40, 41, 280, 241, 282, 425, 217, 218, 219, 265)
    ),
}  # fmt: skip


class _Step(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.POINTER(_Step)))


def confine(libc: ctypes.CDLL) -> bool:
    """Filter the system calls of this process for good; False: not on this machine. It must have no new privileges."""
    calls = CALLS.get(platform.machine()) if sys.maxsize > 1 << 32 else None
    if calls is None:
        return False
    steps = _filter(calls)
    program = _Program(len(steps), (_Step * len(steps))(*steps))
    return bool(libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(program), 0, 0) == 0)


def _filter(calls: _Calls) -> list[_Step]:
    refuse = _Step(RETURN, 0, 0, REFUSE | errno.EPERM)
    allow = _Step(RETURN, 0, 0, ALLOW)
    steps = [_Step(LOAD, 0, 0, ARCHITECTURE), _Step(EQUAL, 1, 0, calls.architecture), refuse]
    steps += [_Step(LOAD, 0, 0, NUMBER), _Step(AT_LEAST, 0, 1, X32), refuse]
    steps += [_Step(EQUAL, 0, 1, CLONE3), _Step(RETURN, 0, 0, REFUSE | errno.ENOSYS)]
    for number in calls.refused:
        steps += [_Step(EQUAL, 0, 1, number), refuse]
    steps += [_Step(EQUAL, 0, 4, calls.socket), _Step(LOAD, 0, 0, FIRST_ARGUMENT)]
    steps += [_Step(EQUAL, 0, 1, 1 if LOCAL_SOCKETS else 0xFFFF_FFFF), allow, refuse]
    steps += [_Step(EQUAL, 0, 3, calls.clone), _Step(LOAD, 0, 0, FIRST_ARGUMENT)]
    return [*steps, _Step(ANY_BIT, 0, 1, NEW_NAMESPACES), refuse, allow]
