"""Finds documents whose content stands under another key in the same load: moves, and no deletions.

A copy is none: the old key stays. Where one content goes to several keys, each of them has it, and as many
documents moved as left their keys.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from moat.checks.candidate import Candidate
from moat.ledger import Ledger, documents, moves

SHOWN = 5  # pairs of keys in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What moved in a load.

    Args:
        pairs: The new key by the old one, each used once.
        targets: All new keys that have an old one's content, by the old key.
    """

    pairs: Mapping[str, str] = field(default_factory=dict)
    targets: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def renamed(self) -> dict[str, str]:
        """Moves under another name; the others stand in another folder only."""
        return {old: new for old, new in self.pairs.items() if _name(old) != _name(new)}


def found(candidate: Candidate) -> Moves:
    """The moves of a load, by the digests of contents."""
    gone, new = list[str](), set[str]()
    for p in candidate.plan():
        if p.what == "vanished":
            gone.append(p.key)
        elif p.what == "new":
            new.add(p.key)
    if not gone or not new:
        return Moves()
    arrived, left = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for one in candidate.prepared():
        if one.key in new:
            arrived[one.content_hash].append(one.key)
    for key, known in documents.known(candidate.runtime.ledger, candidate.source.name, gone).items():
        if known.content_hash in arrived:
            left[known.content_hash].append(key)
    pairs, targets = dict[str, str](), dict[str, Sequence[str]]()
    for content, keys in sorted(left.items()):
        pairs.update(_paired(sorted(keys), sorted(arrived[content])))
        targets.update(dict.fromkeys(keys, arrived[content]))
    return Moves(pairs=pairs, targets=targets)


def followed(ledger: Ledger, source: str, keys: Iterable[str], here: Moves = Moves()) -> dict[str, frozenset[str]]:
    """Where the documents of some keys went, by earlier loads and by this one; who never moved is left out."""
    asked = list(keys)
    before = moves.followed(ledger, source, asked)
    to: dict[str, frozenset[str]] = {}
    for key in asked:
        there = before.get(key, frozenset())
        if went := there.union(*(here.targets.get(one, ()) for one in (key, *there))) - {key}:
            to[key] = went
    return to


def to_keep(candidate: Candidate, keys: Collection[str]) -> list[tuple[str, str]]:
    """Moves of this load as (old key, new key) that start at some keys, or where these went before."""
    here = found(candidate) if keys else Moves()
    if not here.targets:
        return []
    went = moves.followed(candidate.runtime.ledger, candidate.source.name, keys)
    of = set(keys).union(*went.values())
    return [(old, new) for old in sorted(of & here.targets.keys()) for new in here.targets[old]]


def in_words(pairs: Mapping[str, str]) -> str:
    """Some moves as "a.md → b.md"."""
    told = [f"{old} → {new}" for old, new in sorted(pairs.items())[:SHOWN]]
    return "; ".join([*told, *([f"and {len(pairs) - SHOWN:,} more"] if len(pairs) > SHOWN else [])])


def _paired(olds: list[str], news: list[str]) -> Iterator[tuple[str, str]]:
    """Old keys of one content with its new ones, those of the same name first."""
    by_name = defaultdict[str, list[str]](list)
    for new in reversed(news):
        by_name[_name(new)].append(new)
    taken, rest = set[str](), list[str]()
    for old in olds:
        if same := by_name[_name(old)]:
            taken.add(same[-1])
            yield old, same.pop()
        else:
            rest.append(old)
    yield from zip(rest, (new for new in news if new not in taken), strict=False)


def _name(key: str) -> str:
    return key.rpartition("/")[2]
