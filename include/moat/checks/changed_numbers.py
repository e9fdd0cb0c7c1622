"""What happened to numbers: the factor or the rule that makes each of them of the one before."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from moat.checks.changed_form import value_of

CLOCK = re.compile(r"(\d\d?):(\d\d)")
DAY = re.compile(r"(?:(\d\d?)[./-](\d\d?)[./-](\d{4})|(\d{4})-(\d\d?)-(\d\d?))")
PARTS = re.compile(r"[.,:/-]")


def rules_of(pairs: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The rules, in words, each of which makes all of some numbers of the ones before; empty where there is none.

    Args:
        pairs: Numbers before and after, as they are written.
    """
    found = [_rules(was, now) for was, now in set(pairs)]
    return frozenset(set.intersection(*found)) if found else frozenset()


def _rules(was: str, now: str) -> set[str]:
    """Rules that make one number of another."""
    found = set[str]()
    before, after = PARTS.split(was), PARTS.split(now)
    if was != now and [part[::-1] for part in before] == after:
        found.add("digits in reverse")
    stays = len(before) == 2 or before[0] == after[0] or before[-1] == after[-1]  # a year; else it is written otherwise
    if len(before) == len(after) > 1 and before != after and sorted(before) == sorted(after) and stays:
        found.add("day and month exchanged")
    if (moved := _clock(was, now)) or (moved := _day(was, now)):
        found.add(moved)
    if was.isdigit() and now.isdigit() and len(was) == len(now) > 1 and now[0] == was[0] and not now[1:].strip("0"):
        found.add("rounded to one digit")
    if "." in was and was.partition(".")[0] == now:
        found.add("decimals cut")
    return found


def _clock(was: str, now: str) -> str:
    a, b = CLOCK.fullmatch(was), CLOCK.fullmatch(now)
    if not a or not b or not (int(a[1]) < 24 and int(b[1]) < 24):
        return ""
    minutes = (60 * (int(b[1]) - int(a[1])) + int(b[2]) - int(a[2])) % 1440
    return f"clock moved by {minutes // 60}:{minutes % 60:02}" if minutes else ""


def _day(was: str, now: str) -> str:
    a, b = _date(was), _date(now)
    if not a or not b or a == b:
        return ""
    if (a.month, a.day) == (b.month, b.day):
        return f"dates moved by {b.year - a.year:+} years"
    return f"dates moved by {(b - a).days:+} days"


def _date(text: str) -> date | None:
    found = DAY.fullmatch(text)
    if not found:
        return None
    day, month, year, year_first, month_first, day_first = (int(part) if part else 0 for part in found.groups())
    try:
        return date(year or year_first, month or month_first, day or day_first)
    except ValueError:
        return None


def swapped_words(was: Sequence[str], now: Sequence[str], most: int) -> frozenset[tuple[str, str]]:
    """Words or numbers that took another's place, where at most so many different ones changed and no place moved."""
    if len(was) != len(now):
        return frozenset()
    pairs = {(a.lower(), b.lower()) for a, b in zip(was, now, strict=True) if a != b}
    return frozenset(pairs) if len(pairs) <= most else frozenset()


def factor_of(was: str, now: str) -> str:
    """The factor between two numbers to three digits, "" where one is no plain number."""
    a, b = value_of(was), value_of(now)
    if not a or b is None:
        return ""
    return f"{float(b / a):.3g}"


def is_power_of_ten(factor: str) -> bool:
    """Whether a factor is one that a unit, a prefix or a lost point has, such as 1,000."""
    return Decimal(factor).normalize().as_tuple().digits == (1,) and Decimal(factor) != 1
