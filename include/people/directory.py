"""Directories of people, for DAG files that were written against this name; new ones import `include.source`."""

from moat.directories.directory import Directory, GroupsFile, GroupsQuery, Ldap, Scim

__all__ = ["Directory", "GroupsFile", "GroupsQuery", "Ldap", "Scim"]
