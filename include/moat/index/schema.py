"""The collection that Moat needs, checked before every load and every promotion.

`allow` enforces access: an array of opaque access tokens, each indexed as one term. Weaviate's default for
text splits `user:alice@corp.com` into words, so that everyone at corp.com would match.
"""

from dataclasses import dataclass
from typing import Any, Literal

VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A property of the collection, as far as Moat depends on it."""

    name: str
    data_type: Literal["text", "text[]", "int"]
    tokenization: Literal["field", "word"] | None
    filterable: bool
    searchable: bool

    def line(self) -> str:
        """Format the property for comparison and messages."""
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
    """Format a live property as `Property.line` does."""
    tokenization = found.tokenization.value if found.tokenization else None
    return f"{found.data_type.value} tokenization={tokenization} filterable={found.index_filterable} searchable={found.index_searchable}"


def description(model: str) -> str:
    """Description of a collection for a model, which identifies the vectors in it."""
    return f"Moat schema {VERSION}, vectors of {model}"
