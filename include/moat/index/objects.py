"""Objects as Weaviate keeps them: what is written of a chunk, and what is read back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moat.ids import text_hash
from moat.index.schema import PROPERTIES
from moat.index.terms import searched
from moat.records import IndexObject, embedded_text

READ = ["source", "title", "heading", "text", "terms", "allow", "load"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An object as read back; `text_hash` is of the returned text, empty if its terms are not of that text."""

    id: str
    source: str
    text_hash: str
    allow: tuple[str, ...]
    load: int


def properties_of(o: IndexObject) -> dict[str, Any]:
    """What Weaviate keeps of an object, by property."""
    values = {p.name: getattr(o, p.name) for p in PROPERTIES if p.name != "terms"}
    sent = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {**sent, "terms": searched(o.title, o.heading, o.text)}


def stored(identity: str, properties: Mapping[str, Any]) -> Stored:
    title, heading, text = (properties[name] or "" for name in ("title", "heading", "text"))
    found = properties["terms"] == searched(title, heading, text)  # otherwise keyword search misses it
    return Stored(
        id=identity,
        source=properties["source"],
        text_hash=text_hash(embedded_text(heading, text)) if found else "",
        allow=tuple(sorted(properties["allow"] or ())),
        load=int(properties["load"] or 0),
    )
