"""Documents that stand beside a newer version of themselves: last year's price list beside this year's.

Two documents are versions of one where their keys or titles are the same but for a year or a version number, their
words are nearly the same, and their numbers are not. The newer is the one with the later date in its metadata, else
with the higher year or version. One without any, beside one with a year that is over, is the newer.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from moat.access.policy import Policy
from moat.checks.audience import Audience, policy_of
from moat.checks.candidate import Candidate
from moat.checks.changed_text import Text
from moat.ledger.checks import CheckResult
from moat.ledger.former_names import document_ids
from moat.ledger.older_versions import VersionPair
from moat.ledger.projection import VisiblePart, visible_names, visible_versions
from moat.risks import personal, secrets

MARK = re.compile(  # of a version: "2024", "v3", "version 2.1", "rev. 4"
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?!\d)"
    r"|(?<![^\W_])(?:v|ver|version|rev|revision|edition|ausgabe)[ ._-]{0,2}(?P<number>\d{1,3}(?:\.\d{1,3}){0,3})(?![^\W_])",
    re.IGNORECASE,
)
DATED = ("modified", "modified_at", "last_modified", "updated", "updated_at", "valid_from", "date")  # in metadata
DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?")
LETTER = re.compile(r"[^\W\d_]")
FIRST_YEAR, NEWEST = 1900, 9999  # a lower mark is a version
MOST_OF_ONE = 12  # documents of one name; more are a series, such as minutes
MOST_COMPARED = 500  # pairs
ALIKE = 0.9  # of the words of both, numbers left out
FEWEST_WORDS = 8
PARTS = re.compile(r"(?:[\s._()\[\]-]|\{year\}|\{version\})+")  # between the words of a name
WITHOUT = "without "  # of a key, what is left when its marks are: also the name of a key that has none
SHOWN_PAIRS, SHOWN_VALUES, LONG = 3, 3, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A document by name, with what tells its age."""

    id: str
    key: str
    policy: Policy
    names: Mapping[str, tuple[tuple[int, ...], ...]]  # marks by name without them
    date: str  # ISO 8601, of its metadata; empty: none
    content: str  # hash of its bytes
    loaded: bool  # it is in this load; else it is visible
    told: bool  # it has personal data or secrets, as far as the load knows


@dataclass(frozen=True, slots=True)
class Pair:
    """A document and a newer version of it."""

    older: Named
    newer: Named
    year: int = 0  # in the name of the older, where the newer's has none and no date tells


def run(candidate: Candidate, audience: Audience) -> CheckResult:
    """Warn of documents that stand beside a newer version with other numbers."""
    found = list(_with_other_numbers(candidate, _pairs(candidate, audience)))
    candidate.versions[:] = (VersionPair(p.older.id, p.older.content, p.newer.id, p.newer.content) for p, _ in found)
    told, policies = list[str](), list[Policy]()
    shown = list[Pair]()
    for pair, says in found:
        of_both = [pair.older.policy, pair.newer.policy]
        if len(told) < SHOWN_PAIRS and all(audience.in_common(one, other) for one in policies for other in of_both):
            told.append(f"{pair.older.key} is older than {pair.newer.key}{says}")
            policies += of_both
            shown.append(pair)
    n = f"documents beside a newer version of themselves with other numbers: {len(found):,}"
    return CheckResult(
        name="older versions",
        family="duplicates",
        severity="warn",
        passed=not found,
        seen="; ".join([n, *told]),
        allowed="none",
        documents=tuple(dict.fromkeys(key for pair in shown for key in (pair.older.key, pair.newer.key))),
    )


def name_without_marks(text: str) -> tuple[str, tuple[tuple[int, ...], ...]]:
    """Return a name in small letters without its years and versions, and these in their order."""
    marks = tuple(tuple(map(int, (found["year"] or found["number"]).split("."))) for found in MARK.finditer(text))
    if not marks:
        return text.lower(), ()
    return MARK.sub(lambda found: "{year}" if found["year"] else "{version}", text).lower(), marks


def _pairs(candidate: Candidate, audience: Audience) -> Iterator[Pair]:
    """Yield each document with the next older one of its name, where this load has one of both."""
    groups: dict[str, list[Named]] = defaultdict(list)
    marked = _marked(candidate)
    for one in _loaded(candidate, marked):
        for name in one.names:
            groups[name].append(one)
    if not groups:
        return
    for one in _visible(candidate, marked):
        for name in one.names.keys() & groups.keys():
            groups[name].append(one)
    yield from pairs_of(groups, candidate.load.opened_at.year, audience)


def pairs_of(groups: Mapping[str, Sequence[Named]], this_year: int, audience: Audience) -> Iterator[Pair]:
    """Yield the pairs of documents that have a name in common, each name with them."""
    seen = set[tuple[str, str]]()
    for name, several in sorted(groups.items()):
        if not 2 <= len(several) <= MOST_OF_ONE:
            continue
        dated, unmarked = all(one.date for one in several), name.startswith(WITHOUT)
        if unmarked and not dated:
            several = [one for one in several if _is_over(one.names[name], this_year)]
        marks = [one.names[name] or ((NEWEST,),) for one in several]
        ages = [
            (one.date if dated else "", () if dated else its, one.key) for one, its in zip(several, marks, strict=True)
        ]
        in_order = sorted(zip(ages, several, strict=True), key=lambda pair: pair[0])
        for at, (age, newer) in enumerate(in_order):
            before = (one for its_age, one in reversed(in_order[:at]) if its_age[:2] < age[:2])
            older = next((one for one in before if audience.in_common(one.policy, newer.policy)), None)
            if older is None or not (older.loaded or newer.loaded) or (older.id, newer.id) in seen:
                continue
            if unmarked and bool(older.names[name]) == bool(newer.names[name]):
                continue  # told by their marks, where these stand in one place
            seen.add((older.id, newer.id))
            yield Pair(older, newer, max(older.names[name])[0] if unmarked and not dated else 0)
            if len(seen) >= MOST_COMPARED:
                return


def _is_over(marks: tuple[tuple[int, ...], ...], this_year: int) -> bool:
    """Whether a name has no mark, or years only that are over: what has none of its own may be newer then."""
    return all(FIRST_YEAR <= mark[0] < this_year for mark in marks)


def _marked(candidate: Candidate) -> frozenset[str]:
    """The keys that have marks, of the load and visible ones, without these: what may have a newer one of that name."""
    keys = chain(
        (p.key for p in candidate.prepared()),
        (row.key for row in visible_names(candidate.runtime.ledger, candidate.source.name)),
    )
    return frozenset(without_marks(name) for name, marks in map(name_without_marks, keys) if marks)


def _loaded(candidate: Candidate, marked: frozenset[str]) -> Iterator[Named]:
    for p in candidate.prepared():
        told = any(risk.startswith(("personal:", "secrets:")) for risk in p.risks)
        names = names_of(p.key, p.title, marked)
        if names:
            yield Named(
                id=p.id, key=p.key, policy=policy_of(p.policy), names=names, date=_date(p.metadata), loaded=True, told=told, content=p.content_hash
            )  # fmt: skip


def _visible(candidate: Candidate, marked: frozenset[str]) -> Iterator[Named]:
    """Visible documents that this load neither replaces nor removes."""
    ledger, source = candidate.runtime.ledger, candidate.source.name
    moved = set(document_ids(ledger, source, (p.key for p in candidate.plan() if p.what == "vanished")))
    moved |= {p.id for p in candidate.prepared()}
    for row in visible_names(ledger, source):
        if row.id not in moved and (names := names_of(row.key, row.title, marked)):
            yield Named(
                id=row.id, key=row.key, policy=policy_of(row.policy), names=names, date=_date(row.metadata), loaded=False, told=False,
                content=row.content_hash,
            )  # fmt: skip


def names_of(key: str, title: str, marked: frozenset[str]) -> dict[str, tuple[tuple[int, ...], ...]]:
    """Marks by name, for the key and the title as far as they have some beside a word.

    And for the key without its marks, where a key that has some is of that name.
    """
    found: dict[str, tuple[tuple[int, ...], ...]] = {}
    of_key, of_title = name_without_marks(key), name_without_marks(title)
    for kind, (name, marks) in (("key", of_key), ("title", of_title)):
        if marks and LETTER.search(re.sub(r"\{\w+\}|\.\w+$", "", name)):
            found[f"{kind} {name}"] = marks
    bare = without_marks(of_key[0]) if marked else ""
    if bare in marked and LETTER.search(re.sub(r"\.\w+$", "", bare)):
        found[f"{WITHOUT}{bare}"] = of_key[1]
    return found


def without_marks(name: str) -> str:
    """Return a name by its words alone: `terms-{year}.md` and `terms.md` are one, `{year}/terms.md` too."""
    stem, dot, ending = name.rpartition(".")
    if not dot or not ending.isalnum():
        stem, ending = name, ""
    parts = (PARTS.sub(" ", part).strip() for part in stem.split("/"))
    return "/".join(part for part in parts if part) + (f".{ending}" if ending else "")


def _date(metadata: Iterable[str]) -> str:
    """The date of a document's metadata; empty if it has none."""
    values = dict(one.split("=", 1) for one in metadata if "=" in one)
    dates = (DATE.match(values.get(name, "")) for name in DATED)
    return next((date[0].replace(" ", "T") for date in dates if date), "")


def _with_other_numbers(candidate: Candidate, pairs: Iterable[Pair]) -> Iterator[tuple[Pair, str]]:
    """Yield the pairs whose words are nearly the same and whose numbers are not, with some of these."""
    chosen = list(pairs)
    texts = _texts(candidate, {one.id: one for pair in chosen for one in (pair.older, pair.newer)})
    for pair in chosen:
        older, newer = texts.get(pair.older.id, ()), texts.get(pair.newer.id, ())
        was, now = Text.of(older), Text.of(newer)
        words, others = (Counter(w.lower() for w in text.words if not w[0].isdigit()) for text in (was, now))
        most, numbers = max(words.total(), others.total()), _changed(was, now)
        if most < FEWEST_WORDS or (words & others).total() < ALIKE * most or not numbers:
            continue
        if pair.year and max(_years(newer), default=pair.year) < pair.year:
            continue  # it speaks of a time before: its name was never changed
        quiet = pair.older.told or pair.newer.told or _is_told(older) or _is_told(newer)
        shown = [] if quiet else [f"{a[:LONG]} → {b[:LONG]}" for a, b in numbers if a and b][:SHOWN_VALUES]
        yield pair, f" ({', '.join(shown)})" if shown else ""


def _texts(candidate: Candidate, wanted: Mapping[str, Named]) -> dict[str, tuple[VisiblePart, ...]]:
    """Text of some documents: of this load, or as it is visible."""
    there = [one.id for one in wanted.values() if not one.loaded]
    versions = visible_versions(candidate.runtime.ledger, candidate.source.name, there)
    found = {identity: version.parts for identity, version in versions.items()}
    for prepared, chunks in candidate.whole() if len(there) < len(wanted) else ():
        if prepared.id in wanted:
            found[prepared.id] = tuple(VisiblePart(c.kind, c.heading, c.text) for c in chunks)
    return found


def _years(parts: Sequence[VisiblePart]) -> list[int]:
    return [int(found["year"]) for part in parts for found in MARK.finditer(part.text) if found["year"]]


def _changed(was: Text, now: Text) -> list[tuple[str, str]]:
    """Numbers that differ, before and after; only one of them where they cannot be told apart by their place."""
    if len(was.words) == len(now.words):
        pairs = [(a, b) for a, b in zip(was.words, now.words, strict=True) if a != b]
    else:
        out, came = Counter(was.numbers) - Counter(now.numbers), Counter(now.numbers) - Counter(was.numbers)
        pairs = [(a, "") for a in out] + [("", b) for b in came]
    numbers = [(a, b) for a, b in pairs if (not a or a[0].isdigit()) and (not b or b[0].isdigit())]
    return [(a, b) for a, b in dict.fromkeys(numbers) if not (MARK.fullmatch(a) and MARK.fullmatch(b))]


def _is_told(parts: Sequence[VisiblePart]) -> bool:
    """Whether a text has personal data or secrets, whose numbers are not quoted."""
    return any(personal.find(part.text) or secrets.find(part.text) for part in parts)
