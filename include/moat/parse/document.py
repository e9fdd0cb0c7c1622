"""Bytes → a structured document, inside the child."""

import os
from dataclasses import replace

from moat.errors import DocumentError, ParseFailed, ParseTooMuchText
from moat.parse.child import whole
from moat.parse.formats import parse_bytes
from moat.parse.kinds import MIME
from moat.parse.options import Parsing
from moat.parse.words import words_of
from moat.records import Block, Document


def parse_document(content: bytes, name: str, parsing: Parsing, limit: int) -> Document:
    """Parse a document, whatever its bytes.

    Args:
        content: Its bytes.
        name: Its file name, such as "report.docx".
        parsing: What its source takes and leaves out.
        limit: Maximum characters of its text.

    Raises:
        ParseFailed: It yields no text, or too much; the message has the reason.
    """
    try:
        kind, (blocks, title, metadata) = parse_bytes(content, name, parsing, limit)
        words = words_of(content, kind)
    except (DocumentError, MemoryError, RecursionError):
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise ParseFailed(whole(f"{type(error).__module__}.{type(error).__name__}: {said}")) from error
    n_characters = sum(len(block.text) for block in blocks)
    if n_characters > limit:
        raise ParseTooMuchText(f"it gives {n_characters:,} characters of text, MOAT_PARSE_OUTPUT_MB allows {limit:,}")
    if not any(block.text.strip() for block in blocks if not block.left_out):
        raise ParseFailed(_no_text(kind, blocks))
    kept = tuple(block if block.text.isascii() else _whole(block) for block in blocks)
    headings = (block.text for block in kept if block.kind == "heading" and kind != "pdf")
    shown = whole(title or "") or next(headings, "") or os.path.splitext(name)[0]
    return Document(
        key="",
        uri="",
        title=" ".join(shown.split())[:300],
        media_type=MIME[kind],
        blocks=kept,
        n_pages=max((block.page or 0 for block in kept), default=0),
        metadata=metadata,
        words=words,
    )


def _whole(block: Block) -> Block:
    text = whole(block.text)
    return block if text == block.text else replace(block, text=text)


def _no_text(kind: str, blocks: list[Block]) -> str:
    if not blocks:
        return f"it is {kind} and holds no text"
    rules = ", ".join(sorted({block.left_out for block in blocks}))
    return f"it is {kind} and all its text is left out ({rules}), beginning with: {blocks[0].text[:200]}"
