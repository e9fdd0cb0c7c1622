"""Filters as they are written on the command line."""

from datetime import date

import pytest

from moat.cli.filters import filters_of
from moat.errors import AskedWrongly
from moat.filters import Range


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, {}),
        (["source=docs", "source=mail"], {"source": ["docs", "mail"]}),
        (["key=a=b<c"], {"key": ["a=b<c"]}),
        (["key="], {"key": [""]}),
        (["price<10"], {"price": Range(below=10)}),
        (["price >= 2.5", "price<=10"], {"price": Range(at_least=2.5, at_most=10)}),
        (["modified>2026-07-01"], {"modified": Range(above=date(2026, 7, 1))}),
        (["modified=2026-07-01"], {"modified": Range(at_least=date(2026, 7, 1), at_most=date(2026, 7, 1))}),
    ],
)
def test_a_written_filter_is_read_as_it_is_meant(written: list[str] | None, meant: dict[str, object]) -> None:
    assert filters_of(written) == meant


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (["price"], "'price': write NAME=VALUE, or a bound"),
        (["=docs"], "'=docs': write NAME=VALUE"),
        (["price<cheap"], "'cheap' is no number and no day such as 2026-07-05"),
        (["modified=soon"], "'soon' is no number and no day"),
        (["price<10", "price<20"], "'price<20': price has a bound of that kind already"),
        (["price=10", "price<20"], "price has values and bounds"),
        (["price<10", "price<2026-07-01", "price>2026-07-01"], "price has a bound of that kind already"),
        (["price<nan"], "a number, a day"),
    ],
)
def test_a_filter_that_says_nothing_is_answered_with_what_to_write(written: list[str], told: str) -> None:
    with pytest.raises(AskedWrongly) as error:
        filters_of(written)
    assert told in str(error.value)
