"""The words of a text beside those of its last version: cut off, in another order, one in the place of many."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

KEPT = 0.9  # of a text's words that stand where they stood, for it to be the beginning of the old one
LEAST_LOST = 5  # words
SAME_WORDS = 0.02  # of a text's words that may differ where only their order changed
LEAST_WORDS = 20  # of a text whose order is compared
OTHER_PAIRS = 0.1  # of the pairs of neighbouring words that are new where sentences were taken apart
LEAST_FILLED, FILLED = 5, 0.06  # times that a word came in the place of others, and the share of words that it is


def is_scrambled(was: Sequence[str], now: Sequence[str], n_changed: int) -> bool:
    """Whether the words are the same and many neighbours are not, as where two columns are read across.

    A paragraph that somebody moved breaks a pair or two.
    """
    if len(was) < LEAST_WORDS or n_changed > SAME_WORDS * len(was) or abs(len(was) - len(now)) > SAME_WORDS * len(was):
        return False
    before, after = (Counter(pairwise(words)) for words in (was, now))
    return (after - before).total() >= OTHER_PAIRS * len(now)


def filler(was: Sequence[str], now: Sequence[str], out: Counter[str], came: Counter[str]) -> str:
    """The word that came many times in the place of different words, such as "trial" or "redacted"; else ""."""
    word, n = max(came.items(), key=lambda one: (one[1], one[0]), default=("", 0))
    many = n >= max(LEAST_FILLED, FILLED * len(now)) and len(was) - n // 2 <= len(now) <= len(was) + n
    return word if many and len(out) >= LEAST_FILLED and 2 * out.total() >= n and not word[0].isdigit() else ""


def cut(was: Sequence[str], now: Sequence[str], n_came: int) -> str:
    """Whether the end or the beginning is lost, and whether the text breaks off in a word."""
    lost = len(was) - len(now)
    if lost < max(LEAST_LOST, 0.02 * len(was)) or len(now) < LEAST_LOST or n_came > 1:
        return ""
    same = next((n for n, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), len(now))
    if same >= KEPT * len(now):
        last = now[-1]
        inside = same == len(now) - 1 and was[same] != last and was[same].startswith(last) and not last[0].isdigit()
        return "broken off" if inside else "cut"
    at_end = next((n for n, (a, b) in enumerate(zip(reversed(was), reversed(now), strict=False)) if a != b), len(now))
    return "beginning lost" if at_end >= KEPT * len(now) and n_came == 0 else ""
