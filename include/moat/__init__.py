"""Moat: a Weaviate knowledge base kept in step with a company's documents and warehouse rows.

    from moat import Retriever                      # an application asks
    from moat import Groups, LocalFiles, Source     # a DAG file declares

Each name is imported when it is first asked for, so that a DAG file pays for no ledger and no index.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moat.async_retrieve import AsyncRetriever
    from moat.directories.directory import Directory, GroupsFile, GroupsQuery, Ldap, Scim
    from moat.errors import AskedWrongly
    from moat.filters import Range
    from moat.retrieve import Retriever
    from moat.search.askers import Bearer, Service
    from moat.search.result_types import Count, Hit, NewerVersion, SearchResult, Share, Shares
    from moat.source import (
        AccessFiles,
        Chunking,
        Columns,
        Golden,
        Groups,
        Limits,
        LocalFiles,
        ObjectTags,
        Public,
        Risks,
        S3Objects,
        Source,
        WarehouseRows,
    )
    from moat.sources_yaml import sources_in_yaml

_PLACES = {
    "moat.async_retrieve": ("AsyncRetriever",),
    "moat.errors": ("AskedWrongly",),
    "moat.filters": ("Range",),
    "moat.directories.directory": ("Directory", "GroupsFile", "GroupsQuery", "Ldap", "Scim"),
    "moat.retrieve": ("Retriever",),
    "moat.search.askers": ("Bearer", "Service"),
    "moat.search.result_types": ("SearchResult", "Count", "Hit", "NewerVersion", "Share", "Shares"),
    "moat.source": (
        "AccessFiles",
        "Chunking",
        "Columns",
        "Golden",
        "Groups",
        "Limits",
        "LocalFiles",
        "ObjectTags",
        "Public",
        "Risks",
        "S3Objects",
        "Source",
        "WarehouseRows",
    ),
    "moat.sources_yaml": ("sources_in_yaml",),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}

__all__ = [
    "AccessFiles",
    "AskedWrongly",
    "AsyncRetriever",
    "Bearer",
    "Chunking",
    "Columns",
    "Count",
    "Directory",
    "Golden",
    "Groups",
    "GroupsFile",
    "GroupsQuery",
    "Hit",
    "Ldap",
    "Limits",
    "LocalFiles",
    "NewerVersion",
    "ObjectTags",
    "Public",
    "Range",
    "Retriever",
    "Risks",
    "S3Objects",
    "Scim",
    "SearchResult",
    "Service",
    "Share",
    "Shares",
    "Source",
    "WarehouseRows",
    "sources_in_yaml",
]


def __getattr__(name: str) -> Any:
    """Import a public name from where it stands (PEP 562)."""
    if name not in _PLACE_OF:
        raise AttributeError(f"module 'moat' has no attribute {name!r}; it has {', '.join(sorted(_PLACE_OF))}")
    return getattr(import_module(_PLACE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(_PLACE_OF)
