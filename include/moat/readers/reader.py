"""Interface of a reader, to write for a new kind of system.

A reader is declared in a DAG file (a frozen description without side effects) and opened inside a
task. Opened, it lists the whole source, then fetches what changed. `tests/contracts/reader.py` holds
what every reader must keep.
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

LONGEST_KEY = 1_024  # characters; the limit of the ledger's unique index


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a reader is opened with."""

    source: str  # name of the source
    rule: AccessRule  # who may read, from what the reader knows of a document
    connections: Connections
    project: Path  # base of a declaration's relative paths
    max_bytes: int  # of one document; a larger one is set aside
    directory: str = ""  # that bare group names of the rule belong to; empty: the company's own
    progress: Callable[[str], None] = lambda line: None  # takes one line of progress

    def listed(self, key: str, uri: str, fingerprint: str, size: int, judge: Callable[[], Access]) -> Listed:
        """Build a listed document and judge its access.

        Access that cannot be judged is unknown, with the reason.

        Args:
            key: The source's own key of the document, unique within the source.
            uri: Where a person finds the document.
            fingerprint: Changes whenever the content may have changed, such as an ETag.
            size: Bytes of the content; 0 if the source does not say.
            judge: Called without arguments for the access; it may raise AccessUnknown.

        Returns:
            The listed document. A key that is too long or not printable is replaced, and its access unknown.
        """
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
    """A document that was listed and is gone when it is fetched."""

    key: str


Fetched = RawDocument | SetAside | Gone


class OpenReader(Protocol):
    """A reader that is connected to its source's system."""

    def listing(self) -> Iterator[Listed]:
        """List every document of the source once, with the access that the rule gives it.

        Yields:
            Listed documents, built by `Reading.listed`, in any order.

        Raises:
            SourceUnavailable: The listing broke off. A partial listing is worthless, so it must never end silently.
        """
        ...

    def fetch(self, wanted: Iterable[Planned]) -> Iterator[Fetched]:
        """Fetch the content of some documents.

        Args:
            wanted: The planned documents, to be consumed as a stream.

        Yields:
            Exactly one answer for each wanted document, in any order: its bytes, why it is set aside, or `Gone`.

        Raises:
            SourceUnavailable: The system did not answer.
        """
        ...


@runtime_checkable
class Shaped(Protocol):
    """An open reader that knows columns; a reader of files has none."""

    def shape(self) -> Shape:
        """Describe the columns that were seen so far.

        Returns:
            The shape; complete after the listing and the fetching.
        """
        ...


@runtime_checkable
class Reader(Protocol):
    """A declared reader.

    Example:
        The outline of a reader of your own:

            @declared
            class WikiPages:
                conn_id: str
                offers: ClassVar[frozenset[Needs]] = frozenset({"nothing"})

                def wrong(self) -> list[str]:
                    return [] if self.conn_id else ["conn_id is empty"]

                @contextmanager
                def open(self, reading: Reading) -> Iterator[OpenReader]:
                    yield OpenWiki(reading.connections.get(self.conn_id), reading)
    """

    @property
    def offers(self) -> frozenset[Needs]:
        """What the reader offers to access rules: `nothing`, `columns`, `tags` or `files beside`."""
        ...

    def wrong(self) -> list[str]:
        """Validate the declaration, without touching the system.

        Returns:
            What a person must correct, a sentence per error; empty if the declaration is valid.
        """
        ...

    def open(self, reading: Reading) -> AbstractContextManager[OpenReader]:
        """Connect to the source's system.

        Args:
            reading: The source's access rule, the connections, and limits.

        Returns:
            A context manager that gives the open reader and closes it.

        Raises:
            SourceUnavailable: The system did not answer.
            FatalError: A person must correct the declaration or the connection.
        """
        ...


def _printable(text: str) -> str:
    """Escape what is not UTF-8 or not printable, so that the text can be stored."""
    shown = (c if unicodedata.category(c) not in {"Cc", "Cs"} else c.encode("unicode_escape").decode() for c in text)
    return "".join(shown)


def too_large(wanted: Planned, size: int, limit: int) -> SetAside:
    """Set aside a document that is larger than the settings allow."""
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
    """Set aside a document that its source lists but does not give."""
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
    """Build a fetched document with the access that was listed. Raises AccessUnknown without access."""
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
    """Compile .gitignore patterns: the last that matches a path decides, and `!` leaves out."""
    return PathSpec.from_lines("gitignore", patterns).match_file
