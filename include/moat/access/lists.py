"""Principals as tables and object stores hold them: one, or a list in any of the usual forms.

What is no principal is an error, in a list of those who may not read as in a list of those who may: a name
that is dropped from a deny, or that nobody has, would deny nobody.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from numbers import Integral
from typing import Any
from uuid import UUID

from moat.access.policy import KINDS, PUBLIC, SHOWN, Access, Policy
from moat.errors import AccessUnknown

LDAP_NAME = re.compile(r"(?:\w+/)?[A-Za-z][\w.-]*=(?:[^,=\\]|\\.)+(?:,[A-Za-z][\w.-]*=(?:[^,=\\]|\\.)+)*")
NULLS = frozenset({"null", "none", "nan"})  # as engines write NULL into a text
MOST = 10**40  # of an id that is a number
NO_VALUE = frozenset('"`{}[]<>|*;')
PG_ITEM = r'"(?:[^"\\]|\\.)*"|[^"\\{},\s](?:[^"\\{},]*[^"\\{},\s])?'
PG_ARRAY = re.compile(rf"\{{\s*(?:(?:{PG_ITEM})\s*(?:,\s*(?:{PG_ITEM})\s*)*)?\}}")
GUID_IN_BRACES = re.compile(r"\{[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}")


def principals(values: Iterable[str], kind: str) -> list[str]:
    """Turn values into principals; one without `user:` or `group:` in front gets `kind`.

    Raises AccessUnknown for a value with another kind in front: an id that holds a colon needs its kind.
    """
    found = []
    for value in values:
        before, colon, _ = value.partition(":")
        if colon and before.lower() not in KINDS:
            raise AccessUnknown(f"{_shown(value)} has no kind: write user:… or group:… before an id with a colon")
        found.append(value if colon else f"{kind}:{value}")
    return found


def access(allow: Iterable[str], deny: Iterable[str], kind: str, where: str) -> Access:
    """Access by values of principals; unknown, with the place and the reason, if one is no principal."""
    try:
        denied = list(deny)
        if any(value.lower() == PUBLIC for value in denied):
            raise AccessUnknown(f"deny holds {PUBLIC}, which is nobody's id: name a group, or allow nobody")
        return Access(Policy.of(principals(allow, kind), principals(denied, kind)))
    except AccessUnknown as error:
        return Access.unknown(f"{where}: {error}")


def access_in(cells: Sequence[tuple[str, object]], separator: str, usual: str, kind: str) -> Access:
    """Access by the cells or tags of allow and, where there is one, of deny, in this order.

    NULL and an empty text deny nobody; whatever else cannot be read is unknown, with the cell's name.
    """
    read = [list[str](), list[str]()]
    for place, (name, cell) in enumerate(cells):
        if place and (cell is None or (isinstance(cell, str) and cell == "")):
            continue
        try:
            read[place] = values(cell, separator, usual)
        except AccessUnknown as error:
            return Access.unknown(f"{name}: {error}")
    return access(read[0], read[1], kind, " and ".join(name for name, _ in cells))


def values(cell: object, separator: str, usual: str) -> list[str]:
    """Values of a cell or tag: an array, or a text in one of the forms in which engines write lists.

    These are a JSON array, an array of PostgreSQL, and values with `separator` between. Where that is the
    `usual` one, as nobody declared another, `,` and `;` separate as well.

    Raises AccessUnknown for whatever else: NULL, an empty text, numbers with a point, nested lists, and values
    that still hold quotes, brackets or separators.
    """
    if isinstance(cell, str):
        return [_value(text) for text in _texts(cell.strip(), separator, usual)]
    if isinstance(cell, Iterable) and not isinstance(cell, bytes | bytearray | memoryview | Mapping):
        return [_value(_plain(item)) for item in cell]
    return [_value(_plain(cell))]


def _texts(text: str, separator: str, usual: str) -> list[str]:
    if text[:1] == "[" or (text[:1] == '"' and text[-1:] == '"' and len(text) > 1):
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            raise AccessUnknown(f"{_shown(text)} is no JSON, and no principal begins like that") from None
        return _texts(body.strip(), separator, usual) if isinstance(body, str) else [_plain(item) for item in body]
    if text[:1] == "{":
        if not PG_ARRAY.fullmatch(text) or GUID_IN_BRACES.fullmatch(text):
            raise AccessUnknown(f"{_shown(text)} is no array of principals: write them with {separator!r} between")
        return [
            re.sub(r"\\(.)", r"\1", item[1:-1]) if item[0] == '"' else item for item in re.findall(PG_ITEM, text[1:-1])
        ]
    if separator != usual:
        return text.split(separator)
    parts = re.split(rf"\s*[,;]\s*|{re.escape(separator)}", text)
    if len(parts) > 1 and all("=" in part for part in parts):
        raise AccessUnknown(f"{_shown(text)} is an LDAP name or several: declare another separator, or write a list")
    return parts


def _plain(item: object) -> str:
    """One item of a list as text. Raises AccessUnknown for what is no id."""
    if isinstance(item, str | UUID):
        return str(item)
    finite = isinstance(item, Decimal) and item.is_finite()
    if finite or (isinstance(item, Integral) and not isinstance(item, bool)):
        number: Any = item
        if -MOST < number < MOST and number == int(number):
            return str(int(number))
    raise AccessUnknown(f"it holds a {type(item).__name__}, which is no principal")


def _value(text: str) -> str:
    """One value. Raises AccessUnknown if it is not taken apart, or says nothing."""
    value = text.strip()
    if not value or value.lower() in NULLS:
        raise AccessUnknown(f"{_shown(text)} names nobody and says nothing")
    left = sorted(NO_VALUE.intersection(value)) or [c for c in "'(" if value[0] == c]
    if "," in value and not LDAP_NAME.fullmatch(re.sub(r"(?i)^(?:user|group):", "", value)):
        left.append(",")
    if left or value.count("(") != value.count(")"):
        raise AccessUnknown(f"{_shown(value)} is no principal: it holds {' '.join(left) or 'a bracket'}")
    return value


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…")
