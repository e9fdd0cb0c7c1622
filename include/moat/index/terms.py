"""Terms of a text, as keyword search compares them.

Texts and questions go through the same steps, so that both have one normal form (NFKC, case folded).
Weaviate splits the result at spaces and drops nothing:

    INV-2024-001      inv 2024 001 inv2024001
    C, C++, C#, .NET  c | c++ | c# | net .net
    PythonOperator    pythonoperator python operator
    82,959            82959
    住宿费             住 宿 费 住宿 宿费
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise

MOST_ASKED = 200  # terms of a question; the rest of a longer one does not count
LONGEST = 64  # characters of a term; what is longer is no word
MOST_JOINED = 8  # words of a joined word; a longer chain is an address or a line, and only its words count
KEPT, KEPT_WORDS = 4_096, 32_768  # texts and words whose terms are remembered: what is written is read back soon
PLAIN = 2  # letters; `c++` is not `c`, `notepad++` is `notepad` as well

CHARACTERS = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\U00020000-\U0003ffff"  # Han, Hangul
# Scripts that write words without spaces, or with particles grown on: Thai, Lao, Tibetan, Myanmar, Khmer, kana.
UNSPACED = CHARACTERS + "\u0e00-\u0eff\u0f00-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
JOINERS = "-_./:@&'’\u2010\u2011"
INVISIBLE = re.compile("[\xad\u034f\u061c\u0640\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
HUMPS = re.compile("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
SHORTEST_HUMP = 3  # letters; `McDonald` and `GmbH` stay whole


def terms(text: str) -> list[str]:
    """Return the terms of a text in its order, each as often as it stands there."""
    return [term for found in _found(text) for term in _terms(found)]


def question_terms(question: str) -> list[str]:
    """Return the different terms of a question, at most MOST_ASKED.

    A single character counts only where it stands alone: pairs say more.
    """
    asked: dict[str, None] = {}
    for found in _found(question):
        some = _terms(found)
        asked.update(
            dict.fromkeys(term for term in some if len(term) > 1 or found.lastgroup == "word" or some == (term,))
        )
    return list(asked)[:MOST_ASKED]


@lru_cache(KEPT)
def searched(title: str, heading: str, text: str) -> str:
    """Return what keyword search reads of a chunk: its terms with spaces between.

    A heading path that begins with the title has it already.
    """
    above = heading if heading.startswith(title) else f"{title}\n{heading}"
    return " ".join(terms(f"{above}\n{text}"))


@lru_cache(maxsize=2)
def _pattern(is_ascii: bool) -> re.Pattern[str]:
    """What finds runs and words; of ASCII there are words only, and no look into large classes of characters."""
    marks = "".join(map(re.escape, _marks()))
    letter = rf"[A-Za-z0-9]|(?![{UNSPACED}])[^\W_]"
    run, word = f"(?:[{UNSPACED}][{marks}]*)+", rf"(?:{letter})(?:{letter}|[{marks}])*"
    if is_ascii:
        run, word = "(?!)", "[A-Za-z0-9]+"
    sign = r"\+\+|\+(?!\w)|\#(?![^\W\d_])"
    return re.compile(rf"(?P<run>{run})|(?P<word>(?:(?<!\w)\.(?=[^\W\d_]))?{word}(?:[{JOINERS}]{word})*(?:{sign})?)")


def _marks() -> list[str]:
    """Return what belongs to the letter before it: vowel signs, accents."""
    return [c for c in map(chr, range(0x300, 0x20000)) if unicodedata.category(c)[0] == "M"]


def _found(text: str) -> Iterable[re.Match[str]]:
    plain = INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).replace("\u200b", " ")
    return _pattern(plain.isascii()).finditer(THOUSANDS.sub("", plain))


def _terms(found: re.Match[str]) -> tuple[str, ...]:
    return _of(found[0], found.lastgroup == "run")


@lru_cache(KEPT_WORDS)
def _of(found: str, is_run: bool) -> tuple[str, ...]:
    made = _of_run(found) if is_run else _of_word(found)
    return tuple(term for term in made if len(term) <= LONGEST)


def _of_run(run: str) -> list[str]:
    """Single characters of Chinese and Korean, and pairs of all."""
    letters = _letters().findall(_folded(run))
    pairs = [a + b for a, b in pairwise(letters)]
    if len(letters) == 1:
        return letters
    return [letter for letter in letters if re.match(f"[{CHARACTERS}]", letter)] + pairs


@lru_cache(maxsize=1)
def _letters() -> re.Pattern[str]:
    return re.compile(rf".[{''.join(map(re.escape, _marks()))}]*", re.DOTALL)


def _of_word(word: str) -> list[str]:
    """The word, the words that are joined in it, and its form with a sign."""
    if word.isascii() and word.isalnum():
        return _humps(word)
    bare = word.rstrip("+#").lstrip(".")
    *before, last = [part for part in re.split(f"[{JOINERS}]", bare) if part]
    made = [term for part in before for term in _humps(part)]
    if bare.endswith(word.lstrip(".")):
        made += _humps(last)
        if before and len(before) < MOST_JOINED:
            numbers = "." in bare and last.isdigit() and all(map(str.isdigit, before))
            made.append(_folded(bare if numbers else "".join((*before, last))))
    else:  # C++, C#
        plain = [] if last.isalpha() and len(last) <= PLAIN else _humps(last)
        made += [*plain, _folded(last + word[word.rindex(last) + len(last) :])]
    if word.startswith("."):
        made.append("." + _folded((*before, last)[0]))
    return made


def _humps(word: str) -> list[str]:
    """A word, with the words that capitals mark in it."""
    humps = HUMPS.split(word) if word.isascii() and not word.islower() else [word]
    more = humps if len(humps) > 1 and min(map(len, humps)) >= SHORTEST_HUMP else []
    return [_folded(word), *map(_folded, more)]


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    folded = unicodedata.normalize("NFKC", word.casefold())
    return folded.replace("i\u0307", "i") if "\u0307" in folded else folded
