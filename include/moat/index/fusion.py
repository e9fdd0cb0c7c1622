"""Hybrid search: the hits of the vector and of the keyword search as one list.

Each list's scores are brought to 0 to 1, its best to its last, and added with weights. A model knows what a
sentence means; of a name, a number or a word of another language it knows little, so that such a lookup leans on
words. `bench/QUALITY.md` has the measure by which the numbers were chosen.
"""

from collections.abc import Sequence

from moat.index.terms import question_terms

QUESTION = 0.5  # weight of the vector search; the rest is the keyword search's
LOOKUP = 0.1  # the same, of a question that only looks something up
FEW_WORDS = 3
FEW_CHARACTERS = 8  # of a script without spaces
CODE = 5  # characters of a term with a digit in it: an identifier, and no year
POOL = 50  # hits of each search that are fused, at least

Hits = list[tuple[str, float]]


def vector_weight(question: str) -> float:
    """Weight of the vector search for a question, from 0 to 1."""
    words, asked = question.split(), question_terms(question)
    few = len(words) <= FEW_WORDS and (question.isascii() or len(asked) <= FEW_CHARACTERS)
    code = any(len(term) >= CODE and any(map(str.isdigit, term)) for term in asked)
    return LOOKUP if few or code else QUESTION


def fuse(vector: Sequence[tuple[str, float]], keyword: Sequence[tuple[str, float]], weight: float, limit: int) -> Hits:
    """Fuse two lists of (id, score), each best first, into one of at most `limit`.

    `weight` is the vector search's.
    """
    found: dict[str, float] = {}
    for hits, share in ((vector, weight), (keyword, 1.0 - weight)):
        for identity, score in _relative(hits):
            found[identity] = found.get(identity, 0.0) + share * score
    return sorted(found.items(), key=lambda hit: (-hit[1], hit[0]))[:limit]


def _relative(hits: Sequence[tuple[str, float]]) -> Hits:
    """Scores from 0 to 1; where all are equal, each is 1."""
    if not hits:
        return []
    best, last = hits[0][1], hits[-1][1]
    return [(identity, (score - last) / (best - last) if best > last else 1.0) for identity, score in hits]
