"""Words of a document that are in no chunk, and what rules left out.

Words are counted without their order. A word is kept if a chunk has it, if a rule left it out, or if the source's
Risks redacted it. What is left is missing: text that was lost without anybody saying so.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from moat.parse.words import count
from moat.records import Block, Chunk, Document
from moat.risks.judge import redacted
from moat.source import Risks
from moat.stages.pieces import Piece, WordsKept

SHOWN = 12  # missing words of a document that are stored
SAMPLE = 120  # characters of what a rule left out that are stored
LONG = 6  # digits of a word that may be a number of somebody: such words are counted and not stored


def words_kept(cleaned: Document, judged: Document, pieces: Sequence[Piece | Chunk], policy: Risks) -> WordsKept:
    """Compare a document's words with its chunks.

    Args:
        cleaned: The document after clean, with blocks that are hidden or left out.
        judged: The same after its Risks, as it was cut into chunks.
        pieces: The texts of its chunks.
        policy: Its source's Risks; samples are redacted by it.
    """
    left_out = _left_out(cleaned, policy)
    words = cleaned.words
    if words is None:
        return WordsKept(left_out=left_out)
    shown = _count("", (b for b in cleaned.blocks if not b.left_out and not b.hidden))
    whole = shown + _count(cleaned.title, (b for b in cleaned.blocks if b.left_out or b.hidden))
    loaded = shown if judged.blocks == cleaned.blocks else _count("", judged.blocks)
    in_chunks = count("\n".join(f"{piece.heading}\n{piece.text}" for piece in pieces))
    missing = (Counter(words.text) - whole) + ((loaded - in_chunks) & Counter(words.text))
    return WordsKept(
        n_words=sum(words.text.values()),
        n_missing=missing.total(),
        n_invented=sum(
            n
            for word, n in shown.items()
            if word not in words.text
            and word not in words.beside
            and not word.isdigit()  # a sheet decides how it shows
        ),
        missing=tuple([word for word, _ in missing.most_common(4 * SHOWN) if not _number(word)][:SHOWN]),
        left_out=left_out,
    )


def _count(title: str, blocks: Iterable[Block]) -> Counter[str]:
    return count("\n".join([title, *(block.text for block in blocks)]))


def _left_out(cleaned: Document, policy: Risks) -> tuple[str, ...]:
    texts: dict[str, list[str]] = {}
    for block in cleaned.blocks:
        if block.left_out:
            texts.setdefault(block.left_out, []).append(block.text)
    return tuple(
        f"{rule}={count(text).total()}={' '.join(redacted(text[: 4 * SAMPLE], policy).split())[:SAMPLE]}"
        for rule, text in ((rule, "\n".join(parts)) for rule, parts in sorted(texts.items()))
    )


def _number(word: str) -> bool:
    return sum(c.isdigit() for c in word) >= LONG
