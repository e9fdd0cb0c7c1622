"""Results of a retriever: hits, a count, shares.

A refused query gives an empty result with `refused` set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moat.errors import FatalError
from moat.index.store import Filters, Mode
from moat.ledger.older_versions import Newer
from moat.ledger.second_look import VisibleChunk

MOST_HITS = 1_000
MOST_IDS = 1_000
MOST_VALUES = 1_000  # of one filter
PATH = " › "


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
        uri: Where a person finds the document.
        title: Title of the document.
        heading_path: Headings above the chunk, the highest first.
        page: Page of the document, from 1; None if it has no pages.
        text: Text of the chunk; a table is Markdown.
        score: The higher the better, comparable within one result of one mode; 1 if fetched by id.
        chunk_id: UUID of the chunk, for `Retriever.get`.
        metadata: Metadata of the document, each as `name=value`.
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
    score: float  # of the requested mode; the higher the better; by id: 1
    chunk_id: str
    metadata: tuple[str, ...] = ()  # "name=value"
    newer_version: NewerVersion | None = None

    @classmethod
    def of(cls, seen: VisibleChunk, score: float, newer: Newer | None = None) -> "Hit":
        """Build a hit from a chunk that the asker may read."""
        path = tuple(seen.heading.split(PATH)) if seen.heading else ()
        return cls(
            source=seen.source,
            document_key=seen.key,
            uri=seen.uri,
            title=seen.title,
            heading_path=path,
            page=seen.page,
            text=seen.text,
            score=score,
            chunk_id=seen.chunk_id,
            metadata=seen.metadata,
            newer_version=NewerVersion(newer.key, newer.title) if newer else None,
        )


class SearchResult(list[Hit]):
    """A list of hits, best first.

    Attributes:
        refused: Why the result is empty: an error, a timeout or an unknown asker; None if the query was answered.
    """

    refused: str | None = None


@dataclass(slots=True)
class Count:
    """How much an asker may read.

    Attributes:
        documents: Number of documents.
        chunks: Number of their chunks.
        refused: Why both are 0: an error, a timeout or an unknown asker; None if the query was answered.
    """

    documents: int = 0
    chunks: int = 0
    refused: str | None = None


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
    """

    refused: str | None = None


def check_search(question: str, limit: int, mode: Mode) -> None:
    """Raise FatalError for an empty question, or a wrong limit or mode."""
    if not isinstance(question, str) or not question.strip():
        raise FatalError("the question is empty")
    if not 1 <= limit <= MOST_HITS:
        raise FatalError(f"limit={limit}: from 1 to {MOST_HITS}")
    if mode not in ("vector", "keyword", "hybrid"):
        raise FatalError(f"mode={mode!r}: vector, keyword or hybrid")


def check_filters(filters: Filters) -> None:
    """Raise FatalError unless each filter is a name with one text or several."""
    if not isinstance(filters, Mapping):
        raise FatalError(f"filters={type(filters).__name__}: names, each with a text or several")
    for name, value in filters.items():
        many = isinstance(value, Sequence) and all(isinstance(v, str) for v in value)
        if not isinstance(name, str) or not (isinstance(value, str) or many):
            raise FatalError(f"filters[{name!r}]={value!r}: a text, or several")
        if not value and not isinstance(value, str):
            raise FatalError(f"filters[{name!r}] names no value, so nothing matches: leave it out, or name one")
        if not isinstance(value, str) and len(value) > MOST_VALUES:
            raise FatalError(f"filters[{name!r}] has {len(value):,} values: at the most {MOST_VALUES:,}")


def check_ids(chunk_ids: Sequence[str]) -> None:
    """Raise FatalError for anything but a list of ids, or for too many."""
    if isinstance(chunk_ids, str) or not all(isinstance(one, str) for one in chunk_ids):
        raise FatalError("chunk ids are a list of texts")
    if len(chunk_ids) > MOST_IDS:
        raise FatalError(f"{len(chunk_ids):,} chunk ids: at the most {MOST_IDS:,} at a time")
