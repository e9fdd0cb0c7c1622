"""Checks columns of rows that people hardly ever change, such as a dose or a customer.

How often each column moves among the rows that changed is learned from earlier loads. Where it usually stays, a few
rows in which it moves are beyond chance, whatever the new values are.
"""

from collections.abc import Callable, Mapping, Sequence

from moat.checks.candidate import Candidate
from moat.checks.changed_columns import Columns
from moat.checks.kinds import NIGHTS, SHOWN, Kind, Of, Seen, judged
from moat.ledger.checks import CheckResult
from moat.ledger.measures import PastMeasure

MOST = 60  # columns of a source; of more, those that move most
NAME = 100  # length of a column's name in a measure
LEARNED_FROM = 100  # changed rows of loads before the newest few
STAYS = 0.02  # of the changed rows, in which a column moves that usually stays
FEW_LOADS = 3  # with changed rows, before which it is not known what people change
ROWS = Of(documents="changed rows", counted="still.compared", prefix="still")


def run(
    candidate: Candidate,
    columns: Columns,
    n: int,
    past: Mapping[str, Sequence[PastMeasure]],
    examples: Mapping[str, str],
) -> list[CheckResult]:
    """Judge each column that moved.

    Args:
        candidate: The load; how often each column moved is measured on it.
        columns: The columns of its changed rows.
        n: Number of rows that were compared.
        past: What earlier loads measured, by name.
        examples: One value before and after, in words, by column.

    Returns:
        One result for the columns that usually stay and moved in too many rows; none where nothing did.
    """
    if not columns.n:
        return []
    candidate.measured[ROWS.counted] = n
    found = list[CheckResult]()
    for name, keys in list(columns.replaced.items())[:MOST]:
        measure = name[:NAME]
        candidate.measured[f"{ROWS.prefix}:{measure}"] = len(keys)
        if not _stays(measure, past):
            continue
        kind = Kind(
            name=measure,
            title="columns that usually stay",
            says=f"have another {name}, which usually stays",
            rate=0.005,
        )
        if result := judged(kind, Seen(list(keys), examples.get(name, "")), n, past, ROWS):
            found.append(result)
    candidate.behind.update({f"{ROWS.prefix}:{name[:NAME]}": keys[:SHOWN] for name, keys in columns.replaced.items()})
    return sorted(found, key=lambda result: (result.severity == "warn", -len(result.documents)))[:1]


def stirred(past: Mapping[str, Sequence[PastMeasure]]) -> Callable[[str], bool]:
    """Whether people change a column: it moved in an earlier load, or too few loads tell."""
    few = sum(1 for p in past.get(ROWS.counted, ()) if p.value) < FEW_LOADS
    return lambda column: few or any(p.value for p in past.get(f"{ROWS.prefix}:{column[:NAME]}", ()))


def _stays(column: str, past: Mapping[str, Sequence[PastMeasure]]) -> bool:
    """Whether enough rows changed in earlier loads, and the column in hardly any of them."""
    older = [p for p in past.get(ROWS.counted, ()) if p.value][:-NIGHTS]
    n, loads = sum(p.value for p in older), {p.load for p in older}
    moved = sum(p.value for p in past.get(f"{ROWS.prefix}:{column}", ()) if p.load in loads)
    return n >= LEARNED_FROM and moved <= STAYS * n
