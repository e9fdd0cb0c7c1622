"""What every reader of groups must keep, as tests.

A new kind of directory gets the suite for one fixture:

    from moat.testing.directory import Company, DirectoryContract

    class TestMyReader(DirectoryContract):
        @pytest.fixture
        def people(self) -> Company: ...   # how to fill the real directory
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from moat.connections import Connections
from moat.directories.reader import DirectoryGroup, DirectoryReader, DirectoryReading
from moat.errors import MoatError

ANN, BOB, ZOE = "user:ann@example.com", "user:bob@example.com", "user:zoë@example.com"


@dataclass(kw_only=True)
class Company:
    """A real directory, as a test fills it: `put` makes its groups exactly these, by their names."""

    reader: DirectoryReader
    connections: Connections
    project: Path
    put: Callable[[Mapping[str, Sequence[str]]], None]
    break_listing: Callable[[], None]  # the next reading fails after it has begun
    ids: dict[str, str] = field(default_factory=dict)  # of groups, where the directory gives them itself

    def groups(self) -> list[DirectoryGroup]:
        """The groups as the reader gives them."""
        lines: list[str] = []
        return list(self.reader.read(DirectoryReading("tested", self.connections, self.project, lines.append)))

    def read(self) -> dict[str, set[str]]:
        """Groups with their members, all by the names that the test gave them."""
        names = {id: name for name, id in self.ids.items()}

        def named(member: str) -> str:
            kind, _, id = member.partition(":")
            return f"group:{names.get(id, id)}" if kind == "group" else member

        return {names.get(g.id, g.id): {named(m) for m in g.members} for g in self.groups()}


class DirectoryContract:
    """Put groups of ann, bob and zoë through a reader of a real directory."""

    def test_it_reads_every_group_once_with_its_members(self, people: Company) -> None:
        people.put({"staff": [ANN, BOB], "legal": [BOB]})
        assert people.read() == {"staff": {ANN, BOB}, "legal": {BOB}}
        assert len(people.groups()) == 2

    def test_reading_twice_gives_the_same(self, people: Company) -> None:
        people.put({"staff": [ANN, BOB], "legal": [BOB, "group:staff"]})
        assert people.groups() == people.groups()

    def test_more_than_ten_groups_come_all(self, people: Company) -> None:
        people.put({f"g{i:02}": [ANN] for i in range(23)})
        assert people.read() == {f"g{i:02}": {ANN} for i in range(23)}

    def test_a_person_may_be_in_more_than_ten_groups_and_a_group_hold_more_than_ten_people(
        self, people: Company
    ) -> None:
        many = [f"user:p{i}@example.com" for i in range(37)]
        people.put({"staff": many, **{f"g{i}": [ANN] for i in range(12)}})
        assert people.read()["staff"] == set(many)

    def test_groups_may_be_nested_to_any_depth(self, people: Company) -> None:
        chain = {f"g{i}": [f"group:g{i + 1}"] for i in range(12)}
        people.put({**chain, "g12": [ANN]})
        found = people.read()
        assert all(found[f"g{i}"] == {f"group:g{i + 1}"} for i in range(12))
        assert found["g12"] == {ANN}

    def test_groups_may_hold_each_other_in_a_circle(self, people: Company) -> None:
        people.put({"a": ["group:b"], "b": ["group:c"], "c": ["group:a", ANN]})
        assert people.read() == {"a": {"group:b"}, "b": {"group:c"}, "c": {"group:a", ANN}}

    def test_an_empty_group_is_a_group(self, people: Company) -> None:
        people.put({"staff": [ANN], "nobody": []})
        assert people.read() == {"staff": {ANN}, "nobody": set()}

    def test_names_may_be_in_any_script(self, people: Company) -> None:
        people.put({"staff": [ANN, ZOE], "größe": [ZOE]})
        assert people.read() == {"staff": {ANN, ZOE}, "größe": {ZOE}}

    def test_a_member_who_leaves_is_out_at_the_next_reading(self, people: Company) -> None:
        people.put({"staff": [ANN, BOB]})
        people.read()
        people.put({"staff": [BOB]})
        assert people.read() == {"staff": {BOB}}

    def test_a_listing_that_breaks_off_raises_and_names_the_directory(self, people: Company) -> None:
        people.put({f"g{i:02}": [ANN] for i in range(23)})
        people.break_listing()
        with pytest.raises(MoatError, match="directory tested"):
            people.groups()
