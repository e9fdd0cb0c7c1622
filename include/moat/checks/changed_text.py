"""What happened to the text of one document between its last version and this one."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from moat.checks.changed_form import (
    ESCAPED,
    MOST_SENTENCES,
    OFTEN,
    PLACEHOLDER,
    SHORT,
    UNFILLED,
    WORD,
    cells_in_another_order,
    has_other_letters,
    is_substituted,
    is_written_otherwise,
    n_repeated,
    sentences_of,
    signs_of,
    units,
    value_of,
)
from moat.checks.changed_numbers import factor_of, is_power_of_ten, rules_of, swapped_words
from moat.checks.changed_order import LEAST_LOST, cut, filler, is_scrambled
from moat.ledger.projection import VisiblePart
from moat.parse.language import language_of

LINK = re.compile(r"https?://")
BROKEN = re.compile(  # a cell of a sheet that could not be computed, or that shows how it would be
    r"#(?:REF|NAME\?|VALUE|DIV/0|N/A|NULL|NUM)!?|(?:^|\|)\s*=[A-Z]{2,12}\([^|\n]{0,80}\)", re.MULTILINE
)
BLACKED_OUT = re.compile(r"[█▇■]{3,}|\[(?:redacted|geschwärzt|caviardé)\]", re.IGNORECASE)
STANDS_IN = re.compile(  # words that people write where the real ones are still to come
    r"\b(?:lorem ipsum|dolor sit amet|j(?:ohn|ane) doe|(?:max|erika) mustermann|foo ?bar|asdf\w{0,8}|qwert[yz]\w{0,4}"
    r"|test[ _-]?(?:data|daten|customer|user|document|entry|record|kunde|eintrag)|dummy[ _-]?\w{1,20}|123 main st(?:reet)?"
    r"|example\.(?:com|org|net)|555-01\d\d|x{4,20})\b",
    re.IGNORECASE,
)
DECIMAL = re.compile(r"\d[.,]\d{1,3}$")
RULE = re.compile(r"[|\s:-]+")
OVERLAP = 120  # words that two neighbouring chunks may share
FEW_NUMBERS = 3
FEW_SIGNS = 3  # fields without a value, or escapes, that came
LEAST_REPEATED = 8  # words
LONG_ENOUGH, MOST_GONE = 40, 0.6  # words of a text that one document is enough for, and the share of them that is gone
MANY_NUMBERS = 6  # of one document
RUN_TOGETHER = 0.7  # of the number of words, below which the same letters have lost their spaces
PARTS_LOST = frozenset({"cut", "broken off", "beginning lost", "shorter", "placeholder", "tables", "digits", "spaces"})
TRUTH = {"true", "false", "yes", "no", "ja", "nein", "oui", "non", "vrai", "faux", "wahr", "falsch"}  # no names
BEGINNING = 12  # words by which two such pages are the same
FEW_WORDS = 12  # different words that may change beside a name or a "not"
NOT = {
    "not", "no", "never", "none", "nor", "cannot", "can't", "don't", "doesn't", "won't", "isn't",
    "aren't", "wasn't", "mustn't", "shouldn't", "without", "nicht", "kein", "keine", "keinen", "keiner",
    "keinem", "nie", "niemals", "ohne", "ne", "pas", "jamais", "aucun", "aucune", "sans", "non", "mai",
    "senza", "nunca", "ningún", "ninguna", "sin", "não", "nenhum", "nenhuma", "sem", "niet", "geen",
    "nooit", "zonder", "inte", "aldrig", "ikke", "aldri", "bez"
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A version's text, as far as it is compared."""

    words: tuple[str, ...]  # in order, numbers too; what neighbouring chunks share stands once
    lines: frozenset[str]
    title: str  # the first heading
    rows: frozenset[str]  # of tables
    heads: frozenset[str]  # the first row of each table
    n_headings: int
    n_links: int
    n_blacked_out: int
    n_broken: int  # cells that could not be computed
    n_standing_in: int  # words of test data
    prose: Counter[str] = field(default_factory=Counter)  # words outside of tables, how often
    n_unfilled: int = 0  # fields without a value
    n_escaped: int = 0
    n_repeated: int = 0  # words of runs that stood before
    n_again: int = 0  # sentences that stood before
    signs: Counter[str] = field(default_factory=Counter)  # beside numbers
    sentences: frozenset[str] = frozenset()
    is_placeholder: bool = False
    in_order: tuple[str, ...] = ()  # its lines without what parts words

    @classmethod
    def of(cls, parts: Sequence[VisiblePart]) -> "Text":
        """Join the chunks of a version."""
        n_again = 0
        words, rows, heads, lines, prose = list[str](), set[str](), set[str](), set[str](), Counter[str]()
        for part in parts:
            found = WORD.findall(part.text)
            words += found[_shared(words, found) :]
            sentences = list(islice(sentences_of(part.text), MOST_SENTENCES))
            n_again += len(sentences) - len(set(sentences))  # what neighbouring chunks share is not said again
            lines.update(line for line in map(str.strip, part.text.splitlines()) if line)
            if part.kind != "table":
                prose.update(found)
            else:
                of_it = [line for line in part.text.splitlines() if line.startswith("|") and not RULE.fullmatch(line)]
                rows.update(of_it)
                heads.update(of_it[:1])
        text = "\n".join(part.text for part in parts)
        return cls(
            words=tuple(words),
            lines=frozenset(lines),
            title=next((part.heading.partition(" › ")[0] for part in parts if part.heading), ""),
            rows=frozenset(rows),
            heads=frozenset(heads),
            n_headings=len({part.heading for part in parts if part.heading}),
            n_links=len(LINK.findall(text)),
            n_blacked_out=len(BLACKED_OUT.findall(text)),
            n_broken=len(BROKEN.findall(text)),
            n_standing_in=len(STANDS_IN.findall(text)),
            prose=prose,
            n_unfilled=len(UNFILLED.findall(text)),
            n_escaped=len(ESCAPED.findall(text)),
            n_repeated=n_repeated(words),
            n_again=n_again,
            signs=signs_of(text),
            sentences=frozenset(islice(sentences_of(text), MOST_SENTENCES)),
            in_order=tuple("".join(line.split()) for line in text.splitlines()),
            is_placeholder=len(text.split()) <= SHORT and bool(PLACEHOLDER.search(text)),
        )

    @property
    def numbers(self) -> list[str]:
        return [word for word in self.words if word[0].isdigit()]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChange:
    """What changed in one document's text. `kinds` are names of `moat.checks.changes.KINDS`."""

    kinds: frozenset[str]
    n_before: int  # words
    n_after: int
    sure: frozenset[str] = frozenset()  # of these kinds, those that are beyond chance in this document alone
    numbers: tuple[tuple[str, str], ...] = ()  # before and after, where nothing but numbers changed
    factor: str = ""  # by which each of these was multiplied, if it is one
    names: frozenset[tuple[str, str]] = frozenset()  # that took another's place everywhere in the text
    often: frozenset[tuple[str, str]] = frozenset()  # of these, those that did so at several places
    titles: tuple[str, str] = ("", "")  # before and after
    units: frozenset[tuple[str, str]] = frozenset()  # that took another's place beside the same numbers
    fresh: frozenset[str] = frozenset()  # sentences that are new
    old: frozenset[str] = frozenset()  # sentences that were there
    n_lost: int = 0  # of these, those that are gone
    language: tuple[str, str] = ("", "")
    rules: frozenset[str] = frozenset()  # that explain each number, where nothing but numbers changed
    swapped: frozenset[tuple[str, str]] = frozenset()  # words and numbers that took another's place
    beginning: str = ""  # of a short text, by which equal ones are found
    short: bool = False  # far shorter than it was
    fresh_rows: frozenset[str] = frozenset()  # rows of tables that are new
    old_rows: frozenset[str] = frozenset()
    before: int = field(default=0)  # hash of the words, to find a text under another key
    after: int = field(default=0)


def text_change(before: Text, after: Text) -> TextChange:
    """Compare two versions of a document's text; linear in their length."""
    was, now = before.words, after.words
    old, new = Counter(was), Counter(now)
    out, came = old - new, new - old
    kinds = set[str]()
    kinds |= _lost(before, after, out, came)
    kinds |= _written(before, after, out, came)
    if "shorter" in kinds:  # what went with most of the text is no structure that is lost
        kinds -= {"headings", "links"}
        if 2 * before.prose.total() < len(before.words):
            kinds.discard("tables")
    if "unfilled" not in kinds and (kind := cut(was, now, came.total())):
        if "tables" not in kinds:
            kinds.add(kind)
        elif (before.prose - after.prose).total() >= LEAST_LOST:  # they went with the end
            kinds = kinds - {"tables"} | {kind}
    if not kinds & PARTS_LOST and _thinned(before, after, came.total()):
        kinds.add("thinned")
    if _filled_otherwise(before, after):
        kinds.add("form")
    pairs, factor = _numbers(before, after)
    if factor:
        kinds.add("factor")
    if len(pairs) > FEW_NUMBERS and Counter(a for a, _ in pairs) == Counter(b for _, b in pairs):
        kinds.add("numbers exchanged")  # within the document, such as two columns of a table
    same = bool(kinds & {"spaces", "otherwise", "letters"})  # text: then no name or language is another
    names = frozenset[tuple[str, str]]() if same else _names(before, after, out, came)
    if names:
        kinds.add("names")
    changed = {word.lower() for word in (*out, *came)}
    if changed & NOT and len(changed) <= 4:
        kinds.add("negation")
    language = _language(before, after)
    if language[0] != language[1] and not same:
        kinds.add("language")
    short = len(now) <= SHORT and 2 * len(now) <= len(was)
    return TextChange(
        kinds=frozenset(kinds),
        sure=_sure(before, after, out, pairs, factor) & kinds,
        n_before=len(was),
        n_after=len(now),
        numbers=pairs,
        factor=factor,
        names=names,
        often=frozenset((a, b) for a, b in names if min(old[a] - new[a], new[b] - old[b]) > 1),
        titles=(before.title, after.title),
        units=units(was, now, before.signs, after.signs),
        fresh=after.sentences - before.sentences,
        old=before.sentences,
        n_lost=len(before.sentences - after.sentences),
        language=language,
        rules=frozenset() if len(set(pairs)) > 1 and factor else rules_of(pairs),
        swapped=frozenset() if factor or same else swapped_words(was, now, FEW_WORDS),
        short=short,
        fresh_rows=after.rows - before.rows,
        old_rows=before.rows - before.heads,
        beginning=" ".join([w for w in now if not w[0].isdigit()][:BEGINNING]).lower() if short else "",
        before=hash(was),
        after=hash(now),
    )


def without_values(change: TextChange, values: Sequence[tuple[str, str]]) -> TextChange:
    """A change without the names that are another value of a column: columns are judged by themselves."""
    of = [(set(map(str.lower, WORD.findall(was))), set(map(str.lower, WORD.findall(now)))) for was, now in values]
    names = frozenset(
        (a, b) for a, b in change.names if not any(a.lower() in was and b.lower() in now for was, now in of)
    )
    return replace(change, names=names, often=change.often & names)


def _sure(
    before: Text, after: Text, out: Counter[str], pairs: Sequence[tuple[str, str]], factor: str
) -> frozenset[str]:
    """Kinds of which one document is enough: most of a long text is gone at once, and what came is by no person."""
    n, numbers = len(before.words), before.numbers
    kinds = set[str]()
    if n >= LONG_ENOUGH and out.total() >= MOST_GONE * n:
        kinds |= {"escapes", "letters", "placeholder"}
    if n >= LONG_ENOUGH and 2 * len(after.words) < n:
        kinds.add("spaces")
    if n >= LONG_ENOUGH and after.n_repeated - before.n_repeated >= MOST_GONE * n:
        kinds.add("repeated")
    if len(numbers) >= MANY_NUMBERS:
        kinds.add("digits")
    if factor and len(set(pairs)) >= MANY_NUMBERS and is_power_of_ten(factor):
        kinds.add("factor")
    return frozenset(kinds)


def _shared(before: Sequence[str], found: Sequence[str]) -> int:
    """Words at the end of one chunk that the next one repeats."""
    for n in range(min(OVERLAP, len(before), len(found)), 2, -1):
        if before[-n] == found[0] and list(before[-n:]) == list(found[:n]):
            return n
    return 0


def _thinned(before: Text, after: Text, n_came: int) -> bool:
    """Whether sentences are lost in several places, and no word is new."""
    lost = len(before.words) - len(after.words)
    return (
        n_came <= 1
        and lost >= max(LEAST_LOST, 0.08 * len(before.words))
        and len(before.sentences - after.sentences) > 1
    )


def _lost(before: Text, after: Text, out: Counter[str], came: Counter[str]) -> set[str]:
    """Kinds of things that were there and are not."""
    kinds = set[str]()
    numbers, left = before.numbers, after.numbers
    same = len(before.words) - out.total() >= len(before.words) / 3
    prose_lost = (before.prose - after.prose).total()
    if (
        len(before.rows) >= 2 and not after.rows and prose_lost <= before.prose.total() / 10
    ):  # else more than they is lost
        kinds.add("tables")
    if before.n_headings >= 3 and after.n_headings <= 1 and same:
        kinds.add("headings")
    if before.n_links >= 2 and not after.n_links and same:
        kinds.add("links")
    if len(numbers) >= FEW_NUMBERS and not left and same and len(after.words) > len(before.words) / 2:
        kinds.add("digits")
    decimals = sum(bool(DECIMAL.search(n)) for n in numbers)
    if decimals >= FEW_NUMBERS and not any(DECIMAL.search(n) for n in left) and same and len(left) >= len(numbers) / 2:
        kinds.add("decimals")
    if len(numbers) >= 5 and len(left) >= len(numbers) / 2 and same:
        kept = (Counter(numbers) & Counter(left)).total()
        if kept <= 0.2 * len(numbers) and came.total() > len(left) // 2:
            kinds.add("figures")
    if after.n_broken > before.n_broken:
        kinds.add("broken references")
    if after.n_standing_in > before.n_standing_in:
        kinds.add("test data")
    if 2 * len(after.words) < len(before.words):
        kinds.add("shorter")
    return kinds


def _written(before: Text, after: Text, out: Counter[str], came: Counter[str]) -> set[str]:
    """Kinds of text that is written otherwise, or that stands in place of the document's."""
    kinds = set[str]()
    if after.is_placeholder and not before.is_placeholder and 2 * out.total() > len(before.words):
        kinds.add("placeholder")
    n_unfilled = after.n_unfilled - before.n_unfilled
    if n_unfilled >= FEW_SIGNS or (n_unfilled > 0 and came.total() <= n_unfilled + 1 and out.total() >= LEAST_LOST):
        kinds.add("unfilled")  # many fields, or one where a text was
    if after.n_escaped >= before.n_escaped + FEW_SIGNS:
        kinds.add("escapes")
    if is_written_otherwise(before.words, after.words, out.total()) or _numbers_written_otherwise(before, after):
        fewer = len(after.words) < RUN_TOGETHER * len(before.words)
        kinds.add("spaces" if fewer else "otherwise")
    elif (
        (out.total() >= OFTEN and is_substituted(before.in_order, after.in_order))
        or (4 * out.total() >= len(before.words) and is_substituted(before.words, after.words))
        or has_other_letters(before.words, after.words, out, came)
    ):
        kinds.add("letters")
    elif is_scrambled(before.words, after.words, out.total()):
        kinds.add("order")
    elif filler(before.words, after.words, out, came) or after.n_blacked_out >= before.n_blacked_out + FEW_SIGNS:
        kinds.add("filler")
    repeated = after.n_repeated - before.n_repeated >= max(LEAST_REPEATED, len(after.words) // 8)
    if repeated or after.n_again - before.n_again >= FEW_SIGNS:
        kinds.add("repeated")
    if before.heads <= after.rows and cells_in_another_order(before.rows - after.rows, after.rows - before.rows) >= 2:
        kinds = kinds - {"order"} | {"cells"}
    return kinds


def _numbers(before: Text, after: Text) -> tuple[tuple[tuple[str, str], ...], str]:
    """Numbers that changed where nothing else did, and the factor if it is one for all."""
    if len(before.words) != len(after.words):
        return (), ""
    pairs = [(a, b) for a, b in zip(before.words, after.words, strict=True) if a != b]
    if not pairs or not all(a[0].isdigit() and b[0].isdigit() for a, b in pairs):
        return (), ""
    factors = {factor_of(a, b) for a, b in pairs}
    factor = factors.pop() if len(factors) == 1 else ""
    return tuple(pairs), factor if factor != "1" else ""  # the same number, written otherwise


def _numbers_written_otherwise(before: Text, after: Text) -> bool:
    """Whether nothing changed but numbers, and these only in their signs, such as a comma for a point."""
    if len(before.words) != len(after.words):
        return False
    pairs = [(value_of(a), value_of(b)) for a, b in zip(before.words, after.words, strict=True) if a != b]
    return bool(pairs) and all(a is not None and a == b for a, b in pairs)


def _filled_otherwise(before: Text, after: Text) -> bool:
    """Whether the text is the same form with other names and other numbers."""
    if len(before.words) != len(after.words):
        return False
    pairs = {(a, b) for a, b in zip(before.words, after.words, strict=True) if a != b}
    numbers = {(a, b) for a, b in pairs if a[0].isdigit() and b[0].isdigit()}
    names = {(a, b) for a, b in pairs - numbers if a[0].isupper() and b[0].isupper()}
    return bool(names) and len(numbers) >= FEW_NUMBERS and pairs == names | numbers


def _names(before: Text, after: Text, out: Counter[str], came: Counter[str]) -> frozenset[tuple[str, str]]:
    """Words with a capital of which one took another's place: at its places, or as often as it stood there."""
    if len(before.words) == len(after.words):
        pairs = {(a, b) for a, b in zip(before.words, after.words, strict=True) if a != b}
        return frozenset(
            (a, b)
            for a, b in pairs
            if len(pairs) <= FEW_WORDS
            and a[0].isupper()
            and b[0].isupper()
            and a.lower() != b.lower()
            and not {a.lower(), b.lower()} <= TRUTH
        )
    old, new = Counter(before.words), Counter(after.words)
    gone = {w: n for w, n in out.items() if w[0].isupper() and not new[w]}
    added = {w: n for w, n in came.items() if w[0].isupper() and not old[w]}
    if not gone or max(len(out), len(came)) > FEW_WORDS:
        return frozenset()
    return frozenset((a, b) for a, n in gone.items() for b, m in added.items() if n == m)


def _language(before: Text, after: Text) -> tuple[str, str]:
    """Language of the old text, and of the lines that are new; equal where one of them is unclear."""
    added = [line for line in after.lines if line not in before.lines]
    fresh = " ".join(sorted(set(after.words) - set(before.words)))
    if sum(map(len, added)) < SHORT or len(fresh) < SHORT:  # cells of a table, a name, a number
        return "", ""
    was = language_of(sorted(before.lines, key=len, reverse=True))
    now = language_of(sorted(added, key=len, reverse=True))
    # Half of a text may be translated, and half of a line, which then reads as before: only new words tell.
    of_fresh = language_of([fresh])
    now = now if now not in ("", was) else of_fresh
    return (was, now) if was and now and of_fresh != was else (was, was)
