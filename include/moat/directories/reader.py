"""What a reader of groups is: the one thing to write for a new kind of directory.

`tests/contracts/directory.py` holds what every reader must keep.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from moat.access.policy import canonical
from moat.connections import Connections
from moat.errors import AccessUnknown, FatalError


@dataclass(frozen=True, slots=True)
class DirectoryGroup:
    """One group as its directory has it. A member is `user:…`, or `group:ID` of the same directory."""

    id: str  # immutable and the directory's own, never a display name
    members: tuple[str, ...]
    name: str = ""  # as people call it: shown, never compared
    left_out: tuple[str, ...] = ()  # members of whom the directory does not say who they are


@dataclass(frozen=True, slots=True)
class DirectoryReading:
    """What a reader works with."""

    directory: str
    connections: Connections
    project: Path  # relative paths of a declaration start here
    progress: Callable[[str], None]


@runtime_checkable
class DirectoryReader(Protocol):
    """A declared reader of groups."""

    def wrong(self) -> list[str]:
        """What a person must correct in the declaration; empty when it can be used."""
        ...

    def read(self, reading: DirectoryReading) -> Iterator[DirectoryGroup]:
        """Every group of the directory, once, also those that are empty.

        Raises DirectoryUnavailable when the directory does not answer or its listing breaks off, for
        half a listing is none; FatalError when a person must act. Both name the directory.
        """
        ...


class People:
    """The people of one reading, by what the directory's groups call them."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._principals: dict[str, tuple[str, ...]] = {}
        self._owners: dict[str, str] = {}

    def add(self, key: str, names: Iterable[str], shown: str) -> None:
        """Add one person with every name that they go by. Raises FatalError for a name that is another's too."""
        readable = []
        for name in names:
            try:
                principal = canonical(f"user:{name}")
            except AccessUnknown:
                continue  # nobody can ask under such a name either
            other = self._owners.setdefault(principal, shown)
            if other != shown:
                raise FatalError(
                    f"directory {self._directory}: {other} and {shown} are both {principal}, so nobody can tell them apart; "
                    "give one of them another name in the directory, or read another attribute"
                )
            readable.append(principal)
        self._principals[key] = tuple(dict.fromkeys(readable))

    def __contains__(self, key: str) -> bool:
        return key in self._principals

    def principals(self, key: str) -> tuple[str, ...]:
        """Whom a key stands for; empty for somebody unknown, or without a name that can be read."""
        return self._principals.get(key, ())
