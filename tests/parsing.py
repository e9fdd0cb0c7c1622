"""Parse bytes in this process, and compare what was parsed with the words of the document."""

from collections import Counter

from moat.parse.formats import parse_bytes
from moat.parse.options import Parsing
from moat.parse.words import count, words_of
from moat.records import Block

LIMIT = 32 << 20


def parsed(content: bytes | str, name: str, parsing: Parsing = Parsing()) -> list[Block]:
    """Blocks of a document, as its parser gives them: hidden ones and left-out ones too."""
    data = content.encode() if isinstance(content, str) else content
    return parse_bytes(data, name, parsing, LIMIT)[1].blocks


def title_of(content: bytes | str, name: str) -> str | None:
    """The title that the format states."""
    data = content.encode() if isinstance(content, str) else content
    return parse_bytes(data, name, Parsing(), LIMIT)[1].title


def shown(blocks: list[Block]) -> list[Block]:
    """Blocks that are loaded: neither hidden nor left out."""
    return [block for block in blocks if not block.hidden and not block.left_out]


def text_of(blocks: list[Block]) -> str:
    """Text of the blocks that are loaded."""
    return "\n".join(block.text for block in shown(blocks))


def lost_words(content: bytes | str, name: str, parsing: Parsing = Parsing()) -> Counter[str]:
    """Words of a document that are in no block, neither loaded nor hidden nor left out by a rule."""
    data = content.encode() if isinstance(content, str) else content
    kind, (blocks, title, _) = parse_bytes(data, name, parsing, LIMIT)
    there = words_of(data, kind)
    assert there is not None, f"{name}: no second road to its words"
    return Counter(there.text) - count("\n".join([title or "", *(block.text for block in blocks)]))


def invented_words(content: bytes | str, name: str, parsing: Parsing = Parsing()) -> Counter[str]:
    """Words of the loaded blocks that the document does not have; a word that it has may stand there more often."""
    data = content.encode() if isinstance(content, str) else content
    kind, (blocks, *_) = parse_bytes(data, name, parsing, LIMIT)
    there = words_of(data, kind)
    assert there is not None, f"{name}: no second road to its words"
    return Counter({w: n for w, n in count(text_of(blocks)).items() if w not in there.text and w not in there.beside})
