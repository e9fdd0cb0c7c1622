"""Combining marks: bounded before Unicode normalization, whose time grows with the square of a run of them."""

import re
import unicodedata

MOST = 30  # in a row; more is no writing: the bound of Unicode's Stream-Safe Text Format
MANY = re.compile(rf"[^\w\s!-~]{{{MOST + 1},}}")  # marks are neither letters nor spaces


def bounded(text: str) -> str:
    """Leave out combining marks after the 30th in a row."""
    return text if text.isascii() else MANY.sub(_bounded, text)


def _bounded(run: re.Match[str]) -> str:
    kept, n = list[str](), 0
    for character in run[0]:
        n = n + 1 if unicodedata.combining(character) else 0
        if n <= MOST:
            kept.append(character)
    return "".join(kept)
