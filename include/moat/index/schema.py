"""The collection that Moat needs, checked before every load and every promotion.

`allow` is the wall: an array of opaque tokens, each one a term of its own. Weaviate's default for
text cuts `user:alice@corp.com` into words, and then everyone at corp.com matches.
"""

from dataclasses import dataclass
from typing import Any, Literal

VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    name: str
    data_type: Literal["text", "text[]", "int"]
    tokenization: Literal["field", "word"] | None
    filterable: bool
    searchable: bool

    def line(self) -> str:
        return f"{self.data_type} tokenization={self.tokenization} filterable={self.filterable} searchable={self.searchable}"


PROPERTIES = (
    Property(name="allow", data_type="text[]", tokenization="field", filterable=True, searchable=False),
    Property(name="load", data_type="int", tokenization=None, filterable=True, searchable=False),
    Property(name="source", data_type="text", tokenization="field", filterable=True, searchable=False),
    Property(name="document", data_type="text", tokenization="field", filterable=True, searchable=False),
    Property(name="key", data_type="text", tokenization="field", filterable=True, searchable=False),
    Property(name="kind", data_type="text", tokenization="field", filterable=True, searchable=False),
    Property(name="metadata", data_type="text[]", tokenization="field", filterable=True, searchable=False),
    Property(name="title", data_type="text", tokenization="word", filterable=False, searchable=True),
    Property(name="heading", data_type="text", tokenization="word", filterable=False, searchable=True),
    Property(name="text", data_type="text", tokenization="word", filterable=False, searchable=True),
)


def format_property(found: Any) -> str:
    tokenization = found.tokenization.value if found.tokenization else None
    return f"{found.data_type.value} tokenization={tokenization} filterable={found.index_filterable} searchable={found.index_searchable}"


def description(model: str) -> str:
    return f"Moat schema {VERSION}, vectors of {model}"
