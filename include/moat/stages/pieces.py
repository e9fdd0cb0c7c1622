"""A document as the child hands it back: pieces without ids, from which the task makes chunks.

Ids are made here and not in the child, so that a document that takes over its parser cannot name another document.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import Field

from moat.ids import chunk_id, text_hash
from moat.records import Chunk, embedded_text

Count = Annotated[int, Field(ge=0, lt=1 << 31)]  # what staging and ledger can store


class Piece(NamedTuple):
    """Text of one chunk with its heading path, before it has an id; tokens as `Chunk` counts them."""

    text: str
    heading: str
    kind: str
    page: Count | None
    n_tokens: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsKept:
    """What became of a document's words.

    Args:
        n_words: Words of the document by another road than the parser's; 0: there is none, so nothing was compared.
        n_missing: Of these, in no chunk and not declared as left out.
        n_invented: Words of the loaded text that the document does not have.
        missing: Some of the missing words, the most frequent first.
        left_out: "rule=n=sample": how many words a rule left out, and how they begin.
    """

    n_words: Count = 0
    n_missing: Count = 0
    n_invented: Count = 0
    missing: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A document as the child hands it back: its text in pieces, and what was counted on the way."""

    title: str
    media_type: str
    metadata: tuple[str, ...]  # after the source's Risks
    n_pages: Count
    n_characters: Count
    n_replaced: Count  # replacement characters (U+FFFD) for bytes that could not be decoded
    language: str
    risks: tuple[str, ...]  # "family:kind=n"
    cleaned: Mapping[str, Count]  # blocks changed or dropped, by step of clean
    kept: WordsKept
    pieces: Sequence[Piece]


class Identity(NamedTuple):
    """What the ids of a document's chunks are made of beside their text."""

    document_id: str
    key: str
    shown: tuple[str, ...]  # its title and metadata
    secret: str = ""  # the tenant's, of `moat.ledger.id_secret`


def chunks_of(pieces: Iterable[Piece], identity: Identity) -> list[Chunk]:
    """Make chunks of a document's pieces. Ids depend on what is shown, never on the position."""
    seen: Counter[str] = Counter()
    chunks = list[Chunk]()
    for position, piece in enumerate(pieces):
        body = embedded_text(piece.heading, piece.text)
        chunks.append(
            Chunk(
                id=chunk_id(identity.document_id, body, seen[body], identity.shown, identity.secret),
                document_id=identity.document_id,
                key=identity.key,
                text=piece.text,
                heading=piece.heading,
                kind=piece.kind,
                page=piece.page,
                position=position,
                n_tokens=piece.n_tokens,
                text_hash=text_hash(body),
            )
        )
        seen[body] += 1
    return chunks
