"""The frozen records that travel: between stages as objects, between tasks as Parquet.

Fields are flat, and of the types that `include/moat/staging.py` knows: str, int, float, bool, bytes,
their optional forms, and tuples of str.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from moat.ids import text_hash

T = TypeVar("T")
What = Literal["new", "changed", "access", "vanished", "unchanged"]
FINGERPRINT_MOVED = "its fingerprint moved"  # why, where the source changed a document by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A document as its source lists it: enough to tell whether it changed, without its content."""

    key: str
    uri: str
    fingerprint: str  # moves whenever the content may have moved
    size: int  # bytes; 0 where the source does not say
    policy: str | None  # canonical JSON of the policy; None: unknown
    reason: str = ""  # why access is unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What this load does with one document, and why."""

    key: str
    uri: str
    fingerprint: str
    size: int
    policy: str | None
    what: What
    why: str
    access_version: int  # of the ledger's access when it was compared; 0: not there
    known_hash: str  # of the content that the ledger has, to tell a moved fingerprint from a change

    @property
    def edited(self) -> bool:
        """Whether the source changed it, and not another recipe or a person has it read again."""
        return self.what == "changed" and self.why == FINGERPRINT_MOVED


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDocument:
    """A document's bytes as they were fetched, with what the source said of it at that moment."""

    key: str
    uri: str
    name: str  # file name, for a first guess of the type
    fingerprint: str
    content: bytes
    content_hash: str
    policy: str
    access_version: int
    title: str | None = None
    metadata: tuple[str, ...] = ()  # "name=value", for filters


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A piece of a parsed document, in reading order."""

    kind: Literal["heading", "text", "list", "table"]
    text: str  # a table is Markdown, its header first
    level: int = 0  # of a heading, 1 is the highest
    page: int | None = None
    hidden: str = ""  # how it is kept from a person's eye: css, colour, size, markup; empty: it is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document as text with structure, on its way from parse to chunk."""

    key: str
    uri: str
    title: str
    media_type: str
    blocks: tuple[Block, ...]
    n_pages: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A document that went through parse, clean and chunk: what load writes into the ledger."""

    id: str
    key: str
    uri: str
    title: str
    media_type: str
    fingerprint: str
    content_hash: str
    policy: str
    access_version: int
    metadata: tuple[str, ...]
    n_pages: int
    n_characters: int
    n_chunks: int
    n_replaced: int = 0  # characters that stand for what could not be decoded
    language: str = ""  # ISO 639-1; empty: too little text to tell
    risks: tuple[str, ...] = ()  # "family:kind=n", such as "personal:EMAIL_ADDRESS=3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a document's text that fits into the embedding model, heading path included."""

    id: str
    document_id: str
    key: str
    text: str
    heading: str  # the path of headings, " › " between
    kind: str
    page: int | None
    position: int  # 0 for the first chunk of the document
    n_tokens: int  # of the embedded text, special tokens included
    text_hash: str  # of the embedded text

    @property
    def embedded_text(self) -> str:
        return embedded_text(self.heading, self.text)


def embedded_text(heading: str, text: str) -> str:
    """What the model sees of a chunk: the heading path, an empty line, the text."""
    return f"{heading}\n\n{text}" if heading else text


@dataclass(frozen=True, slots=True)
class Embedded:
    """A chunk's vector: little-endian float32, as many as the model has dimensions."""

    chunk_id: str
    text_hash: str
    vector: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexObject:
    """A chunk as it stands in the index."""

    id: str
    source: str
    document: str  # its document's id
    key: str
    load: int  # that wrote it
    kind: str
    title: str
    heading: str
    text: str
    metadata: tuple[str, ...]
    allow: tuple[str, ...]  # opaque tokens; empty: nobody
    vector: bytes  # little-endian float32

    @property
    def text_hash(self) -> str:
        return text_hash(embedded_text(self.heading, self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A document that cannot go on, with the stage, the reason, and its bytes where they were fetched."""

    key: str
    uri: str
    stage: str
    error: str  # name of the error class
    reason: str
    fingerprint: str
    raw_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What passes between the tasks of one batch: where its records stand and how many there are."""

    number: int
    n_documents: int
    size: int


def record_of(kind: type[T], values: Iterable[Any]) -> T:
    """A record from values in the order of its fields, such as a row of the ledger."""
    names = (field.name for field in fields(kind))  # type: ignore[arg-type]
    return kind(**dict(zip(names, values, strict=True)))
