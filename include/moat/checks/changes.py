"""Checks what happened to each changed document: its new version beside its last one.

A kind of change, such as tables that are lost, is counted among the documents that changed in this load. It is
judged by an exact test against what is usual for this source, and by fixed rates before anything is learned. What
is done to a few documents every night is judged over the last nights together.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from moat.batching import grouped
from moat.checks import arrived, segments, still_columns
from moat.checks.candidate import Candidate
from moat.checks.changed_columns import ColumnChange, Columns, is_small, one_step, values_of
from moat.checks.changed_form import SHORT
from moat.checks.changed_text import Text, TextChange, text_change, without_values
from moat.checks.kinds import FEWEST, SHOWN, Kind, Seen, judged
from moat.checks.sample import Lowest
from moat.ledger import past_contents
from moat.ledger.checks import CheckResult, one_over
from moat.ledger.measures import history
from moat.ledger.projection import Version, VisiblePart, says_together, visible_versions
from moat.records import Chunk, Prepared

MOST_COMPARED = 2_000  # changed documents; of more, a sample
WINDOW = 100  # documents whose last version is in memory
LONG = 40  # characters of a value that is quoted
NAME = 4  # letters of a word that may be a company's name
COMPANY = re.compile(  # up to three words before a legal form that is no word of a language
    r"((?:\w+ ){1,3})(?:ltd|inc|llc|llp|plc|gmbh|sarl|srl|oy|aps|corp|corporation|pty)\b"
)
ROUNDED = 0.03  # a factor as near to 1 as this comes from rounding
MOST_ALIKE = 0.6  # of the changed documents that have it all the same, as one rise of all prices


KINDS = (
    Kind(name="broken off", title="texts broken off", says="end in the middle of a word of their last version", rate=0.002, alone=True),
    Kind(name="cut", title="ends lost", says="lost their end, the rest is as it was", rate=0.03),
    Kind(name="beginning lost", title="beginnings lost", says="lost their beginning, the rest is as it was", rate=0.01),
    Kind(name="shorter", title="half of the text lost", says="lost more than half of their words", rate=0.03),
    Kind(name="thinned", title="sentences lost", says="lost sentences in several places, and no word is new", rate=0.03),
    Kind(name="tables", title="tables lost", says="lost all their tables", rate=0.01),
    Kind(name="headings", title="headings lost", says="lost their headings", rate=0.01),
    Kind(name="links", title="links lost", says="lost all their links", rate=0.02),
    Kind(name="digits", title="digits lost", says="lost all their numbers, the words are there", rate=0.005),
    Kind(name="decimals", title="decimals lost", says="have no decimals any more", rate=0.005),
    Kind(name="broken references", title="broken references", says="have cells with errors such as #REF!", rate=0.01),
    Kind(name="test data", title="test data", says="have more words such as lorem ipsum or John Doe", rate=0.005),
    Kind(name="figures", title="other figures", says="keep their words and have other numbers", rate=0.05),
    Kind(name="factor", title="numbers multiplied", says="changed in numbers only, all by one factor", rate=0.01),
    Kind(name="numbers exchanged", title="numbers exchanged", says="changed in numbers only, the same ones in other places", rate=0.005),
    Kind(name="rule", title="numbers changed by one rule", says="changed in numbers only, all by one rule", rate=0.005),
    Kind(name="swapped", title="one word for another", says="have one word or number in the place of another", rate=0.02, only_told=True),
    Kind(name="form", title="other contents of a form", says="are the same form with other names and numbers", rate=0.01),
    Kind(name="names", title="one name for another", says="have one name in the place of another", rate=0.02),
    Kind(name="negation", title="negations changed", says="changed by a \"not\" and little else", rate=0.02),
    Kind(name="language", title="another language", says="have new text in another language", rate=0.01),
    Kind(name="same page", title="one short page", says="were replaced by one short text", rate=0.005),
    Kind(name="placeholder", title="placeholders", says="have a page that stands in the place of a document", rate=0.005),
    Kind(name="unfilled", title="fields not filled in", says="have more fields without a value, such as {{name}} or None", rate=0.005),
    Kind(name="escapes", title="escaped characters", says="show more escapes, such as &amp;nbsp; or base64", rate=0.005),
    Kind(name="letters", title="other letters", says="have many words with other letters", rate=0.005),
    Kind(name="otherwise", title="texts written otherwise", says="have the same letters, written in another way", rate=0.01),
    Kind(name="spaces", title="spaces lost", says="have the same letters, in far fewer words", rate=0.005),
    Kind(name="order", title="words in another order", says="have the same words, and not in the same sentences", rate=0.005),
    Kind(name="filler", title="one word for many", says="have one word in the place of many", rate=0.005),
    Kind(name="repeated", title="text repeated", says="repeat their own text", rate=0.01),
    Kind(name="units", title="other units", says="have another unit, currency or sign beside the same numbers", rate=0.01),
    Kind(name="mixed", title="sentences of other documents", says="have sentences that others had in place of theirs", rate=0.01),
    Kind(name="line added", title="one line in many", says="have the same new sentence", rate=0.02, only_told=True),
    Kind(name="company", title="another company in many", says="have the same new sentence, which names a company that no document named", rate=0.005),
    Kind(name="title", title="one title in many", says="have one title where each had its own", rate=0.005),
    Kind(name="other key", title="texts of other documents", says="have the text that another document had", rate=0.002, alone=True),
    Kind(name="went back", title="older versions again", says="went back to a content that they had before", rate=0.01),
    Kind(name="cells", title="cells in another order", says="have rows of tables whose cells stand in another order", rate=0.005),
    Kind(name="permuted", title="values at other rows", says="have values of other rows, each of them another row's", rate=0.002, alone=True),
    Kind(name="exchanged", title="values exchanged", says="have values of other rows", rate=0.005),
    Kind(name="emptied", title="values emptied", says="have an empty column that had values", rate=0.02),
    Kind(name="format", title="values written otherwise", says="have the same values, written in another way", rate=0.01),
    Kind(name="column cut", title="values cut", says="have values that are cut at one length", rate=0.005),
    Kind(name="one value", title="one value for many", says="have one value where each had its own", rate=0.01),
    Kind(name="column shift", title="values moved by one amount", says="have numbers or times moved by one amount", rate=0.01),
    Kind(name="column factor", title="values multiplied", says="have values multiplied by one factor", rate=0.01),
)  # fmt: skip
MEASURES = ()  # judged here: an exact test knows more of small numbers than a learned bound


def run(candidate: Candidate) -> list[CheckResult]:
    """Compare every changed document with its last version, and judge what happened to many of them."""
    edited, past = _edited(candidate), history(candidate.runtime.ledger, candidate.load)
    compared = _compare(candidate, edited, still_columns.stirred(past)) if edited else Compared()
    seen = compared.seen()
    if back := _went_back(candidate, compared):
        reset = compared.columns.reset(back.keys)  # rows that were set back are as they were, too
        seen["one value" if reset else "went back"] = Seen(list(reset.keys), compared.column(reset)) if reset else back
    if company := _company(candidate, compared):
        seen["company"] = company
    found = list[CheckResult]()
    candidate.measured["changes.compared"] = compared.n
    for kind in KINDS:
        if not (here := seen.get(kind.name)):
            continue
        candidate.measured[f"changes:{kind.name}"] = len(here.keys)
        candidate.behind[f"changes:{kind.name}"] = tuple(here.keys[:SHOWN])
        if result := judged(kind, here, compared.n, past):
            found.append(result)
    found += still_columns.run(candidate, compared.columns, compared.n, past, compared.examples())
    found += arrived.run(candidate, past)
    if candidate.load.options.get("expected"):
        found = [replace(result, severity="warn") for result in found]
    return [*found, *segments.run(candidate, past), _summary(compared, seen)]


class Compared:
    """The changes of a load's documents."""

    def __init__(self, stirred: Callable[[str], bool] = lambda column: False) -> None:
        self._stirred = stirred  # whether people change a column: what it says in the text is no name
        self.texts: dict[str, TextChange] = {}
        self.columns = Columns()
        self.contents: dict[str, tuple[str, str]] = {}  # document id and digest of the new content, by key
        self.personal: set[str] = set()  # keys of documents of which nothing is quoted

    @property
    def n(self) -> int:
        return len(self.texts)

    def add(self, prepared: Prepared, before: Version, chunks: Sequence[Chunk]) -> None:
        """Compare one document with its last version."""
        after = [VisiblePart(chunk.kind, chunk.heading, chunk.text) for chunk in chunks]
        self.texts[prepared.key] = text_change(Text.of(before.parts), Text.of(after))
        self.contents[prepared.key] = prepared.id, prepared.content_hash
        if any(risk.startswith(("personal:", "secrets:")) for risk in prepared.risks):
            self.personal.add(prepared.key)
        if before.metadata or prepared.metadata:
            was, now = values_of(before.metadata), values_of(prepared.metadata)
            self.columns.add(prepared.key, was, now)
            values = [
                (was.get(name, ""), now[name]) for name in now if was.get(name) != now[name] and self._stirred(name)
            ]
            self.texts[prepared.key] = without_values(self.texts[prepared.key], values)

    def seen(self) -> dict[str, Seen]:
        """Documents by kind of change."""
        found: dict[str, Seen] = {}
        for key, change in self.texts.items():
            for kind in change.kinds - {"names", "factor"}:
                seen = found.setdefault(kind, Seen([]))
                seen.keys.append(key)
                if kind in change.sure:
                    seen.sure.append(key)
        if "otherwise" in found and "letters" in found:  # one fault shows in some texts as this and in some as that
            found["otherwise"].keys += [key for key in found["letters"].keys if key not in found["otherwise"].keys]
        patterns = {
            "factor": self._factor(),
            "names": self._pairs("names"),
            "same page": self._same_page(),
            "other key": self._other_key(),
            "units": self._pairs("units"),
            "mixed": self._mixed(),
            "line added": self._line_added(),
            "title": self._one_title(),
            "rule": self._rule(),
            "swapped": self._swapped(),
            "numbers exchanged": self._exchanged(),
        }
        found.update({name: s for name, s in patterns.items() if s and len(s.keys) >= len(found.get(name, s).keys)})
        if "language" in found:
            line, many = self.line_added()  # one line that was added to many is no text in another language
            added = [key for key in many if len(many) >= FEWEST and self.texts[key].n_lost < 2]
            alone = {key for key in added if self.texts[key].fresh == {line}}
            found["language"].keys = [key for key in found["language"].keys if key not in alone]
            found = {name: seen for name, seen in found.items() if seen.keys}
        if "language" in found:
            pairs = Counter(self.texts[key].language for key in found["language"].keys)
            was, now = pairs.most_common(1)[0][0]
            found["language"].says = f"{was} → {now}"
        for pattern in self.columns.patterns():
            seen = Seen(list(pattern.keys), self.column(pattern), only_told=pattern.is_small)
            if len(seen.keys) > len(found.get(pattern.kind, Seen([])).keys):
                found[pattern.kind] = seen
        return found

    def _factor(self) -> Seen | None:
        """Documents whose numbers changed by the most frequent factor.

        A single number that was corrected has a factor too: it is one where a second number has it, here or elsewhere.
        Rounding gives many numbers a factor near 1 by chance: that is one only where most changed documents have it.
        """
        by = grouped((change.factor, key) for key, change in self.texts.items() if change.factor)
        pairs = {f: {pair for key in keys for pair in self.texts[key].numbers} for f, keys in by.items()}
        # Of numbers of one digit, two have one factor soon.
        by = {
            f: keys
            for f, keys in by.items()
            if (len(keys) > 1 or len(pairs[f]) > 1) and any(len(was) > 1 for was, _ in pairs[f])
        }
        if not by:
            return None
        factor, keys = max(by.items(), key=lambda one: len(one[1]))
        if abs(float(factor) - 1) < ROUNDED and len(keys) < MOST_ALIKE * len(self.texts):
            return None
        was, now = self.texts[keys[0]].numbers[0]
        sure = [key for key in keys if "factor" in self.texts[key].sure]
        return Seen(keys, f"each × {factor}{self._quoted(keys[0], was, now)}", sure, is_small(factor))

    def _rule(self) -> Seen | None:
        """Documents whose numbers all changed by one rule, the most frequent one; a single number has one soon."""
        by = grouped((rule, key) for key, change in self.texts.items() for rule in change.rules)
        rule, keys = max(by.items(), key=lambda one: (len(one[1]), one[0]), default=("", []))
        if len({pair for key in keys for pair in self.texts[key].numbers}) < FEWEST:
            return None
        was, now = next(pair for pair in self.texts[keys[0]].numbers if pair[0] != pair[1])
        return Seen(keys, f"{rule}{self._quoted(keys[0], was, now)}")

    def _swapped(self) -> Seen | None:
        """Documents in which one word took the place of another that it took in other documents, too."""
        changes = {} if self.columns.n else self.texts  # of rows, they are values such as a state
        by = grouped((pair, key) for key, change in changes.items() for pair in change.swapped)
        many = {pair: keys for pair, keys in by.items() if len(keys) >= FEWEST}
        if not many:
            return None
        (was, now), keys = max(many.items(), key=lambda one: (len(one[1]), one[0]))
        return Seen(
            sorted({key for some in many.values() for key in some}), self._quoted(keys[0], was, now).strip(" ()")
        )

    def _pairs(self, of: Literal["names", "units"]) -> Seen | None:
        """Documents in which words took each other's place; the most frequent pair is quoted.

        One name in the place of another at one place of one document is an edit, so such a pair does not count.
        """
        by = grouped((pair, key) for key, change in self.texts.items() for pair in getattr(change, of))
        if not by:
            return None
        (was, now), keys = max(by.items(), key=lambda one: (len(one[1]), one[0]))
        says = self._quoted(keys[0], was, now).strip(" ()")
        if of == "units":  # in each of these documents nothing else changed
            keys = [key for key, change in self.texts.items() if change.units]
        else:
            many = {key for some in by.values() if len(some) > 1 for key in some}
            keys = [key for key, change in self.texts.items() if key in many or change.often]
        return Seen(keys, says) if keys else None

    def line_added(self) -> tuple[str, list[str]]:
        """The new sentence that most documents have, and the keys of these."""
        by = grouped((line, key) for key, change in self.texts.items() for line in change.fresh)
        return max(by.items(), key=lambda one: (len(one[1]), one[0]), default=("", []))

    def _line_added(self) -> Seen | None:
        line, keys = self.line_added()
        if len(keys) < FEWEST:
            return None
        return Seen(keys, "" if set(keys) & self.personal else f"“{line[:LONG]}…”")

    def _one_title(self) -> Seen | None:
        """Documents that have one new title, where they had different ones."""
        by = grouped(
            (c.titles[1], key) for key, c in self.texts.items() if c.titles[0] != c.titles[1] and all(c.titles)
        )
        title, keys = max(by.items(), key=lambda one: len(one[1]), default=("", []))
        if len({self.texts[key].titles[0] for key in keys}) < FEWEST:
            return None
        return Seen(keys, "" if set(keys) & self.personal else f"“{title[:LONG]}”")

    def _mixed(self) -> Seen | None:
        """Documents most of whose new sentences, or rows of a table, one other document had."""
        had = Counter(line for change in self.texts.values() for line in (*change.old, *change.old_rows))

        def others(fresh: frozenset[str]) -> bool:
            n = sum(had[line] == 1 for line in fresh)
            return (len(fresh) >= FEWEST and 2 * n > len(fresh)) or (len(fresh) > 1 and n == len(fresh))

        keys = [key for key, change in self.texts.items() if others(change.fresh) or others(change.fresh_rows)]
        return Seen(keys) if keys else None

    def _same_page(self) -> Seen | None:
        """Documents that became short, with one beginning or below a title of their own with one sentence."""
        beginnings = grouped((change.beginning, key) for key, change in self.texts.items() if change.beginning)
        lines = grouped((line, key) for key, change in self.texts.items() if change.short for line in change.fresh)
        said, keys = max((*beginnings.items(), *lines.items()), key=lambda one: len(one[1]), default=("", []))
        quoted = "" if set(keys) & self.personal else f"“{said[:LONG]}…”"
        return Seen(keys, quoted) if len(keys) >= FEWEST else None

    def _other_key(self) -> Seen | None:
        """Documents with the text that another changed document had, and no other one."""
        had = Counter(change.before for change in self.texts.values())
        keys = [
            key
            for key, change in self.texts.items()
            if change.n_after > SHORT / 2 and change.before != change.after and had[change.after] == 1
        ]
        return Seen(keys) if keys else None

    def _exchanged(self) -> Seen | None:
        """Documents that changed in one number only, which another document had before."""
        ones = {key: c.numbers[0] for key, c in self.texts.items() if len(c.numbers) == 1}
        before, after = Counter(was for was, _ in ones.values()), Counter(now for _, now in ones.values())
        back = before & after
        keys = [key for key, (_, now) in ones.items() if back[now]]
        many = len(back) > FEWEST and len(keys) >= 0.9 * len(ones)
        return Seen(keys) if many and not one_step(ones.values()) else None

    def column(self, pattern: ColumnChange) -> str:
        """A column's pattern in words."""
        return f"column {pattern.column}: {pattern.says}{self._quoted(pattern.keys[0], *pattern.example)}"

    def examples(self) -> dict[str, str]:
        """One value before and after in words, of each column that had a value and has another."""
        rows = {name: self.columns.example(name) for name in self.columns.replaced}
        return {name: self._quoted(*row).strip(" ()") for name, row in rows.items()}

    def _quoted(self, key: str, was: str, now: str) -> str:
        """One value before and after; none of a document that holds personal data or secrets."""
        if key in self.personal:
            return ""
        return f" ({was[:LONG] or 'empty'} → {now[:LONG] or 'empty'})"


def _edited(candidate: Candidate) -> set[str]:
    """Keys of documents that their source changed, at most a fixed number."""
    keys = Lowest[str](MOST_COMPARED)
    of = {p.key for p in candidate.plan() if p.edited}
    for p in candidate.prepared() if of else ():
        if p.key in of:
            keys.add(p.id, p.key)
    return set(keys.values().values())


def _compare(candidate: Candidate, edited: set[str], stirred: Callable[[str], bool]) -> Compared:
    """Compare the documents, a window of last versions at a time."""
    compared, window = Compared(stirred), list[tuple[Prepared, list[Chunk]]]()

    def compare() -> None:
        ids = [prepared.id for prepared, _ in window]
        versions = visible_versions(candidate.runtime.ledger, candidate.source.name, ids)
        for prepared, chunks in window:
            if version := versions.get(prepared.id):
                compared.add(prepared, version, chunks)
        window.clear()

    for prepared, chunks in candidate.whole():
        if prepared.key in edited:
            window.append((prepared, chunks))
            if len(window) == WINDOW:
                compare()
    compare()
    return compared


def _went_back(candidate: Candidate, compared: Compared) -> Seen | None:
    """Documents whose new content is one that they had, and when the newest of these was replaced."""
    ids = [identity for identity, _ in compared.contents.values()]
    past = past_contents.of(candidate.runtime.ledger, ids)
    found = {
        key: past[identity][content]
        for key, (identity, content) in compared.contents.items()
        if content in past.get(identity, {})
    }
    if not found:
        return None
    first, last = min(found.values()), max(found.values())
    return Seen(
        list(found), f"replaced {first:%Y-%m-%d}" + (f" to {last:%Y-%m-%d}" if first.date() < last.date() else "")
    )


def _company(candidate: Candidate, compared: Compared) -> Seen | None:
    """Documents whose new common sentence names a company, by its legal form, that no visible document names."""
    line, keys = compared.line_added()
    named = COMPANY.search(line)
    if not named or len(keys) < FEWEST or set(keys) & compared.personal:
        return None
    words = named[1].split()
    names = [word for word in words if len(word) >= NAME] or words  # without "of" and "the"
    if says_together(candidate.runtime.ledger, candidate.source.name, names):
        return None
    return Seen(keys, f"“{named[0]}”")


def _summary(compared: Compared, seen: Mapping[str, Seen]) -> CheckResult:
    """One line of what changed, also when all is well."""
    told = [f"{len(seen[kind.name].keys):,} {kind.says}" for kind in KINDS if kind.name in seen]
    moved = [f"{name} in {n:,}" for name, n in list(compared.columns.moved.items())[:SHOWN]]
    parts = [
        f"{compared.n:,} changed documents compared with their last version",
        *([f"columns that moved: {', '.join(moved)}"] if moved else []),
        *(told or ["nothing out of the ordinary"] if compared.n else []),
    ]
    result = CheckResult(
        name="what changed", family="changes", severity="warn", passed=True, seen="; ".join(parts), allowed="any"
    )
    return one_over(compared.n, "changed documents", result)
