"""Sidecars: files beside documents that have their metadata. They never decide who may read."""

import re

from moat.errors import AccessUnknown, Unreadable
from moat.metadata import LONGEST_TEXT, metadata_in
from moat.readers.opened import Root, read
from moat.readers.reader import Reading


def wrong_ending(ending: str) -> list[str]:
    """What is wrong with a declared ending of sidecars."""
    if not ending or re.fullmatch(r"(\.[\w-]+)*\.(yaml|yml|json)", ending):
        return []
    return [f"sidecar={ending!r}: an ending such as .meta.yaml or .json, of YAML or JSON"]


class Sidecars:
    """Sidecars of the documents in one folder, by their ending; an empty one means that there are none."""

    def __init__(self, root: Root, ending: str, reading: Reading) -> None:
        self._root, self._ending, self._reading = root, ending, reading

    def are(self, path: str) -> bool:
        """Whether a path is that of a sidecar, and of no document."""
        return bool(self._ending) and path.endswith(self._ending)

    def mark(self, key: str) -> str:
        """What a document's fingerprint has for its sidecar, which changes with it; empty without one."""
        if not self._ending:
            return ""
        try:
            found = self._root.stat(key + self._ending)
        except (OSError, AccessUnknown, Unreadable):
            return ""
        return f" {found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"

    def metadata(self, key: str) -> tuple[str, ...]:
        """Metadata of a document by its sidecar; what cannot be read or taken is told in a line of progress."""
        if not self._ending:
            return ()
        try:
            with self._root.file(key + self._ending) as (fd, _):
                content = read(fd, LONGEST_TEXT)
            if len(content) > LONGEST_TEXT:
                raise ValueError(f"it has more than {LONGEST_TEXT:,} bytes")
            found = metadata_in(content.decode("utf-8-sig"))
        except FileNotFoundError:
            return ()
        except (OSError, AccessUnknown, Unreadable, ValueError) as error:
            self._tell(key, f"it cannot be read, so the document has no metadata of it: {error}")
            return ()
        if found.left_out:
            self._tell(key, f"left out: {', '.join(found.left_out[:10])}; too long, too many, or no value to filter by")
        return found.pairs

    def _tell(self, key: str, why: str) -> None:
        self._reading.progress(f"{self._reading.source}: {key}{self._ending}: {why}")
