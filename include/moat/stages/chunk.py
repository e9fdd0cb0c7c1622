"""chunk: a document -> chunks that fit the embedding model whole.

langchain-text-splitters splits inside a section, never across one; sizes are in the model's own
tokens, heading path included. Code stays whole if it fits, and a list with the line that leads to it. A table
keeps its caption; where it does not fit it is split between rows, and every part begins with its header. A row
that does not fit, or whose header does not, is written as `name: value` lines, its key in every part.
"""

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moat.embedding.model import TokenCounter
from moat.records import Block, Chunk, Document, embedded_text
from moat.source import Chunking
from moat.stages.fit import CHARACTERS_PER_TOKEN, CODE_SEPARATORS, GROUP, SEPARATORS, Fit
from moat.stages.pieces import Identity, Piece, chunks_of
from moat.stages.tables import RULE, split_table

PATH = " › "
KEPT = "\n\ue000\n"  # an empty line at which the splitter does not split
FENCE = re.compile(r"\s*(`{3,}|~{3,})")
CAPTION = re.compile(r"\s*(table|tab\.|tabelle|tableau|tabella|tabla|tabela|表)\s*[\divx]", re.IGNORECASE)
CAPTION_TOKENS = 40  # what is longer is a paragraph
DEEPEST = 64  # headings above a text that can be told: more would not fit
LEAD_TOKENS = 30  # the same, of a line that leads to a list or to code


@dataclass(frozen=True, slots=True)
class Unit:
    """Text that is split last: a block, or blocks that belong together."""

    text: str
    page: int | None


@dataclass(frozen=True, slots=True)
class Section:
    """The blocks below one heading, up to the next heading of any level."""

    path: tuple[str, ...]
    blocks: tuple[Block, ...]


class Chunker:
    """Cuts documents into chunks for one model and one `Chunking`."""

    def __init__(self, tokens: TokenCounter, chunking: Chunking) -> None:
        self._tokens, self._fit = tokens, Fit(tokens)
        self._most = tokens.max_tokens - tokens.special
        self._target = min(chunking.target_tokens - tokens.special, self._most)
        self._overlap = chunking.overlap_tokens

    def chunk(self, document: Document, document_id: str, metadata: tuple[str, ...] = ()) -> list[Chunk]:
        """Cut a document into chunks, in its order."""
        identity = Identity(document_id, document.key, (document.title, *metadata))
        return chunks_of(self.pieces(document), identity)

    def pieces(self, document: Document) -> list[Piece]:
        """Cut a document into the pieces that become its chunks, in its order."""
        self._tokens.forget()
        pieces = [piece for section in sections(document) for piece in self._pieces(section)]
        bodies = [embedded_text(heading, text) for heading, text, _, _ in pieces]
        made = list[Piece]()
        for start in range(0, len(bodies), GROUP):
            group = slice(start, start + GROUP)
            if len(bodies) > GROUP:
                self._tokens.forget()
            self._tokens.learn(bodies[group])
            for (heading, text, kind, page), body in zip(pieces[group], bodies[group], strict=True):
                made.append(Piece(text, heading, kind, page, self._tokens.count(body) + self._tokens.special))
        self._tokens.forget()
        return made

    def _pieces(self, section: Section) -> Iterator[tuple[str, str, str, int | None]]:
        """Yield (heading path, text, kind, page) of each chunk of a section."""
        heading = self._heading(section.path)
        budget = self._target - (self._tokens.count(heading) if heading else 0)
        for table, blocks in self._tables(section.blocks):
            if table is not None:
                caption = "\n".join(block.text for block in blocks)
                yield from (
                    (heading, text, "table", table.page) for text in split_table(self._fit, table.text, caption, budget)
                )
            else:
                for text, page in self._text(blocks, budget):
                    yield heading, text, "text", page

    def _tables(self, blocks: Sequence[Block]) -> Iterator[tuple[Block | None, Sequence[Block]]]:
        """Yield each table with its caption, and (None, blocks) for what stands between."""
        between: list[Block] = []
        rest = deque(blocks)
        while rest:
            block = rest.popleft()
            if block.kind != "table":
                between.append(block)
                continue
            before = deque([between.pop()] if between and self._is_caption(between[-1]) else [])
            while between and before and between[-1].kind == "heading":
                before.appendleft(between.pop())
            after = [rest.popleft()] if not before and self._numbered(rest) else []
            while rest and rest[0].kind == "heading":
                after.append(rest.popleft())
            if between:
                yield None, between
            between = []
            yield block, [*before, *after]
        if between:
            yield None, between

    def _is_caption(self, block: Block) -> bool:
        text = block.text.strip()
        if block.kind == "heading":  # with nothing below it
            return True
        if block.kind != "text" or "\n" in text or self._tokens.count(text) > CAPTION_TOKENS:
            return False
        return bool(CAPTION.match(text)) or text.endswith((":", "："))

    def _numbered(self, rest: deque[Block]) -> bool:
        """Whether `Table 3 …` follows, which is not the next table's own."""
        following = rest[1].kind if len(rest) > 1 else ""
        return bool(rest) and bool(CAPTION.match(rest[0].text)) and self._is_caption(rest[0]) and following != "table"

    def _heading(self, path: Sequence[str]) -> str:
        """Join the heading path, shortened if it takes over a third."""
        kept, most = list(path), self._target // 3
        while len(kept) > 1 and sum(map(len, kept)) > most * CHARACTERS_PER_TOKEN:
            kept = kept[1:]
        kept = [text[: 2 * most * CHARACTERS_PER_TOKEN] for text in kept]
        while kept and self._fit.length(PATH.join(kept)) > most:
            kept = kept[1:] if len(kept) > 1 else [kept[0][: len(kept[0]) // 2].rstrip()]
        return PATH.join(kept)

    def _text(self, blocks: Sequence[Block], budget: int) -> Iterator[tuple[str, int | None]]:
        starts, units, length = list[int](), list(self._units(blocks, budget)), 0
        for unit in units:
            starts.append(length)
            length += len(unit.text) + 2
        text = "\n\n".join(unit.text for unit in units)
        at = 0
        for piece in self._fit.split(text, SEPARATORS, budget, self._overlap):
            found = text.find(piece, at)  # an overlap begins before the end of the piece before
            at = found + 1 if found >= 0 else at
            shown = piece.replace(KEPT, "\n\n")
            if not RULE.fullmatch(shown):
                yield shown, units[bisect_right(starts, max(found, 0)) - 1].page

    def _units(self, blocks: Sequence[Block], budget: int) -> Iterator[Unit]:
        """Join list items, and code or a list with the line that leads to it."""
        rest = deque(blocks)
        while rest:
            lead = rest.popleft() if len(rest) > 1 and self._leads(rest[0], rest[1]) else None
            members = [rest.popleft()]
            while rest and members[0].kind == rest[0].kind == "list":
                members.append(rest.popleft())
            if members[0].kind not in ("list", "code"):
                yield Unit(members[0].text, members[0].page)
                continue
            first = f"{lead.text}\n" if lead is not None else ""
            whole = first + "\n".join(block.text for block in members)
            if self._fit.length(whole) <= budget:
                yield Unit(whole.replace("\n\n", KEPT), (lead or members[0]).page)
            elif members[0].kind == "code":
                for part in self._code(members[0].text, first, budget):
                    yield Unit(part.replace("\n\n", KEPT), members[0].page)
            else:
                yield from self._items(members, first, budget)

    def _leads(self, block: Block, following: Block) -> bool:
        if block.kind != "text" or following.kind not in ("list", "code"):
            return False
        most = self._target // 3 if block.text.rstrip().endswith((":", "：")) else LEAD_TOKENS
        return self._tokens.count(block.text) <= most

    def _items(self, items: Sequence[Block], lead: str, budget: int) -> Iterator[Unit]:
        """Pack list items into units that fit, each below the lead-in."""
        left = budget - self._fit.length(lead) if lead else budget
        texts, at = [item.text for item in items], 0
        while at < len(items):
            page = items[at].page
            if self._fit.length(texts[at]) > left:
                parts = self._fit.split(texts[at], SEPARATORS, left, self._overlap)
                yield from (Unit((lead + part).replace("\n\n", KEPT), page) for part in parts)
                at += 1
                continue
            end = self._fit.end(texts, at, left)
            yield Unit((lead + "\n".join(texts[at:end])).replace("\n\n", KEPT), page)
            at = end

    def _code(self, code: str, lead: str, budget: int) -> Iterator[str]:
        """Split code between lines, each part inside the fence of the whole."""
        lines = code.split("\n")
        fenced = FENCE.match(lines[0])
        opened, closed = (f"{lines[0]}\n", f"\n{fenced[1]}") if fenced else ("", "")
        inner = lines[1:-1] if fenced and len(lines) > 1 and lines[-1].strip() == fenced[1] else lines[bool(fenced) :]
        around = self._fit.length(lead + opened + closed)
        if around > budget // 2:
            lead, opened, inner = "", "", [*([lead.rstrip()] if lead else []), *lines]
            closed, around = "", 0
        for part in self._fit.split("\n".join(inner), CODE_SEPARATORS, budget - around, 0):
            yield f"{lead}{opened}{part}{closed}"


def sections(document: Document) -> Iterator[Section]:
    """Split a document into sections.

    A heading with nothing below it is a line of the next section, or of the last one: alone it says nothing.
    """
    bare: list[Block] = []
    last: Section | None = None
    for section in _sections(document):
        if section.blocks[0].kind == "heading":
            bare += section.blocks
            continue
        if last is not None:
            yield last
        last = Section(section.path, (*bare, *section.blocks))
        bare = []
    if last is not None:
        yield Section(last.path, (*last.blocks, *bare))
    elif bare:
        yield Section((document.title,) if document.title else (), tuple(bare))


@dataclass
class _Heading:
    """A heading above what comes, and whether text stands below it."""

    block: Block
    used: bool = False


def _sections(document: Document) -> Iterator[Section]:
    """Split a document at its headings; those with no text below them are sections of their own."""
    path: list[_Heading] = []
    blocks: list[Block] = []

    def whole() -> Section:
        for heading in reversed(path):
            if heading.used:
                break  # and so is what stands above it
            heading.used = True
        return Section(_path(document.title, [heading.block.text for heading in path[-DEEPEST:]]), tuple(blocks))

    for block in document.blocks:
        if RULE.fullmatch(block.text):
            continue
        if block.kind != "heading":
            blocks.append(block)
            continue
        if blocks:
            yield whole()
        closed = deque[_Heading]()
        while path and path[-1].block.level >= block.level:
            closed.appendleft(path.pop())
        if bare := tuple(heading.block for heading in closed if not heading.used):
            yield Section((), bare)
        path.append(_Heading(block))
        blocks = []
    if blocks:
        yield whole()
    if bare := tuple(heading.block for heading in path if not heading.used):
        yield Section((), bare)


def _path(title: str, headings: Sequence[str]) -> tuple[str, ...]:
    return tuple(headings if not title or (headings and headings[0] == title) else [title, *headings])
