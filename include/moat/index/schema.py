"""The collection that Moat needs, checked before every load and every promotion.

`allow` is the wall: an array of opaque tokens, each one a term of its own. Weaviate's default for
text cuts `user:alice@corp.com` into words, and then everyone at corp.com matches.
"""

from dataclasses import dataclass
from typing import Any, Literal

VERSION = "1"


@dataclass(frozen=True, slots=True)
class Property:
    name: str
    data_type: Literal["text", "text[]", "int"]
    tokenization: Literal["field", "word"] | None
    filterable: bool
    searchable: bool

    def told(self) -> str:
        return f"{self.data_type} tokenization={self.tokenization} filterable={self.filterable} searchable={self.searchable}"


PROPERTIES = (
    Property("allow", "text[]", "field", True, False),
    Property("load", "int", None, True, False),
    Property("source", "text", "field", True, False),
    Property("document", "text", "field", True, False),
    Property("key", "text", "field", True, False),
    Property("kind", "text", "field", True, False),
    Property("metadata", "text[]", "field", True, False),
    Property("title", "text", "word", False, True),
    Property("heading", "text", "word", False, True),
    Property("text", "text", "word", False, True),
)


def told(found: Any) -> str:
    tokenization = found.tokenization.value if found.tokenization else None
    return f"{found.data_type.value} tokenization={tokenization} filterable={found.index_filterable} searchable={found.index_searchable}"


def description(model: str) -> str:
    return f"Moat schema {VERSION}, vectors of {model}"
