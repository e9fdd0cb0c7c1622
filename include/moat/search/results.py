"""Hits of what the ledger lets an asker read."""

from collections import defaultdict

from moat.ledger.older_versions import Newer
from moat.ledger.second_look import VisibleChunk
from moat.links import link_of
from moat.search.highlights import highlights
from moat.search.result_types import Hit, NewerVersion

PATH = " › "


def hit_of(seen: VisibleChunk, score: float, newer: Newer | None = None, asked: frozenset[str] = frozenset()) -> Hit:
    """Build a hit from a chunk that the asker may read, and from the terms that they asked for."""
    values = defaultdict[str, list[str]](list)
    for name, _, value in (pair.partition("=") for pair in seen.metadata):
        values[name].append(value)
    return Hit(
        source=seen.source,
        document_key=seen.key,
        uri=seen.uri,
        title=seen.title,
        heading_path=tuple(seen.heading.split(PATH)) if seen.heading else (),
        page=seen.page,
        text=seen.text,
        score=score,
        chunk_id=seen.chunk_id,
        media_type=seen.media_type,
        modified=seen.modified_at,
        metadata={name: tuple(several) for name, several in values.items()},
        link=link_of(seen.link, seen.key, seen.uri),
        highlights=highlights(seen.text, asked),
        newer_version=NewerVersion(newer.key, newer.title) if newer else None,
    )
