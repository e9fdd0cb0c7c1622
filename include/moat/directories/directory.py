"""Declaration of a directory of people and groups.

Nothing here connects to a system or imports a client library, because every task imports the DAG file.
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
    """Declare a directory of people and groups. Its groups are `group:NAME/ID`.

    Attributes:
        name: Name of the directory: lower-case letters, digits and `_`, at most 64 characters, beginning with
            a letter.
        reader: Where the groups are: `GroupsFile`, `GroupsQuery`, `Ldap`, `Scim`, or a `DirectoryReader` of
            your own.
        max_shrink_ratio: Share of all memberships that one sync may remove; more waits for a person.
        max_group_shrink_ratio: Share of the members that one sync may remove from a group of at least 10.
        max_growth_ratio: People whom one sync may bring into a group, as a share of those in it; three may always
            come. More wait for a person, and what is taken away is gone at once.
        max_age_hours: Hours since the last complete reading after which searches are refused, because denied
            people may be unknown; None: never.
        own_names: Whether groups are `group:ID` without the name, the company's own; for one directory only.
        owner: Owner of the DAG in Airflow.
        description: Description of the directory.

    Raises:
        DeclarationError: A field is wrong; the message names the directory, each field and what is allowed.

    Example:
        Groups of a SCIM service:

            Directory(name="okta", reader=Scim(conn_id="okta_scim"), max_age_hours=12)
    """

    name: str
    reader: DirectoryReader
    max_shrink_ratio: float = 0.3  # share of all memberships that one sync may remove
    max_group_shrink_ratio: float = 0.5  # share of the members of one group of at least 10
    max_growth_ratio: float = 1.0  # people whom one sync may bring into a group, of those in it
    max_age_hours: float | None = 24.0  # older: searches are refused; None: never
    own_names: bool = False  # groups are `group:ID`, for one directory only
    owner: str = "moat"
    description: str = ""

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        found = []
        if not NAME.fullmatch(self.name):
            found.append(f"name={self.name!r}: small letters, digits and _, beginning with a letter, at most 64")
        ratios = ("max_shrink_ratio", "max_group_shrink_ratio")
        wrong = [name for name in ratios if not 0 <= getattr(self, name) <= 1]
        found += [f"{name}={getattr(self, name)}: from 0 to 1, such as 0.3 for 30 %" for name in wrong]
        if self.max_growth_ratio < 0:
            found.append(f"max_growth_ratio={self.max_growth_ratio}: 0 or more, such as 1.0 for twice as many")
        if self.max_age_hours is not None and self.max_age_hours <= 0:
            found.append(f"max_age_hours={self.max_age_hours}: more than 0, or None for a directory that never ages")
        return found + [f"reader.{words}" for words in self.reader.wrong()]

    @property
    def max_age_s(self) -> int | None:
        """Maximum age in seconds; None: no limit."""
        return None if self.max_age_hours is None else int(self.max_age_hours * 3_600)

    def group(self, group: str) -> str:
        """Principal of a group of this directory, by the group's id."""
        return f"group:{group}" if self.own_names else f"group:{self.name}/{group}"
