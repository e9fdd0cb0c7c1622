"""Values of a database as text: exact, and the same in every run and on every machine."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

LONGEST_NUMBER = 400  # digits that a number is written out with; a longer one keeps its exponent


def plain(value: object) -> object:
    """Return a value without its driver's and its session's particulars.

    A moment with a zone is given in UTC, since its zone is that of the session, not of the value. Ranges,
    enums, UUIDs and values of numpy become texts and values of Python; bytes that are UTF-8 become text,
    others hexadecimal digits.
    """
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        with suppress(OverflowError):  # the first and the last day of the calendar stay as they are
            return value.astimezone(UTC)
    if isinstance(value, bytes | bytearray | memoryview):
        return _of_bytes(bytes(value))
    if hasattr(value, "lower_inc") and hasattr(value, "upper_inc"):  # a range of PostgreSQL
        return _of_range(value)
    return str(value) if isinstance(value, UUID) else value


def shown(value: object) -> object:
    """Return a value as a text shows it; numbers and times stay what they are, for their format.

    NULL is nothing. A number keeps its digits and its zeros: 3.10 stays 3.10. Arrays and JSON are JSON.
    """
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, bool | int | date | time):
        return value
    if isinstance(value, float | Decimal):
        return Number(value)
    return as_json(value) if isinstance(value, Mapping | list | tuple | set | frozenset) else value


class Number:
    """A number that is written exactly unless a format says otherwise."""

    def __init__(self, value: float | Decimal) -> None:
        self._value = value

    def __format__(self, spec: str) -> str:
        return format(self._value, spec) if spec else number(self._value)

    def __str__(self) -> str:
        return number(self._value)

    __repr__ = __str__


def number(value: float | Decimal) -> str:
    """Write a number exactly, with the zeros that it has."""
    if _nan(value):
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Decimal):
        return format(value, "f") if abs(value.adjusted()) < LONGEST_NUMBER else str(value)
    return repr(value)


def same(value: object) -> str:
    """Write a value to compare it: another value is another text; empty for NULL."""
    value = plain(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return format(value, ".0f")
    return str(shown(value)).encode("utf-8", "backslashreplace").decode()


def filtered(value: object) -> str:
    """Write a value of metadata or of a key: as compared, without zeros at a number's end."""
    if isinstance(value, Decimal) and value.is_finite():
        text = number(value)
        return text.rstrip("0").rstrip(".") if "." in text and "E" not in text else text
    return same(value)


def moment_of(value: object) -> float | None:
    """Seconds of the epoch of a day or a moment, which is in UTC where it has no zone; None of anything else."""
    value = plain(value)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        return None
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def key_text(value: object) -> str:
    """Write a row's key; empty if it names nothing: NULL, NaN, or white space only."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()  # of all keys, though a few of them may happen to be text
    value = plain(value)
    text = "" if value is None or _nan(value) else filtered(value)
    return text if text.strip() else ""


def as_json(value: object) -> str:
    """Write JSON with numbers exactly as they are, in the order of the value."""
    value = plain(value)
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{json.dumps(str(k), ensure_ascii=False)}: {as_json(v)}" for k, v in value.items()) + "}"
        )
    if isinstance(value, set | frozenset):
        return as_json(sorted(value, key=str))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(as_json, value)) + "]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float | Decimal):
        return str(value) if isinstance(value, int) else number(value)
    return json.dumps(value if isinstance(value, str) else same(value), ensure_ascii=False)


def _nan(value: object) -> bool:
    return value.is_nan() if isinstance(value, Decimal) else isinstance(value, float) and value != value


def _of_bytes(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return content.hex()
    return text if all(c.isprintable() or c.isspace() for c in text) else content.hex()


def _of_range(value: Any) -> str:
    """Write a range as PostgreSQL does: `[a, b)`."""
    if getattr(value, "isempty", False):
        return "empty"
    lower, upper = ("" if end is None else str(shown(end)) for end in (value.lower, value.upper))
    return f"{'[' if value.lower_inc else '('}{lower}, {upper}{']' if value.upper_inc else ')'}"
