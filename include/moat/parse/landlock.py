"""Landlock: a process gives up all files but some, and the sight of other processes. Linux 5.13 and later."""

import ctypes
import os
import stat
from collections.abc import Sequence

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every architecture
BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
READ = EXECUTE | READ_FILE | READ_DIR
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}  # by version; later ones have all
TCP = 3  # bind and connect, from version 4
SCOPES = 3  # abstract unix sockets and signals, from version 6


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def confine(libc: ctypes.CDLL, readable: Sequence[str], writable: Sequence[str]) -> bool:
    """Let this process reach these files and folders only; False: the kernel has no Landlock.

    It cannot look into processes outside either, such as its parent's environment. It must have no new privileges.
    """
    version = libc.syscall(CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    rights = RIGHTS.get(version, (1 << 16) - 1)
    rules = _Ruleset(rights, TCP, SCOPES)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = libc.syscall(CREATE_RULESET, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return False
    try:
        for places, allowed in ((readable, READ), (writable, rights), (("/dev/null",), READ | WRITE_FILE | TRUNCATE)):
            for place in dict.fromkeys(places):
                _allow(libc, ruleset, place, allowed & rights)
        return bool(libc.syscall(RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, place: str, allowed: int) -> None:
    """Allow a file, or a folder with all in it; what is not there is left out."""
    try:
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        folder = stat.S_ISDIR(os.fstat(opened).st_mode)
        rule = _Beneath(allowed if folder else allowed & OF_FILES, opened)
        libc.syscall(ADD_RULE, ruleset, BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(opened)
