"""What a request to the embedder asks for, read from its body and checked."""

import json
from dataclasses import dataclass, field
from typing import Any

from moat.embedding.limits import MOST_TEXTS, Priority, too_long


@dataclass(slots=True, kw_only=True)
class Asked:
    """Texts to embed, as asked for."""

    model: str
    texts: list[str]
    form: str  # of the vectors: float or base64
    items: list[Any] = field(default_factory=list)  # what the encoder takes of each text
    lengths: list[int] = field(default_factory=list)  # in tokens


def asked_of(content: bytes, priority: Priority) -> Asked:
    """Read a request. Raises ValueError with a sentence that quotes nothing of it."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("the body is no JSON") from None
    if not isinstance(body, dict):
        raise ValueError("the body is no JSON object")
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if (
        not isinstance(texts, list)
        or not 0 < len(texts) <= MOST_TEXTS
        or not all(isinstance(text, str) and text for text in texts)
    ):
        raise ValueError(f"input must be a text or a list of 1 to {MOST_TEXTS:,} texts, none of them empty")
    if said := too_long(texts, priority):
        raise ValueError(said)
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError:
        raise ValueError("a text holds half a surrogate pair, which is no character") from None
    form = "base64" if body.get("encoding_format") == "base64" else "float"
    return Asked(model=str(body.get("model")), texts=texts, form=form)
