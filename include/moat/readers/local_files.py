"""Reader of files in a local or mounted folder."""

import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

from moat.access.access_files import LONGEST, short, text_of
from moat.access.file_names import looks_like
from moat.access.policy import Access
from moat.access.rules import Facts, Needs
from moat.declarations import declared
from moat.errors import AccessUnknown, SourceNotMounted, SourceUnavailable, Unreadable
from moat.readers.left_out import LEFT_OUT, LeaveOut
from moat.readers.opened import Root, kind, read
from moat.readers.reader import LONGEST_KEY, Fetched, Gone, Patterns, Reading, notes_of, too_large, unknown, unreadable
from moat.readers.sidecars import Sidecars, wrong_ending
from moat.records import Listed, Planned

TRIES = 3  # for a file that changes while it is read
FOLDERS_KEPT = 1_000  # whose names are remembered between two documents
SETTLED_NS = 2_000_000_000  # a folder that changed later than this may change again within its clock's tick
ASIDE = "links are set aside: put the file itself there, or declare LocalFiles(links='inside')"


@declared
class LocalFiles:
    """Read every file below a folder that matches the patterns.

    The key is the path below the folder, with `/` between. Names that begin with a dot are left out. What is no
    regular file is set aside, and nothing is ever read by way of a link. Hard links cannot be told from files.

    Attributes:
        path: The folder, absolute, relative to the project, or beginning with `~`.
        patterns: Patterns as in .gitignore: the last that matches decides, and `!` leaves out. Case makes no
            difference.
        leave_out: Patterns as in .gitignore of files that programs leave beside documents, such as `~$report.docx`,
            `Thumbs.db` and `_SUCCESS`; a folder among them is not entered. They are counted and named as progress.
        links: `aside`: a symbolic link is set aside. `inside`: one that leads to a file which the source has is
            loaded for those who may read in both places. A link to a folder, or out of the source, is set aside.
        sidecar: Ending of the file beside a document that has its metadata in YAML or JSON, such as `.meta.yaml` for
            `report.pdf.meta.yaml`; files with this ending are no documents. Empty: there are none.

    Example:
        Markdown and PDF, without drafts:

            LocalFiles("/mnt/handbook", patterns=("*.md", "*.pdf", "!drafts/"))
    """

    path: str
    patterns: tuple[str, ...] = ("*",)
    leave_out: tuple[str, ...] = LEFT_OUT
    links: Literal["aside", "inside"] = "aside"
    sidecar: str = ""
    offers: ClassVar[frozenset[Needs]] = frozenset({"nothing", "files beside"})

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        return (
            ([] if self.path else ["path is empty"])
            + ([] if self.patterns else ["patterns is empty: no file would be read"])
            + wrong_ending(self.sidecar)
        )

    @contextmanager
    def open(self, reading: Reading) -> "Iterator[_OpenFolder]":
        """Open the folder. Raises SourceUnavailable if it cannot be read."""
        path = Path(reading.project, os.path.expanduser(self.path))
        try:
            root = Root(path.resolve())
        except OSError as error:
            raise SourceNotMounted(
                f"source {reading.source}: {path} is not a folder that can be read ({error.strerror}); is it mounted?"
            ) from error
        try:
            yield _OpenFolder(root, self, reading)
        finally:
            root.close()


Judge = Callable[[Facts], Access]


class _OpenFolder:
    def __init__(self, root: Root, declared_as: LocalFiles, reading: Reading) -> None:
        self._root, self._declared, self._reading = root, declared_as, reading
        self._patterns, self._left_out = Patterns(declared_as.patterns), LeaveOut(declared_as.leave_out, reading)
        self._sidecars = Sidecars(root, declared_as.sidecar, reading)
        self._names: dict[str, tuple[tuple[int, ...], str]] = {}  # folder -> its state, and a name that is nearly right

    def listing(self) -> Iterator[Listed]:
        judge = self._reading.rule.judge(self._beside)
        leave_out = LeaveOut(self._declared.leave_out, self._reading)
        for key, found in self._walk(leave_out):
            try:
                yield self._listed(key, found, judge)
            except FileNotFoundError:
                continue  # removed during the walk, so it is not listed
            except OSError as error:
                raise self._unavailable(key, error) from error
        leave_out.tell()
        for line in (*self._patterns.notes(), *notes_of(judge)):
            self._reading.progress(f"{self._reading.source}: {line}")

    def _listed(self, key: str, found: os.stat_result, judge: Judge) -> Listed:
        uri = (self._root.path / key).as_uri()
        if stat.S_ISDIR(found.st_mode):
            why = f"its path has {len(key):,} characters; what stands in the folder is not listed"
            return self._reading.listed(key, uri, _fingerprint(found), 0, lambda: Access.unknown(why))
        try:
            place, found, mark = self._place(key, found)
        except (AccessUnknown, Unreadable) as error:
            why = str(error)
            return self._reading.listed(key, uri, _fingerprint(found), 0, lambda: Access.unknown(why))
        return self._reading.listed(key, uri, mark, found.st_size, lambda: _both(judge, key, place))

    def _place(self, key: str, found: os.stat_result) -> tuple[str, os.stat_result, str]:
        """Where the content of a key is: its path, what stands there, and the fingerprint.

        Raises AccessUnknown if it is no regular file, or a link that is not followed.
        """
        if not stat.S_ISLNK(found.st_mode):
            if what := kind(found.st_mode):
                raise AccessUnknown(f"it is {what}, no file with a content")
            return key, found, _fingerprint(found) + self._sidecars.mark(key)
        place = self._root.target(key)  # raises if it leads out, whatever is declared
        at = self._root.stat(place) if place else None
        if at is None or stat.S_ISDIR(at.st_mode):
            raise AccessUnknown("it is a link to a folder; such links are not entered, nothing is loaded by way of it")
        if self._declared.links == "aside":
            raise AccessUnknown(f"it is a link to {short(place)}; {ASIDE}")
        hidden = any(part.startswith(".") for part in place.split("/"))
        if hidden or self._left_out.holds(place) or not self._patterns(place):
            raise AccessUnknown(f"it is a link to {short(place)}, which this source leaves out")
        if what := kind(at.st_mode):
            raise AccessUnknown(f"it is a link to {what}")
        return place, at, f"{_fingerprint(at)} {_fingerprint(found)}{self._sidecars.mark(key)}"

    def fetch(self, wanted: Iterable[Planned]) -> Iterator[Fetched]:
        for one in wanted:
            try:
                yield self._fetched(one)
            except FileNotFoundError:
                yield Gone(one.key)
            except AccessUnknown as error:
                yield unknown(one, str(error))
            except Unreadable as error:
                yield unreadable(one, str(error))
            except OSError as error:
                raise self._unavailable(one.key, error) from error

    def _fetched(self, one: Planned) -> Fetched:
        """Read a file and then judge it, again if it changes meanwhile, so that text and access belong together."""
        name, most = one.key.rpartition("/")[2], self._reading.max_bytes
        for _ in range(TRIES):
            place, _, mark = self._place(one.key, self._root.stat(one.key))
            with self._root.file(place) as (fd, found):
                if found.st_size > most:
                    return too_large(one, found.st_size, most)
                content = read(fd, most)
            if len(content) > most:
                return too_large(one, len(content), most)
            judge = self._reading.rule.judge(self._beside)
            answer = self._reading.fetched(
                one,
                name,
                content,
                mark,
                lambda: _both(judge, one.key, place),  # noqa: B023
                modified=found.st_mtime,
                metadata=self._sidecars.metadata(one.key),
            )
            now_at, _, now = self._place(one.key, self._root.stat(one.key))
            if (now_at, now) == (place, mark) and mark.startswith(_fingerprint(found)):
                return answer
        return unreadable(one, f"it changed {TRIES} times while it was read")

    def _walk(self, leave_out: LeaveOut) -> Iterator[tuple[str, os.stat_result]]:
        """Yield what is no folder and may be a document, folder by folder in order.

        Raises SourceUnavailable for an unreadable folder.
        """
        todo = [""]
        while todo:
            folder = todo.pop()
            below = list[str]()
            try:
                with self._root.folder(folder.rstrip("/")) as fd, os.scandir(fd) as entries:
                    for entry in sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name):
                        key = f"{folder}{entry.name}"
                        if entry.is_dir(follow_symlinks=False):
                            if leave_out(f"{key}/"):
                                continue
                            if len(key) < LONGEST_KEY:
                                below.append(f"{key}/")
                                continue
                        elif not self._is_document(key, entry.is_symlink(), leave_out):
                            continue
                        try:
                            found = entry.stat(follow_symlinks=False)
                        except FileNotFoundError:
                            continue
                        yield key, found
            except (AccessUnknown, Unreadable) as error:
                yield folder.rstrip("/"), self._replaced(folder, error)
            except OSError as error:
                raise self._unavailable(folder, error) from error
            todo += below[::-1]

    def _replaced(self, folder: str, error: Exception) -> os.stat_result:
        """What stands at the path of a folder that was swapped for a link since its parent was listed.

        Raises SourceUnavailable for a folder that cannot be listed.
        """
        try:
            found = self._root.stat(folder.rstrip("/"))
        except (AccessUnknown, Unreadable, OSError):
            found = None
        if found is None or not stat.S_ISLNK(found.st_mode):
            raise SourceUnavailable(
                f"source {self._reading.source}: {self._root.path / folder} cannot be listed: {error}"
            ) from error
        return found

    def _is_document(self, key: str, link: bool, leave_out: LeaveOut) -> bool:
        if self._sidecars.are(key):
            return False
        matches = self._patterns(key)
        if link and not matches:  # it may lead to a folder with documents, so it is told, unless it is left out
            matches = not self._patterns.leaves_out(key) and not self._patterns.leaves_out(f"{key}/") and self._far(key)
        return matches and not leave_out(key)

    def _far(self, key: str) -> bool:
        """Whether a link leads to a folder, or where Moat does not look."""
        try:
            return stat.S_ISDIR(self._root.stat(self._root.target(key)).st_mode)
        except (AccessUnknown, Unreadable, OSError):
            return True

    def _beside(self, path: str) -> str | None:
        folder, _, name = path.rpartition("/")
        try:
            if near := self._nearly(folder, name):
                raise AccessUnknown(f"{near!r} beside it looks like one and is not named {name!r}; rename or remove it")
            with self._root.file(path) as (fd, found):
                content = read(fd, LONGEST)
                changed = _fingerprint(os.fstat(fd)) != _fingerprint(found)
        except FileNotFoundError:
            return None
        except Unreadable as error:
            raise AccessUnknown(str(error)) from error
        except OSError as error:
            raise self._unavailable(path, error) from error
        if changed:
            raise AccessUnknown("it is being written")
        return text_of(content)

    def _nearly(self, folder: str, wanted: str) -> str:
        """A name in a folder that is nearly that of its access file; empty without one."""
        with self._root.folder(folder) as fd:
            at = os.fstat(fd)
            state = (at.st_dev, at.st_ino, at.st_mtime_ns, at.st_ctime_ns)
            if folder in self._names and self._names[folder][0] == state:
                return self._names[folder][1]
            with os.scandir(fd) as entries:
                found = min(
                    (e.name for e in entries if looks_like(e.name, wanted) and not e.is_dir(follow_symlinks=False)),
                    default="",
                )
        if len(self._names) >= FOLDERS_KEPT:
            self._names.clear()
        if time.time_ns() - max(at.st_mtime_ns, at.st_ctime_ns) > SETTLED_NS:
            self._names[folder] = (state, found)
        return found

    def _unavailable(self, path: str, error: OSError) -> SourceUnavailable:
        return SourceUnavailable(f"source {self._reading.source}: {self._root.path / path}: {error.strerror}")


def _both(judge: Judge, key: str, place: str) -> Access:
    """The access of a key, and of the place where its content is."""
    own = judge(Facts(key))
    if place == key or own.policy is None:
        return own
    there = judge(Facts(place))
    return Access(own.policy.both(there.policy)) if there.policy else there


def _fingerprint(found: os.stat_result) -> str:
    return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"
