"""Characters that a person does not see: counted, and decoded where they carry words."""

import re
import unicodedata
from collections import Counter

TAGS = re.compile("[\U000e0000-\U000e007f]{2,}")
FLAG = "\U0001f3f4"  # followed by tags, the flag of England, Scotland or Wales
SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}")  # a single one after a letter or picture has a use
ZERO_WIDTH = "\u200b\u2060\u2061\u2062\u2063\u2064\ufeff\u180e"
IN_A_WORD = re.compile(f"(?<=\\w)[{ZERO_WIDTH}]+(?=\\w)|(?<=[A-Za-z])[\u200c\u200d]+(?=[A-Za-z])|[{ZERO_WIDTH}]{{4,}}")
OVERRIDES = re.compile("[\u202d\u202e]")
DIRECTION = re.compile("[\u202a\u202b\u2066-\u2068]")
WRITTEN_FROM_RIGHT = {"R", "AL"}
BREAKS_ONLY = re.compile(
    "[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
)  # scripts without spaces, where ZWSP allows a line break


def count(text: str) -> Counter[str]:
    """Count the hidden characters of each kind that have no use in a text."""
    found = Counter[str]()
    if text.isascii():
        return found
    if words := [match for match in TAGS.finditer(text) if not _flag(text, match)]:
        found["tags"] = len(words)
    if n := len(SELECTORS.findall(text)):
        found["selectors"] = n
    if not BREAKS_ONLY.search(text) and (n := len(IN_A_WORD.findall(text))):
        found["zero-width"] = n
    if n := len(OVERRIDES.findall(text)):
        found["bidi"] += n
    marks = len(DIRECTION.findall(text))
    if marks and not any(unicodedata.bidirectional(c) in WRITTEN_FROM_RIGHT for c in text):
        found["bidi"] += marks
    return found


def said(text: str) -> str:
    """Decode what Unicode tags and runs of variation selectors spell, a line each."""
    if text.isascii():
        return ""
    lines = [
        "".join(chr(ord(c) - 0xE0000) for c in m[0] if c >= "\U000e0020")
        for m in TAGS.finditer(text)
        if not _flag(text, m)
    ]
    for match in SELECTORS.finditer(text):
        data = bytes(ord(c) - 0xFE00 if c <= "\ufe0f" else ord(c) - 0xE0100 + 16 for c in match[0])
        lines.append(data.decode("utf-8", "replace"))
    return "\n".join(line for line in lines if line.strip())


def without_selectors(text: str) -> str:
    """Remove runs of variation selectors; clean removes the other hidden characters."""
    return text if text.isascii() else SELECTORS.sub("", text)


def _flag(text: str, match: re.Match[str]) -> bool:
    return text[match.start() - 1 : match.start()] == FLAG and len(match[0]) <= 7
