"""Access files: what stands in one, and which of its parts decides for a document.

Whoever may write into a folder writes its access file, so everything here has a bound: its length, its
depth, its patterns, the folders that are searched for one, and the text of an error.
"""

import fnmatch
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from moat import strict_yaml
from moat.access.file_names import folded
from moat.access.policy import Policy
from moat.errors import AccessUnknown

LONGEST = 256 * 1024  # bytes of an access file
LONGEST_VALUE = 1_000  # characters of a principal or pattern in it
MOST_PATTERNS = 1_000
MOST_FOLDERS = 100  # above one document that are searched for access files
LONGEST_REASON = 300  # characters
NAMED = 5  # patterns that a line of progress names
UNREADABLE = (yaml.YAMLError, AccessUnknown, re.error, *strict_yaml.UNREADABLE)

Beside = Callable[[str], str | None]  # path of a file beside the documents -> its text, None where absent


@dataclass(frozen=True, slots=True)
class Part:
    """What an access file says of some documents; one without `allow` and `public` says nothing."""

    body: Mapping[str, Any]
    match: re.Pattern[str] | None  # of the folded path below the file's folder; None: the file's own words
    written: str = ""  # the pattern as it stands in the file


def above(path: str) -> list[str]:
    """Folders of a key from its own to the root, each with `/` at its end; the root is empty.

    A key is taken as it is, so `//`, `.` and `..` in one are names of folders like others.
    Raises AccessUnknown for a key in more than 100 folders.
    """
    if path.count("/") > MOST_FOLDERS:
        raise AccessUnknown(f"it stands in {path.count('/'):,} folders; at most {MOST_FOLDERS} are searched for access")
    found, end = [""], path.find("/")
    while end != -1:
        found.append(path[: end + 1])
        end = path.find("/", end + 1)
    return found[::-1]


class Files:
    """The access files of one listing, each read once, and what of them was of use."""

    def __init__(self, name: str, beside: Beside) -> None:
        self._name, self._beside = name, beside
        self._parsed: dict[str, tuple[Part, ...] | str | None] = {}
        self._unmatched: dict[tuple[str, int], str] = {}

    def of(self, folder: str) -> tuple[Part, ...] | None:
        """Parts of a folder's access file, its own words last; None without one.

        Raises AccessUnknown if it cannot be read, whatever is wrong with it.
        """
        if folder not in self._parsed:
            read = self._read(folder)
            if self._parsed.setdefault(folder, read) is read and isinstance(read, tuple):  # threads may read it at once
                self._unmatched |= {(folder, n): part.written for n, part in enumerate(read) if part.match}
        found = self._parsed[folder]
        if isinstance(found, str):
            raise AccessUnknown(found)
        return found

    def _read(self, folder: str) -> tuple[Part, ...] | str | None:
        try:
            text = self._beside(f"{folder}{self._name}")
            return None if text is None else parsed(text)
        except UNREADABLE as error:
            return short(f"{short(folder, 100)}{self._name} cannot be read: {error}")

    def speaking(self, folder: str, path: str) -> Mapping[str, Any] | None:
        """What the access file of a folder says of a document; None: nothing. Raises AccessUnknown."""
        below = folded(path[len(folder) :])
        for n, part in enumerate(self.of(folder) or ()):
            if part.match is None:
                return part.body if "allow" in part.body or part.body.get("public") else None
            if part.match.match(below):
                self._unmatched.pop((folder, n), None)
                return part.body
        return None

    def notes(self) -> Iterator[str]:
        """Lines about files that cannot be read, and patterns that matched nothing, for the end of a listing."""
        wrong = sorted(found for found in self._parsed.values() if isinstance(found, str))
        if wrong:
            more = f"; so it is with {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
            yield f"access below it is unknown: {wrong[0]}{more}"
        if self._unmatched:
            first = [f"{pattern!r} in {folder}{self._name}" for (folder, _), pattern in self._unmatched.items()][:NAMED]
            more = ", …" if len(self._unmatched) > NAMED else ""
            yield short(
                f"{len(self._unmatched):,} patterns of access files decided for no document: {', '.join(first)}{more}",
                600,
            )


def text_of(content: bytes) -> str:
    """The text of an access file. Raises AccessUnknown."""
    if len(content) > LONGEST:
        raise AccessUnknown(f"it has more than {LONGEST:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AccessUnknown(f"it is no UTF-8: byte {error.start + 1:,} is no character") from error


@lru_cache(256)  # a load judges each document again when it fetches it
def parsed(text: str) -> tuple[Part, ...]:
    """Read an access file: its patterns in order, then its own words.

    Raises AccessUnknown or YAMLError with its error.
    """
    body = strict_yaml.load(text, longest=LONGEST, longest_value=LONGEST_VALUE)
    if not isinstance(body, dict):
        raise AccessUnknown("it must be a mapping with allow, deny, public, inherit, patterns")
    patterns = _list_of(body, "patterns", dict)
    if len(patterns) > MOST_PATTERNS:
        raise AccessUnknown(f"it has {len(patterns):,} patterns; at most {MOST_PATTERNS:,} are read")
    _check(body, {"patterns"})
    for one in patterns:
        _check(one, {"match"})
        if not isinstance(one.get("match"), str):
            raise AccessUnknown("a pattern needs match: a glob")
        if "allow" not in one and not one.get("public"):
            raise AccessUnknown(f"pattern {one['match']!r} has no allow")
    globs = [(one, one["match"]) for one in patterns]
    found = [Part(one, re.compile(fnmatch.translate(folded(glob))), glob) for one, glob in globs]
    return (*found, Part(body, None))


def _check(part: Mapping[str, Any], more: set[str]) -> None:
    """Validate the file's own words, or one pattern. Raises AccessUnknown with its error."""
    allowed = {"allow", "deny", "public", "inherit"} | more
    if strange := set(part) - allowed:
        names = ", ".join(map(reprlib.repr, sorted(strange, key=str)[:NAMED]))
        raise AccessUnknown(f"{names} is not one of {', '.join(sorted(allowed))}")
    for name in ("public", "inherit"):
        if not isinstance(part.get(name, False), bool):
            raise AccessUnknown(f"{name} must be true or false, not {reprlib.repr(part[name])}")
    Policy.of(_list_of(part, "allow", str), _list_of(part, "deny", str))


def _list_of(part: Mapping[str, Any], name: str, kind: type) -> list[Any]:
    """A list under `name`, empty if the name is absent.

    `allow:` without a value is an error.
    """
    value = part.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise AccessUnknown(
            f"{name} must be a list of {'texts' if kind is str else 'patterns'}, not {reprlib.repr(value)}"
        )
    return value


def short(text: str, most: int = LONGEST_REASON) -> str:
    """A text of at most so many characters, with `…` where it was cut."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
