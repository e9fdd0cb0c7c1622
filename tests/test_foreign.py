"""Errors of drivers and servers are told without the values that they quote."""

import sqlite3

import pytest

from moat.foreign import is_of_the_query, said


class UndefinedColumn(Exception):
    sqlstate = "42703"


class InvalidTextRepresentation(Exception):
    pgcode = "22P02"


class OperationalError(Exception):
    """As MySQL's, which has this class for faults of the query too."""


QUERY = "SELECT id, price FROM orders WHERE changed > %s"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            UndefinedColumn('column "price" does not exist\nLINE 1: SELECT id, price FROM orders'),
            "UndefinedColumn 42703: does not exist (price)",
        ),
        (
            InvalidTextRepresentation('invalid input syntax for type integer: "ann earns 4711"'),
            "InvalidTextRepresentation 22P02: invalid input syntax",
        ),
        (OperationalError(1054, "Unknown column 'price' in 'field list'"), "OperationalError: unknown column (price)"),
        (PermissionError(13, "Permission denied", "/srv/salaries/ann.txt"), "PermissionError EACCES: permission denied"),
        (ValueError("Bad int64 value: ann earns 4711"), "ValueError"),
        (ValueError('duplicate key\nDETAIL:  Key (name)=(ann earns 4711) price exists'), "ValueError"),
    ],
)  # fmt: skip
def test_an_error_is_told_by_class_code_and_what_is_known(error: Exception, told: str) -> None:
    assert said(error, QUERY) == told


def test_a_real_driver_says_what_it_misses_and_quotes_no_value() -> None:
    with sqlite3.connect(":memory:") as database, pytest.raises(sqlite3.OperationalError) as caught:
        database.execute("SELECT price FROM (SELECT 1 AS id)")
    assert said(caught.value, "SELECT price FROM x") == "OperationalError SQLITE_ERROR: no such column (price)"
    assert is_of_the_query(caught.value)
    with sqlite3.connect(":memory:") as database, pytest.raises(sqlite3.DatabaseError) as broken:
        database.execute("CREATE TABLE t (name TEXT CHECK (name <> 'ann earns 4711'))")
        database.execute("INSERT INTO t VALUES ('ann earns 4711')")
    assert "ann" not in said(broken.value, QUERY)
