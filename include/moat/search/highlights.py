"""Where a text has the words of a question, for whoever shows it to a person."""

import re

from moat.index.terms import question_terms, terms

MOST = 50  # of one text
WORD = re.compile(r"[^\W_](?:[^\s]*[^\W_])?")
FEW = 3  # letters; shorter words are told only where a question has no longer one, or where they hold a digit
# The commonest words of a question, in the languages that most questions are in; they stand in every text.
_COMMON = """
the and for are was were what which who how when where why does did can may must has have had not from with that this
der die das und ist sind wie war wer wann warum für mit von den dem ein eine nicht les des une est sont que qui quand
comment pour avec dans los las del una por para con como cuando che per come quando sono
"""
COMMON = frozenset(_COMMON.split())


def asked_terms(question: str) -> frozenset[str]:
    """Terms of a question that are worth showing in a text."""
    asked = set(question_terms(question))
    telling = {t for t in asked if t not in COMMON and (len(t) >= FEW or not t.isascii() or any(map(str.isdigit, t)))}
    return frozenset(telling or asked)


def highlights(text: str, asked: frozenset[str]) -> tuple[tuple[int, int], ...]:
    """Begin and end, in characters, of up to 50 words of a text that have one of these terms, in their order.

    Words of a script without spaces are found as the pairs of characters that they are searched by.
    """
    found: list[tuple[int, int]] = []
    if not asked:
        return ()
    for word in WORD.finditer(text):
        if word[0].isascii() or len(terms(word[0])) <= 1:
            places = [word.span()] if not asked.isdisjoint(terms(word[0])) else []
        else:
            places = _inside(word[0], word.start(), asked)
        for begin, end in places:
            if found and begin <= found[-1][1] and begin > 0 and text[begin - 1 : begin].strip():
                found[-1] = (found[-1][0], max(end, found[-1][1]))
            else:
                found.append((begin, end))
        if len(found) >= MOST:
            return tuple(found[:MOST])
    return tuple(found)


def _inside(word: str, start: int, asked: frozenset[str]) -> list[tuple[int, int]]:
    """Places in a run of characters: the whole of it if it is one word, else the pairs that were asked for."""
    if not asked.isdisjoint(terms(word)) and not re.search(
        "[\u0e00-\u109f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]", word
    ):
        return [(start, start + len(word))]
    pairs = ((i, word[i : i + 2]) for i in range(len(word) - 1))
    return [(start + i, start + i + 2) for i, pair in pairs if not asked.isdisjoint(terms(pair))]
