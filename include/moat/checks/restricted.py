"""Finds text that few people could read until now in documents of a load that more people may read.

A restricted document that is moved, copied or pasted into another one comes with the other's readers, and no
change of access shows it. So the words of each new and changed document are looked up among those of all documents
of the tenant. What many documents share, and what the wider circle reads already, does not count.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from moat.access.policy import Policy
from moat.access.rules import AccessFiles, AccessRule, Columns, ObjectTags
from moat.checks.audience import Audience, policy_of
from moat.checks.candidate import Candidate
from moat.checks.widening import Opened, why_far
from moat.ledger import Ledger, projection, same_text
from moat.ledger.checks import CheckResult
from moat.ledger.former_names import document_ids
from moat.ledger.same_text import Holder, Marked
from moat.shingles import Shingles, lowest
from moat.source import Limits

HALF = 0.5  # of either document's text
LEAST, LEAST_ALONE = 200, 30  # letters and digits; the second of a document of one chunk
MANY = 5  # documents that share a text which is a template
NEAR = 0.7  # share of runs of two versions of one text
ASKED = 16  # runs of a chunk that are looked up
WINDOW = 20_000  # runs looked up at a time
MOST = 16  # documents of a kind that one is compared with
KEPT = 200  # documents whose text is in memory
MOST_POLICIES, MOST_PAIRS = 2_000, 200_000  # above that, any document may have text of few
SHOWN = 5  # keys of documents behind a result
TOLD = 3  # pairs in words


@dataclass(frozen=True, kw_only=True)
class Text:
    """The words of a document, chunk by chunk."""

    chunks: tuple[Shingles, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Text":
        return cls(chunks=tuple(map(Shingles.of, texts)))

    @cached_property
    def runs(self) -> frozenset[int]:
        return frozenset().union(*(chunk.runs for chunk in self.chunks))

    @cached_property
    def n_characters(self) -> int:
        return sum(chunk.n_characters for chunk in self.chunks)

    def share(self, runs: frozenset[int]) -> float:
        """Share of the text that stands in these runs; 0.0 where that is too little to tell."""
        n = sum(chunk.n_within(runs) for chunk in self.chunks)
        return n / self.n_characters if n >= (LEAST_ALONE if len(self.chunks) == 1 else LEAST) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A document with the readers that it is to have."""

    id: str
    key: str
    policy: Policy
    text: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A text of few, and the document in which more may read it."""

    arrival: Arrival
    origin: Holder
    of_arrival: float  # share of its text that is the other's
    of_origin: float
    visible: bool  # whether the other is still to be seen

    @property
    def most(self) -> float:
        return max(self.of_arrival, self.of_origin)


class Restricted:
    """Finds the texts of few in documents, by the ledger and the groups of now."""

    def __init__(self, ledger: Ledger, audience: Audience, limits: Limits) -> None:
        self._ledger, self._audience, self._limits = ledger, audience, limits
        self._far: dict[tuple[Policy, Policy], bool] = {}
        self._versions: dict[tuple[str, str], bool] = {}
        self._holders: dict[str, Holder] = {}
        self._texts: dict[str, tuple[Text, Text]] = {}  # all that is kept, and what is visible

    @cached_property
    def _in_use(self) -> list[Policy]:
        return same_text.policies_in_use(self._ledger, MOST_POLICIES)

    def may_hold(self, policies: Sequence[Policy]) -> set[Policy]:
        """Those of the policies that let far more people in than another one in use."""
        if len(self._in_use) == MOST_POLICIES or len(self._in_use) * len(policies) > MOST_PAIRS:
            return set(policies)
        return {now for now in policies if any(self._is_far(was, now) for was in self._in_use)}

    def find(self, arrivals: Iterable[Arrival]) -> Iterator[Spread]:
        """The texts of few in these documents, at most one for each."""
        window, n = list[tuple[Arrival, set[int]]](), 0
        for arrival in arrivals:
            asked = {run for chunk in arrival.text.chunks for run in lowest(chunk.runs, ASKED)}
            window.append((arrival, asked))
            n += len(asked)
            if n >= WINDOW:
                yield from self._of_window(window)
                window, n = [], 0
        yield from self._of_window(window)

    def coming_back(self, source: str, opened: Sequence[Opened]) -> list[Spread]:
        """The texts of few in documents of a source that were masked and are to be seen again."""
        wide = self.may_hold([one.now for one in opened if one.was is None])
        masked = [one for one in opened if one.was is None and one.now in wide]
        ids = document_ids(self._ledger, source, (one.key for one in masked))
        return list(
            self.find(
                Arrival(id=i, key=one.key, policy=one.now, text=self._text(i)[1])
                for i, one in zip(ids, masked, strict=True)
            )
        )

    def _of_window(self, window: Sequence[tuple[Arrival, set[int]]]) -> Iterator[Spread]:
        found: dict[int, list[Marked]] = {}
        for row in same_text.marked(self._ledger, sorted({run for _, asked in window for run in asked})):
            found.setdefault(row.mark, []).append(row)
        for arrival, asked in window:
            if rows := [row for run in asked for row in found.get(run, ())]:
                best = max(self._of_one(arrival, rows), key=lambda spread: (spread.most, spread.visible), default=None)
                if best is not None:
                    yield best

    def _of_one(self, arrival: Arrival, rows: Sequence[Marked]) -> Iterator[Spread]:
        """The documents of few whose text this one has, among those with one of its marks."""
        marks: dict[str, set[int]] = {}
        for row in rows:
            for identity in (row.one, row.other):
                marks.setdefault(identity, set()).add(row.mark)
        holders = self._who({*marks, arrival.id})
        far = {i for i, holder in holders.items() if self._is_far(holder.policy, arrival.policy)}
        by_marks = sorted(marks.keys() & holders.keys(), key=lambda i: (-len(marks[i]), i))
        few = [i for i in by_marks if i in far and i != arrival.id][:MOST]
        if not few:
            return
        # Its own last version is among what the wider circle reads, if they could read it.
        own = [arrival.id] if arrival.id in holders else []
        reading = [i for i in dict.fromkeys([*own, *by_marks]) if i not in far][:MOST]
        open_runs = frozenset[int]().union(*(self._text(i)[1].runs for i in reading))
        n_of = Counter[int]()
        for row in rows:
            n_of[row.mark] += row.n
        common = {run for run, n in n_of.items() if n >= MANY}
        for identity in few:
            whole = self._text(identity)[0]
            template = frozenset[int]().union(
                *(
                    self._text(i)[0].runs
                    for i in few
                    if i != identity and marks[i] & marks[identity] & common and not self._near(i, identity)
                )
            )
            shared = (arrival.text.runs & whole.runs) - open_runs - template
            spread = Spread(
                arrival=arrival,
                origin=holders[identity],
                of_arrival=arrival.text.share(shared),
                of_origin=whole.share(shared),
                visible=bool(self._text(identity)[1].chunks),
            )
            if spread.most >= HALF:
                yield spread

    def _near(self, one: str, other: str) -> bool:
        """Whether two documents are versions of one text."""
        pair = (min(one, other), max(one, other))
        if pair not in self._versions:
            runs, others = self._text(one)[0].runs, self._text(other)[0].runs
            self._versions[pair] = len(runs & others) >= NEAR * len(runs | others)
        return self._versions[pair]

    def _is_far(self, was: Policy, now: Policy) -> bool:
        pair = (was, now)
        if pair not in self._far:
            self._far[pair] = bool(why_far(self._audience, self._limits, was, now))
        return self._far[pair]

    def _who(self, documents: Iterable[str]) -> dict[str, Holder]:
        """Source, key and policy of those of the documents whose access is known."""
        wanted = list(documents)
        if new := [i for i in wanted if i not in self._holders]:
            self._holders |= same_text.holders(self._ledger, new)
        return {i: self._holders[i] for i in wanted if i in self._holders}

    def _text(self, document: str) -> tuple[Text, Text]:
        """All that the ledger keeps of a document's text, and what is visible of it."""
        if document not in self._texts:
            if len(self._texts) >= KEPT:
                self._texts.clear()
            held = projection.kept_texts(self._ledger, [document])
            self._texts[document] = Text.of(h.text for h in held), Text.of(h.text for h in held if h.visible)
        return self._texts[document]


def run(
    candidate: Candidate, audience: Audience, policies: Sequence[Policy], opened: Sequence[Opened]
) -> tuple[CheckResult, int]:
    """Hold text of few in a document that more may read.

    Args:
        candidate: The load.
        audience: Counts the readers of policies.
        policies: Policies of the load's documents.
        opened: Visible documents that the load opens to more people.

    Returns:
        The result, and the number of documents that would make such a text public.
    """
    source = candidate.source
    finder = Restricted(candidate.runtime.ledger, audience, source.limits)
    wide = finder.may_hold(policies)
    back = [one for one in opened if one.was is None]
    same = {p.key for p in candidate.plan() if p.what == "access"} if back else set[str]()
    found = [
        *(finder.find(_arrivals(candidate, wide)) if wide else ()),
        *finder.coming_back(source.name, [one for one in back if one.key in same]),
    ]
    found.sort(key=lambda spread: -spread.most)
    gone = {p.key for p in candidate.plan() if p.what == "vanished"} if found else set[str]()
    told = [in_words(audience, source.name, spread, gone) for spread in found[:TOLD]]
    if len(found) > TOLD:
        told.append(f"and {len(found) - TOLD:,} documents more")
    result = CheckResult(
        name="restricted text",
        family="access",
        severity="hold",
        passed=not found,
        seen="; ".join(told) or "no document has text that was for far fewer people until now",
        allowed=_way_out(candidate, found[0].arrival.key) if found else "none",
        documents=tuple(spread.arrival.key for spread in found[:SHOWN]),
    )
    return result, sum(spread.arrival.policy.public for spread in found)


def _arrivals(candidate: Candidate, wide: set[Policy]) -> Iterator[Arrival]:
    for prepared, chunks in candidate.whole():
        policy = policy_of(prepared.policy)
        if policy in wide:
            text = Text.of(chunk.text for chunk in chunks)
            yield Arrival(id=prepared.id, key=prepared.key, policy=policy, text=text)


def in_words(audience: Audience, source: str, spread: Spread, gone: Collection[str] = ()) -> str:
    """Both documents by their keys, with the number of their readers; no word of their text.

    `gone` are keys of the source that vanish with the load.
    """
    arrival, origin = spread.arrival, spread.origin
    here = origin.source == source
    where = origin.key if here else f"{origin.key} of source {origin.source}"
    ends = "" if spread.visible else ", gone before"
    ends = ", gone with this load" if here and origin.key in gone else ends
    new = f"{arrival.key} ({readers(audience, arrival.policy)})"
    old = f"{where} ({readers(audience, origin.policy)}{ends})"
    if spread.of_origin >= HALF:
        return f"{new} has {spread.of_origin:.0%} of the text of {old}"
    return f"{spread.of_arrival:.0%} of the text of {new} is that of {old}"


def readers(audience: Audience, policy: Policy) -> str:
    """Who may read under a policy, as a number of people."""
    if policy.public:
        return "public"
    n, everyone = audience.count(policy), audience.everyone
    return f"everyone in the company, {n:,} readers" if n >= everyone > 0 else f"{n:,} reader{'s' * (n != 1)}"


def _way_out(candidate: Candidate, key: str) -> str:
    """What to correct, or how to let it through."""
    number = candidate.load.id
    return (
        f"none. If it is not for them, correct {decides(candidate.source.access, candidate.source.name, key)}, then "
        f'moat reject {number} --because "not for them"; if it is, moat release {number} --because "for them too"'
    )


def decides(rule: AccessRule, source: str, key: str) -> str:
    """What says who may read a document, by its source's rule."""
    if isinstance(rule, AccessFiles):
        return f"the nearest {rule.name} above {key}, or move it back"
    if isinstance(rule, Columns):
        return f"column {rule.allow} of row {key}"
    if isinstance(rule, ObjectTags):
        return f"tag {rule.allow} of {key}"
    return f"access= of source {source}, or take {key} out of it"
