"""Groups in a file of the project, YAML or CSV, that people edit."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moat.access.policy import KINDS, canonical, without_kind
from moat.declarations import declared
from moat.directories.reader import DirectoryGroup, DirectoryReading
from moat.errors import AccessUnknown, FatalError

ENDINGS = (".yaml", ".yml", ".csv")


@declared
class GroupsFile:
    """Read groups from a YAML or CSV file of the project.

    YAML maps each group to a list of its members, `user:ID` or `group:ID`. CSV has the columns `group` and
    `member`, and optionally `kind` (`user` or `group`) of the member; a row without a member is an empty
    group. Anything that cannot be read rejects the whole file, with its line.

    Attributes:
        path: Path of the file, relative to the project, ending in .yaml, .yml or .csv.

    Example:
        The company's own groups:

            Directory(name="company", reader=GroupsFile("include/samples/groups.yaml"), own_names=True)
    """

    path: str

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        if self.path.endswith(ENDINGS):
            return []
        return [f"path={self.path!r}: a file of groups ends in {', '.join(ENDINGS)}"]

    def read(self, reading: DirectoryReading) -> Iterator[DirectoryGroup]:
        """Yield every group of the file. Raises FatalError, with the line of what is wrong."""
        file = Path(reading.project, self.path)
        try:
            text = file.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise FatalError(f"directory {reading.directory}: {file} cannot be read: {error}") from error
        where = f"directory {reading.directory}: {file}"
        yield from _from_csv(text, where) if file.suffix == ".csv" else groups_in_yaml(text, where)


def groups_in_yaml(text: str, where: str) -> Iterator[DirectoryGroup]:
    """Yield the groups of a YAML text, each a list of its members.

    Names are taken as they are written: `no` and `on` are groups, not truth values.

    Args:
        text: The YAML, which maps `NAME` or `group:NAME` to `user:ID` and `group:ID`.
        where: What is read, for messages.

    Yields:
        The groups, in their order.

    Raises:
        FatalError: It is no YAML, a group stands twice, or a name cannot be read; with the line.
    """
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)  # nodes, for their lines and for repeated keys
    except yaml.YAMLError as error:
        raise FatalError(f"{where} cannot be read: it is no YAML: {error}") from error
    except RecursionError:
        raise FatalError(f"{where} cannot be read: it nests too deep") from None
    if not isinstance(root, yaml.MappingNode):
        raise FatalError(f"{where} must map each group to a list of its members; {{}} where there are none")
    lines: dict[str, int] = {}
    for key, value in root.value:
        at = _line(key)
        if not isinstance(key, yaml.ScalarNode):
            raise FatalError(f"{where}, line {at}: a group's id must be a text")
        group = without_kind(key.value, "group")
        if group.lower().startswith("user:"):
            raise FatalError(f"{where}, line {at}: {group} is no group; groups have members, people have none")
        if group in lines:
            raise FatalError(
                f"{where}, line {at}: group {group} is there already, in line {lines[group]}; merge the two"
            )
        lines[group] = at
        _checked(f"group:{group}", f"{where}, line {at}")
        if not isinstance(value, yaml.SequenceNode):
            raise FatalError(f"{where}, line {at}: group {group} needs a list of its members; [] where it has none")
        yield DirectoryGroup(
            group, tuple(_member(node, f"{where}, line {_line(node)}, group {group}") for node in value.value)
        )


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


def _member(node: Any, where: str) -> str:
    return _checked(node.value if isinstance(node.value, str) else repr(node.value), where)


def _checked(principal: str, where: str) -> str:
    """Return a principal unchanged if it can be read. Raises FatalError."""
    try:
        canonical(principal)
    except AccessUnknown as error:
        raise FatalError(f"{where}: {error}") from error
    return principal


def _from_csv(text: str, where: str) -> Iterator[DirectoryGroup]:
    rows = csv.DictReader(text.splitlines(keepends=True), strict=True)
    if missing := {"group", "member"} - set(rows.fieldnames or ()):
        raise FatalError(f"{where} has no column {' and no column '.join(sorted(missing))}; its first line names them")
    if twice := [name for name, n in Counter(rows.fieldnames or ()).items() if n > 1]:
        raise FatalError(f"{where}, line 1: column {twice[0]} is there twice; keep one of them")
    groups: dict[str, list[str]] = {}
    try:
        for row in rows:
            at = f"{where}, line {rows.line_num}"
            if None in row or None in row.values():
                raise FatalError(f"{at}: it has another number of columns than the first line")
            group = without_kind(row["group"], "group")
            _checked(f"group:{group}", at)
            members = groups.setdefault(group, [])
            if row["member"]:
                members.append(_checked(_of_kind(row["member"], row.get("kind"), at), at))
    except csv.Error as error:
        raise FatalError(f"{where}, line {rows.line_num} is no CSV: {error}") from error
    yield from (DirectoryGroup(group, tuple(members)) for group, members in groups.items())


def _of_kind(member: str, kind: str | None, where: str) -> str:
    if kind is None:
        return member
    if kind not in KINDS:
        raise FatalError(f"{where}: kind is {kind!r}; it must be user or group")
    return f"{kind}:{without_kind(member, kind)}"
