"""What a DAG file declares: a source of documents, or a directory of people.

    from include.source import Groups, LocalFiles, Source

The same names come from the package: `from moat import Groups, LocalFiles, Source`.
"""

from moat.directories.directory import Directory, GroupsFile, GroupsQuery, Ldap, Scim
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

__all__ = [
    "AccessFiles",
    "Chunking",
    "Columns",
    "Directory",
    "Golden",
    "Groups",
    "GroupsFile",
    "GroupsQuery",
    "Ldap",
    "Limits",
    "LocalFiles",
    "ObjectTags",
    "Public",
    "Risks",
    "S3Objects",
    "Scim",
    "Source",
    "WarehouseRows",
    "sources_in_yaml",
]
