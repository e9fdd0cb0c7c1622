"""A folder, and what stands below it, opened without ever following a link.

Whoever may write into a source's folder may swap a file or a folder for a link at any moment. So each part of a
path is opened from the descriptor of the one before, and what was opened is looked at before it is read.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moat.errors import AccessUnknown, Unreadable

MOST_LINKS = 40  # in a row, as in Linux
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY  # a pipe must not wait for a writer
# Errors of one file. Any other is of the whole folder, as when a share does not answer, or of this process.
ITS_OWN = {
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.ENXIO,
    errno.ENODEV,
    errno.EOVERFLOW,
    errno.EBUSY,
    errno.EAGAIN,
    errno.ETXTBSY,
    errno.EOPNOTSUPP,
}
KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def kind(mode: int) -> str:
    """What a file is in words; empty for a regular one."""
    return "" if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), "no regular file")


class Root:
    """The descriptor of a source's folder; a path below it has `/` between its parts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self._fd)

    @contextmanager
    def folder(self, path: str) -> Iterator[int]:
        """Open a folder; "" is the root itself.

        Raises:
            AccessUnknown: A part of the path is a link, or no folder.
            Unreadable: A part may not be read.
            FileNotFoundError: A part is not there.
            OSError: The folder does not answer.
        """
        fd = os.open(".", FOLDER, dir_fd=self._fd)  # with a position of its own in the listing, as no copy has
        try:
            for part in path.split("/") if path else ():
                below = _open(part, FOLDER, fd)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def file(self, path: str) -> Iterator[tuple[int, os.stat_result]]:
        """Open a regular file: its descriptor, and what it is. Raises like `folder`."""
        above, _, name = path.rpartition("/")
        with self.folder(above) as folder:
            _no_other(name, _seen(name, folder))  # before it is opened, because opening a device may act
            fd = _open(name, FILE, folder)
        try:
            found = os.fstat(fd)
            _no_other(name, found)
            yield fd, found
        finally:
            os.close(fd)

    def stat(self, path: str) -> os.stat_result:
        """What stands at a path, links themselves too. Raises like `folder`."""
        above, _, name = path.rpartition("/")
        with self.folder(above) as folder:
            return _seen(name, folder)

    def target(self, path: str) -> str:
        """The path below the root where a link ends, itself no link.

        Raises AccessUnknown for a link that leads out of the root, to nothing, or in a circle.
        """
        todo, done, n_links = path.split("/")[::-1], list[str](), 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not done:
                    raise AccessUnknown(f"it is a link that leads out of {self.path}; such links are never followed")
                done.pop()
                continue
            try:
                with self.folder("/".join(done)) as folder:
                    found = _seen(part, folder)
                    leads = os.readlink(part, dir_fd=folder) if stat.S_ISLNK(found.st_mode) else None
            except FileNotFoundError:
                raise AccessUnknown("it is a link to what is not there") from None
            if leads is None:
                done.append(part)
                continue
            n_links += 1
            if n_links > MOST_LINKS:
                raise AccessUnknown("it is a link that leads back to itself")
            if leads.startswith("/"):
                own = f"{self.path}/".replace("//", "/")
                if not f"{leads.rstrip('/')}/".startswith(own):
                    raise AccessUnknown(f"it is a link that leads out of {self.path}; such links are never followed")
                done, leads = [], leads[len(own) :]
            todo += leads.split("/")[::-1]
        return "/".join(done)


def read(fd: int, most: int) -> bytes:
    """Read a file to its end, but one byte over `most` at the most."""
    found, left = list[bytes](), most + 1
    while left > 0 and (piece := os.read(fd, min(left, 1 << 20))):
        found.append(piece)
        left -= len(piece)
    return b"".join(found)


def _checked(part: str) -> str:
    if part in ("", ".", "..") or "\0" in part:
        raise AccessUnknown("its path is no path below the source's folder")
    return part


def _no_other(name: str, found: os.stat_result) -> None:
    if what := kind(found.st_mode):
        raise AccessUnknown(f"{name} is {what}")


def _seen(part: str, folder: int) -> os.stat_result:
    """What stands in a folder under a name."""
    try:
        return os.stat(_checked(part), dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        raise _named(error) from error


def _open(part: str, flags: int, folder: int) -> int:
    """Open one part of a path from the folder that it is in."""
    try:
        return os.open(_checked(part), flags, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            what = kind(_seen(part, folder).st_mode)
            raise AccessUnknown(f"{part} is {what}") if what else FileNotFoundError(part) from error
        raise _named(error) from error


def _named(error: OSError) -> Exception:
    return Unreadable(f"{error.strerror} (errno {error.errno})") if error.errno in ITS_OWN else error
