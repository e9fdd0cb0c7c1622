"""Access rules: how a source says who may read its documents.

A rule takes the facts that the reader knows of a document and returns Access: a policy, or unknown with
the reason. It never guesses: what it cannot read is unknown.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, runtime_checkable

from moat.access import access_files, lists
from moat.access.access_files import Beside
from moat.access.policy import Access, Policy
from moat.declarations import declared
from moat.errors import AccessUnknown

COLUMN_SEPARATOR, TAG_SEPARATOR = ",", " "
Needs = Literal["nothing", "columns", "tags", "files beside"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a reader knows of a document that may decide its access."""

    path: str
    columns: Mapping[str, object] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class AccessRule(Protocol):
    """A declared rule that derives the access to each document.

    A rule may have a property `names`: names of the columns or tags that it reads. Where the reader says in `gives`
    which ones it has, a wrong name is an error of the declaration.

    Example:
        The outline of a rule of your own, which reads a column:

            @declared
            class Owner:
                needs: ClassVar[Needs] = "columns"

                def judge(self, beside: Beside) -> Callable[[Facts], Access]:
                    return lambda facts: Access(Policy.of([f"user:{facts.columns['owner']}"]))

                def wrong(self) -> list[str]:
                    return []
    """

    @property
    def needs(self) -> Needs:
        """What the reader must offer: `nothing`, `columns`, `tags` or `files beside`."""
        ...

    def judge(self, beside: Beside) -> Callable[[Facts], Access]:
        """Return the function that judges the documents of one listing.

        Args:
            beside: Reads a file beside the documents by its path; None if it does not exist. Raises AccessUnknown
                if it is there and cannot be read.

        Returns:
            A function from the facts of a document to its access. It may raise AccessUnknown. If it has a method
            `notes`, the lines that this returns after a listing are told as progress.
        """
        ...

    def wrong(self) -> list[str]:
        """Validate the declaration.

        Returns:
            What a person must correct, a sentence per error; empty if the declaration is valid.
        """
        ...


@declared
class Groups:
    """Let any of these principals read every document of the source.

    Principals are written `user:ID` or `group:ID`. A bare name is a group.

    Attributes:
        allow: Principals that may read, at least one.
        deny: Principals that may not read, even if they are in `allow`.

    Example:
        Staff without contractors:

            Groups(("staff", "user:ceo@example.com"), deny=("contractors",))
    """

    allow: tuple[str, ...]
    deny: tuple[str, ...] = ()
    needs: ClassVar[Needs] = "nothing"

    def _access(self) -> Access:
        return lists.access(self.allow, self.deny, "group", "Groups")

    def judge(self, beside: Beside) -> Callable[[Facts], Access]:
        """Give every document the same access."""
        access = self._access()
        return lambda facts: access

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        reason = self._access().reason
        if not self.allow:
            return ["allow is empty: nobody could read the source. Name a group, or write Public() if everyone may."]
        return [reason] if reason else []


@declared
class Public:
    """Let every known asker read every document of the source.

    It has no fields; it exists so that public access is always declared on purpose.
    """

    needs: ClassVar[Needs] = "nothing"

    def judge(self, beside: Beside) -> Callable[[Facts], Access]:
        """Give every document public access."""
        access = Access(Policy.of((), public=True))
        return lambda facts: access

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        return []


@declared
class Columns:
    """Read access from columns of the row itself.

    A column holds one principal or several: an array, a JSON array, an array of PostgreSQL as text, or a text
    with `separator` between; `,` and `;` both separate where no other separator is declared. An empty array is
    nobody. NULL, a blank text and whatever is no principal are unknown access, in `deny` as in `allow`; only
    NULL and an empty text in `deny` deny nobody. No value makes a row public.

    Attributes:
        allow: Column of the principals that may read.
        deny: Column of the principals that may not read; None: there is none.
        kind: Kind of a bare value: `group` or `user`.
        separator: Text between principals.

    Example:
        Rows that a team and named people may read:

            Columns(allow="readers", deny="blocked", kind="user", separator=";")
    """

    allow: str
    deny: str | None = None
    kind: Literal["group", "user"] = "group"
    separator: str = COLUMN_SEPARATOR
    needs: ClassVar[Needs] = "columns"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule reads."""
        return (self.allow, self.deny) if self.deny else (self.allow,)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the facts that the rule reads."""
        return self.columns

    def judge(self, beside: Beside) -> Callable[[Facts], Access]:
        """Judge each row by its columns."""
        return self._access

    def _access(self, facts: Facts) -> Access:
        cells = [(name, facts.columns[name]) for name in self.columns]
        return lists.access_in(cells, self.separator, COLUMN_SEPARATOR, self.kind)

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        return [] if self.separator else ["separator is empty"]


@declared
class ObjectTags:
    """Read access from the tags of an S3 object.

    A tag holds one principal or several with `separator` between; spaces, `,` and `;` separate where no other
    separator is declared. Without the tag, with an empty one, or with whatever is no principal, access is
    unknown; without the tag of `deny` nobody is denied.

    Attributes:
        allow: Tag of the principals that may read.
        deny: Tag of the principals that may not read; None: there is none.
        kind: Kind of a bare value: `group` or `user`.
        separator: Text between principals.

    Example:
        Objects with a tag such as `readers=group:legal user:ceo@example.com`:

            ObjectTags(allow="readers")
    """

    allow: str
    deny: str | None = None
    kind: Literal["group", "user"] = "group"
    separator: str = TAG_SEPARATOR
    needs: ClassVar[Needs] = "tags"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the facts that the rule reads."""
        return (self.allow, self.deny) if self.deny else (self.allow,)

    def judge(self, beside: Beside) -> Callable[[Facts], Access]:
        """Judge each object by its tags."""
        return self._access

    def _access(self, facts: Facts) -> Access:
        if self.allow not in facts.tags:
            return Access.unknown(f"no tag {self.allow!r}; it has {', '.join(sorted(facts.tags)) or 'none'}")
        tags = [(name, facts.tags.get(name, "")) for name in (self.allow, self.deny) if name]
        return lists.access_in(tags, self.separator, TAG_SEPARATOR, self.kind)

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        return [] if self.separator else ["separator is empty"]


@declared
class AccessFiles:
    """Read access from a YAML file in each folder; the nearest one upward decides.

        allow: [group:hr, user:ceo@example.com]     # [] is nobody; or  public: true
        deny: [user:temp@example.com]
        inherit: true          # the next file upward must allow the reader, too
        patterns:              # the first that matches the path below this folder decides
          - match: "payroll/*"
            allow: [group:payroll]

    A file that cannot be read, in which a key stands twice, that has no entry for a document, or whose name is
    only nearly right makes access below it unknown; Moat never falls back to a wider file above it. Patterns are
    compared without the differences of case and of Unicode's composition.

    Attributes:
        name: Name of the access files.
    """

    name: str = ".access.yaml"
    needs: ClassVar[Needs] = "files beside"

    def judge(self, beside: Beside) -> "_Nearest":
        """Judge each document by the nearest access file, each read once per listing."""
        return _Nearest(self.name, beside)

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        return [] if self.name and "/" not in self.name else [f"name {self.name!r} is not a file's name"]


class _Nearest:
    """Judges documents by access files, and tells at the end what of them was of no use."""

    def __init__(self, name: str, beside: Beside) -> None:
        self._name, self._files = name, access_files.Files(name, beside)

    def __call__(self, facts: Facts) -> Access:
        try:
            return self._access(facts.path, access_files.above(facts.path))
        except AccessUnknown as error:
            return Access.unknown(str(error))

    def notes(self) -> list[str]:
        """Lines of progress about access files that cannot be read and patterns that matched nothing."""
        return list(self._files.notes())

    def _access(self, path: str, folders: list[str]) -> Access:
        while folders and self._files.of(folders[0]) is None:
            folders = folders[1:]
        if not folders:
            return Access.unknown(f"no {self._name} in its folder or above")
        folder, parts = folders[0], self._files.of(folders[0]) or ()
        where = access_files.short(f"{folder}{self._name}")
        found, says = parts[-1].body, self._files.speaking(folder, path)
        if says is None:
            return Access.unknown(f"{where} has no allow and no pattern for it")
        own = Policy.of(says.get("allow") or (), says.get("deny") or (), public=says.get("public", False))
        if not says.get("inherit", found.get("inherit", False)):
            return Access(own)
        if not folders[1:]:
            return Access.unknown(f"{where} says inherit, and there is no folder above")
        above = self._access(path, folders[1:])
        return Access(own.both(above.policy)) if above.policy else above
