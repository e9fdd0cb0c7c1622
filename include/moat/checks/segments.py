"""Tells of a part of a source in which nothing moves any more while the rest goes on.

A part is a first folder of the keys; of rows, a value of a column that has few. What moves are documents that are
new or changed, in a folder also those that vanish. Of values only digests are kept.
"""

import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from moat.checks.candidate import Candidate
from moat.ledger import documents, projection
from moat.ledger.checks import CheckResult, one_over
from moat.ledger.measures import PastMeasure
from moat.readers.shape import MOST_VALUES, Shape, digest
from moat.risks import personal, secrets
from moat.runtime import path

MOST = 100  # folders, and values, of a source; of more, those in which most moves
NAME = 120  # length of a folder's or column's name in a measure
LEARNED_FROM = 14  # loads before the silence
FEWEST_MOVES = 5  # of these, in which something moved in the part
UNLIKELY = 1e-4  # chance of such a silence below which it is told
ODD = 0.05  # chance of a part's silence from which it counts beside that of others
BULK = 10  # times as many rows as usual: a load that tells nothing of a night's share
SHOWN = 5
LONG = 40  # characters of a value that is quoted
# Columns that may say who somebody is: their values are told by digest. Names have no form by which to find them.
PEOPLE = re.compile(
    r"name|person|people|user|owner|author|assign|agent|customer|client|contact|patient|member|employee|manager"
    r"|mail|phone|birth|gender|religio|ethnic|health|created|updated|_by$|^by$|^who$",
    re.IGNORECASE,
)


def run(candidate: Candidate, past: Mapping[str, Sequence[PastMeasure]]) -> list[CheckResult]:
    """Warn of folders, and of values of columns, that are silent for longer than chance explains.

    A part's rhythm is the share of loads in which something in it moved. Sources whose keys have no folders and
    whose columns have many values have no result. `past` is what earlier loads measured, by name.
    """
    if candidate.load.options.get("only"):
        return []
    return [*_folders(candidate, past), *_values(candidate, past)]


def _folders(candidate: Candidate, past: Mapping[str, Sequence[PastMeasure]]) -> list[CheckResult]:
    moved = _moved(candidate)
    candidate.measured.update({f"moves:{folder}": float(n) for folder, n in moved.most_common(MOST)})
    known = sorted({name.removeprefix("moves:") for name in past if name.startswith("moves:")} | moved.keys())
    loads = [p.load for p in past.get("volume.moved", ()) if p.value]
    rhythms = {f: _rhythm({p.load for p in past.get(f"moves:{f}", ())}, loads) for f in known if f not in moved}
    odd = [folder for folder, rhythm in rhythms.items() if rhythm.chance <= ODD]
    there = _there(candidate, odd) if _beyond_chance(rhythms, len(known)) else set[str]()
    told = _beyond_chance({folder: rhythms[folder] for folder in odd if folder in there}, len(known))
    silent = [f"{folder}/ for {rhythms[folder].words}" for folder in told]
    return [_result("folders", silent, len(known))] if known else []


def _moved(candidate: Candidate) -> Counter[str]:
    """Documents that are new, changed by the source, or vanished, by the first folder of their key."""
    found = Counter[str]()
    for p in candidate.plan():
        folder, parted, _ = p.key.partition("/")
        if parted and (p.edited or p.what in ("new", "vanished")):
            found[folder[:NAME]] += 1
    return found


def _there(candidate: Candidate, folders: Collection[str]) -> set[str]:
    """Those of the folders that still have documents: one that was dissolved or renamed is not silent."""
    found = set[str]()
    for key in documents.visible_keys(candidate.runtime.ledger, candidate.source.name):
        if (folder := key.partition("/")[0][:NAME]) in folders:
            found.add(folder)
    return found


class Rhythm(NamedTuple):
    """How long a part is silent."""

    silent: int  # loads, this one among them
    usually: float  # share of loads in which something moved in it
    chance: float  # of such a silence

    @property
    def words(self) -> str:
        return f"{self.silent:,} loads in which others moved, usually it moves in {self.usually:.0%} of them"


def _rhythm(moves: Collection[int], loads: Sequence[int]) -> Rhythm:
    """The rhythm of a part by the loads in which something moved in it, and those in which anything did."""
    last, first = max(moves, default=0), min(moves, default=0)
    before = sum(first <= number <= last for number in loads)
    silent = sum(number > last for number in loads) + 1  # and this one
    usually = len(moves) / (before + 1)
    known = len(moves) >= FEWEST_MOVES and before >= LEARNED_FROM
    return Rhythm(silent, usually, (1 - usually) ** silent if known else 1.0)


def _beyond_chance(rhythms: Mapping[str, Rhythm], n: int) -> list[str]:
    """Those of n parts that are silent for longer than chance explains, each by itself or the most silent together.

    Where an export leaves out several folders, each may be one that rarely moves. They are silent together for as
    long as the last one of them is, and of all choices of so many parts chance has as many tries.
    """
    alone = {part for part, rhythm in rhythms.items() if rhythm.chance <= UNLIKELY}
    odd = sorted((p for p, rhythm in rhythms.items() if rhythm.chance <= ODD), key=lambda p: -rhythms[p].silent)
    together = set[str]()
    for many in range(2, len(odd) + 1):
        chosen = [rhythms[part] for part in odd[:many]]
        chance = math.prod((1 - rhythm.usually) ** chosen[-1].silent for rhythm in chosen)
        if math.comb(n, many) * chance <= UNLIKELY:
            together = set(odd[:many])
    return sorted(alone | together)


def _values(candidate: Candidate, past: Mapping[str, Sequence[PastMeasure]]) -> list[CheckResult]:
    """The same for rows, by each value of a column that has few."""
    file = path(candidate.source.name, candidate.load.id, "read", "shape.json")
    if not candidate.runtime.staging.exists(file):
        return []
    before: dict[str, dict[str, dict[int, PastMeasure]]] = defaultdict(lambda: defaultdict(dict))
    for name, values in past.items():
        if name.startswith("row moves:"):
            column, _, value = name.removeprefix("row moves:").rpartition("=")
            before[column][value] = {p.load: p for p in values}
    silent, n_known, n_kept = list[tuple[str, str, str]](), 0, 0
    for c in Shape.from_text(candidate.runtime.staging.read_bytes(file)).columns:
        column = c.name[:NAME]
        known = before[column].keys() | c.moved.keys()
        if not (c.values or before[column]) or len(known) > MOST_VALUES or n_kept + len(c.moved) > MOST:
            continue
        n_known, n_kept = n_known + len(known), n_kept + len(c.moved)
        candidate.measured.update({f"row moves:{column}={value}": float(n) for value, n in c.moved.items()})
        n = sum(c.moved.values())
        for value in sorted(known - c.moved.keys()) if n else ():
            gone = c.values and value not in c.values
            if not gone and (words := _quiet(before[column], value, n, candidate.load.opened_at)):
                silent.append((column, value, words))
    if not n_known:
        return []
    names = _in_words(candidate, {(column, value) for column, value, _ in silent}) if silent else {}
    return [_result("values", [f"{names[column, value]} for {words}" for column, value, words in silent], n_known)]


def _quiet(moves: Mapping[str, Mapping[int, PastMeasure]], value: str, n: int, now: datetime) -> str:
    """How long no row of a value moved, in words; "" where its rhythm, or the few rows that moved, explain it."""
    rows = Counter[int]()
    for of_value in moves.values():
        rows.update({number: int(p.value) for number, p in of_value.items()})
    mine = moves.get(value, {})
    rhythm = _rhythm(mine.keys(), sorted(rows))
    if rhythm.chance > UNLIKELY:
        return ""
    last, first = max(mine), min(mine)
    most = BULK * statistics.median(rows.values())
    usual = [number for number in rows if first <= number <= last and rows[number] <= most]
    share = sum(mine[number].value for number in usual if number in mine) / max(1, sum(rows[i] for i in usual))
    since = n + sum(many for number, many in rows.items() if number > last)
    if (1 - min(share, 1.0)) ** since > UNLIKELY:
        return ""
    days = (now - mine[last].at).total_seconds() / 86_400
    return f"{rhythm.words} ({days:.0f} days and {since:,} other rows)"


def _in_words(candidate: Candidate, asked: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Columns with their values, as far as visible rows are filtered by these and they say nothing of a person."""
    names = {(column, value): f"{column}={value}" for column, value in asked}
    todo = {one for one in asked if not PEOPLE.search(one[0])}
    for row in projection.visible_names(candidate.runtime.ledger, candidate.source.name) if todo else ():
        for column, text in (pair.split("=", 1) for pair in row.metadata if "=" in pair):
            if (one := (column[:NAME], digest(text))) in todo:
                todo.discard(one)
                if not personal.find(f"{column}: {text}") and not secrets.find(f"{column}: {text}"):
                    names[one] = f"{column}={text[:LONG]}"
        if not todo:
            break
    return names


def _result(parts: str, silent: Sequence[str], n: int) -> CheckResult:
    result = CheckResult(
        name=f"{parts} that stopped",
        family="changes",
        severity="warn",
        passed=not silent,
        seen=f"{len(silent):,} of {n:,} {parts} are silent" + (f": {'; '.join(silent[:SHOWN])}" if silent else ""),
        allowed="silences that their rhythm explains",
    )
    return one_over(n, parts, result)
