"""Filters as they are written on the command line: `source=handbook`, `price<10`, `modified>=2026-07-01`."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from moat.errors import AskedWrongly
from moat.filters import MODIFIED, Bound, Range, Value

WRITTEN = re.compile(r"(?P<name>[^<>=]+?)\s*(?P<how><=|>=|<|>|=)\s*(?P<value>.*)", re.DOTALL)
BOUNDS = {">=": "at_least", ">": "above", "<=": "at_most", "<": "below"}


def filters_of(written: Sequence[str] | None) -> dict[str, Value]:
    """Parse filters. Values of one name are alternatives, bounds of one name a range.

    Raises:
        AskedWrongly: A filter has no name or comparison, a bound is no number, day or moment, or a name has both
            values and bounds.
    """
    values, bounds = dict[str, list[str]](), dict[str, dict[str, Any]]()
    for one in written or ():
        parts = WRITTEN.fullmatch(one.strip())
        if parts is None:
            raise AskedWrongly(f"--filter {one!r}: write NAME=VALUE, or a bound such as 'price<10' in quotation marks")
        name, how, value = parts["name"], parts["how"], parts["value"]
        if how == "=" and name != MODIFIED:
            values.setdefault(name, []).append(value)
            continue
        of_name = bounds.setdefault(name, {})
        for bound in ("at_least", "at_most") if how == "=" else (BOUNDS[how],):
            if bound in of_name:
                raise AskedWrongly(f"--filter {one!r}: {name} has a bound of that kind already")
            of_name[bound] = _bound(one, value)
    if both := sorted(values.keys() & bounds.keys()):
        raise AskedWrongly(f"--filter: {both[0]} has values and bounds; give one of both")
    return {**values, **{name: Range(**of_name) for name, of_name in bounds.items()}}


def _bound(written: str, value: str) -> Bound:
    for parse in (int, float, date.fromisoformat):
        try:
            return parse(value)
        except ValueError:
            continue
    raise AskedWrongly(f"--filter {written!r}: {value!r} is no number and no day such as 2026-07-05")
