"""Asks as many askers many questions and compares each answer with the oracle, in processes of their own."""

import logging
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TypeVar

import numpy as np

from moat.errors import AskedWrongly
from moat.retrieve import Count, Retriever, SearchResult
from moat.search.identity import Asker, Service
from moat.settings import Settings
from tests.proofs.access.harness import retriever
from tests.proofs.access.organisation import Organisation, organisation, vector

A = TypeVar("A")
MODES = ("keyword", "vector", "hybrid", "by id", "count")
ASKERS_AT_ONCE = 10
LIMIT = 10
NEAR = 1e-5  # of two scores that the index may put in either order


@dataclass
class Tally:
    """What came of some checks. A check is one answer; a decision is one document in or out of it."""

    checks: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    shown: int = 0  # documents that were rightly shown
    leaks: list[str] = field(default_factory=list)
    denials: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        self.checks += other.checks
        self.decisions += other.decisions
        self.shown += other.shown
        self.leaks += other.leaks
        self.denials += other.denials


class Sweep:
    """One process's view: the door, the organisation with its oracle, and which chunk is whose paper."""

    def __init__(self, door: Retriever, org: Organisation, ids: Sequence[str]) -> None:
        self.door, self.org, self.ids = door, org, ids
        self.number = {identity: number for number, identity in enumerate(ids)}
        self.vectors = np.stack([vector(p.text) for p in org.papers])
        self.with_word: dict[str, set[int]] = {word: set() for word in org.vocabulary}
        for number, paper in enumerate(org.papers):
            for word in paper.words:
                self.with_word[word].add(number)

    def ask(self, at: int, rounds: range) -> Tally:
        """One asker's questions; each round asks in every mode."""
        principals, tally = self.org.askers[at], Tally()
        asker: Asker = principals[0] if len(principals) == 1 else Service(f"service{at}", principals)
        readable = self.org.readable(principals)
        known = self.org.oracle.stands_for(*principals) is not None
        for one in rounds:
            random = Random(f"{at} {one}")
            for mode, ask in zip(
                MODES, (self._keyword, self._vector, self._hybrid, self._by_id, self._count), strict=True
            ):
                got, wanted, decisions, refused = ask(asker, readable, random)
                tally.checks[mode] += 1
                tally.decisions += decisions
                tally.shown += len(got & wanted)
                told = f"{mode}, asker {principals}, round {one}"
                if leaked := got - wanted - {-1}:
                    tally.leaks.append(f"{told}: shown {[self._told(n) for n in sorted(leaked)[:3]]}")
                if missing := wanted - got:
                    tally.denials.append(
                        f"{told}: not shown {[self._told(n) for n in sorted(missing)[:3]]}; refused: {refused}"
                    )
                elif known is not (refused is None):
                    tally.denials.append(f"{told}: known to the oracle: {known}, refused: {refused}")
        return tally

    def _told(self, number: int) -> str:
        return (
            str(self.org.papers[number]) if 0 <= number < len(self.org.papers) else f"something of the number {number}"
        )

    def _keyword(self, asker: Asker, readable: set[int], random: Random) -> tuple[set[int], set[int], int, str | None]:
        """All papers that hold one of the words, exactly: the limit is above what there is."""
        words = random.sample(self.org.vocabulary, random.choice((1, 1, 2)))
        matches = set().union(*(self.with_word[word] for word in words))
        filters, kept = self._filters(random)
        answer = _answered(lambda: self.door.search(" ".join(words), asker, 200, "keyword", filters), SearchResult())
        return self._numbers(answer), {n for n in matches & readable if kept(n)}, len(matches), answer.refused

    def _vector(self, asker: Asker, readable: set[int], random: Random) -> tuple[set[int], set[int], int, str | None]:
        """The nearest of what may be read, as brute force finds them."""
        question = " ".join(random.sample(self.org.vocabulary, 2))
        answer = self.door.search(question, asker, LIMIT, "vector")
        got, mine = self._numbers(answer), np.array(sorted(readable), int)
        scores = self.vectors[mine] @ vector(question)
        order = np.argsort(-scores)[:LIMIT]
        wanted = {int(n) for n in mine[order]}
        if len(order):  # equally near ones may stand for each other
            edge = float(scores[order[-1]])
            near = {int(n) for n in mine[np.abs(scores - edge) < NEAR]}
            if len(got) == len(wanted) and (got ^ wanted) <= near:
                wanted = got
        return got, wanted, len(self.org.papers), answer.refused

    def _hybrid(self, asker: Asker, readable: set[int], random: Random) -> tuple[set[int], set[int], int, str | None]:
        """Which come first is the index's affair: nothing that may not be read, and as many as there could be."""
        question = " ".join(random.sample(self.org.vocabulary, 2))
        answer = self.door.search(question, asker, LIMIT, "hybrid")
        got, wanted = self._numbers(answer), min(LIMIT, len(readable))
        right = got & readable
        return got, right | set(sorted(readable - right)[: wanted - len(right)]), len(got), answer.refused

    def _by_id(self, asker: Asker, readable: set[int], random: Random) -> tuple[set[int], set[int], int, str | None]:
        asked = random.sample(range(len(self.ids)), 200)
        answer = self.door.get([self.ids[n] for n in asked], asker)
        return self._numbers(answer), set(asked) & readable, len(asked), answer.refused

    def _count(self, asker: Asker, readable: set[int], random: Random) -> tuple[set[int], set[int], int, str | None]:
        """Counts as sets: where they differ from the oracle's, made-up papers stand for the difference."""
        filters, kept = self._filters(random)
        answer = _answered(lambda: self.door.count(asker, filters), Count())
        wanted = {n for n in readable if kept(n)}
        n = min(answer.documents, answer.chunks)
        got = set(sorted(wanted)[:n]) | {
            len(self.ids) + i for i in range(max(answer.documents, answer.chunks) - len(wanted))
        }
        return got, wanted, len(self.org.papers), answer.refused

    def _filters(self, random: Random) -> tuple[dict[str, str | list[str]], Callable[[int], bool]]:
        papers = self.org.papers
        match random.randrange(6):
            case 0:
                source = random.choice(papers).source
                return {"source": source}, lambda n: papers[n].source == source
            case 1:
                halves = random.sample("abcdef", 2)
                return {"half": halves}, lambda n: papers[n].key[0] in halves
            case 2:
                keys = [p.key for p in random.sample(papers, 50)]
                return {
                    "key": keys,
                    "source": ["handbook", "wiki"],
                }, lambda n: papers[n].key in keys and papers[n].source in ("handbook", "wiki")
            case _:
                return {}, lambda n: True

    def _numbers(self, answer: Sequence[object]) -> set[int]:
        """Papers of the hits; what is no paper at all has a number that is nobody's."""
        unknown = count(len(self.ids))
        return {self.number.get(hit.chunk_id, next(unknown)) for hit in answer}  # type: ignore[attr-defined]


def _answered(ask: Callable[[], A], nothing: A) -> A:
    """An answer; nothing where a filter names what the asker can read nothing of."""
    try:
        return ask()
    except AskedWrongly:
        return nothing


_sweep: Sweep | None = None


def begin(settings: Settings, seed: int, ids: Sequence[str]) -> None:
    """A process opens its own door and makes the organisation once more, from its seed."""
    global _sweep
    logging.disable(logging.WARNING)  # a refusal is an answer here
    _sweep = Sweep(retriever(settings), organisation(seed), ids)


def some(askers: range, rounds: range) -> Tally:
    assert _sweep is not None
    tally = Tally()
    for at in askers:
        tally.add(_sweep.ask(at, rounds))
    return tally


def sweep(
    settings: Settings, seed: int, ids: Sequence[str], n_askers: int, n_rounds: int
) -> Iterator[tuple[Tally, float]]:
    """Ask; after each few askers the tally so far, and the seconds."""
    total, started = Tally(), time.monotonic()
    spawned = multiprocessing.get_context("spawn")  # a fork would share connections
    with ProcessPoolExecutor(os.cpu_count(), spawned, begin, (settings, seed, ids)) as pool:
        slices = [range(n_askers)[at : at + ASKERS_AT_ONCE] for at in range(0, n_askers, ASKERS_AT_ONCE)]
        for done in as_completed([pool.submit(some, one, range(n_rounds)) for one in slices]):
            total.add(done.result())
            yield total, time.monotonic() - started
