"""Gathers the readable evidence of a fault from ledger and staging."""

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from moat.checks.audience import policy_of
from moat.checks.baselines import LEARNED_FROM
from moat.checks.candidate import Candidate
from moat.errors import MoatError
from moat.incidents.triage.evidence import Aside, ColumnEvidence, Evidence, Fault, Segment, Shift
from moat.incidents.triage.impact import MOST_MEMBERSHIPS, Touched
from moat.incidents.triage.segments import SegmentShares, Trait
from moat.ledger import checks, documents, history, measures
from moat.ledger.incidents import Happening
from moat.ledger.loads import Load
from moat.ledger.members import people_of_groups
from moat.provenance import changed
from moat.records import Planned, Prepared
from moat.runtime import Runtime, batch_path, path
from moat.source import Source

FEWEST = 5  # earlier loads from which a measure has a usual range
ERROR = re.compile(r"^([A-Z]\w+(?:\.\w+)*): ?(.*)", re.DOTALL)
MOST_DATES = 500  # that are compared
FEWEST_DATES = 5
QUARTER_S = 900
MANY = 0.2  # of a load
BOOKS = ("column:", "kind:", "rows:", "still:")  # measures read only by later loads
SHORT_TEXT = 200  # characters of a nearly empty document
T = TypeVar("T")
Traits = tuple[list[Trait], list[Trait]]  # of bad documents, and of the others


def gathered(
    runtime: Runtime, source: Source | None, load: Load | None, name: str, happenings: Sequence[Happening]
) -> tuple[Evidence, Touched | None]:
    """Collect the evidence of a fault, and what its load would change."""
    here = [h for h in happenings if h.kind != "check" or load is None or h.load_id == load.id] or list(happenings)
    faults = _faults(runtime, load, here)
    stage = here[0].stage if here else ""
    if load is None:
        aside = tuple(Aside(*held) for held in history.quarantined(runtime.ledger, name))
        return Evidence(source=name, stage=stage, load=None, faults=faults, aside=aside), None
    last = history.before(runtime.ledger, name, load.id)
    candidate = Candidate(runtime=runtime, source=source, load=load) if source is not None else None
    touched, plan = _planned(runtime, load)
    if touched is not None and candidate is not None:
        touched.chunks = sum(p.n_chunks for p in _safely(candidate.prepared()))
    evidence = Evidence(
        source=name,
        stage=stage,
        load=load.id,
        faults=faults,
        shifts=_shifts(runtime, load, faults),
        counts=load.counts,
        counts_before=last.counts if last else {},
        changes=changed(last.context or {}, load.context or {}) if last else (),
        segments=_segments(runtime, candidate, faults, plan),
        aside=tuple(Aside(*held) for held in history.quarantined(runtime.ledger, name, load.id)),
        columns=_columns(runtime, load),
        columns_before=_columns(runtime, last),
        clock=_clock(runtime, name, plan),
        empty_sizes=sum(1 for p in plan if p.size == 0 and p.what in ("new", "changed")) if _sized(source) else 0,
        missed=_missed(runtime, load, plan),
        empty_groups=_empty_groups(runtime, touched),
        copies=_copies(runtime, load, plan),
        moved_keys=_moved_keys(runtime, candidate, plan),
        newest=_newest(runtime, name, plan),
    )
    return evidence, touched


def _faults(runtime: Runtime, load: Load | None, happenings: Sequence[Happening]) -> tuple[Fault, ...]:
    results = {r.name: r for r in checks.of_load(runtime.ledger, load.id)} if load is not None else {}
    found = []
    for h in happenings:
        named = ERROR.match(h.message) if h.kind == "task" else None
        measure = results[h.subject].measure if h.kind == "check" and h.subject in results else ""
        error, message = (named[1].rpartition(".")[2], named[2]) if named else ("", h.message)
        found.append(
            Fault(
                kind=h.kind,
                stage=h.stage,
                subject=h.subject,
                severity=h.severity,
                error=error,
                message=message,
                n=h.n,
                measure=measure,
            )
        )
    return tuple(found)


def _shifts(runtime: Runtime, load: Load, faults: Sequence[Fault]) -> dict[str, Shift]:
    """Every measure of the load with its history."""
    past = measures.history(runtime.ledger, load)
    failed = {f.measure for f in faults if f.measure}
    every = measures.of_load(runtime.ledger, load.id).items()
    now = {name: value for name, value in every if not name.startswith(BOOKS)}
    now |= {name: 0.0 for name in failed if name not in now}
    return {
        name: _shift(name, value, [p.value for p in past.get(name, ())], name in failed) for name, value in now.items()
    }


def _shift(name: str, value: float, before: Sequence[float], failed: bool) -> Shift:
    """A measure with its history; a learned bound of the gate decides first."""
    usual, z = _usual(value, before)
    return Shift(
        name=name, value=value, usual=usual, z=z if failed or len(before) < LEARNED_FROM else 0.0, failed=failed
    )


def _usual(value: float, before: Sequence[float]) -> tuple[float | None, float]:
    """The median of earlier values, and a value's distance in robust standard deviations."""
    if not before:
        return None, 0.0
    median = statistics.median(before)
    if len(before) < FEWEST:
        return median, 0.0
    matters = 0.05 if max(abs(value), abs(median)) <= 1 else 0.2 * max(abs(value), abs(median))
    spread = 1.4826 * statistics.median(abs(v - median) for v in before)
    if abs(value - median) < matters:
        return median, 0.0
    return median, (value - median) / max(spread, matters / 3.5)


def _planned(runtime: Runtime, load: Load) -> tuple[Touched | None, list[Planned]]:
    """The plan of a load and what it would change."""
    where = path(load.source, load.id, "read", "plan.parquet")
    if not _there(runtime, where):
        return None, []
    touched, plan = Touched(), list(_safely(runtime.staging.read(where, Planned)))
    for one in plan:
        if one.what == "vanished":
            touched.n_gone += 1
            touched.gone.append(one.key)
        elif one.what != "unchanged":
            touched.policies[one.policy or ""] += 1
    return touched, plan


def _there(runtime: Runtime, where: str) -> bool:
    try:
        return runtime.staging.exists(where)
    except (MoatError, OSError):
        return False


def _safely(records: Iterator[T]) -> Iterator[T]:
    """Yield records while they can be read: missing evidence indicates nothing."""
    try:
        yield from records
    except (MoatError, OSError, ValueError):
        return


def _segments(
    runtime: Runtime, candidate: Candidate | None, faults: Sequence[Fault], plan: list[Planned]
) -> tuple[Segment, ...]:
    """Parts of the source with more than their share of bad documents."""
    if candidate is None:
        return ()
    said = " ".join(f"{f.subject} {f.measure}" for f in faults if f.kind == "check").lower()
    bad, good = _gone(runtime, candidate, plan) if re.search("vanish|mass deletion|listed|fewest", said) else ([], [])
    if not bad:
        bad, good = _marked(candidate, said, plan)
    shares = SegmentShares()
    shares.add(bad, bad=True)
    shares.add(good, bad=False)
    return shares.segments()


def _gone(runtime: Runtime, candidate: Candidate, plan: list[Planned]) -> Traits:
    """Documents that vanish, and those that stay."""
    gone = {p.key for p in plan if p.what == "vanished"}
    stay = history.first_seen(runtime.ledger, candidate.source.name).keys() - gone
    return [Trait(key) for key in gone], [Trait(key) for key in stay]


def _marked(candidate: Candidate, said: str, plan: list[Planned]) -> Traits:
    """Documents of this load behind the failed checks, and the others."""
    unknown = {p.key for p in plan if p.why == "unknown"} if re.search("access|unknown", said) else set[str]()
    aside = {a.key for a in _safely(candidate.aside())} | unknown
    kinds = [kind for kind in ("personal", "secrets", "hidden", "injection") if kind.removesuffix("s") in said]
    bad, good, languages = [Trait(key) for key in aside], list[Trait](), Counter[str]()
    prepared = list(_safely(_prepared(candidate)))
    for one, _ in prepared:
        languages[one.language] += 1
    usual = languages.most_common(1)[0][0] if languages else ""
    for one, batch in prepared:
        wrong = (
            bool("replac" in said and one.n_replaced)
            or bool(re.search("empty|character", said) and one.n_characters < SHORT_TEXT)
            or bool("language" in said and one.language != usual)
            or any(risk.startswith(f"{kind}:") for kind in kinds for risk in one.risks)
        )
        (bad if wrong else good).append(Trait(one.key, one.media_type, one.metadata, batch))
    return bad, good


def _prepared(candidate: Candidate) -> Iterator[tuple[Prepared, int]]:
    for batch in candidate.batches:
        where = batch_path(candidate.source.name, candidate.load.id, "document", batch)
        for one in candidate.runtime.staging.read(where, Prepared):
            yield one, batch


def _columns(runtime: Runtime, load: Load | None) -> tuple[ColumnEvidence, ...]:
    """Columns of the rows of a load, as measured by its gate."""
    found = measures.of_load(runtime.ledger, load.id) if load is not None else {}
    names = [name.removeprefix("column:") for name in found if name.startswith("column:")]
    kinds = dict(name.removeprefix("kind:").rpartition("=")[::2] for name in found if name.startswith("kind:"))
    return tuple(ColumnEvidence(name, kinds.get(name, ""), found.get(f"nulls:{name}", 0.0)) for name in names)


def _sized(source: Source | None) -> bool:
    """Whether the source reports document sizes: rows have none."""
    return source is not None and not hasattr(source.reader, "sql")


def _missed(runtime: Runtime, load: Load, plan: list[Planned]) -> int:
    """Number of vanishing documents behind failed golden questions."""
    asked = {
        key for r in checks.of_load(runtime.ledger, load.id) if r.family == "golden" and r.failed for key in r.documents
    }
    return sum(1 for p in plan if p.what == "vanished" and p.key in asked)


def _copies(runtime: Runtime, load: Load, plan: list[Planned]) -> float | None:
    """Share of new documents among those that failed checks of duplicates name."""
    results = checks.of_load(runtime.ledger, load.id)
    named = {key for r in results if r.family == "duplicates" and r.failed for key in r.documents}
    what = [p.what for p in plan if p.key in named and p.what in ("new", "changed")]
    return what.count("new") / len(what) if what else None


def _empty_groups(runtime: Runtime, touched: Touched | None) -> tuple[str, ...]:
    """Empty groups that many of a load's documents name."""
    there = people_of_groups(runtime.ledger, MOST_MEMBERSHIPS) if touched is not None else None
    if not there or touched is None:
        return ()
    named = Counter[str]()
    for body, n in touched.policies.items():
        policy = policy_of(body)
        named.update(
            dict.fromkeys(
                {p for layer in policy.layers for p in layer if p.startswith("group:") and not there.get(p)}, n
            )
        )
    return tuple(sorted(group for group, n in named.items() if n >= MANY * touched.policies.total()))[:5]


def _moved_keys(runtime: Runtime, candidate: Candidate | None, plan: list[Planned]) -> float:
    """Share of the vanished documents whose content returns under another key."""
    gone = [p.key for p in plan if p.what == "vanished"]
    if candidate is None or not gone:
        return 0.0
    new = {p.key for p in plan if p.what == "new"}
    there = {p.content_hash for p in _safely(candidate.prepared()) if p.key in new}
    known = documents.known(runtime.ledger, candidate.source.name, gone)
    return sum(k.content_hash in there for k in known.values()) / len(gone)


def _newest(runtime: Runtime, name: str, plan: list[Planned]) -> float | None:
    """Share of vanished documents among the newest tenth; None if none vanished."""
    gone = {p.key for p in plan if p.what == "vanished"}
    if not gone:
        return None
    seen = history.first_seen(runtime.ledger, name)
    if len(seen) < 20:
        return None
    since = sorted(seen.values())[int(len(seen) * 0.9)]
    newest = {key for key, at in seen.items() if at >= since}
    if len(newest) > 0.3 * len(seen):  # most arrived at once: none is newer
        return None
    return len(gone & newest) / len(gone)


def _clock(runtime: Runtime, name: str, plan: list[Planned]) -> tuple[int, float] | None:
    """Minutes by which most dates moved, in quarter hours, and their share."""
    moved = [p for p in plan if p.what == "changed" and _date(p.fingerprint) is not None][:MOST_DATES]
    if len(moved) < FEWEST_DATES:
        return None
    were = history.fingerprints(runtime.ledger, name, [p.key for p in moved])
    steps = Counter[int]()
    for one in moved:
        now, was = _date(one.fingerprint), _date(were.get(one.key, ""))
        if now is None or was is None or (now.tzinfo is None) != (was.tzinfo is None):
            continue
        seconds = (now - was).total_seconds()
        if seconds and seconds % QUARTER_S == 0 and abs(seconds) <= 26 * 3600:
            steps[int(seconds // 60)] += 1
    if not steps:
        return None
    minutes, n = steps.most_common(1)[0]
    return (minutes, n / len(moved)) if n / len(moved) >= 0.6 and n >= FEWEST_DATES else None


def _date(fingerprint: str) -> datetime | None:
    """The date in a fingerprint such as modified_at=2026-07-05T14:30:00."""
    try:
        return datetime.fromisoformat(fingerprint.partition("=")[2])
    except ValueError:
        return None
