"""Filters in the ledger: ranges, days, languages and names, never telling of what an asker may not read."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from moat.errors import AskedWrongly
from moat.filters import Range, check
from moat.ledger import Ledger, counting
from moat.ledger.second_look import second_look
from tests.ledger.test_counting import ALL, ANN, HR, HUGO, count, loaded, paper

JULY = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)


def of(key: str, policy: Any, *metadata: str, **changed: Any) -> Any:
    made, chunks = paper(key, policy, f"{key} text", metadata=metadata)
    return replace(made, **changed), chunks


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    loaded(
        ledger,
        "s",
        of("a", ALL, "price=9", "on=2026-07-01", modified=JULY.timestamp(), language="en"),
        of("b", ALL, "price=10.5", "on=2026-07-01T23:30:00+00:00", modified=JULY.timestamp() + 86_400, language="de"),
        of("c", HR, "price=-3", "price=40", "on=2026-07-02", "pay=1", modified=0.0, language="en"),
        of("d", ALL, "price=cheap", "price=1e3", "on=soon", "on=2026", "language=nl", modified=1e18),
    )
    return ledger


def keys(ledger: Ledger, who: frozenset[str], **filters: Any) -> str:
    check(filters)
    with ledger.read() as connection:
        return "".join(sorted(counting.aggregate(connection, ledger.tenant, who, "key", filters), key=str)[i][0] for i in range(count(ledger, who, **filters)[0]))  # fmt: skip


def test_ranges_days_languages_and_media_types(filled: Ledger) -> None:
    assert keys(filled, ANN, price=Range(at_least=9)) == "ab"
    assert keys(filled, ANN, price=Range(above=9)) == "b", "10.5 is more than 9: as numbers, not as texts"
    assert keys(filled, HUGO, price=Range(below=0)) == "c"
    assert keys(filled, HUGO, price=Range(at_least=9, at_most=10.5)) == "ab"
    assert keys(filled, HUGO, price=Range(above=0, below=9)) == "", "one value has to be within, not one on each side"
    assert keys(filled, ANN, price=9.0) == "a"
    assert keys(filled, HUGO, on=date(2026, 7, 1)) == "ab", "a day is the whole of it"
    assert keys(filled, HUGO, on=Range(above=date(2026, 7, 1))) == "c"
    assert keys(filled, HUGO, on=Range(at_most=date(2026, 7, 1))) == "ab"
    assert keys(filled, HUGO, on=Range(at_least=datetime(2026, 7, 1, 12, tzinfo=UTC))) == "bc"
    assert keys(filled, HUGO, modified=Range(below=JULY)) == "c"
    assert keys(filled, HUGO, modified=Range(at_most=JULY)) == "ac"
    assert keys(filled, HUGO, modified=date(2026, 7, 1)) == "a"
    assert keys(filled, HUGO, language="en") == "ac"
    assert keys(filled, HUGO, language={"en", "de"}, media_type="m") == "abc"
    assert keys(filled, HUGO, **{"metadata.language": "nl"}) == "d"
    assert keys(filled, ANN, price=Range(below=50), language="en") == "a", "never what she may not read"


def test_the_second_look_takes_what_no_filter_lets_through(filled: Ledger) -> None:
    ids = [paper(key, ALL, f"{key} text")[1][0].id for key in "abcd"]
    with filled.read() as connection:
        for filters, wanted in (({}, "abcd"), ({"price": Range(at_least=9)}, "abc"), ({"source": "t"}, ""), ({"on": "soon"}, "d")):  # fmt: skip
            seen = second_look(connection, "default", HUGO, ids, filters)  # type: ignore[arg-type]
            assert "".join(sorted(one.key for one in seen.values())) == wanted, filters


def test_names_are_those_of_what_an_asker_may_read(filled: Ledger) -> None:
    loaded(filled, "payroll", paper("p", HR, "p1", of="payroll"))
    with filled.read() as connection:
        assert counting.unread(connection, "default", HUGO, ["s", "payroll", "payrol"]) == {"payrol": "payroll"}
        assert counting.unread(connection, "default", ANN, ["s", "payroll", "payrol"]) == {"payroll": "", "payrol": ""}
        assert counting.metadata_names(connection, "default", HUGO) == {"price", "on", "pay", "language"}
        assert counting.metadata_names(connection, "default", ANN) == {"price", "on", "language"}
        assert counting.matching(connection, "default", ANN, {"price": Range(at_least=-9)}, 2) != []
        assert len(counting.matching(connection, "default", HUGO, {"price": Range(at_least=-9)}, 2)) == 2


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        (["source"], "a mapping"),
        ({"": "x"}, "a name of the documents' metadata"),
        ({"source": 7}, "a text, or several"),
        ({"source": [None]}, "a text, or several"),
        ({"source": Range(at_least=1)}, "a text, or several"),
        ({"team": []}, "leave it out"),
        ({"team": ["x"] * 1_001}, "at the most 1,000"),
        ({"kind": "tabel"}, "did you mean 'table'"),
        ({"modified": "2026"}, "a day, or a Range"),
        ({"modified": Range(at_least=3)}, "days or moments"),
        ({"price": True}, "a number"),
    ],
)
def test_a_wrong_filter_says_what_is_allowed(filters: Any, says: str) -> None:
    with pytest.raises(AskedWrongly, match=says):
        check(filters)


@pytest.mark.parametrize(
    "bounds",
    [{}, {"at_least": "x"}, {"below": float("nan")}, {"above": datetime(2026, 1, 1)}, {"above": 1, "below": date(2026, 1, 1)}],
)  # fmt: skip
def test_a_range_without_sense_is_refused(bounds: Any) -> None:
    with pytest.raises(AskedWrongly, match="Range"):
        Range(**bounds)
