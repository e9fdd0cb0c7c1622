"""What a DAG file declares of a directory of people: where its groups are, and what one sync may take away.

Nothing here touches a system or imports one's library: every task pays for what a DAG file imports.
"""

from moat.declarations import declared_whole
from moat.directories.files import GroupsFile
from moat.directories.ldap import Ldap
from moat.directories.query import GroupsQuery
from moat.directories.reader import DirectoryReader
from moat.directories.scim import Scim
from moat.source import NAME

__all__ = ["Directory", "GroupsFile", "GroupsQuery", "Ldap", "Scim"]


@declared_whole
class Directory:
    """A directory of people and groups. Its groups are `group:NAME/ID`, apart from those of every other.

    Raises DeclarationError that names the directory, each wrong field and what is allowed.
    """

    name: str
    reader: DirectoryReader
    max_shrink_ratio: float = 0.3  # of all memberships that one sync may take away
    max_group_shrink_ratio: float = 0.5  # of the members of one group of at least 10
    max_age_hours: float | None = 24.0  # older: searches are refused, for who is denied is not known; None: never
    own_names: bool = False  # groups are `group:ID`, the company's own names: for one directory only
    owner: str = "moat"
    description: str = ""

    def wrong(self) -> list[str]:
        found = []
        if not NAME.match(self.name):
            found.append(f"name={self.name!r}: small letters, digits and _, beginning with a letter, at most 64")
        ratios = ("max_shrink_ratio", "max_group_shrink_ratio")
        wrong = [name for name in ratios if not 0 <= getattr(self, name) <= 1]
        found += [f"{name}={getattr(self, name)}: from 0 to 1, such as 0.3 for 30 %" for name in wrong]
        if self.max_age_hours is not None and self.max_age_hours <= 0:
            found.append(f"max_age_hours={self.max_age_hours}: more than 0, or None for a directory that never ages")
        return found + [f"reader.{words}" for words in self.reader.wrong()]

    @property
    def max_age_s(self) -> int | None:
        return None if self.max_age_hours is None else int(self.max_age_hours * 3_600)

    def group(self, group: str) -> str:
        """The principal of a group by its id in this directory."""
        return f"group:{group}" if self.own_names else f"group:{self.name}/{group}"
