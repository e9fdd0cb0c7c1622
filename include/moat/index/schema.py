"""The collection that Moat needs, checked before every load and every promotion.

`allow` enforces access: an array of opaque access tokens, each indexed as one term. Weaviate's default for
text splits `user:alice@corp.com` into words, so that everyone at corp.com would match.

`terms` is what keyword search reads (`moat.index.terms`); title, heading and text are only kept.
"""

from dataclasses import dataclass
from typing import Any, Literal

from moat.errors import SchemaError

VERSION = "2"
MADE_BY = "Moat schema "
STOP_WORDS = "none"  # a question such as "IT" is no empty one


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A property of the collection, as far as Moat depends on it."""

    name: str
    data_type: Literal["text", "text[]", "int"]
    tokenization: Literal["field", "word", "whitespace"] | None
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
    Property(name="title", data_type="text", tokenization="word", filterable=False, searchable=False),
    Property(name="heading", data_type="text", tokenization="word", filterable=False, searchable=False),
    Property(name="text", data_type="text", tokenization="word", filterable=False, searchable=False),
    Property(name="terms", data_type="text", tokenization="whitespace", filterable=False, searchable=True),
)


def format_property(found: Any) -> str:
    """Format a live property as `Property.line` does."""
    tokenization = found.tokenization.value if found.tokenization else None
    return f"{found.data_type.value} tokenization={tokenization} filterable={found.index_filterable} searchable={found.index_searchable}"


def description(model: str) -> str:
    """Description of a collection for a model, which identifies the vectors in it."""
    return f"{MADE_BY}{VERSION}, vectors of {model}"


def older(found: str) -> str:
    """Version of the schema in a description; empty if it is this one, or none of Moat."""
    version = found.removeprefix(MADE_BY).partition(",")[0] if found.startswith(MADE_BY) else VERSION
    return "" if version == VERSION else version


def check_collection(name: str, config: Any, model: str, replicas: int) -> None:
    """Raise SchemaError unless a live collection's configuration is what Moat needs for a model and so many replicas."""
    if version := older(config.description or ""):
        raise SchemaError(
            f"collection {name} has schema {version}, this version of Moat needs {VERSION}: keyword search reads other "
            "terms. `moat rebuild` writes it anew from the ledger; nothing is parsed or embedded again"
        )
    found = {p.name: p for p in config.properties}
    wrong = [
        f"{p.name} must be {p.line()}, it is {format_property(found[p.name])}"
        if p.name in found
        else f"{p.name} is missing"
        for p in PROPERTIES
        if p.name not in found or format_property(found[p.name]) != p.line()
    ]
    stop_words = config.inverted_index_config.stopwords.preset.value
    if stop_words != STOP_WORDS:
        wrong.append(f"stop words must be {STOP_WORDS}, they are {stop_words}")
    if wrong:
        raise SchemaError(
            f"collection {name} is not what Moat needs, so who may read could not be kept: {'; '.join(wrong)}. "
            "Stop searches and run `moat rebuild`, which writes it anew from the ledger"
        )
    if config.replication_config.factor != replicas:
        raise SchemaError(
            f"collection {name} keeps {config.replication_config.factor} replicas of each chunk and MOAT_REPLICAS is {replicas}: "
            f"what is read back would prove less than it says. Set MOAT_REPLICAS={config.replication_config.factor}"
        )
    if config.description != description(model):
        raise SchemaError(
            f"collection {name} is {config.description!r}, this load is {description(model)!r}: vectors of two models do not "
            "compare. Set MOAT_MODEL back, or MOAT_COLLECTION to a new name and run every source with --full"
        )
