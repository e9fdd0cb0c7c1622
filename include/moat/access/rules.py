"""Access rules: how a source says who may read its documents.

A rule takes the facts that the reader knows of a document and returns Access: a policy, or unknown with
the reason. It never guesses: what it cannot read is unknown.
"""

import fnmatch
import posixpath
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import yaml

from moat.access import strict_yaml
from moat.access.policy import KINDS, Access, Policy
from moat.declarations import declared
from moat.errors import AccessUnknown

Needs = Literal["nothing", "columns", "tags", "files beside"]
Beside = Callable[[str], str | None]  # path of a file beside the documents -> its text, None where absent


@dataclass(frozen=True, slots=True)
class Facts:
    """What a reader knows of a document that may decide its access."""

    path: str
    columns: Mapping[str, object] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class AccessRule(Protocol):
    """A declared rule that derives the access to each document.

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
            beside: Reads a file beside the documents by its path; None if it does not exist.

        Returns:
            A function from the facts of a document to its access. It may raise AccessUnknown.
        """
        ...

    def wrong(self) -> list[str]:
        """Validate the declaration.

        Returns:
            What a person must correct, a sentence per error; empty if the declaration is valid.
        """
        ...


def principals(values: Iterable[object], kind: str) -> list[str]:
    """Turn values into principals; one without `user:` or `group:` in front gets `kind`."""
    texts = [str(value).strip() for value in values]
    return [text if text.partition(":")[0] in KINDS else f"{kind}:{text}" for text in texts]


def _policy(allow: Iterable[str], deny: Iterable[str], where: str) -> Access:
    try:
        return Access(Policy.of(allow, deny))
    except AccessUnknown as error:
        return Access.unknown(f"{where}: {error}")


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
        return _policy(principals(self.allow, "group"), principals(self.deny, "group"), "Groups")

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

    A column holds one principal, several with `separator` between, or an array. NULL or a blank text is
    unknown access; an empty array is nobody. No value makes a row public.

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
    separator: str = ","
    needs: ClassVar[Needs] = "columns"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule reads."""
        return (self.allow, self.deny) if self.deny else (self.allow,)

    def judge(self, beside: Beside) -> Callable[[Facts], Access]:
        """Judge each row by its columns."""
        return self._access

    def _access(self, facts: Facts) -> Access:
        allow = self._values(facts.columns[self.allow])
        if allow is None:
            return Access.unknown(
                f"column {self.allow} is {facts.columns[self.allow]!r}: it names nobody and says nothing"
            )
        value = facts.columns[self.deny] if self.deny else None
        deny = [] if value is None or value == "" else self._values(value)
        if deny is None:
            return Access.unknown(f"column {self.deny} is {value!r}: who is denied cannot be read")
        return _policy(principals(allow, self.kind), principals(deny, self.kind), "columns")

    def _values(self, value: object) -> list[object] | None:
        """Values of a cell; None if it is NULL, blank or no list of values."""
        if value is None or (isinstance(value, float) and value != value):
            return None
        if isinstance(value, str):
            parts = [part.strip() for part in value.split(self.separator)]
            return list(parts) if all(parts) else None
        if isinstance(value, bytes | bytearray | memoryview | Mapping):
            return None  # no list of names: its items would be numbers, or a mapping's keys
        if isinstance(value, Iterable):
            items = list(value)
            return None if any(item is None for item in items) else items
        return [value]

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        return [] if self.separator else ["separator is empty"]


@declared
class ObjectTags:
    """Read access from the tags of an S3 object.

    Without the tag, or with an empty one, access is unknown.

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
    separator: str = " "
    needs: ClassVar[Needs] = "tags"

    def judge(self, beside: Beside) -> Callable[[Facts], Access]:
        """Judge each object by its tags."""
        return self._access

    def _access(self, facts: Facts) -> Access:
        if self.allow not in facts.tags:
            return Access.unknown(f"no tag {self.allow!r}; it has {', '.join(sorted(facts.tags)) or 'none'}")
        allow, deny = (
            facts.tags[self.allow].split(self.separator),
            facts.tags.get(self.deny or "", "").split(self.separator),
        )
        if not all(part.strip() for part in allow):
            return Access.unknown(f"tag {self.allow} is {facts.tags[self.allow]!r}: it names nobody and says nothing")
        return _policy(principals(allow, self.kind), principals(filter(None, deny), self.kind), "tags")

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

    A file that cannot be read, in which a key stands twice, or that has no entry for a document makes its
    access unknown; Moat never falls back to a wider file above it.

    Attributes:
        name: Name of the access files.
    """

    name: str = ".access.yaml"
    needs: ClassVar[Needs] = "files beside"

    def judge(self, beside: Beside) -> Callable[[Facts], Access]:
        """Judge each document by the nearest access file, each read once per listing."""
        parsed: dict[str, Any] = {}

        def entry(folder: str) -> Any:
            """Access file of a folder, None without one, or its error."""
            if folder not in parsed:
                text = beside(posixpath.join(folder, self.name))
                try:
                    parsed[folder] = None if text is None else _checked(strict_yaml.load(text))
                except (yaml.YAMLError, AccessUnknown) as error:
                    parsed[folder] = f"{posixpath.join(folder, self.name)} cannot be read: {error}"
            return parsed[folder]

        def access(path: str, folder: str) -> Access:
            while True:
                found = entry(folder)
                if found is not None:
                    break
                if folder == "":
                    return Access.unknown(f"no {self.name} in its folder or above")
                folder = posixpath.dirname(folder)
            if isinstance(found, str):
                return Access.unknown(found)
            where = posixpath.join(folder, self.name)
            says = _speaks(found, posixpath.relpath(path, folder or "."))
            if says is None:
                return Access.unknown(f"{where} has no allow and no pattern for it")
            own = Policy.of(says.get("allow") or (), says.get("deny") or (), public=says.get("public", False))
            if not says.get("inherit", found.get("inherit", False)):
                return Access(own)
            if folder == "":
                return Access.unknown(f"{where} says inherit, and there is no folder above")
            above = access(path, posixpath.dirname(folder))
            return Access(own.both(above.policy)) if above.policy else above

        return lambda facts: access(facts.path, posixpath.dirname(facts.path))

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        return [] if self.name and "/" not in self.name else [f"name {self.name!r} is not a file's name"]


def _speaks(entry: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """Return the part of an access file that decides for a path below its folder."""
    for pattern in entry.get("patterns", ()):
        if fnmatch.fnmatchcase(path, pattern["match"]):
            return dict(pattern)
    return entry if "allow" in entry or entry.get("public") else None


def _checked(body: Any) -> Mapping[str, Any]:
    """Validate an access file's content. Raises AccessUnknown with its error."""
    if not isinstance(body, dict):
        raise AccessUnknown("it must be a mapping with allow, deny, public, inherit, patterns")
    for part in [body, *_list_of(body, "patterns", dict)]:
        allowed = {"allow", "deny", "public", "inherit"} | ({"patterns"} if part is body else {"match"})
        if strange := set(part) - allowed:
            raise AccessUnknown(
                f"{', '.join(map(repr, sorted(strange, key=str)))} is not one of {', '.join(sorted(allowed))}"
            )
        for name in ("public", "inherit"):
            if not isinstance(part.get(name, False), bool):
                raise AccessUnknown(f"{name} must be true or false, not {reprlib.repr(part[name])}")
        if part is not body and not isinstance(part.get("match"), str):
            raise AccessUnknown("a pattern needs match: a glob")
        if part is not body and "allow" not in part and not part.get("public"):
            raise AccessUnknown(f"pattern {part['match']!r} has no allow")
        Policy.of(_list_of(part, "allow", str), _list_of(part, "deny", str))
    return body


def _list_of(part: Mapping[str, Any], name: str, kind: type) -> list[Any]:
    """A list under `name`, empty if the name is absent.

    `allow:` without a value is an error.
    """
    value = part.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise AccessUnknown(
            f"{name} must be a list of {'texts' if kind is str else 'patterns'}, not {reprlib.repr(value)}"
        )
    return value
