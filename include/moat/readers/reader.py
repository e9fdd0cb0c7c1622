"""What a reader is: the one thing to write for a new kind of system.

A reader is declared in a DAG file (a frozen description that touches nothing) and opened inside a
task. Opened, it lists the whole source, then fetches what changed. `tests/contracts/reader.py`
holds what every reader must keep.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from pathspec import PathSpec

from moat.access.policy import Access
from moat.access.rules import AccessRule, Needs
from moat.connections import Connections
from moat.errors import AccessUnknown, TooLarge, Unreadable
from moat.ids import content_hash
from moat.readers.shape import Shape
from moat.records import Listed, Planned, RawDocument, SetAside

LONGEST_KEY = 1_024  # characters; what every ledger's unique index can hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an opened reader works with."""

    source: str
    rule: AccessRule
    connections: Connections
    project: Path  # relative paths of a declaration start here
    max_bytes: int  # of one document
    directory: str = ""  # whose groups the rule's bare group names are

    def listed(self, key: str, uri: str, fingerprint: str, size: int, judge: Callable[[], Access]) -> Listed:
        """A listed document with its access judged; whatever cannot be judged is unknown, with the reason."""
        if any(unicodedata.category(character) in {"Cc", "Cs"} for character in key):
            access = Access.unknown("its key holds control characters, or bytes that are no UTF-8; rename it")
            key, uri = _printable(key), _printable(uri)
        elif len(key) > LONGEST_KEY:
            access = Access.unknown(f"its key has {len(key):,} characters; at most {LONGEST_KEY:,} can be kept")
            key = f"{key[: LONGEST_KEY - 40]}{content_hash(key.encode())[:40]}"
        else:
            try:
                access = judge()
            except AccessUnknown as error:
                access = Access.unknown(str(error))
        policy = access.policy.within(self.directory).text() if access.policy else None
        return Listed(key=key, uri=uri, fingerprint=fingerprint, size=size, policy=policy, reason=access.reason)


@dataclass(frozen=True, slots=True)
class Gone:
    """A document that was listed and no longer there when it was fetched."""

    key: str


Fetched = RawDocument | SetAside | Gone


class OpenReader(Protocol):
    """A source's system, connected."""

    def listing(self) -> Iterator[Listed]:
        """Every document of the source, once, with the access that the rule gives it.

        Raises SourceUnavailable when the listing breaks off: half a listing is none.
        """
        ...

    def fetch(self, wanted: Iterable[Planned]) -> Iterator[Fetched]:
        """The content of some documents: for each that is wanted exactly one answer, in any order."""
        ...


@runtime_checkable
class Shaped(Protocol):
    """An opened reader that knows columns, which files have none of."""

    def shape(self) -> Shape:
        """What was seen of them so far: whole after the listing and the fetching."""
        ...


@runtime_checkable
class Reader(Protocol):
    """A declared reader."""

    @property
    def offers(self) -> frozenset[Needs]:
        """What access rules can get from it."""
        ...

    def wrong(self) -> list[str]:
        """What a person must correct in the declaration; empty when it can be used."""
        ...

    def open(self, reading: Reading) -> AbstractContextManager[OpenReader]: ...


def _printable(text: str) -> str:
    """A text that can be stored: what is no UTF-8, or no character to show, is written as an escape."""
    shown = (c if unicodedata.category(c) not in {"Cc", "Cs"} else c.encode("unicode_escape").decode() for c in text)
    return "".join(shown)


def too_large(wanted: Planned, size: int, limit: int) -> SetAside:
    """What becomes of a document that is larger than the settings allow."""
    reason = f"it has {size:,} bytes, MOAT_MAX_DOCUMENT_MB allows {limit:,}: split it, or raise the limit and replay"
    return SetAside(
        key=wanted.key,
        uri=wanted.uri,
        stage="read",
        error=TooLarge.__name__,
        reason=reason,
        fingerprint=wanted.fingerprint,
    )


def unreadable(wanted: Planned, why: str) -> SetAside:
    """What becomes of a document that its source lists and does not give; the others of the source go on."""
    reason = (
        f"its content cannot be read: {why}. Let Moat read it, or leave it out by the reader's patterns, then replay"
    )
    return SetAside(
        key=wanted.key,
        uri=wanted.uri,
        stage="read",
        error=Unreadable.__name__,
        reason=reason,
        fingerprint=wanted.fingerprint,
    )


def raw(wanted: Planned, name: str, content: bytes, fingerprint: str | None = None) -> RawDocument:
    """A fetched document with the access that was listed."""
    if wanted.policy is None:
        raise AccessUnknown(f"{wanted.key} was to be fetched though nobody may read it")
    return RawDocument(
        key=wanted.key,
        uri=wanted.uri,
        name=name,
        fingerprint=fingerprint or wanted.fingerprint,
        content=content,
        content_hash=content_hash(content),
        policy=wanted.policy,
        access_version=wanted.access_version,
    )


def matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a path is one that the patterns name: written as in .gitignore, the last that matches decides, `!` leaves out."""
    return PathSpec.from_lines("gitignore", patterns).match_file
