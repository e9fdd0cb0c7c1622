"""Frozen records that are passed between stages, and as Parquet between tasks.

Fields are flat and of the types that `include/moat/staging.py` supports: str, int, float, bool, bytes,
their optional forms, and tuples of str.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from moat.ids import text_hash

T = TypeVar("T")
What = Literal["new", "changed", "access", "vanished", "unchanged"]
Why = Literal[
    "",  # unchanged: nothing to do
    "new",  # it was not loaded before
    "fingerprint",  # its fingerprint moved: the source changed it
    "recipe",  # it was prepared by an older recipe
    "asked",  # a person or a full run asks for it
    "access",  # only its access moved
    "access known",  # its access is known again
    "lag",  # the index holds an older access
    "not listed",  # its source does not list it any more
    "unknown",  # nobody said who may read it
    "resting",  # its bytes rest in quarantine
    "erased",  # it was erased for good
]
LeftOut = Literal[
    "",
    "running head",  # of a page: the same text at the same place of most pages
    "page number",
    "contents page",  # a table of contents, which repeats the headings
    "navigation",  # of a web page: menus, breadcrumbs, site footers
    "no script",  # of a page: what stands for scripts that are off, and templates that only scripts show
    "comment",  # a person's remark in the margin
    "note",  # a speaker's note, or a note of a PDF
    "quoted reply",  # in a mail, the mail that it answers
    "signature",  # a digital one, which is no text
    "link target",
    "setting",  # a line for programs, such as sep=; of a CSV
    "other version",  # a second form of the same text, such as the plain text beside a mail's HTML
    "unreadable part",  # an attachment or embedded part that cannot be parsed; its text says why
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A document as its source lists it, without its content."""

    key: str
    uri: str
    fingerprint: str  # changes whenever the content may have changed
    size: int  # bytes; 0 where the source does not say
    policy: str | None  # canonical JSON of the policy; None: unknown
    reason: str = ""  # why access is unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a load does with one document, and why."""

    key: str
    uri: str
    fingerprint: str
    size: int
    policy: str | None
    what: What
    why: Why
    access_version: int  # of its access in the ledger when compared; 0: not in the ledger
    known_hash: str  # of the content in the ledger, to tell a touched document from a changed one

    @property
    def edited(self) -> bool:
        """Whether the source itself changed it, rather than a new recipe or a person's request."""
        return self.what == "changed" and self.why == "fingerprint"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDocument:
    """A document's bytes as fetched, with the source's metadata at that moment."""

    key: str
    uri: str
    name: str  # file name, a first hint at its type
    fingerprint: str
    content: bytes
    content_hash: str
    policy: str
    access_version: int
    title: str | None = None
    metadata: tuple[str, ...] = ()  # "name=value", for filters
    modified: float | None = None  # seconds of the epoch; None where the source does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A part of a parsed document, in reading order."""

    kind: Literal["heading", "text", "list", "table", "code"]
    text: str  # a table is Markdown, header first
    level: int = 0  # of a heading; 1 is the highest
    page: int | None = None
    hidden: str = ""  # why a person does not see it: css, colour, size, markup; empty: it is shown
    left_out: LeftOut = ""  # the rule by which it is not loaded; empty: it is loaded


@dataclass(frozen=True, slots=True)
class SourceWords:
    """Words of a document by another road than its parser's, to tell what the parser lost.

    Args:
        text: How often each word stands in the document's text.
        beside: Words that a parser may give or not: tags' attributes, keys, a second form of the text.
    """

    text: Mapping[str, int]
    beside: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document as structured text, on its way from parse to chunk."""

    key: str
    uri: str
    title: str
    media_type: str
    blocks: tuple[Block, ...]
    n_pages: int = 0
    metadata: tuple[str, ...] = ()  # "name=value", as the document itself says it
    words: SourceWords | None = None  # None: its kind has no second road, such as a scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A document after parse, clean and chunk, as load writes it to the ledger."""

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
    n_replaced: int = 0  # replacement characters (U+FFFD) for bytes that could not be decoded
    language: str = ""  # ISO 639-1; empty: too little text to detect it
    modified: float | None = None  # seconds of the epoch; None where the source does not say
    risks: tuple[str, ...] = ()  # "family:kind=n", such as "personal:EMAIL_ADDRESS=3"
    n_words: int = 0  # of the document by another road than the parser's; 0: there is none
    n_missing: int = 0  # of these, in no chunk and not declared as left out
    n_invented: int = 0  # words of its text that the document does not have
    missing: tuple[str, ...] = ()  # some of the missing words
    left_out: tuple[str, ...] = ()  # "rule=n=sample": words left out by a rule, and how they begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a document's text that fits the embedding model, heading path included."""

    id: str
    document_id: str
    key: str
    text: str
    heading: str  # path of headings, joined by " › "
    kind: str
    page: int | None
    position: int  # 0 for the first chunk of the document
    n_tokens: int  # of the embedded text, special tokens included
    text_hash: str  # of the embedded text

    @property
    def embedded_text(self) -> str:
        """The text that the model embeds."""
        return embedded_text(self.heading, self.text)


def embedded_text(heading: str, text: str) -> str:
    """Join heading path and text as the model embeds them."""
    return f"{heading}\n\n{text}" if heading else text


@dataclass(frozen=True, slots=True)
class Embedded:
    """A chunk's vector as little-endian float32, one number per dimension of the model."""

    chunk_id: str
    text_hash: str
    vector: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexObject:
    """A chunk as stored in the index."""

    id: str
    source: str
    document: str  # id of its document
    key: str
    load: int  # number of the load that wrote it
    kind: str
    title: str
    heading: str
    text: str
    metadata: tuple[str, ...]
    allow: tuple[str, ...]  # access tokens; empty: nobody
    vector: bytes  # little-endian float32

    @property
    def text_hash(self) -> str:
        """Hash of the embedded text."""
        return text_hash(embedded_text(self.heading, self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A quarantined document: stage, reason, and where its bytes are."""

    key: str
    uri: str
    stage: str
    error: str  # name of the error class
    reason: str
    fingerprint: str
    raw_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of a load, as passed between its tasks."""

    number: int
    n_documents: int
    size: int


def record_of(kind: type[T], values: Iterable[Any]) -> T:
    """Build a record from values in the order of its fields."""
    names = (field.name for field in fields(kind))  # type: ignore[arg-type]
    return kind(**dict(zip(names, values, strict=True)))
