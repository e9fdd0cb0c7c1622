"""Columns of rows that hardly ever move are judged by how often they do."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from moat.checks import still_columns
from moat.checks.changed_columns import Columns
from moat.ledger.measures import PastMeasure

START = datetime(2027, 1, 4, 3, tzinfo=UTC)


def judged(nights: int, moved: list[str], n: int = 12, customers: int = 0) -> tuple[list[Any], dict[str, float]]:
    """What is said after so many nights of ten changed rows, in all of which the state moved and no dose.

    Args:
        nights: Earlier loads.
        moved: The column that moved in each of the rows of this load, before the others.
        n: Rows of this load.
        customers: Rows of each earlier load in which the customer moved.
    """
    per_night = {"still.compared": 10.0, "still:state": 10.0, "still:customer": float(customers)}
    past = {
        name: [PastMeasure(i, START + timedelta(days=i), value, "usual") for i in range(nights)]
        for name, value in per_night.items()
        if value
    }
    columns = Columns()
    for i in range(n):
        after = {"state": "sent", "dose": "60.0", "customer": "Dairy", "new": "x"}
        if i < len(moved):
            after[moved[i]] = f"other {i}"
        columns.add(str(i), {"state": "open", "dose": "60.0", "customer": "Dairy", "new": ""}, after)
    candidate: Any = SimpleNamespace(measured={}, behind={})
    said = {name: f"an example of {name}" for name in columns.replaced}
    return still_columns.run(candidate, columns, n, past, said), candidate.measured


def test_a_dose_that_moves_in_a_few_rows_is_told_and_in_more_it_holds() -> None:
    (found,), measured = judged(30, ["dose"] * 3)
    assert (found.severity, found.passed) == ("warn", False)
    assert found.seen == "3 of 12 changed rows have another dose, which usually stays: an example of dose"
    assert measured == {"still.compared": 12, "still:state": 12, "still:dose": 3}
    (found,), _ = judged(30, ["dose"] * 5)
    assert (found.name, found.severity) == ("columns that usually stay", "hold")
    assert judged(30, ["dose"])[0] == [], "one row is a correction"


@pytest.mark.parametrize(
    ("nights", "column", "customers"),
    [(10, "dose", 0), (30, "customer", 1), (30, "state", 0)],
    ids=["too few rows are known", "a column that people do change", "a column that always moves"],
)
def test_nothing_is_said_of_a_column_of_which_that_is_not_known(nights: int, column: str, customers: int) -> None:
    assert judged(nights, [column] * 5, customers=customers)[0] == []


def test_a_column_that_moved_once_is_one_that_people_change_and_first_nights_know_of_none() -> None:
    def past(nights: int) -> dict[str, list[PastMeasure]]:
        per_night = {"still.compared": 10.0, "still:state": 1.0}
        return {
            name: [PastMeasure(i, START + timedelta(days=i), value, "usual") for i in range(nights)]
            for name, value in per_night.items()
        }

    assert [still_columns.stirred(past(30))(column) for column in ("state", "dose")] == [True, False]
    assert still_columns.stirred(past(1))("dose"), "too few nights tell"
