"""Interface of a reader, to write for a new kind of system.

A reader is declared in a DAG file (a frozen description without side effects) and opened inside a
task. Opened, it lists the whole source, then fetches what changed. `moat.testing.reader` holds
what every reader must keep.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from pathspec import PathSpec

from moat.access.file_names import folded
from moat.access.policy import Access
from moat.access.rules import AccessRule, Needs
from moat.connections import Connections
from moat.errors import AccessUnknown, TooLarge, Unreadable
from moat.ids import content_hash, joined
from moat.readers.shape import Shape
from moat.records import Listed, Planned, RawDocument, SetAside

LONGEST_KEY = 1_024  # characters; the limit of the ledger's unique index
MOST_STATE = 64 << 10  # bytes that a reader keeps from one load to the next
LONGEST_REASON = 2_000  # characters that say why access is unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a reader is opened with."""

    source: str  # name of the source
    rule: AccessRule  # who may read, from what the reader knows of a document
    connections: Connections
    project: Path  # base of a declaration's relative paths
    max_bytes: int  # of one document; a larger one is set aside
    directory: str = ""  # that bare group names of the rule belong to; empty: the company's own
    state: str = ""  # what `Stateful.state` gave with the newest promoted load; empty: list all
    listed_before: Callable[[], Iterator[Listed]] = lambda: iter(())  # what was listed by then, in any order
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
                access = Access(access.policy.within(self.directory)) if access.policy else access
            except AccessUnknown as error:
                access = Access.unknown(str(error))
        policy = access.policy.text() if access.policy else None
        reason = _printable(access.reason[:LONGEST_REASON])
        return Listed(key=key, uri=uri, fingerprint=fingerprint, size=size, policy=policy, reason=reason)

    def fetched(
        self,
        wanted: Planned,
        name: str,
        content: bytes,
        fingerprint: str,
        judge: Callable[[], Access],
        *,
        modified: float | None = None,
        metadata: tuple[str, ...] = (),
    ) -> "RawDocument | SetAside":
        """Build a fetched document with the access that its rule gives it now.

        Args:
            wanted: The planned document.
            name: File name, a first hint at its type.
            content: Its bytes.
            fingerprint: Of the content that was read.
            judge: As in `listed`. Call this method after the content has been read, so that a text never comes with
                an access that is older.
            modified: When the source says that it was last modified, in seconds of the epoch; None: it does not say.
            metadata: Its metadata, each as `name=value`; `moat.metadata.metadata_of` writes it.

        Returns:
            The document, or set aside if nobody says any more who may read it.
        """
        now = self.listed(wanted.key, wanted.uri, fingerprint, len(content), judge)
        if now.policy is None:
            return unknown(wanted, now.reason, fingerprint)
        made = raw(replace(wanted, policy=now.policy), name, content, fingerprint)
        if not metadata:
            return replace(made, modified=modified)
        identity = content_hash(joined(made.content_hash, *metadata).encode())  # other metadata is another content
        return replace(made, modified=modified, metadata=metadata, content_hash=identity)


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
class Stateful(Protocol):
    """An open reader that keeps something from one load to the next, such as a delta token.

    Its listing is the whole source all the same. From `Reading.state` it asks its system for what changed since, and
    lists that beside the rest of `Reading.listed_before`:

        changed = {one.key: one for one in self.since(reading.state)}
        yield from changed.values()
        yield from (one for one in reading.listed_before() if one.key not in changed and one.key not in self.deleted)

    The system must tell of changed access as well. Where a token is refused as too old, list all of the source. Only
    loads give a state: access sync, dry runs and full runs read the whole source, so what a delta left out is found.
    """

    def state(self) -> str:
        """What is to be kept, as text of at most 64 KiB.

        Returns:
            The state; asked for after listing and fetching. It counts once the load is promoted, so a load that is
            held, rejected or rolled back brings its changes again. It is not kept by a run with `only` or a limit.
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


def unknown(wanted: Planned, why: str, fingerprint: str = "") -> SetAside:
    """Set aside a document whose access is unknown when it is fetched."""
    return SetAside(
        key=wanted.key,
        uri=wanted.uri,
        stage="read",
        error=AccessUnknown.__name__,
        reason=why[:LONGEST_REASON],
        fingerprint=fingerprint or wanted.fingerprint,
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
    """Build a fetched document with the access of its plan. Raises AccessUnknown without access.

    A reader whose access may change before the fetch judges it again: `Reading.fetched`.
    """
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
    """Compile .gitignore patterns: the last that matches a path decides, and `!` leaves out.

    Case and Unicode's composition make no difference.
    """
    match = PathSpec.from_lines("gitignore", map(folded, patterns)).match_file
    return lambda path: match(folded(path))


class Patterns:
    """Patterns of a declaration, compiled as by `matcher`, that tell which of them matched nothing."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        written = [pattern for pattern in patterns if pattern]
        self._spec = PathSpec.from_lines("gitignore", map(folded, written))
        compiled = zip(written, self._spec.patterns, strict=True)
        self._unmatched = {pattern: made for pattern, made in compiled if made.include is not None}
        self._asked = False

    def __call__(self, path: str) -> bool:
        """Whether a path is among them."""
        path, self._asked = folded(path), True
        for pattern in [p for p, made in self._unmatched.items() if made.match_file(path.lstrip("/")) is not None]:
            del self._unmatched[pattern]
        return self._spec.match_file(path)

    def leaves_out(self, path: str) -> bool:
        """Whether a pattern with `!` decides for a path."""
        return self._spec.check_file(folded(path)).include is False

    def notes(self) -> list[str]:
        """A line about patterns that matched none of the paths asked for; nothing if none was."""
        if not self._asked or not self._unmatched:
            return []
        return [f"nothing matches {', '.join(map(repr, self._unmatched))} of the reader's patterns; is that meant?"]


def notes_of(judge: object) -> list[str]:
    """Lines that an access rule has to tell after a listing."""
    notes: Callable[[], list[str]] = getattr(judge, "notes", list)
    return notes()
