"""Checks how many documents arrive and how many vanish."""

import math
from dataclasses import replace
from datetime import timedelta

from moat.checks import moves, rewritten, rolled_back
from moat.checks.candidate import Candidate
from moat.checks.measures import Measure
from moat.checks.moves import Moves
from moat.ledger.checks import CheckResult, one_over
from moat.ledger.measures import history

SHOWN = 5  # keys of documents behind a result
ALL_MOVED = 0.9  # of the visible documents, from which on a person decides whether the source was re-organised

MEASURES = (
    Measure(name="volume.listed", title="documents listed", scale="count", least=0.1, side="low"),
    Measure(name="volume.listed", title="documents listed", scale="count", least=0.5, side="high", severity="warn"),
    Measure(name="volume.new", title="new documents", scale="count", least=2.0, side="high"),
    Measure(name="volume.changed", title="changed documents", scale="count", least=2.0, side="high"),
    # Holidays have almost none, so a shortfall shows only over a week.
    Measure(
        name="volume.week",
        title="documents new or changed within a week",
        scale="count",
        least=4.0,
        side="low",
        severity="warn",
    ),
    Measure(
        name="volume.growth",
        title="share of documents that are new",
        scale="share",
        least=0.1,
        side="high",
        of="volume.visible",
    ),
    Measure(
        name="volume.churn",
        title="share of documents that change",
        scale="share",
        least=0.1,
        side="high",
        of="volume.visible",
    ),
    Measure(
        name="volume.rewritten",
        title="share of changed documents that keep less than half of their text",
        scale="share",
        least=0.2,
        side="high",
        of="volume.compared",
    ),
    Measure(
        name="volume.vanished",
        title="share of documents that vanish",
        scale="share",
        least=0.04,
        side="high",
        of="volume.visible",
    ),
    Measure(
        name="volume.renamed",
        title="share of documents that have another name",
        scale="share",
        least=0.04,
        side="high",
        of="volume.visible",
    ),
    Measure(
        name="volume.elsewhere",
        title="share of documents that moved to another folder",
        scale="share",
        least=0.04,
        side="high",
        severity="warn",
        of="volume.visible",
    ),
    Measure(
        name="volume.aside",
        title="share of documents set aside",
        scale="share",
        least=0.04,
        side="high",
        of="documents",
    ),
    Measure(name="volume.bytes", title="bytes per document", scale="count", least=1.0, of="documents"),
)


def run(candidate: Candidate) -> list[CheckResult]:
    """Hold a source that shrinks beyond its limit or lists nothing; what moved is told apart from what vanished."""
    counts, limits = candidate.load.counts, candidate.source.limits
    listed, visible = counts.get("listed", 0), counts.get("visible", 0)
    moved = moves.found(candidate)
    vanished, renamed = counts.get("vanished", 0) - len(moved.pairs), moved.renamed
    elsewhere = {old: new for old, new in moved.pairs.items() if old not in renamed}
    gone = _measure(candidate, moved)
    rewritten.measure(candidate)
    most = limits.max_vanished_ratio
    allowed = f"at most {most:.0%} (Limits.max_vanished_ratio)"

    def share(n: int) -> float:
        return n / visible if visible else 0.0

    results = [
        *rolled_back.run(candidate),
        CheckResult(
            name="listing",
            family="volume",
            severity="hold",
            passed=listed > 0 or visible == 0,
            seen=f"{listed:,} documents listed, {visible:,} visible now",
            allowed="not empty while documents are visible",
        ),
        CheckResult(
            name="fewest documents",
            family="volume",
            severity="hold",
            passed=listed >= limits.min_documents,
            seen=f"{listed:,} documents listed",
            allowed=f"at least {limits.min_documents:,} (Limits.min_documents)",
        ),
        CheckResult(
            name="mass deletion",
            family="volume",
            severity="hold",
            passed=share(vanished) <= most,
            seen=f"{vanished:,} of {visible:,} visible documents vanish ({share(vanished):.0%})"
            + (f", {len(moved.pairs):,} moved" if moved.pairs else ""),
            allowed=allowed,
            documents=gone if share(vanished) > most else (),
        ),
        CheckResult(
            name="mass renaming",
            family="volume",
            severity="hold",
            passed=share(len(renamed)) <= most,
            seen=f"{len(renamed):,} of {visible:,} visible documents have another name ({share(len(renamed)):.0%})"
            + (f": {moves.in_words(renamed)}" if renamed else ""),
            allowed=allowed,
            documents=tuple(renamed.values())[:SHOWN] if share(len(renamed)) > most else (),
        ),
        CheckResult(
            name="documents moved",
            family="volume",
            severity="warn",
            passed=share(len(elsewhere)) <= most,
            seen=f"{len(elsewhere):,} of {visible:,} visible documents moved to another folder, {vanished:,} vanished"
            + (f": {moves.in_words(elsewhere)}" if elsewhere else ""),
            allowed=allowed,
            documents=tuple(elsewhere.values())[:SHOWN] if share(len(elsewhere)) > most else (),
        ),
    ]
    if share(len(elsewhere)) >= ALL_MOVED:
        results[-1] = replace(results[-1], severity="hold")
    always = ("listing", "fewest documents")
    return [r if r.name in always else one_over(visible, "visible documents", r) for r in results]


def _measure(candidate: Candidate, moved: Moves) -> tuple[str, ...]:
    """Record the plan's counts; returns some keys that vanish. What moved is neither new nor gone."""
    counts, measured = candidate.load.counts, candidate.measured
    n = changed = 0
    logarithms = 0.0
    keys: dict[str, list[str]] = {"new": [], "changed": [], "vanished": []}
    both, renamed = moved.pairs.keys() | set(moved.pairs.values()), set(moved.renamed.values())
    for p in candidate.plan():
        if p.what in keys and len(keys[p.what]) < SHOWN and p.key not in both:
            keys[p.what].append(p.key)
        if p.what in ("new", "changed"):
            n += 1
            logarithms += math.log1p(p.size)
            changed += p.edited
    aside = [a.key for a in candidate.aside()]
    touched, visible = counts.get("touched", 0), counts.get("visible", 0)
    documents = candidate.n_documents
    measured["volume.listed"] = counts.get("listed", 0)
    measured["volume.visible"] = visible
    measured["volume.new"] = counts.get("new", 0) - len(moved.pairs)
    measured["volume.changed"] = max(
        changed - touched, 0
    )  # preparing again with another recipe is no change of the document
    measured["volume.moved"] = counts.get("new", 0) + measured["volume.changed"]
    _measure_week(candidate)
    measured["documents"] = documents  # sample size of every family's shares and means
    if visible:
        measured["volume.growth"] = min(measured["volume.new"] / visible, 1.0)
        measured["volume.churn"] = min(measured["volume.changed"] / visible, 1.0)
        measured["volume.vanished"] = (counts.get("vanished", 0) - len(moved.pairs)) / visible
        measured["volume.renamed"] = len(moved.renamed) / visible
        measured["volume.elsewhere"] = (len(moved.pairs) - len(moved.renamed)) / visible
    if documents:
        measured["volume.aside"] = min(len(aside) / documents, 1.0)
    if n:
        measured["volume.bytes"] = math.expm1(logarithms / n)  # geometric mean: robust against one huge document
    found = {name: tuple(some) for name, some in keys.items()}
    candidate.behind.update({f"volume.{name}": some for name, some in found.items()})
    candidate.behind["volume.renamed"] = tuple(moved.renamed.values())[:SHOWN]
    candidate.behind["volume.elsewhere"] = tuple(new for new in moved.pairs.values() if new not in renamed)[:SHOWN]
    candidate.behind["volume.aside"] = tuple(aside[:SHOWN])
    return found["vanished"]


def _measure_week(candidate: Candidate) -> None:
    """Record the arrivals of a week, once a week has passed."""
    past = history(candidate.runtime.ledger, candidate.load).get("volume.moved", [])
    since = candidate.load.opened_at - timedelta(days=7)
    if past and past[0].at <= since:
        came = sum(p.value for p in past if p.at > since)
        candidate.measured["volume.week"] = came + candidate.measured["volume.moved"]
