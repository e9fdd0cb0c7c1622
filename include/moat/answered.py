"""How an answer that nobody expected is shown: status, type, where it leads, and how it begins."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

FIRST = 80  # characters


def shown(answer: "httpx.Response") -> str:
    """Show an answer to a request that held neither a key nor a text: nothing of either can stand in it."""
    parts = [f"status {answer.status_code}"]
    if kind := answer.headers.get("content-type", ""):
        parts.append(_line(kind))
    if there := answer.headers.get("location", ""):
        parts.append(f"leads to {_line(there)}")
    try:
        words = _line(answer.text)
    except (LookupError, ValueError):  # of a charset that Python does not know
        words = ""
    return ", ".join([*parts, f"“{words}”" if words else "empty"])


def _line(text: str) -> str:
    """The first characters of a text, on one line, without what would steer a terminal."""
    words = " ".join(re.sub(r"[^\x20-\x7e\xa0-\uffff]|\ufffd", " ", text[: 4 * FIRST]).split())
    return words if len(words) <= FIRST else f"{words[: FIRST - 1]}…"
