"""Interface of a directory's reader, to write for a new system.

`moat.testing.directory` holds what every reader must keep.
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
    """One group of a directory.

    A member is `user:ID`, or `group:ID` of the same directory.
    """

    id: str  # immutable id of the directory, never a display name
    members: tuple[str, ...]
    name: str = ""  # display name: shown, never compared
    left_out: tuple[str, ...] = ()  # members that the directory does not identify


@dataclass(frozen=True, slots=True)
class DirectoryReading:
    """What a reader of groups is given."""

    directory: str  # name of the directory, for messages
    connections: Connections
    project: Path  # base of a declaration's relative paths
    progress: Callable[[str], None]  # takes one line of progress


@runtime_checkable
class DirectoryReader(Protocol):
    """A declared reader of groups."""

    def wrong(self) -> list[str]:
        """Validate the declaration, without touching the system.

        Returns:
            What a person must correct, a sentence per error; empty if the declaration is valid.
        """
        ...

    def read(self, reading: DirectoryReading) -> Iterator[DirectoryGroup]:
        """Read every group of the directory, once each, including empty groups.

        Args:
            reading: The directory's name, the connections, and where progress goes.

        Yields:
            Groups with their members.

        Raises:
            DirectoryUnavailable: The directory did not answer, or its listing broke off; a partial listing is
                worthless. The message names the directory.
            FatalError: A person must act. The message names the directory.
        """
        ...


class People:
    """The people of one reading, by the keys that groups refer to them by."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._principals: dict[str, tuple[str, ...]] = {}
        self._owners: dict[str, str] = {}

    def add(self, key: str, names: Iterable[str], shown: str) -> None:
        """Add a person with all names. Raises FatalError for a taken one."""
        readable = []
        for name in names:
            try:
                principal = canonical(f"user:{name}")
            except AccessUnknown:
                continue  # no asker can have such a name either
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
        """Principals of a key; empty for an unknown person or one without a readable name."""
        return self._principals.get(key, ())
