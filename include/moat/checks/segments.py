"""Tells of a folder in which nothing moves any more while the rest of the source goes on."""

from collections import Counter
from collections.abc import Mapping, Sequence

from moat.checks.candidate import Candidate
from moat.ledger.checks import CheckResult
from moat.ledger.measures import PastMeasure

MOST = 100  # folders of a source; of more, those in which most moves
NAME = 120  # length of a folder's name in a measure
LEARNED_FROM = 14  # loads before the silence
FEWEST_MOVES = 5  # of these, in which something moved in the folder
UNLIKELY = 1e-4  # chance of such a silence below which it is told
SHOWN = 5


def run(candidate: Candidate, past: Mapping[str, Sequence[PastMeasure]]) -> list[CheckResult]:
    """Warn of folders that are silent for longer than chance explains.

    A folder's rhythm is the share of loads in which something in it is new, changed or vanished. Sources whose keys
    have no folders have no result. `past` is what earlier loads measured, by name.
    """
    if candidate.load.options.get("only"):
        return []
    moved = _moved(candidate)
    candidate.measured.update({f"moves:{folder}": float(n) for folder, n in moved.most_common(MOST)})
    known = sorted({name.removeprefix("moves:") for name in past if name.startswith("moves:")} | moved.keys())
    silent = [told for folder in known if folder not in moved and (told := _silence(folder, past))]
    if not known:
        return []
    return [
        CheckResult(
            name="folders that stopped",
            family="changes",
            severity="warn",
            passed=not silent,
            seen=f"{len(silent):,} of {len(known):,} folders are silent"
            + (f": {'; '.join(silent[:SHOWN])}" if silent else ""),
            allowed="silences that their rhythm explains",
        )
    ]


def _moved(candidate: Candidate) -> Counter[str]:
    """Documents that are new, changed by the source, or vanished, by the first folder of their key."""
    found = Counter[str]()
    for p in candidate.plan():
        folder, parted, _ = p.key.partition("/")
        if parted and (p.edited or p.what in ("new", "vanished")):
            found[folder[:NAME]] += 1
    return found


def _silence(folder: str, past: Mapping[str, Sequence[PastMeasure]]) -> str:
    """How long nothing moved in a folder, in words; "" where its rhythm explains it."""
    loads = [p.load for p in past.get("volume.moved", ()) if p.value]
    moves = {p.load for p in past.get(f"moves:{folder}", ())}
    if len(moves) < FEWEST_MOVES:
        return ""
    last, first = max(moves), min(moves)
    before = sum(first <= number <= last for number in loads)
    silent = sum(number > last for number in loads) + 1  # and this one
    rhythm = len(moves) / (before + 1)
    if before < LEARNED_FROM or (1 - rhythm) ** silent > UNLIKELY:
        return ""
    return f"{folder}/ for {silent:,} loads in which others moved, usually it moves in {rhythm:.0%} of them"
