"""parse → clean → judge → chunk of one document, in the child that can be killed."""

from collections.abc import Mapping
from dataclasses import replace

from moat.errors import NothingLeft
from moat.parse.language import language_of
from moat.records import Document
from moat.risks.judge import Judged, hidden_in, judge
from moat.source import Risks
from moat.stages.chunk import Chunker
from moat.stages.clean import clean
from moat.stages.pieces import Cut
from moat.stages.words_kept import words_kept


def cut(parsed: Document, metadata: tuple[str, ...], policy: Risks, chunker: Chunker) -> Cut:
    """Clean, judge and chunk a parsed document. Raises NothingLeft, and RiskFound where the policy quarantines."""
    judged, counts, cleaned = clean_and_judge(parsed, metadata, policy)
    document = judged.document
    pieces = chunker.pieces(document)
    if not pieces:
        raise NothingLeft("nothing is left of its text after cleaning, and after what is hidden was taken out")
    return Cut(
        title=document.title,
        media_type=document.media_type,
        metadata=judged.metadata,
        n_pages=document.n_pages,
        n_characters=sum(len(b.text) for b in document.blocks),
        n_replaced=sum(b.text.count("\ufffd") for b in parsed.blocks),
        language=language_of(b.text for b in document.blocks if b.kind != "heading"),
        risks=judged.risks,
        cleaned=counts,
        kept=words_kept(cleaned, document, pieces, policy),
        pieces=pieces,
    )


def clean_and_judge(
    parsed: Document, metadata: tuple[str, ...], policy: Risks
) -> tuple[Judged, Mapping[str, int], Document]:
    """Clean a document and judge the risks of what is loaded.

    Hidden text is counted before clean removes it. Raises RiskFound.

    Returns:
        The judged document, changes by step of clean, and the cleaned document with what is hidden or left out.
    """
    shown, hidden = hidden_in(replace(parsed, blocks=tuple(b for b in parsed.blocks if not b.left_out)))
    document, counts = clean(shown)
    left_out = clean(replace(parsed, blocks=tuple(b for b in parsed.blocks if b.left_out)))[0].blocks
    judged = judge(document, metadata, hidden, policy)
    return judged, counts, replace(document, blocks=(*document.blocks, *left_out))
