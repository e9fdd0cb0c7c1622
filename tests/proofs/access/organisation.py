"""A made-up organisation, the same from the same seed: people, groups, documents, and who may read them.

It knows nothing of Moat. What it writes down is what a source and a directory would say.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random
from typing import Literal, NamedTuple

import numpy as np

from tests.proofs.access.oracle import Oracle, of

DIMENSIONS = 32
EVERYONE = "*"
TWIN = "engineering"  # a group of this bare name is in two directories, with other people in each


class Rule(NamedTuple):
    """Readers are in each of `all_of` and not in `none_of`."""

    all_of: tuple[tuple[str, ...], ...]
    none_of: tuple[str, ...] = ()

    def within(self, directory: str) -> "Rule":
        """With bare groups named in full."""
        layers = tuple(tuple(of(directory, p) for p in one_of) for one_of in self.all_of)
        return Rule(layers, tuple(of(directory, p) for p in self.none_of))


PUBLIC, NOBODY = Rule(((EVERYONE,),)), Rule(((),))
State = Literal["live", "replaced", "staged", "withdrawn", "masked", "erased"]


@dataclass(frozen=True, slots=True)
class Paper:
    """A document of one short text. `before` is an access that the index still holds though it was taken back."""

    source: str
    key: str
    words: tuple[str, ...]
    rule: Rule | None
    directory: str = ""
    state: State = "live"
    before: Rule | None = None

    @property
    def text(self) -> str:
        return f"{' '.join(self.words)} paper{self.key.rpartition('-')[2]}"


@dataclass(frozen=True)
class Organisation:
    """Everything that there is, and the askers that a sweep asks as: tuples of principals, one for a person."""

    people: tuple[str, ...]
    directories: Mapping[str, Mapping[str, Sequence[str]]]
    papers: tuple[Paper, ...]
    vocabulary: tuple[str, ...]
    askers: tuple[tuple[str, ...], ...] = field(default=())

    @cached_property
    def oracle(self) -> Oracle:
        rules = [p.rule.within(p.directory) for p in self.papers if p.rule and p.state == "live"]
        return Oracle(self.directories, rules)

    @cached_property
    def rules(self) -> list[Rule | None]:
        return [p.rule.within(p.directory) if p.rule else None for p in self.papers]

    def readable(self, asker: Sequence[str]) -> set[int]:
        """The numbers of the papers that an asker may read."""
        who = self.oracle.stands_for(*asker)
        judged: dict[Rule, bool] = {}
        found = set()
        for number, paper in enumerate(self.papers):
            if paper.state == "live" and (rule := self.rules[number]) is not None:
                if rule not in judged:
                    judged[rule] = self.oracle.reads(who, rule)
                if judged[rule]:
                    found.add(number)
        return found


def direction(word: str) -> np.ndarray:
    """A unit vector of a word, or of anything."""
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
    made = np.random.default_rng(seed).normal(size=DIMENSIONS)
    return np.asarray(made / np.linalg.norm(made), "<f4")


def vector(text: str) -> np.ndarray:
    """A unit vector near to the words of a text, so that a question is near to the papers of its words."""
    made = np.sum([direction(word) for word in text.split()], axis=0) + 0.05 * direction(text)
    return np.asarray(made / np.linalg.norm(made), "<f4")


def organisation(seed: int, n_people: int = 2_000, n_groups: int = 500, n_papers: int = 5_000) -> Organisation:
    """The organisation of a seed."""
    random = Random(seed)
    people = [f"user:p{i:04}@moat.example" for i in range(n_people - 4)]
    people += [
        "user:zoë.müller@moat.example",
        "user:ÅSA@moat.example",
        "user:a,b=c@moat.example",
        "user:o'hara%@moat.example",
    ]
    strangers, papered = people[:20], people[20:60]  # known to nobody; only let in by rules
    directories = _groups(random, people[60:], n_groups)
    groups = sorted(group for one in directories.values() for group in one)
    vocabulary = tuple(f"word{i:03}" for i in range(max(20, n_papers // 16)))
    papers = tuple(_papers(random, people[20:], papered, groups, vocabulary, n_papers))
    made = Organisation(tuple(people), directories, papers, vocabulary)
    return replace(made, askers=tuple(_askers(random, made, strangers, papered)))


def _groups(random: Random, people: Sequence[str], n_groups: int) -> dict[str, dict[str, list[str]]]:
    """Three directories: nested ten deep, in circles, empty, with twins, one inside the other."""
    n = (n_groups - 4) // 3
    names = {
        "staff": ["group:everyone", "group:itself", *(f"group:team{i:03}" for i in range(n_groups - 2 * n - 4))],
        "okta": [f"group:okta/{TWIN}", *(f"group:okta/g{i:03}" for i in range(n))],
        "ad": [f"group:ad/{TWIN}", *(f"group:ad/g{i:03}" for i in range(n))],  # the bare names of okta's
    }
    members: dict[str, list[str]] = {group: [] for of_one in names.values() for group in of_one}
    every = sorted(members)
    for person in people:
        for group in random.sample(every[:-20], random.choice((1, 1, 2, 3, 5))):
            members[group].append(person if random.random() < 0.8 else person.upper().replace("USER:", "user:"))
    for start in range(0, 40, 10):  # four chains, each ten deep
        for above, below in zip(every[start:], every[start + 1 : start + 10], strict=False):
            members[above].append(below)
    for length, start in ((2, 50), (3, 60), (5, 70)):  # circles
        circle = every[start : start + length]
        for above, below in zip(circle, circle[1:] + circle[:1], strict=True):
            members[above].append(below)
    members["group:itself"] += ["group:itself", people[0]]
    for _ in range(len(every) // 3):
        above, below = random.sample(every[80:-20], 2)
        members[above].append(below)
    for group in every[-20:]:  # empty, or with nothing but an empty one
        members[group] = random.choice(([], [], [every[-1]]))
    members["group:everyone"] = [g for g in every[:-20] if g.startswith("group:team")][: len(every) // 4]
    return {name: {group: members[group] for group in of_one} for name, of_one in names.items()}


def _papers(
    random: Random,
    people: Sequence[str],
    papered: Sequence[str],
    groups: Sequence[str],
    vocabulary: Sequence[str],
    n: int,
) -> Iterable[Paper]:
    share = max(1, n // 50)
    plan: list[tuple[str, str, State, int]] = [
        ("handbook", "", "live", n - n // 2 - 5 * share),
        ("tickets", "okta", "live", n // 4),  # its bare groups are okta's
        ("wiki", "ad", "live", n // 4),
        ("handbook", "", "staged", share),  # in a load that nobody has promoted
        ("withdrawn", "", "withdrawn", share),  # in a load that was rolled back
        ("lost", "", "masked", share),  # of a source whose access cannot be read
        ("handbook", "", "erased", share),
        ("handbook", "", "replaced", share),  # an older text of a paper that has another by now
    ]
    wide = [tuple(random.sample(people, 300)) for _ in range(8)]
    number = 0
    for source, directory, state, of_it in plan:
        for _ in range(of_it):
            words, key = tuple(random.sample(vocabulary, 3)), f"{random.choice('abcdef')}/paper-{number:05}"
            rule, before = _rule(random, people, papered, groups, wide, directory), None
            if state != "live" and random.random() < 0.5:
                rule = PUBLIC  # the state alone keeps it from everyone
            if state == "live" and (rule is None or random.random() < 0.03):
                before = PUBLIC  # taken back, and the index has not heard of it
            yield Paper(source, key, words, rule, directory, state, before)
            if state == "replaced":
                yield Paper(source, key, tuple(random.sample(vocabulary, 3)), rule, directory, "live")
            number += 1


def _rule(
    random: Random,
    people: Sequence[str],
    papered: Sequence[str],
    groups: Sequence[str],
    wide: Sequence[tuple[str, ...]],
    directory: str,
) -> Rule | None:
    bare = [g.replace(f"group:{directory}/", "group:") for g in groups if f":{directory}/" in g] if directory else []
    some = bare or list(groups)

    def any_of(n: int) -> tuple[str, ...]:
        drawn = random.choices(some, k=n) + random.choices(people, k=random.choice((0, 0, 1, 2)))
        return tuple(
            dict.fromkeys(
                p.upper().replace("USER:", "user:").replace("GROUP:", "group:") if random.random() < 0.1 else p
                for p in drawn
            )
        )

    everyone = ("group:everyone",) if not directory else any_of(12)
    match random.choices(range(11), (30, 8, 4, 8, 10, 14, 6, 5, 4, 4, 4))[0]:
        case 0:
            return Rule((any_of(random.randint(1, 6)),))
        case 1:
            return Rule(((random.choice(papered), random.choice(people)),))
        case 2:
            return Rule((random.choice(wide),))
        case 3:
            return Rule((any_of(8),), tuple(random.sample(people, 3)))
        case 4:
            return Rule((everyone,), (random.choice(some),))
        case 5:
            return Rule((everyone, any_of(6)))
        case 6:
            return Rule((everyone, any_of(10), any_of(10)), (random.choice(some),) if random.random() < 0.3 else ())
        case 7:
            return PUBLIC
        case 8:
            return Rule(((EVERYONE,),), (random.choice(some), random.choice(people)))
        case 9:
            return NOBODY
        case _:
            return None


def _askers(
    random: Random, made: Organisation, strangers: Sequence[str], papered: Sequence[str]
) -> Iterable[tuple[str, ...]]:
    """Everybody, those with something strange about them first."""
    groups = sorted(group for one in made.directories.values() for group in one)
    for directory in ("okta", "ad"):
        twin = made.directories[directory][f"group:{directory}/{TWIN}"]
        yield from ((person,) for person in [p for p in twin if p.startswith("user:")][:3])
        yield (f"group:{directory}/{TWIN}",)
    yield from ((person,) for person in (*strangers[:3], *papered[:6], *made.people[-4:]))
    yield from ((group,) for group in random.sample(groups, 8))
    yield (made.people[60].upper().replace("USER:", "user:"),)
    for _ in range(20):  # services: a few principals at once, some of whom nobody knows
        some = random.sample(made.people[60:], 2) + random.sample(groups[:80], 2)
        yield tuple(some + (list(strangers[:1]) if random.random() < 0.2 else []))
    yield from ((person,) for person in random.sample(made.people, len(made.people)))
