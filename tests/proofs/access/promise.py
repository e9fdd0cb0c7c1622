"""What Moat promises of one source's documents, as a small model: what each step means for who reads what.

Written from docs/access.md, to be compared with the ledger and the index after every step. It
shares no code with Moat. An access is (layers, denied) in one normal form; None is unknown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from tests.proofs.access.organisation import EVERYONE

Layers = frozenset[frozenset[str]]


@dataclass(frozen=True)
class Terms:
    """Who may read: in every layer, and not denied."""

    layers: Layers
    denied: frozenset[str] = frozenset()

    @classmethod
    def of(cls, layers: Iterable[Iterable[str]], denied: Iterable[str] = ()) -> "Terms":
        """In normal form: no layer that says nothing, and only one way to say nobody."""
        out = frozenset(denied)
        left = {frozenset(layer) - out for layer in layers}
        if frozenset() in left:
            return cls(frozenset([frozenset()]))
        narrow = {layer for layer in left if EVERYONE not in layer} or {frozenset([EVERYONE])}
        return cls(frozenset(layer for layer in narrow if not any(other < layer for other in narrow)), out)

    def both(self, other: "Terms") -> "Terms":
        return Terms.of(self.layers | other.layers, self.denied | other.denied)

    @property
    def public(self) -> bool:
        return any(EVERYONE in layer for layer in self.layers)

    def rule(self) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
        """As the oracle reads it."""
        return tuple(tuple(sorted(layer)) for layer in self.layers), tuple(sorted(self.denied))


@dataclass
class Recorded:
    """A document's access as it was recorded; the version counts its changes."""

    terms: Terms | None
    version: int = 1


@dataclass
class UnderWay:
    """A load that is not promoted: what it brings, what it takes away, and whom it lets in once it is."""

    texts: dict[str, str]
    vanished: set[str]
    coming: dict[str, tuple[Terms, int]]


@dataclass
class Waiting:
    """A hold: who is to be let in to what."""

    number: int
    pairs: frozenset[tuple[str, Terms]]
    state: Literal["waiting", "released", "rejected", "over"] = "waiting"


@dataclass
class Promise:
    """The whole state. `said` in its methods is what the source lists: access by key."""

    most_widened: int
    recorded: dict[str, Recorded] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)  # promoted texts
    before: dict[str, str] | None = None  # what a rollback would show again
    under_way: UnderWay | None = None
    holds: list[Waiting] = field(default_factory=list)

    def readable(self) -> dict[str, Terms]:
        """Access of every text that somebody could read now, by key."""
        return {key: terms for key in self.shown if (terms := self.recorded[key].terms) is not None}

    # What the load does

    def read(self, said: Mapping[str, Terms | None], texts: Mapping[str, str]) -> bool:
        """A load reads the source: what narrows holds, what widens is on its way. Whether there is anything to do."""
        coming, access_only = dict[str, tuple[Terms, int]](), set[str]()
        for key, wanted in said.items():
            if key not in self.recorded:
                if wanted is not None:
                    self.recorded[key] = Recorded(wanted)
                continue
            if self.recorded[key].terms != wanted:
                self._narrow(key, wanted)
                access_only.add(key)
                now = self.recorded[key]
                if wanted is not None and wanted not in (now.terms, self._decided("rejected").get(key)):
                    coming[key] = wanted, now.version
        new = {k: texts[k] for k, terms in said.items() if terms is not None and self.shown.get(k) != texts[k]}
        self.under_way = UnderWay(new, set(self.shown) - set(said), coming)
        return bool(new or self.under_way.vanished or access_only & set(self.shown))

    def promote(self) -> None:
        assert self.under_way is not None
        for key, (wanted, version) in self.under_way.coming.items():
            if self.recorded[key].version == version:
                self._record(key, wanted)
        self.before = dict(self.shown)
        self.shown = {
            k: t for k, t in {**self.shown, **self.under_way.texts}.items() if k not in self.under_way.vanished
        }
        self.under_way = None

    def rollback(self) -> bool:
        """Whether it can be; content comes back, access does not."""
        if self.before is None or self.under_way is not None:
            return False
        self.shown, self.before = self.before, None
        return True

    # What access sync does

    def sync(
        self, said: Mapping[str, Terms | None], texts: Mapping[str, str]
    ) -> tuple[int, int, list[tuple[str, Terms]]]:
        """Returns how many were narrowed, how many widened, and what waits for a person."""
        live = self._live()
        self._drop(key for key in live if key not in said)
        observed = {
            k: t
            for k, t in said.items()
            if k in self.recorded and (t != self.recorded[k].terms or (k in live and live[k] != t))
        }
        narrowed = sum([self._narrow(key, wanted) for key, wanted in observed.items()])
        self._drop(key for key, wanted in observed.items() if live.get(key) != wanted)
        wider = {
            k: t
            for k, t in observed.items()
            if t is not None and self.shown.get(k) == texts[k] and t != self.recorded[k].terms
        }
        yes, no = self._decided("released"), self._decided("rejected")
        passed = {k: t for k, t in wider.items() if no.get(k) != t and yes.get(k) == t}
        new = {k: t for k, t in wider.items() if t not in (no.get(k), yes.get(k))}
        waiting = dict(new)
        if len(new) <= self.most_widened:
            waiting = {k: t for k, t in new.items() if (t.public or self._lets_in(k, t)) and not self._public(k)}
        passed |= {k: t for k, t in new.items() if k not in waiting}
        for key, wanted in passed.items():
            self._record(key, wanted)
        self._drop(passed)
        self._wait(frozenset(waiting.items()))
        return narrowed, len(passed), sorted(waiting.items(), key=lambda pair: pair[0])

    def _wait(self, pairs: frozenset[tuple[str, Terms]]) -> None:
        for hold in self.holds:
            if hold.state in ("waiting", "released") and hold.pairs != pairs:
                hold.state = "over"
        if pairs and not any(hold.pairs == pairs and hold.state != "over" for hold in self.holds):
            self.holds.append(Waiting(0, pairs))

    def _decided(self, state: str) -> dict[str, Terms]:
        return {key: terms for hold in self.holds if hold.state == state for key, terms in hold.pairs}

    def _live(self) -> dict[str, Terms]:
        """Whom the load under way is going to let in, where nothing moved since it read."""
        coming = self.under_way.coming if self.under_way else {}
        return {key: terms for key, (terms, version) in coming.items() if self.recorded[key].version == version}

    def _drop(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            if self.under_way:
                self.under_way.coming.pop(key, None)

    def _lets_in(self, key: str, wanted: Terms) -> bool:
        """Whether somebody who was kept out by name no longer is."""
        terms = self.recorded[key].terms
        return terms is not None and bool(terms.denied - wanted.denied)

    def _public(self, key: str) -> bool:
        terms = self.recorded[key].terms
        return terms is not None and terms.public

    def _narrow(self, key: str, wanted: Terms | None) -> bool:
        """Readers must satisfy the old and the new; what is unknown stays so. Whether that changed anything."""
        old = self.recorded[key].terms
        now = old.both(wanted) if old is not None and wanted is not None else None
        changed = now != old
        if changed:
            self._record(key, now)
        return changed

    def _record(self, key: str, terms: Terms | None) -> None:
        self.recorded[key] = replace(self.recorded[key], terms=terms, version=self.recorded[key].version + 1)
