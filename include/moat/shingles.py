"""Runs of words in a text, by which the same text is found again.

A chunk keeps one of its runs, the one with the lowest hash. Whoever has all runs of a longer text finds the
chunks that it holds, wherever it was cut and under whatever heading it stands.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from heapq import nsmallest
from itertools import groupby
from operator import itemgetter

RUN = 5  # words; or characters, in a script without spaces
STRETCH = 12  # words in a row that say that a text was copied
ALONE = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"  # characters that count as a word each
WORD = re.compile(rf"[{ALONE}]|[^\W{ALONE}]+")


@dataclass(frozen=True, slots=True)
class Shingles:
    """The words of a text, and the hash of each run of them: run i begins at word i."""

    lengths: tuple[int, ...]  # characters of each word
    runs: tuple[int, ...]  # from 0 to 2^63 - 1

    @classmethod
    def of(cls, text: str) -> "Shingles":
        words = WORD.findall(text.lower())
        runs = (" ".join(words[i : i + RUN]).encode() for i in range(len(words) - RUN + 1))
        hashes = (int.from_bytes(blake2b(run, digest_size=8).digest(), "big") >> 1 for run in runs)
        return cls(tuple(map(len, words)), tuple(hashes))

    @property
    def n_characters(self) -> int:
        """Number of letters and digits."""
        return sum(self.lengths)

    def n_within(self, runs: frozenset[int] | set[int]) -> int:
        """Number of letters and digits in stretches of words that stand in these runs.

        A short stretch counts where it is all of the text: the words between the blanks of a form are nobody's.
        """
        within = [False] * len(self.lengths)
        for at, run in enumerate(self.runs):
            if run in runs:
                within[at : at + RUN] = [True] * RUN
        n, least = 0, min(STRETCH, len(self.lengths))
        for inside, words in groupby(zip(within, self.lengths, strict=True), key=itemgetter(0)):
            lengths = [length for _, length in words]
            if inside and len(lengths) >= least:
                n += sum(lengths)
        return n


def mark(text: str) -> int | None:
    """The lowest run of a text, by which it is found; None if it has too few words."""
    return min(Shingles.of(text).runs, default=None)


def lowest(runs: Iterable[int], n: int) -> list[int]:
    """The n lowest of some runs: among them are the marks of the texts within."""
    return nsmallest(n, set(runs))
