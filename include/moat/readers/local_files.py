"""Reader of files in a local or mounted folder."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from moat.access.policy import Access
from moat.access.rules import Facts, Needs
from moat.declarations import declared
from moat.errors import SourceNotMounted, SourceUnavailable
from moat.readers.left_out import LEFT_OUT, LeaveOut
from moat.readers.reader import Fetched, Gone, Reading, matcher, raw, too_large, unreadable
from moat.records import Listed, Planned


@declared
class LocalFiles:
    """Read every file below a folder that matches the patterns.

    The key is the path below the folder, with `/` between. Names that begin with a dot are left out, and
    a link that leads out of the folder is set aside.

    Attributes:
        path: The folder, absolute, relative to the project, or beginning with `~`.
        patterns: Patterns as in .gitignore: the last that matches decides, and `!` leaves out.
        leave_out: Patterns as in .gitignore of files that programs leave beside documents, such as `~$report.docx`,
            `Thumbs.db` and `_SUCCESS`; a folder among them is not entered. They are counted and named as progress.

    Example:
        Markdown and PDF, without drafts:

            LocalFiles("/mnt/handbook", patterns=("*.md", "*.pdf", "!drafts/"))
    """

    path: str
    patterns: tuple[str, ...] = ("*",)
    leave_out: tuple[str, ...] = LEFT_OUT
    offers: ClassVar[frozenset[Needs]] = frozenset({"nothing", "files beside"})

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        return ([] if self.path else ["path is empty"]) + (
            [] if self.patterns else ["patterns is empty: no file would be read"]
        )

    @contextmanager
    def open(self, reading: Reading) -> "Iterator[_OpenFolder]":
        """Open the folder. Raises SourceUnavailable if it cannot be read."""
        root = Path(reading.project, os.path.expanduser(self.path))
        if not root.is_dir():
            raise SourceNotMounted(f"source {reading.source}: {root} is not a folder that can be read; is it mounted?")
        yield _OpenFolder(root.resolve(), self, reading)


class _OpenFolder:
    def __init__(self, root: Path, declared_as: LocalFiles, reading: Reading) -> None:
        self._root, self._declared, self._reading = root, declared_as, reading
        self._matches = matcher(declared_as.patterns)

    def listing(self) -> Iterator[Listed]:
        judge = self._reading.rule.judge(self._beside)
        leave_out = LeaveOut(self._declared.leave_out, self._reading)
        for path in self._walk(leave_out):
            key = path.relative_to(self._root).as_posix()
            if not self._matches(key) or leave_out(key):
                continue
            try:
                yield self._listed(path, key, judge)
            except FileNotFoundError:
                continue  # removed during the walk, so it is not listed
            except OSError as error:
                raise SourceUnavailable(f"source {self._reading.source}: {path}: {error.strerror}") from error
        leave_out.tell()

    def _listed(self, path: Path, key: str, judge: Callable[[Facts], Access]) -> Listed:
        stat = path.stat()
        fingerprint = f"{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}"

        def access() -> Access:
            if not path.resolve().is_relative_to(self._root):
                return Access.unknown(f"it is a link that leads out of {self._root}")
            return judge(Facts(key))

        return self._reading.listed(key, path.as_uri(), fingerprint, stat.st_size, access)

    def fetch(self, wanted: Iterable[Planned]) -> Iterator[Fetched]:
        for one in wanted:
            path = self._root / one.key
            try:
                with path.open("rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    if size > self._reading.max_bytes:
                        yield too_large(one, size, self._reading.max_bytes)
                    else:
                        yield raw(one, path.name, file.read())
            except FileNotFoundError:
                yield Gone(one.key)
            except (PermissionError, IsADirectoryError) as error:
                yield unreadable(one, f"{error.strerror} (errno {error.errno})")
            except OSError as error:
                raise SourceUnavailable(f"source {self._reading.source}: {path}: {error.strerror}") from error

    def _walk(self, leave_out: LeaveOut) -> Iterator[Path]:
        """Yield every file, folder by folder in order. Raises SourceUnavailable for an unreadable folder."""

        def refuse(error: OSError) -> None:
            raise SourceUnavailable(
                f"source {self._reading.source}: {error.filename} cannot be listed: {error.strerror}"
            )

        for folder, folders, files in os.walk(self._root, onerror=refuse):
            below = Path(folder).relative_to(self._root)
            shown = sorted(name for name in folders if not name.startswith("."))
            folders[:] = [name for name in shown if not leave_out(f"{(below / name).as_posix()}/")]
            yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))

    def _beside(self, path: str) -> str | None:
        try:
            return (self._root / path).read_text("utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            return "\0"  # not text, so not YAML: access to what it governs is unknown
        except OSError as error:
            raise SourceUnavailable(f"source {self._reading.source}: {path}: {error.strerror}") from error
