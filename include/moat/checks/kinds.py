"""Kinds of fault among a load's documents, and the exact test that judges how many have one.

What is usual is the fixed rate of a kind, or more where earlier loads had more of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from moat.checks.chance import at_least
from moat.ledger.checks import CheckResult
from moat.ledger.measures import PastMeasure

FEWEST = 3  # documents that show a pattern
FEWEST_TOLD = 2  # of which a person is told
SURE, UNLIKELY = 1e-5, 1e-3  # chance below which a load waits, and below which a person is told
NIGHTS = 7  # earlier loads that are judged together with this one
WEIGHT = 20  # changed documents that a fixed rate counts as, beside what was seen
MOST_USUAL = 0.5  # no kind of change is ever usual in more of them
SHOWN = 5  # keys of documents behind a result


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of change.

    Args:
        name: Name of its measure, "changes:NAME".
        title: Name of the check.
        says: What happened to the documents, after their number.
        rate: Share of changed documents to which people do this, before anything is learned.
        alone: Whether a single document is beyond chance.
        only_told: Whether people do it to all documents at once, so that no load waits for it.
    """

    name: str
    title: str
    says: str
    rate: float
    alone: bool = False
    only_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Of:
    """The documents among which a kind is counted.

    Args:
        documents: What they are called.
        counted: Name of the measure of their number.
        prefix: What the measures of kinds begin with.
    """

    documents: str
    counted: str
    prefix: str


CHANGED = Of(documents="changed documents", counted="changes.compared", prefix="changes")


@dataclass(slots=True)
class Seen:
    """Documents to which one kind of change happened."""

    keys: list[str]
    says: str = ""  # more than the kind says, such as a factor
    sure: list[str] = field(default_factory=list)  # of these, each beyond chance by itself
    only_told: bool = False  # people do this much of it


def judged(
    kind: Kind, seen: Seen, n: int, past: Mapping[str, Sequence[PastMeasure]], of: Of = CHANGED
) -> CheckResult | None:
    """The result of one kind, None where it is nothing unusual."""
    c = len(seen.keys)
    usual, together, n_before = _usual(kind, past, of)
    seen_in = f"{c:,} of {n:,} {of.documents} {kind.says}"
    chance = at_least(c, n, usual) if c >= FEWEST_TOLD else 1.0
    over = at_least(c + together, n + n_before, usual) if c + together >= FEWEST and together else 1.0
    if kind.alone or (chance <= SURE and c >= FEWEST):
        severity = "hold"
    elif seen.sure:
        severity, seen_in = "hold", f"{seen_in}, {len(seen.sure):,} of them beyond chance, such as {seen.sure[0]}"
    elif over <= SURE:
        severity = "hold"
        seen_in = (
            f"{c + together:,} of {n + n_before:,} {of.documents} of the last {NIGHTS} loads and this one {kind.says}"
        )
    elif min(chance, over) <= UNLIKELY:
        severity = "warn"
    else:
        return None
    if kind.only_told or seen.only_told:
        severity = "warn"
    return CheckResult(
        name=kind.title,
        family="changes",
        severity=severity,  # type: ignore[arg-type]
        passed=False,
        seen=seen_in + (f": {seen.says}" if seen.says else ""),
        allowed="none" if kind.alone else f"what is usual: about {usual:.1%} of {of.documents}",
        documents=tuple(seen.keys[:SHOWN]),
    )


def _usual(kind: Kind, past: Mapping[str, Sequence[PastMeasure]], of: Of) -> tuple[float, int, int]:
    """Usual rate of a kind, and how many of how many had it in the newest loads.

    The newest loads are no part of what is usual: a fault that repeats every night does not make itself usual.
    """
    compared = [p for p in past.get(of.counted, ()) if p.value]
    had = {p.load: p.value for p in past.get(f"{of.prefix}:{kind.name}", ())}
    older, newest = compared[:-NIGHTS], compared[-NIGHTS:]
    c, n = sum(had.get(p.load, 0.0) for p in older), sum(p.value for p in older)
    rate = max(kind.rate, (c + kind.rate * WEIGHT) / (n + WEIGHT))
    unreleased = [p for p in newest if p.how == "usual"]
    together = sum(had.get(p.load, 0.0) for p in unreleased), sum(p.value for p in unreleased)
    return min(rate, MOST_USUAL), int(together[0]), int(together[1])
