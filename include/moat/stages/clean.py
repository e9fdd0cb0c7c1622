"""clean: text -> better text.

Pure functions in a fixed order, each with a count of its changes.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace

from moat.parse.marks import bounded
from moat.records import Document

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
SEPARATOR = re.compile(r"(?<=\w)[\x00-\x08\x0b\x0c\x0e-\x1f]+(?=\w)")  # which keeps two words apart
INVISIBLE = re.compile(
    "[\u200b\u2060-\u2064\ufeff\u180e"  # zero width
    "\u202a-\u202e\u2066-\u2069\u200e\u200f"  # direction, which can display another text than is stored
    "\U000e0000-\U000e007f]"  # tags
    "|(?<=[A-Za-z])[\u200c\u200d](?=[A-Za-z])"  # joiners, which have a meaning in other scripts only
)
DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w=-]+)*;base64,[A-Za-z0-9+/=\s]{64,}")
BROKEN_LINE = re.compile(r"(?<=[^\W\d_])-[ \t]*\n[ \t]*(?=[a-zà-öø-ÿ])")
BROKEN_WORD = re.compile(r"(?<=[a-zà-öø-ÿ])- (?!(?:and|or|to|nor|und|oder|bis|et|ou|y|o|e|en|of)\b)(?=[a-zà-öø-ÿ])")
LEADERS = re.compile(r"(?:\s?[.·…_]){5,}")
SPACES = re.compile(r"(?<=\S)[^\S\n]+")
LINE_ENDS = re.compile(
    r"(?:^|(?<=\S))[^\S\n]++$", re.MULTILINE
)  # of a line that is indented, only its indentation is tried
EMPTY_LINES = re.compile(r"\n{3,}")

Step = Callable[[Document], tuple[Document, int]]


def nfc(document: Document) -> tuple[Document, int]:
    """Normalize to Unicode NFC; of more than 30 combining marks in a row the first 30 stay."""
    return _each(document, lambda text: unicodedata.normalize("NFC", bounded(text)))


def control_characters(document: Document) -> tuple[Document, int]:
    """Remove control characters except tab and line feed; between two words they become a space."""
    return _each(
        document, lambda text: CONTROL.sub("", SEPARATOR.sub(" ", text).replace("\r\n", "\n").replace("\r", "\n"))
    )


def invisible_characters(document: Document) -> tuple[Document, int]:
    """Remove zero-width characters, direction overrides and tags, which a person does not see."""
    return _each(document, lambda text: INVISIBLE.sub("", text))


def soft_hyphens(document: Document) -> tuple[Document, int]:
    """Remove soft hyphens, which are no part of the word."""
    return _each(document, lambda text: text.replace("\u00ad", ""))


def data_uris(document: Document) -> tuple[Document, int]:
    """Remove pictures that are embedded as data URIs."""
    return _each(document, lambda text: DATA_URI.sub("", text))


def broken_hyphenation(document: Document) -> tuple[Document, int]:
    """Rejoin `informa-\\ntion`; in a PDF also `informa- tion`, but not `pre- and post-`."""
    pdf = document.media_type == "application/pdf"
    return _each(
        document, lambda text: BROKEN_WORD.sub("", BROKEN_LINE.sub("", text)) if pdf else BROKEN_LINE.sub("", text)
    )


def leaders(document: Document) -> tuple[Document, int]:
    """Shorten the dots between a title and its page in a table of contents."""
    return _each(document, lambda text: LEADERS.sub(" … ", text))


def white_space(document: Document) -> tuple[Document, int]:
    """Reduce to one space between words and one empty line; indentation and code stay."""

    def reduced(text: str) -> str:
        return EMPTY_LINES.sub("\n\n", LINE_ENDS.sub("", SPACES.sub(" ", text))).rstrip().lstrip("\n")

    blocks = tuple(b if b.kind == "code" else replace(b, text=reduced(b.text)) for b in document.blocks)
    return replace(document, blocks=blocks), sum(a != b for a, b in zip(blocks, document.blocks, strict=True))


def empty_blocks(document: Document) -> tuple[Document, int]:
    """Remove blocks without text."""
    kept = tuple(block for block in document.blocks if block.text.strip())
    return replace(document, blocks=kept), len(document.blocks) - len(kept)


STEPS: tuple[Step, ...] = (
    nfc,
    control_characters,
    invisible_characters,
    soft_hyphens,
    data_uris,
    broken_hyphenation,
    leaders,
    white_space,
    empty_blocks,
)


def clean(document: Document) -> tuple[Document, dict[str, int]]:
    """Apply every step, and count the blocks that each changed or dropped."""
    counts = {}
    for step in STEPS:
        document, counts[step.__name__] = step(document)
    title = document.title
    for pattern in (CONTROL, INVISIBLE):
        title = pattern.sub("", title)
    return replace(document, title=unicodedata.normalize("NFC", bounded(" ".join(title.split())))), counts


def _each(document: Document, change: Callable[[str], str]) -> tuple[Document, int]:
    """Change the text of each block; return the document and how many blocks differ."""
    blocks = tuple(replace(block, text=change(block.text)) for block in document.blocks)
    return replace(document, blocks=blocks), sum(a != b for a, b in zip(blocks, document.blocks, strict=True))
