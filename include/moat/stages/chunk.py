"""chunk: a document -> chunks that fit the embedding model whole.

langchain-text-splitters splits inside a section, never across one; sizes are in the model's own
tokens, heading path included. A table stays whole if it fits; otherwise it is split between rows, and
every part begins with its header.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from langchain_text_splitters import RecursiveCharacterTextSplitter

from moat.embedding.model import TokenCounter
from moat.ids import chunk_id, text_hash
from moat.records import Block, Chunk, Document, embedded_text
from moat.source import Chunking

SEPARATORS = ["\n\n", "\n", r"(?<=[.!?;:])\s+|(?<=[。！？；])", r"\s+", ""]
ROW_SEPARATORS = ["\n", r"\s+", ""]
PATH = " › "
CHARACTERS_PER_TOKEN = 12  # more is no language: so long a word would count as one unknown token


@dataclass(frozen=True, slots=True)
class Section:
    """The blocks below one heading, up to the next heading of any level."""

    path: tuple[str, ...]
    blocks: tuple[Block, ...]


class Chunker:
    """Cuts documents into chunks for one model and one `Chunking`."""

    def __init__(self, tokens: TokenCounter, chunking: Chunking) -> None:
        self._tokens = tokens
        self._most = tokens.max_tokens - tokens.special
        self._target = min(chunking.target_tokens - tokens.special, self._most)
        self._overlap = chunking.overlap_tokens

    def chunk(self, document: Document, document_id: str, metadata: tuple[str, ...] = ()) -> list[Chunk]:
        """Cut a document into chunks, in its order.

        Ids depend on what is shown, never on the position.
        """
        self._tokens.forget()
        pieces = [piece for section in sections(document) for piece in self._pieces(section)]
        bodies = [embedded_text(heading, text) for heading, text, _, _ in pieces]
        self._tokens.learn(bodies)
        seen: Counter[str] = Counter()
        chunks = []
        for position, ((heading, text, kind, page), body) in enumerate(zip(pieces, bodies, strict=True)):
            n_tokens = self._tokens.count(body) + self._tokens.special
            chunks.append(
                Chunk(
                    id=chunk_id(document_id, body, seen[body], (document.title, *metadata)),
                    document_id=document_id,
                    key=document.key,
                    text=text,
                    heading=heading,
                    kind=kind,
                    page=page,
                    position=position,
                    n_tokens=n_tokens,
                    text_hash=text_hash(body),
                )
            )
            seen[body] += 1
        return chunks

    def _pieces(self, section: Section) -> Iterator[tuple[str, str, str, int | None]]:
        """Yield (heading path, text, kind, page) of each chunk of a section."""
        heading = self._heading(section.path)
        budget = self._target - (self._tokens.count(heading) if heading else 0)
        for is_table, group in groupby(section.blocks, key=lambda block: block.kind == "table"):
            blocks = list(group)
            if is_table:
                for table in blocks:
                    yield from ((heading, text, "table", table.page) for text in self._table(table.text, budget))
            else:
                for text, page in self._text(blocks, budget):
                    yield heading, text, "text", page

    def _heading(self, path: Sequence[str]) -> str:
        """Join the heading path, shortened if it takes over a third."""
        kept = list(path)
        while kept and self._tokens.count(PATH.join(kept)) > self._target // 3:
            kept = kept[1:] if len(kept) > 1 else [kept[0][: len(kept[0]) // 2].rstrip()]
        return PATH.join(kept)

    def _text(self, blocks: Sequence[Block], budget: int) -> Iterator[tuple[str, int | None]]:
        text, starts = "", list[int]()
        for before, block in zip([None, *blocks], blocks, strict=False):
            if before is not None:
                text += "\n" if before.kind == block.kind == "list" else "\n\n"
            starts.append(len(text))
            text += block.text
        at = 0
        for piece in self._split(text, SEPARATORS, budget, self._overlap):
            found = text.find(piece, at)  # an overlap begins before the end of the piece before
            at = found + 1 if found >= 0 else at
            yield piece, blocks[bisect_right(starts, max(found, 0)) - 1].page

    def _table(self, table: str, budget: int) -> list[str]:
        """Split a table into parts that fit, each with its header.

        A header that is too wide to repeat appears once.
        """
        if self._length(table) <= budget:
            return [table]
        header, line, *rows = table.split("\n")
        head = f"{header}\n{line}\n"
        left = budget - self._length(head)
        if left < budget // 2:
            return self._split(table, ROW_SEPARATORS, budget, 0)
        return [head + part for part in self._split("\n".join(rows), ROW_SEPARATORS, left, 0)]

    def _split(self, text: str, separators: list[str], budget: int, overlap: int) -> list[str]:
        """Split a text into pieces that fit the budget."""
        self._learn(text, separators, budget)
        splitter = RecursiveCharacterTextSplitter(
            separators,
            keep_separator="end",
            is_separator_regex=True,
            chunk_size=budget,
            chunk_overlap=min(overlap, budget // 2),
            length_function=self._length,
        )
        pieces = splitter.split_text(text)
        self._tokens.learn(pieces)
        # Parts can have fewer tokens than the whole text together, so what is too long is split again.
        return [
            part
            for piece in pieces
            for part in (
                [piece] if self._length(piece) <= budget else self._split(piece, separators, budget * 3 // 4, 0)
            )
        ]

    def _learn(self, text: str, separators: Sequence[str], budget: int) -> None:
        """Count in a few calls what the splitter will ask for one by one."""
        pieces = [text]
        for separator in separators:
            self._tokens.learn(pieces)
            pieces = [p for p in pieces if self._length(p) > budget]
            if not pieces or separator == "":
                return
            pieces = [part for piece in pieces for part in _cut(piece, separator)]
        self._tokens.learn(pieces)

    def _length(self, text: str) -> int:
        return max(self._tokens.count(text), -(-len(text) // CHARACTERS_PER_TOKEN))


def sections(document: Document) -> Iterator[Section]:
    """Split a document into sections.

    A heading with nothing below it is a section of its own words.
    """
    path: list[tuple[int, str]] = []
    blocks: list[Block] = []
    open_heading: Block | None = None  # the last heading, while nothing stands below it
    for block in document.blocks:
        if block.kind != "heading":
            blocks.append(block)
            continue
        if blocks:
            yield Section(_path(document.title, path), tuple(blocks))
        elif open_heading is not None and block.level <= open_heading.level:
            yield Section(_path(document.title, path[:-1]), (open_heading,))
        path = [(level, text) for level, text in path if level < block.level]
        path.append((block.level, block.text))
        blocks, open_heading = [], block
    if blocks:
        yield Section(_path(document.title, path), tuple(blocks))
    elif open_heading is not None:
        yield Section(_path(document.title, path[:-1]), (open_heading,))


def _path(title: str, path: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    headings = [text for _, text in path]
    return tuple(headings if not title or (headings and headings[0] == title) else [title, *headings])


def _cut(text: str, separator: str) -> list[str]:
    """Split a text at a separator, which stays at the end of the part before it."""
    parts = re.split(f"({separator})", text)
    pieces = [a + b for a, b in zip(parts[0::2], [*parts[1::2], ""], strict=False)]
    return [piece for piece in pieces if piece]
