"""The filter of a search, as Weaviate takes it."""

from typing import TYPE_CHECKING, Any

from moat.filters import METADATA

if TYPE_CHECKING:
    from moat.index.store import Query

OWN_FILTERS = {"source", "key", "kind", "document"}  # properties; any other name is one of metadata


def combined(query: "Query") -> Any:
    """Combine access tokens AND what is not visible yet AND the caller's filters."""
    from weaviate.classes.query import Filter

    parts = [Filter.by_property("allow").contains_any(list(query.tokens))]
    if query.hidden_loads:
        parts.append(Filter.by_property("load").contains_none(list(query.hidden_loads)))
    if query.hidden_sources:
        parts.append(Filter.by_property("source").contains_none(list(query.hidden_sources)))
    for name, value in query.filters.items():
        values = [value] if isinstance(value, str) else list(value)
        if name in OWN_FILTERS:
            parts.append(Filter.by_property(name).contains_any(values))
        else:
            pairs = [f"{name.removeprefix(METADATA)}={v}" for v in values]
            parts.append(Filter.by_property("metadata").contains_any(pairs))
    return Filter.all_of(parts)
