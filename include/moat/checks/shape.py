"""What the source looks like: the columns of its rows, or the kinds of its files, beside the loads before."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from moat.checks.baselines import LEARNED_FROM
from moat.checks.candidate import Candidate
from moat.checks.measures import Measure
from moat.ledger.checks import CheckResult
from moat.ledger.measures import Past, history
from moat.readers.shape import Column, Shape
from moat.runtime import path

NAME = 120  # characters of a column's name that a measure has

# A column's presence and its type are kept as measures of 1, so that the next load knows them: "column:body",
# "kind:body=text". They have no usual range; the checks below compare them.
MEASURES = (
    Measure("shape.rows", "rows read", "count", 0.1, "low"),
    Measure("nulls:", "share of NULL in", "share", 0.05, of="rows:"),
    Measure("top:", "share of the most common value of", "share", 0.15, "high", of="rows:"),
    Measure("distinct:", "share of values that differ in", "share", 0.2, "low", "warn", of="rows:"),
    Measure("median:", "median of", "count", 1.0, of="rows:"),
    Measure("low:", "low end (5 %) of", "count", 1.0, of="rows:"),
    Measure("high:", "high end (95 %) of", "count", 1.0, of="rows:"),
    # Of one value or form in place of another both shares move; names carry digests, never what a row says.
    Measure("value:", "share of a value of", "share", 0.1, of="shape.rows", absent="zero"),
    Measure("form:", "share of a form of", "share", 0.1, of="shape.rows", absent="zero"),
    Measure("length:", "characters in", "count", 0.5, of="rows:"),
    Measure("hour:", "time of day of", "plain", 0.9, of="rows:"),
    Measure("age:", "hours since the newest", "plain", 72.0, "high", "warn"),
    Measure("ahead:", "hours that the newest lies ahead, of", "plain", 0.9, "high"),
    Measure("suffix:", "share of files that end in", "share", 0.05, of="shape.files", absent="zero"),
)


def run(candidate: Candidate) -> list[CheckResult]:
    """A column that is gone, or of another type than before, holds; a new one, or a new kind of file, is told."""
    file = path(candidate.source.name, candidate.load.id, "read", "shape.json")
    if candidate.load.options.get("only") or not candidate.way.staging.exists(file):
        return []
    shape = Shape.from_text(candidate.way.staging.read_bytes(file))
    before = history(candidate.way.ledger, candidate.load)
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


def _columns(columns: Sequence[Column], before: Mapping[str, Sequence[Past]]) -> list[CheckResult]:
    """The columns beside those of the newest load that was let through, each type beside the newest that is known."""
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
    return [
        CheckResult(
            "columns",
            "shape",
            "hold",
            not gone and not other,
            f"{len(gone)} of {len(last)} columns are gone{_named(gone)}; {len(other)} are of another type{_named(other)}",
            f"the columns of {of}, with their types",
        ),
        CheckResult(
            "new columns", "shape", "warn", not added, f"{len(added)} columns are new{_named(added)}", f"those of {of}"
        ),
    ]


def _files(candidate: Candidate, files: Mapping[str, int], before: Mapping[str, Sequence[Past]]) -> list[CheckResult]:
    """Kinds of files beside all that were ever let through, once enough loads have shown what there is."""
    known = {name.removeprefix("suffix:") for name in before if name.startswith("suffix:")}
    loads = {p.load for name, past in before.items() if name.startswith("suffix:") for p in past}
    new = sorted(files.keys() - known) if len(loads) >= LEARNED_FROM else []
    endings = tuple(f".{e}".replace("..", ".") for e in new if e != "none")
    keys = (p.key for p in candidate.plan() if new and p.what == "new" and p.key.lower().endswith(endings))
    return [
        CheckResult(
            "new kinds of files",
            "shape",
            "warn",
            not new,
            f"{len(new)} kinds of files were never seen before{_named(new)}",
            f"those of {len(loads)} loads",
            tuple(key for key, _ in zip(keys, range(5), strict=False)),
        )
    ]


def _named(names: Sequence[str]) -> str:
    return f" ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})" if names else ""
