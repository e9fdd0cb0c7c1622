"""Results of a retriever: hits, a count, shares. Importing them imports neither the ledger nor the index.

A refused query gives an empty result with `refused` and `code` set.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, get_args

from moat.errors import AskedWrongly
from moat.filters import MODIFIED, NAMES

MOST_HITS = 1_000
MOST_IDS = 1_000
MOST_PASSAGES = 1_000_000  # of one document
GroupBy = Literal["document"] | None
Mode = Literal["vector", "keyword", "hybrid"]
Code = Literal[
    "unknown_asker",
    "token_refused",
    "directory_stale",
    "too_many_principals",
    "cursor_refused",
    "cursor_expired",
    "timeout",
    "index_unavailable",
    "embedder_unavailable",
    "ledger_unavailable",
    "failed",
]
CODES: tuple[Code, ...] = get_args(Code)
DoorCode = Literal[  # of a door, beside those
    "token_missing",
    "not_on_behalf",
    "too_many_requests",
    "busy",
    "too_large",
    "wrong_host",
    "door_unavailable",
]
DOOR_CODES: tuple[DoorCode, ...] = get_args(DoorCode)
MOST_PAGED = 200  # hits of all pages of one question together


@dataclass(frozen=True, slots=True)
class NewerVersion:
    """A newer version of a document, of the same source.

    Attributes:
        key: The source's own key of it.
        title: Its title.
    """

    key: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk that answers a question, as the ledger has it at this moment.

    Attributes:
        source: Name of the source.
        document_key: The source's own key of the document.
        uri: Where the source has the document, such as `file://…` or `s3://…`.
        title: Title of the document.
        heading_path: Headings above the chunk, the highest first.
        page: Page of the document, from 1; None if it has no pages.
        text: Text of the chunk; a table is Markdown.
        score: The higher the better, comparable within one result of one mode; 1 if fetched by id.
        chunk_id: UUID of the chunk, for `Retriever.get`.
        media_type: Media type of the document, such as `text/markdown`.
        modified: When the document was last modified, as its source says, in UTC; None: it does not say.
        metadata: Values of the document's metadata by name, one or several of each.
        link: Address that a person can open, from `Source(link=...)` or the document's own on the web; None: none.
        highlights: Begin and end of the question's words in `text`, in characters; empty if fetched by id.
        newer_version: The newer version that the document stands beside, where the asker may read it; None: none is
            known.
    """

    source: str
    document_key: str
    uri: str
    title: str
    heading_path: tuple[str, ...]
    page: int | None
    text: str
    score: float
    chunk_id: str
    media_type: str = ""
    modified: datetime | None = None
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    link: str | None = None
    highlights: tuple[tuple[int, int], ...] = ()
    newer_version: NewerVersion | None = None


class Refusable(Protocol):
    """A result that can say why it is empty."""

    refused: str | None
    code: Code | DoorCode | None


class SearchResult(list[Hit]):
    """A list of hits, best first.

    Attributes:
        refused: Why the result is empty: an error, a timeout or an unknown asker; None if the query was answered.
        code: The same for programs, such as `unknown_asker` or `timeout`; None if the query was answered.
        cursor: Of `Retriever.page`: gives the next page; None: there is none.
        changed: Of `Retriever.page`: some of what the first page's view held is left out of this one, because it was
            replaced or taken away since.
    """

    refused: str | None = None
    code: Code | DoorCode | None = None
    cursor: str | None = None
    changed: bool = False


@dataclass(slots=True)
class Count:
    """How much an asker may read.

    Attributes:
        documents: Number of documents.
        chunks: Number of their chunks.
        refused: Why both are 0: an error, a timeout or an unknown asker; None if the query was answered.
        code: The same for programs; None if the query was answered.
    """

    documents: int = 0
    chunks: int = 0
    refused: str | None = None
    code: Code | DoorCode | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """How much of what an asker may read has one value.

    Attributes:
        documents: Number of documents.
        chunks: Number of their chunks.
    """

    documents: int
    chunks: int


class Shares(dict[str, Share]):
    """A dict of shares by value, largest first.

    Attributes:
        refused: Why it is empty: an error, a timeout or an unknown asker; None if the query was answered.
        code: The same for programs; None if the query was answered.
    """

    refused: str | None = None
    code: Code | DoorCode | None = None


def check_search(question: str, limit: int, mode: Mode, group_by: GroupBy, most: int = MOST_HITS) -> None:
    """Raise AskedWrongly for an empty question, or a wrong limit, mode or grouping."""
    if not isinstance(question, str) or not question.strip():
        raise AskedWrongly("the question is empty")
    if type(limit) is not int or not 1 <= limit <= most:
        raise AskedWrongly(f"limit={limit!r}: from 1 to {most}")
    if mode not in ("vector", "keyword", "hybrid"):
        raise AskedWrongly(f"mode={mode!r}: vector, keyword or hybrid")
    if group_by not in (None, "document"):
        raise AskedWrongly(f"group_by={group_by!r}: document, or None for chunks")


def check_page(question: str, limit: int, mode: Mode, group_by: GroupBy, cursor: str | None) -> None:
    """The same for one page of a question."""
    check_search(question, limit, mode, group_by, MOST_PAGED)
    if cursor is not None and not isinstance(cursor, str):
        raise AskedWrongly(f"cursor={type(cursor).__name__}: the text that the page before has")


def check_by(by: str) -> None:
    """Raise AskedWrongly for what nothing can be counted by."""
    if not isinstance(by, str) or not by or by == MODIFIED:
        raise AskedWrongly(f"by={by!r}: {', '.join(n for n in NAMES if n != MODIFIED)}, or a name of the metadata")


def check_ids(chunk_ids: Sequence[str]) -> None:
    """Raise AskedWrongly for anything but a list of ids, or for too many."""
    several = isinstance(chunk_ids, Collection) and not isinstance(chunk_ids, str | bytes)
    if not several or not all(isinstance(one, str) for one in chunk_ids):
        raise AskedWrongly("chunk ids are a list of texts")
    if len(chunk_ids) > MOST_IDS:
        raise AskedWrongly(f"{len(chunk_ids):,} chunk ids: at the most {MOST_IDS:,} at a time")


def check_document(source: str, key: str, first: int, limit: int) -> None:
    """Raise AskedWrongly for a source, key or span of passages that no document could be meant by."""
    for name, value in (("source", source), ("key", key)):
        if not isinstance(value, str) or not value:
            raise AskedWrongly(f"{name}={value!r}: a text, as a hit has it")
    if type(first) is not int or not 0 <= first <= MOST_PASSAGES:
        raise AskedWrongly(f"first={first!r}: from 0 to {MOST_PASSAGES:,}")
    if type(limit) is not int or not 1 <= limit <= MOST_HITS:
        raise AskedWrongly(f"limit={limit!r}: from 1 to {MOST_HITS:,}")
