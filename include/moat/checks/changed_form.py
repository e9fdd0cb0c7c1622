"""How a changed document is written: what stands in place of its text, and its text in another form."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from difflib import SequenceMatcher

WORD = re.compile(r"\d+(?:[.,:/-]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*")
SHORT = 60  # words of a page that says nothing but that something failed
PLACEHOLDER = re.compile(  # what systems put in the place of a document that they do not give
    r"git-lfs\.github\.com/spec|/annex/objects/|\b(?:available|stored) (?:online[- ]only|in the cloud)\b"
    r"|\b(?:sign|log) ?in (?:to (?:continue|view|download|your account)|again)\b|\bsession (?:has )?expired\b"
    r"|\b(?:40[0134]|410|50[0234])\b.{0,40}\b(?:not found|forbidden|unauthori[sz]ed|gone|gateway|unavailable|error)\b"
    r"|\b(?:access denied|enable javascript|under construction|coming soon|preview (?:is )?not available)\b"
    r"|\b(?:conversion failed|could not be (?:converted|displayed|rendered)|to be (?:written|completed))\b|\b(?-i:TO[D]O)\b"
    r"|\bnot eventually replaced by the proper contents\b|\bmessage\.rpmsg\b|\bsubscribe to (?:read|continue)\b"
    r"|\bas an ai (?:language )?model\b|\bi(?:['’]m| am) sorry, but i\b|\bi can(?:not|['’]t) (?:help|assist) with\b",
    re.IGNORECASE,
)
UNFILLED = re.compile(  # fields of a template, and what programs print where there is no value
    r"\{\{\s*[\w.-]{1,40}\s*\}\}|\$\{[\w.-]{1,40}\}|<%=?\s*[\w.@-]{1,40}\s*%>|\[object Object\]"
    r"|\{ ?(?:DOCPROPERTY|MERGEFIELD|PAGEREF|HYPERLINK|SEQ|REF|TOC)\b[^{}\n]{0,80}\}"
    r"|\b(?:None|null|NULL|NaN|nil|undefined|n/a|N/A)\b"
)
ESCAPED = re.compile(  # entities, backslashes, percent signs and base64, as people should not see them
    r"&(?:[a-zA-Z]{2,8}|#x?[0-9a-fA-F]{2,6});|\\(?:[.,;:!?()\[\]_*#+-]|u[0-9a-fA-F]{4}|[ntr]\b)"
    r"|%[0-9A-F]{2}(?=[%\w])|=[0-9A-F]{2}(?==[0-9A-F]{2})|(?<![\w+/])(?=(?:[a-z0-9+/]*[A-Z]){8})[A-Za-z0-9+/]{40,}={0,2}"
)
SIGN = re.compile(r"([€$£¥₹%‰°±<>≤≥])\s?\d|\d\s?([€$£¥₹%‰°])|(?<=\S )([-−])\d")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n|\|")
SENTENCE_WORDS = 5  # fewest of a sentence that is compared
MOST_SENTENCES = 300  # of a document
BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
LONG = 80  # characters of a sentence that is compared
RUN = 8  # words in a row that a text repeats
LONG_WORD, OFTEN = 5, 5  # letters of a word that is compared; such words that changed, at least
SIMILAR, SAME_ENDS = 0.6, 0.4  # share of them that look alike, by their place and by their ends
MISREAD = 0.55  # letters of a word that stay in their place when some are misread
MOST_MATCHED = 2_000  # words of a text in which misread words are looked for, which may take their square
ROW_CELLS = 3  # cells of a row, at least, whose order is compared


def value_of(text: str) -> Decimal | None:
    """A number as written; the last comma or point parts decimals, unless three digits follow."""
    if not re.fullmatch(r"\d+(?:[.,]\d+)*", text):
        return None
    head, _, tail = text.replace(",", ".").rpartition(".")
    if head and len(tail) == 3 and (head.count(".") or len(head) <= 3):
        return Decimal(head.replace(".", "") + tail)
    return Decimal(f"{head.replace('.', '')}.{tail}") if head else Decimal(tail)


def sentences_of(text: str) -> Iterator[str]:
    """The sentences of a text in small letters, without signs."""
    for sentence in SENTENCE_END.split(text):
        words = WORD.findall(sentence)
        if len(words) >= SENTENCE_WORDS:
            yield " ".join(words).lower()[:LONG]


def signs_of(text: str) -> Counter[str]:
    """Signs of currencies, units and comparison beside numbers."""
    return Counter(next(filter(None, found)) for found in SIGN.findall(text))


def n_repeated(words: Sequence[str]) -> int:
    """Words with which a run of words begins that stood before."""
    runs = [hash(tuple(words[n : n + RUN])) for n in range(len(words) - RUN + 1)]
    return len(runs) - len(set(runs))


def is_written_otherwise(was: Sequence[str], now: Sequence[str], n_changed: int) -> bool:
    """Whether the letters and numbers are the same in their order, but not the words."""
    return n_changed >= max(3, len(was) // 20) and _bare(was) == _bare(now)


def has_other_letters(was: Sequence[str], now: Sequence[str], out: Counter[str], came: Counter[str]) -> bool:
    """Whether many words have other letters than before, as by a font, an OCR, or when they run backwards."""
    if out.total() >= max(OFTEN, len(was) // 8) and _letters(was) == _letters(now):
        return True
    if is_struck_twice(now) and not is_struck_twice(was):
        return True
    if len(was) == len(now):
        pairs = [(a, b) for a, b in zip(was, now, strict=True) if a != b]
        if len(set(pairs)) > 1 and all(_lost_letters(*pair) for pair in pairs):
            return True
    if lost_accents(now, out, came):
        return True
    gone = [word for word in out if len(word) >= LONG_WORD and not word[0].isdigit()]
    if len(gone) < OFTEN or out.total() < len(was) // 10 or not 0.6 * len(was) <= len(now) <= 2 * len(was):
        return False
    if len(was) == len(now):
        return sum(map(_alike, pairs)) >= SIMILAR * len(pairs)
    ends = {(word[:2], word[-1]) for word in came}
    return sum((word[:2], word[-1]) in ends for word in gone) >= SAME_ENDS * len(gone) or _misread(was, now)


def is_substituted(was: Sequence[str], now: Sequence[str]) -> bool:
    """Whether in all lines that changed each letter and digit is another one, always the same, as by a wrong font.

    Args:
        was: The lines in their order, without spaces.
        now: The same of the new text.
    """
    if len(was) != len(now):
        return False
    table: dict[str, str] = {}
    n = 0
    for before, after in zip(was, now, strict=True):
        if before == after:
            continue
        if len(before) != len(after):
            return False
        for a, b in zip(before, after, strict=True):
            if table.setdefault(a, b) != b:
                return False
            n += a != b and a.isalnum()
    return n >= OFTEN and sum(a != b and a.isalnum() for a, b in table.items()) > 1


def is_struck_twice(words: Sequence[str]) -> bool:
    """Whether most words have each letter twice, as bold print that is printed twice."""
    long = [word for word in words if len(word) >= LONG_WORD]
    return len(long) >= OFTEN and 2 * sum(word[::2] == word[1::2] for word in long) > len(long)


def lost_accents(now: Sequence[str], out: Counter[str], came: Counter[str]) -> bool:
    """Whether every word that is gone had letters beyond ASCII and is there without them, or with others for them."""
    if any(word.isascii() for word in out) or not any(len(word) > 2 for word in out):
        return False
    there = {part for word in now for part in (word, *BEYOND_ASCII.split(word))}
    return all(
        not word.isascii()
        and (_plain(word) in there or all(part in there for part in BEYOND_ASCII.split(word) if part))
        for word in out
    )


def _plain(word: str) -> str:
    """A word without the accents of its letters."""
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))


def _misread(was: Sequence[str], now: Sequence[str]) -> bool:
    """Whether what took the place of words keeps most of their letters, as where a few of them are misread.

    A sign in a word parts it, so runs of words are compared by all their letters.
    """
    was, now = was[:MOST_MATCHED], now[:MOST_MATCHED]
    n = alike = 0
    for what, i, j, k, m in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        before, after = "".join(was[i:j]), "".join(now[k:m])
        if what == "replace" and before.isalpha() and len(before) >= LONG_WORD:
            n += 1
            same = sum(a == b for a, b in zip(before, after, strict=False))
            alike += before.casefold() != after.casefold() and same >= MISREAD * len(before)
    return n >= OFTEN and alike >= SIMILAR * n


def cells_in_another_order(gone: Iterable[str], came: Iterable[str]) -> int:
    """Rows of a table of which each has the cells of one that is gone, in another order."""
    before = Counter(tuple(sorted(cells)) for row in gone if len(cells := _cells(row)) >= ROW_CELLS)
    after = Counter(tuple(sorted(cells)) for row in came if len(cells := _cells(row)) >= ROW_CELLS)
    return (before & after).total()


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def _letters(words: Sequence[str]) -> Counter[str]:
    return Counter(c for c in "".join(words).casefold() if c.isalpha())


def _lost_letters(was: str, now: str) -> bool:
    """Whether a word is another one without some letters from its middle."""
    rest = iter(was)
    return was.isalpha() and len(now) < len(was) and was[-1] == now[-1] and all(letter in rest for letter in now)


def _alike(pair: tuple[str, str]) -> bool:
    """Whether two words of nearly one length share half of their letters, case aside."""
    was, now = pair[0].casefold(), pair[1].casefold()
    return was != now and abs(len(was) - len(now)) <= 2 and 2 * (Counter(was) & Counter(now)).total() >= len(was)


def units(
    was: Sequence[str], now: Sequence[str], before: Counter[str], after: Counter[str]
) -> frozenset[tuple[str, str]]:
    """What stood beside numbers and was replaced while the numbers stayed, before and after."""
    if len(was) != len(now):
        return _lost_units(was, now)
    changed = [n for n, (a, b) in enumerate(zip(was, now, strict=True)) if a != b]
    if not changed:
        gone, added = "".join(sorted(set(before - after))), "".join(sorted(set(after - before)))
        return frozenset({(gone, added)}) if gone else frozenset()
    beside = [n for n in changed if n and was[n - 1][0].isdigit() and not (was[n] + now[n])[0].isdigit()]
    if len(beside) < len(changed):
        return frozenset()
    return frozenset((was[n], now[n]) for n in beside if not now[n][0].isdigit() and was[n].lower() != now[n].lower())


def _lost_units(was: Sequence[str], now: Sequence[str]) -> frozenset[tuple[str, str]]:
    """What stood behind numbers and is gone, where nothing else is."""
    gone, places = Counter(was) - Counter(now), set[int]()
    if Counter(now) - Counter(was) or len(gone) > 2 * OFTEN:
        return frozenset()
    for n, word in enumerate(was):  # "km/h" is two words, and both go
        if n and word in gone and (was[n - 1][0].isdigit() or n - 1 in places):
            places.add(n)
    behind = Counter(was[n] for n in places)
    return frozenset((word, "") for word in gone) if gone <= behind else frozenset()


def _bare(words: Sequence[str]) -> str:
    """Letters without case and accents, and numbers by their value."""
    numbers = (value_of(word) if word[0].isdigit() else None for word in words)
    text = "".join(word if n is None else f" {n.normalize():f} " for word, n in zip(words, numbers, strict=True))
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in folded if not unicodedata.combining(c) and c not in "'’")
