"""What one request to an embedder may hold, and how texts are split to stay within it.

Client and server share the bounds: the server refuses what is larger, the client never sends it.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Literal

from moat.errors import ModelError

Priority = Literal["bulk", "query"]

MOST_BYTES = 8 << 20  # of a request's body
MOST_TEXTS = 4_096  # of a request
MOST_CHARACTERS = 1 << 19  # of a text: 32,768 tokens and more; with every character escaped it still fits a body
MOST_OF_A_QUESTION = 32_768  # characters
REQUEST = 256  # texts that the client sends in one request
REQUEST_BYTES = 1 << 20  # of their JSON, unless one text alone is larger


def too_long(texts: Sequence[str], priority: Priority) -> str | None:
    """Describe the first text beyond the bound, without quoting it; None: all are within."""
    what, most = ("question", MOST_OF_A_QUESTION) if priority == "query" else ("text", MOST_CHARACTERS)
    for n, text in enumerate(texts, 1):
        if len(text) > most:
            return f"{what} {n} of {len(texts):,} has {len(text):,} characters, the embedder takes {most:,}"
    return None


def requests(texts: Sequence[str], priority: Priority) -> Iterator[list[str]]:
    """Split texts into requests within all bounds, in order. Raises ModelError for a text beyond the bound."""
    if said := too_long(texts, priority):
        way_out = "ask a shorter one" if priority == "query" else "split it at its source"
        raise ModelError(f"{said}: {way_out}")
    some: list[str] = []
    size = 0
    for text in texts:
        weight = len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")) + 1
        if some and (len(some) == REQUEST or size + weight > REQUEST_BYTES):
            yield some
            some, size = [], 0
        some.append(text)
        size += weight
    if some:
        yield some
