"""Metadata of documents: values by name, each as `name=value`.

It comes from whoever may write the document, so it is bounded and never decides who may read.
"""

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import NamedTuple

import yaml

from moat import strict_yaml

MOST_VALUES = 200  # of one document
LONGEST_TEXT = 65_536  # characters that are read for it
LONGEST_VALUE = 512  # characters
NAME = re.compile(r"\w[\w .:/-]{0,63}")


class Metadata(NamedTuple):
    """Values that were taken, each as `name=value`, and names of which something was left out."""

    pairs: tuple[str, ...]
    left_out: tuple[str, ...]


def metadata_of(values: Mapping[object, object]) -> Metadata:
    """Take what can be filtered by: texts, numbers, truth values, days and moments, or lists of them.

    Left out is what else stands there, a value of more than 512 characters, and what comes after 200 values. Moments
    are written in UTC; what is empty is no value.
    """
    pairs, left_out = dict[str, None](), list[str]()
    for name, value in values.items():
        shown = name.strip() if isinstance(name, str) else ""
        some = list(_texts(value))
        if not NAME.fullmatch(shown) or None in some or len(pairs) + len(some) > MOST_VALUES:
            left_out.append(ascii(name)[:80])
        else:
            pairs.update((f"{shown}={text}", None) for text in some if text)
    return Metadata(tuple(pairs), tuple(left_out))


def metadata_in(text: str) -> Metadata:
    """Take what a YAML mapping has. Raises ValueError, with the reason, if it is none or too long."""
    try:
        values = strict_yaml.load(text, longest=LONGEST_TEXT)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())[:300]) from error
    if values is None:
        return Metadata((), ())
    if not isinstance(values, dict):
        raise ValueError("it is no mapping of names to values")
    return metadata_of(values)


def beside(own: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """Metadata of a source, and what a document says of itself under other names."""
    names = {pair.partition("=")[0] for pair in own}
    return (*own, *(pair for pair in more if pair.partition("=")[0] not in names))[:MOST_VALUES]


def _texts(value: object) -> Iterator[str | None]:
    """The texts of a value; None for what is left out."""
    for one in value[: MOST_VALUES + 1] if isinstance(value, list) else [value]:
        text = _text(one)
        yield text if text is None or len(text) <= LONGEST_VALUE else None


def _text(value: object) -> str | None:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int() if abs(value) < 10**300:
            return str(value)
        case float() if math.isfinite(value):
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value)
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case str():
            shown = "".join(c if unicodedata.category(c) not in {"Cc", "Cs"} else " " for c in value)
            return " ".join(shown.split())
    return None
