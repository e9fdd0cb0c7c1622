"""Compares the columns or file types of a source with earlier loads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from moat.checks import stamps
from moat.checks.baselines import LEARNED_FROM
from moat.checks.candidate import Candidate
from moat.checks.measures import Measure
from moat.ledger import loads
from moat.ledger.checks import CheckResult, over, unjudged
from moat.ledger.measures import PastMeasure, cut_short, history
from moat.readers.shape import Column, Shape
from moat.runtime import path

NAME = 120  # length of a column's name in a measure
LOADS_BEFORE = 200  # among which one with the same stamps is looked for

# A column's presence and type are stored as measures of 1, so that the next load knows them: "column:body",
# "kind:body=text". They have no usual range; the checks below compare them.
MEASURES = (
    Measure(name="shape.rows", title="rows read", scale="count", least=0.1, side="low"),
    Measure(name="nulls:", title="share of NULL in", scale="share", least=0.05, of="rows:"),
    Measure(name="top:", title="share of the most common value of", scale="share", least=0.15, side="high", of="rows:"),
    Measure(
        name="distinct:",
        title="share of values that differ in",
        scale="share",
        least=0.2,
        side="low",
        severity="warn",
        of="rows:",
    ),
    Measure(name="median:", title="median of", scale="count", least=1.0, of="rows:"),
    Measure(name="low:", title="low end (5 %) of", scale="count", least=1.0, of="rows:"),
    Measure(name="high:", title="high end (95 %) of", scale="count", least=1.0, of="rows:"),
    # If one value or form replaces another, both shares move. Names contain digests, never values of rows.
    Measure(name="value:", title="share of a value of", scale="share", least=0.1, of="shape.rows", absent="zero"),
    Measure(name="form:", title="share of a form of", scale="share", least=0.1, of="shape.rows", absent="zero"),
    Measure(name="length:", title="characters in", scale="count", least=0.5, of="rows:"),
    Measure(name="hour:", title="time of day of", scale="plain", least=0.9, of="rows:"),
    Measure(name="age:", title="hours since the newest", scale="plain", least=72.0, side="high", severity="warn"),
    Measure(name="ahead:", title="hours in the future of the newest", scale="plain", least=0.9, side="high"),
    Measure(
        name="suffix:", title="share of files that end in", scale="share", least=0.05, of="shape.files", absent="zero"
    ),
)


def run(candidate: Candidate) -> list[CheckResult]:
    """Holds the load if a column disappeared or changed type; warns about new ones, and about wrong change stamps."""
    return [*_stamp(candidate), *_stamp_values(candidate), *_shape(candidate)]


def _stamp_values(candidate: Candidate) -> list[CheckResult]:
    """Whether the stamps of the listing can tell of changes: not by one value for all, in the future, or going back."""
    counts = candidate.load.counts
    if "stamped" not in counts:
        return []
    odd, n, moved = stamps.in_words(counts), counts["stamped"], counts.get("stamp_moved", 0)
    before = loads.recent(candidate.runtime.ledger, candidate.source.name, LOADS_BEFORE) if odd else ()
    found = CheckResult(
        name="stamp values",
        family="shape",
        severity="hold",
        passed=not odd,
        seen=odd or f"{n:,} stamps, {moved:,} of them moved on",
        allowed="stamps of their own, that move on with each change",
    )
    return [replace(found, severity="warn") if stamps.known(counts, before) else found]


def _stamp(candidate: Candidate) -> list[CheckResult]:
    """Whether documents whose change stamp did not move are as they were; the sample was read with the listing."""
    counts = candidate.load.counts
    if not (n := counts.get("sampled", 0)):
        return []
    wrong = counts.get("unstamped", 0)
    file = path(candidate.source.name, candidate.load.id, "read", "unstamped.txt")
    keys = candidate.runtime.staging.read_bytes(file).decode().split("\n") if wrong else []
    return [
        CheckResult(
            name="change stamp",
            family="shape",
            severity="warn",
            passed=not wrong,
            seen=f"this source's change stamp does not tell of changes: {wrong:,} of {n:,} documents have another content, "
            "and the same stamp; the whole source is read, now and in the next loads"
            if wrong
            else f"{n:,} documents whose stamp did not move are as they were",
            allowed="none of those looked at (MOAT_STAMP_SAMPLE)",
            documents=tuple(keys),
        )
    ]


def _shape(candidate: Candidate) -> list[CheckResult]:
    file = path(candidate.source.name, candidate.load.id, "read", "shape.json")
    load = candidate.load
    left_out = load.options.get("only") and cut_short(load.options, load.counts)  # a limit leaves the listing whole
    if left_out or not candidate.runtime.staging.exists(file):
        return []
    shape = Shape.from_text(candidate.runtime.staging.read_bytes(file))
    before = history(candidate.runtime.ledger, candidate.load)
    if shape.columns:
        _measure_columns(candidate, shape.columns)
        found = _columns(shape.columns, before)
        declared = candidate.load.options.get("expected")
        return [replace(r, severity="warn") for r in found] if declared else found
    _measure_files(candidate, shape.files)
    return _files(candidate, shape.files, before)


def _measure_columns(candidate: Candidate, columns: Sequence[Column]) -> None:
    measured, opened = candidate.measured, candidate.load.opened_at.timestamp()
    measured["shape.rows"] = max(c.n for c in columns)
    for c in columns:
        name = c.name[:NAME]
        measured[f"column:{name}"] = 1.0
        if not c.n:
            continue
        measured[f"rows:{name}"] = c.n
        measured[f"nulls:{name}"] = c.nulls / c.n
        if c.type:
            measured[f"kind:{name}={c.type}"] = 1.0
        told = {"top": c.top, "distinct": c.distinct, "median": c.median, "length": c.length, "hour": c.hour}
        measured.update({f"{what}:{name}": value for what, value in told.items() if value is not None})
        told = {"low": c.low, "high": c.high}
        measured.update({f"{what}:{name}": value for what, value in told.items() if value is not None})
        measured.update({f"value:{name}={digest}": share for digest, share in c.values.items()})
        measured.update({f"form:{name}={digest}": share for digest, share in c.forms.items()})
        if c.newest is not None:
            measured[f"age:{name}"] = max(0.0, opened - c.newest) / 3600
            measured[f"ahead:{name}"] = max(0.0, c.newest - opened) / 3600


def _measure_files(candidate: Candidate, files: Mapping[str, int]) -> None:
    n = sum(files.values())
    candidate.measured["shape.files"] = n
    candidate.measured.update({f"suffix:{ending}": times / n for ending, times in files.items()})


def _columns(columns: Sequence[Column], before: Mapping[str, Sequence[PastMeasure]]) -> list[CheckResult]:
    """Compare columns and their types with the newest promoted loads."""
    there = {c.name[:NAME]: c.type for c in columns}
    known = {name.removeprefix("column:"): past[-1].load for name, past in before.items() if name.startswith("column:")}
    newest = max(known.values(), default=None)
    last = {name for name, load in known.items() if load == newest}
    kinds: dict[str, tuple[int, str]] = {}
    for name, past in before.items():
        if name.startswith("kind:"):
            column, _, kind = name.removeprefix("kind:").rpartition("=")
            seen = past[-1].load, kind
            kinds[column] = max(kinds.get(column, seen), seen)
    gone = sorted(last - there.keys())
    other = [
        f"{name} {kind}, was {kinds[name][1]}"
        for name, kind in there.items()
        if kind and name in kinds and kinds[name][1] != kind
    ]
    added = sorted(there.keys() - last) if last else []
    of = f"load {newest}" if newest is not None else "the first load"
    results = [
        CheckResult(
            name="columns",
            family="shape",
            severity="hold",
            passed=not gone and not other,
            seen=f"{len(gone)} of {len(last)} columns are gone{_named(gone)}; {len(other)} are of another type{_named(other)}",
            allowed=f"the columns of {of}, with their types",
        ),
        CheckResult(
            name="new columns",
            family="shape",
            severity="warn",
            passed=not added,
            seen=f"{len(added)} columns are new{_named(added)}",
            allowed=f"those of {of}",
        ),
    ]
    return over(len(last), "columns of a load before", results)


def _files(
    candidate: Candidate, files: Mapping[str, int], before: Mapping[str, Sequence[PastMeasure]]
) -> list[CheckResult]:
    """Compare file types with all promoted loads, once there are enough of them."""
    known = {name.removeprefix("suffix:") for name in before if name.startswith("suffix:")}
    loads = {p.load for name, past in before.items() if name.startswith("suffix:") for p in past}
    new = sorted(files.keys() - known) if len(loads) >= LEARNED_FROM else []
    endings = tuple(f".{e}".replace("..", ".") for e in new if e != "none")
    keys = (p.key for p in candidate.plan() if new and p.what == "new" and p.key.lower().endswith(endings))
    results = [
        CheckResult(
            name="new kinds of files",
            family="shape",
            severity="warn",
            passed=not new,
            seen=f"{len(new)} kinds of files were never seen before{_named(new)}",
            allowed=f"those of {len(loads)} loads",
            documents=tuple(key for key, _ in zip(keys, range(5), strict=False)),
        )
    ]
    if len(loads) >= LEARNED_FROM:
        return results
    return [unjudged(r, f"not learned yet ({len(loads)} of {LEARNED_FROM} loads)") for r in results]


def _named(names: Sequence[str]) -> str:
    return f" ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})" if names else ""
