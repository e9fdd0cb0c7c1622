"""Personal data in a text: presidio's patterns, on a blank spaCy model, without a network.

A kind is here if its form proves it (a checksum, a domain, a country's numbering plan), or if a word before
it names it: "call", "IBAN", "SSN". A number alone is no phone number. Names, addresses and dates of birth
need a trained model and are not searched for.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from moat.risks.calling import CALLING
from moat.risks.found import Find, apart

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

SURE = 0.5  # least score by presidio that counts
# A text without any of this has nothing of these kinds, so most text never reaches presidio.
CANDIDATE = re.compile(
    r"\S@\w"
    r"|\d(?:[ ().\-/]{0,2}\d){5,}"  # phone, card, account, identity numbers, IPv4
    r"|\b[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){2,}"  # IPv6
    r"|\b[A-Za-z]{6}\d\d[A-Za-z]\d\d"  # an Italian fiscal code
    r"|\b(?:bc1|[13])[a-zA-HJ-NP-Z0-9]{25}"  # a Bitcoin address
)
FEWEST_DIGITS = 9  # of what is found by its digits alone: a social security number
NAMED = 60  # characters before a number in which a word such as "call" makes it a telephone
BEFORE, AFTER = 80, 60  # characters around a candidate, for words that name a number
WINDOW = 1_000  # characters; presidio's time grows with the square
UNUSED = ("torch", "transformers", "gliner", "stanza", "langextract")


def find(text: str) -> list[Find]:
    """Find all personal data in a text, as place and kind."""
    found = list[Find]()
    for start, end in _windows(text):
        for result in analyzer().analyze(text[start:end], "en", score_threshold=SURE):
            found.append(Find(start + result.start, start + result.end, result.entity_type, result.score))
    return apart(found)


def kinds() -> list[str]:
    """Every kind that can be found."""
    return sorted(analyzer().get_supported_entities("en"))


@cache
def analyzer() -> "AnalyzerEngine":
    """presidio with these recognizers, built at the first candidate."""
    with _without(UNUSED):
        from moat.risks.recognizers import engine

        return engine()


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """Windows around candidates, near ones joined, none longer than WINDOW; two may overlap."""
    start = end = -1
    for match in CANDIDATE.finditer(text):
        if _only_a_number(text, match):
            continue
        for at in range(match.start(), match.end(), WINDOW // 2):
            stop = min(match.end(), at + WINDOW)
            left, right = _opened(text, at - BEFORE), _closed(text, stop + AFTER)
            if 0 <= left <= end and right - start <= WINDOW:
                end = max(end, right)
                continue
            if end >= 0:
                yield start, end
            start, end = left, right
    if end >= 0:
        yield start, end


def _only_a_number(text: str, match: re.Match[str]) -> bool:
    """Whether so few bare digits are nobody's: no letter or sign beside them, no telephone before them.

    Tables are full of such numbers, and presidio would be asked about every one.
    """
    if match.end() - match.start() >= FEWEST_DIGITS or not match[0].isdecimal():
        return False
    around = text[max(0, match.start() - 1) : match.start()] + text[match.end() : match.end() + 1]
    if any(c.isalpha() or c in "+(-" for c in around):
        return False
    return not CALLING.search(text, max(0, match.start() - NAMED), match.start())


def _opened(text: str, at: int) -> int:
    """Move a place to the next beginning of a word."""
    if at <= 0:
        return 0
    space = re.compile(r"\s").search(text, at, at + BEFORE)
    return space.end() if space else at


def _closed(text: str, at: int) -> int:
    space = re.compile(r"\s").search(text, at, at + BEFORE)
    return space.start() if space else min(len(text), at + BEFORE)


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    """Make imports of these modules fail at once, for a while.

    presidio imports whatever it finds, and torch takes seconds.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
