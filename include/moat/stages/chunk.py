"""chunk: a document -> chunks that fit the embedding model whole.

langchain-text-splitters splits inside a section, never across one; sizes are in the model's own
tokens, heading path included. Code stays whole if it fits, and a list with the line that leads to it. A table
keeps its caption; where it does not fit it is split between rows, and every part begins with its header. A row
that does not fit, or whose header does not, is written as `name: value` lines, its key in every part.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from langchain_text_splitters import RecursiveCharacterTextSplitter

from moat.embedding.model import TokenCounter
from moat.ids import chunk_id, text_hash
from moat.records import Block, Chunk, Document, embedded_text
from moat.source import Chunking

SEPARATORS = ["\n\n", "\n", r"(?<=[.!?;:])\s+|(?<=[。！？；])", r"\s+", ""]
ROW_SEPARATORS = ["\n", r"\s+", ""]
CODE_SEPARATORS = ["\n\n", "\n", r"\s+", ""]
CELL_SEPARATORS = [r"(?<=[.!?;:])\s+|(?<=[。！？；])", r"\s+", ""]
PATH = " › "
CHARACTERS_PER_TOKEN = 12  # more is no language: so long a word would count as one unknown token
KEPT = "\n\ue000\n"  # an empty line at which the splitter does not split
RULE = re.compile(r"[\s\-–—_=*~+#.·•|:<>\\/\u2500-\u257f]*")  # draws lines, says nothing
CELL = re.compile(r"(?<!\\)\|")
FENCE = re.compile(r"\s*(`{3,}|~{3,})")
CAPTION = re.compile(r"\s*(table|tab\.|tabelle|tableau|tabella|tabla|tabela|表)\s*[\divx]", re.IGNORECASE)
CAPTION_TOKENS = 40  # what is longer is a paragraph
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
        for table, blocks in self._tables(section.blocks):
            if table is not None:
                caption = "\n".join(block.text for block in blocks)
                yield from ((heading, text, "table", table.page) for text in self._table(table.text, caption, budget))
            else:
                for text, page in self._text(blocks, budget):
                    yield heading, text, "text", page

    def _tables(self, blocks: Sequence[Block]) -> Iterator[tuple[Block | None, Sequence[Block]]]:
        """Yield each table with its caption, and (None, blocks) for what stands between."""
        between: list[Block] = []
        rest = list(blocks)
        while rest:
            block = rest.pop(0)
            if block.kind != "table":
                between.append(block)
                continue
            before = [between.pop()] if between and self._is_caption(between[-1]) else []
            while between and before and between[-1].kind == "heading":
                before.insert(0, between.pop())
            after = [rest.pop(0)] if not before and self._numbered(rest) else []
            while rest and rest[0].kind == "heading":
                after.append(rest.pop(0))
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

    def _numbered(self, rest: Sequence[Block]) -> bool:
        """Whether `Table 3 …` follows, which is not the next table's own."""
        following = rest[1].kind if len(rest) > 1 else ""
        return bool(rest) and bool(CAPTION.match(rest[0].text)) and self._is_caption(rest[0]) and following != "table"

    def _heading(self, path: Sequence[str]) -> str:
        """Join the heading path, shortened if it takes over a third."""
        kept = list(path)
        while kept and self._tokens.count(PATH.join(kept)) > self._target // 3:
            kept = kept[1:] if len(kept) > 1 else [kept[0][: len(kept[0]) // 2].rstrip()]
        return PATH.join(kept)

    def _text(self, blocks: Sequence[Block], budget: int) -> Iterator[tuple[str, int | None]]:
        text, starts, units = "", list[int](), list(self._units(blocks, budget))
        for unit in units:
            text += "\n\n" if text else ""
            starts.append(len(text))
            text += unit.text
        at = 0
        for piece in self._split(text, SEPARATORS, budget, self._overlap):
            found = text.find(piece, at)  # an overlap begins before the end of the piece before
            at = found + 1 if found >= 0 else at
            shown = piece.replace(KEPT, "\n\n")
            if not RULE.fullmatch(shown):
                yield shown, units[bisect_right(starts, max(found, 0)) - 1].page

    def _units(self, blocks: Sequence[Block], budget: int) -> Iterator[Unit]:
        """Join list items, and code or a list with the line that leads to it."""
        rest = list(blocks)
        while rest:
            lead = rest.pop(0) if len(rest) > 1 and self._leads(rest[0], rest[1]) else None
            members = [rest.pop(0)]
            while rest and members[0].kind == rest[0].kind == "list":
                members.append(rest.pop(0))
            if members[0].kind not in ("list", "code"):
                yield Unit(members[0].text, members[0].page)
                continue
            first = f"{lead.text}\n" if lead is not None else ""
            whole = first + "\n".join(block.text for block in members)
            if self._length(whole) <= budget:
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
        left = budget - self._length(lead) if lead else budget
        packed: list[Block] = []
        for item in items:
            if packed and self._length("\n".join(block.text for block in [*packed, item])) > left:
                yield Unit((lead + "\n".join(b.text for b in packed)).replace("\n\n", KEPT), packed[0].page)
                packed = []
            if self._length(item.text) > left:
                parts = self._split(item.text, SEPARATORS, left, self._overlap)
                yield from (Unit((lead + part).replace("\n\n", KEPT), item.page) for part in parts)
            else:
                packed.append(item)
        if packed:
            yield Unit((lead + "\n".join(b.text for b in packed)).replace("\n\n", KEPT), packed[0].page)

    def _code(self, code: str, lead: str, budget: int) -> Iterator[str]:
        """Split code between lines, each part inside the fence of the whole."""
        lines = code.split("\n")
        fenced = FENCE.match(lines[0])
        opened, closed = (f"{lines[0]}\n", f"\n{fenced[1]}") if fenced else ("", "")
        inner = lines[1:-1] if fenced and len(lines) > 1 and lines[-1].strip() == fenced[1] else lines[bool(fenced) :]
        around = self._length(lead + opened + closed)
        if around > budget // 2:
            lead, opened, inner = "", "", [*([lead.rstrip()] if lead else []), *lines]
            closed, around = "", 0
        for part in self._split("\n".join(inner), CODE_SEPARATORS, budget - around, 0):
            yield f"{lead}{opened}{part}{closed}"

    def _table(self, table: str, caption: str, budget: int) -> list[str]:
        """Split a table into parts that fit, each with its caption and header."""
        above = f"{caption}\n\n" if caption else ""
        if self._length(above + table) <= budget:
            return [above + table] if not RULE.fullmatch(table) else []
        header, _, rest = table.partition("\n")
        line, _, body = rest.partition("\n")
        if not (header.startswith("|") and RULE.fullmatch(line) and body):
            return [part for part in self._split(above + table, ROW_SEPARATORS, budget, 0) if not RULE.fullmatch(part)]
        head, names = f"{above}{header}\n{line}\n", _cells(header)
        left = budget - self._length(head)
        if above and left < budget // 2:
            return [caption, *self._table(table, "", budget)]
        parts, packed = list[str](), list[str]()
        self._tokens.learn(rows := body.split("\n"))
        for row in [*rows, None]:
            fits = row is not None and self._length(row) <= left and left >= budget // 2
            if packed and not (fits and self._length("\n".join([*packed, row or ""])) <= left):
                parts.append(head + "\n".join(packed))
                packed = []
            if fits and row is not None:
                packed.append(row)
            elif row is not None:
                parts += self._row(names, _cells(row), budget)
        return [*self._unnamed(names, body, budget, left), *parts]

    def _unnamed(self, names: Sequence[str], body: str, budget: int, left: int) -> list[str]:
        """Names of a header too wide to repeat under which no row has a value."""
        if left >= budget // 2:
            return []
        named = {i for row in body.split("\n") for i, cell in enumerate(_cells(row)) if cell}
        bare = [name for i, name in enumerate(names) if name and i not in named]
        return self._split(" | ".join(bare), ROW_SEPARATORS, budget, 0) if bare else []

    def _row(self, names: Sequence[str], cells: Sequence[str], budget: int) -> list[str]:
        """Write a row as `name: value` lines; every part begins with its key, the first value."""
        fields = [(f"{name}: " if name else "", cell) for name, cell in zip_longest(names, cells, fillvalue="") if cell]
        if not fields:
            return []
        key = f"{fields[0][0]}{fields[0][1]}\n"
        if self._length(key) > budget // 3:
            key = ""
        parts, packed = list[str](), list[str]()
        left = budget - (self._length(key) if key else 0)
        for name, cell in fields[1:] if key else fields:
            if packed and self._length("\n".join([*packed, name + cell])) > left:
                parts.append(key + "\n".join(packed))
                packed = []
            if self._length(name + cell) <= left:
                packed.append(name + cell)
                continue
            repeated = name if self._length(name) <= left // 3 else ""
            room = left - (self._length(repeated) if repeated else 0)
            text = cell if repeated else name + cell
            parts += [key + repeated + part for part in self._split(text, CELL_SEPARATORS, room, 0)]
        if packed or not parts:
            parts.append((key + "\n".join(packed)).rstrip("\n"))
        return parts

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
        for heading in path:
            heading.used = True
        return Section(_path(document.title, [heading.block.text for heading in path]), tuple(blocks))

    for block in document.blocks:
        if RULE.fullmatch(block.text):
            continue
        if block.kind != "heading":
            blocks.append(block)
            continue
        if blocks:
            yield whole()
        closed = [heading for heading in path if heading.block.level >= block.level]
        path = [heading for heading in path if heading.block.level < block.level]
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


def _cut(text: str, separator: str) -> list[str]:
    """Split a text at a separator, which stays at the end of the part before it."""
    parts = re.split(f"({separator})", text)
    pieces = [a + b for a, b in zip(parts[0::2], [*parts[1::2], ""], strict=False)]
    return [piece for piece in pieces if piece]


def _cells(row: str) -> list[str]:
    """Cells of a row of a Markdown table, as they read."""
    cells = [cell.strip().replace("\\|", "|") for cell in CELL.split(row.strip())]
    return cells[1 : -1 if row.rstrip().endswith("|") else None] if row.lstrip().startswith("|") else cells
