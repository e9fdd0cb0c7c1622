"""What the door gives: hits, a count, shares. Empty with `refused` set when it gives nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moat.errors import FatalError
from moat.index.store import Filters, Mode
from moat.ledger.second_look import VisibleChunk

MOST_HITS = 1_000
MOST_IDS = 1_000
MOST_VALUES = 1_000  # of one filter
PATH = " › "


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk that answers, as the ledger has it at this moment."""

    source: str
    document_key: str
    uri: str
    title: str
    heading_path: tuple[str, ...]
    page: int | None
    text: str
    score: float  # of the mode that was asked for; the higher the better, comparable within one answer; by id: 1
    chunk_id: str
    metadata: tuple[str, ...] = ()  # "name=value"

    @classmethod
    def of(cls, seen: VisibleChunk, score: float) -> "Hit":
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
        )


class SearchResult(list[Hit]):
    """Hits, the best first. Empty with `refused` set when the search failed or the asker is unknown."""

    refused: str | None = None


@dataclass(slots=True)
class Count:
    """How much the asker may read. Both 0 with `refused` set when it could not be told."""

    documents: int = 0
    chunks: int = 0
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What of it has one value."""

    documents: int
    chunks: int


class Shares(dict[str, Share]):
    """Shares by value, the largest first. Empty with `refused` set when they could not be told."""

    refused: str | None = None


def check_search(question: str, limit: int, mode: Mode) -> None:
    """Raise FatalError for a search that nobody could mean."""
    if not isinstance(question, str) or not question.strip():
        raise FatalError("the question is empty")
    if not 1 <= limit <= MOST_HITS:
        raise FatalError(f"limit={limit}: from 1 to {MOST_HITS}")
    if mode not in ("vector", "keyword", "hybrid"):
        raise FatalError(f"mode={mode!r}: vector, keyword or hybrid")


def check_filters(filters: Filters) -> None:
    """Raise FatalError for filters that are not names, each with a text or several."""
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
    """Raise FatalError for what is no list of ids, or too long a one."""
    if isinstance(chunk_ids, str) or not all(isinstance(one, str) for one in chunk_ids):
        raise FatalError("chunk ids are a list of texts")
    if len(chunk_ids) > MOST_IDS:
        raise FatalError(f"{len(chunk_ids):,} chunk ids: at the most {MOST_IDS:,} at a time")
