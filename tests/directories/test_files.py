"""Groups in a file: the contract in both forms, and what a person is told who mistyped."""

import csv
from pathlib import Path

import pytest

from moat.connections import EnvironmentConnections
from moat.directories.directory import Directory, GroupsFile
from moat.directories.reader import DirectoryGroup, DirectoryReading
from moat.errors import FatalError
from tests.contracts.directory import ANN, BOB, Company, DirectoryContract


def company(file: Path) -> Company:
    def put(groups: object) -> None:
        assert isinstance(groups, dict)
        if file.suffix == ".csv":
            with file.open("w", encoding="utf-8", newline="") as out:
                rows = csv.writer(out)
                rows.writerow(["group", "member"])
                rows.writerows((group, who) for group, members in groups.items() for who in members or [""])
        else:
            lines = (f"{group}: [{', '.join(repr(m) for m in members)}]\n" for group, members in groups.items())
            file.write_text("".join(lines) or "{}", "utf-8")

    def cut() -> None:
        file.write_bytes(file.read_bytes()[:-3] + (b', "x' if file.suffix == ".csv" else b""))

    return Company(
        reader=GroupsFile(path=file.name),
        connections=EnvironmentConnections({}),
        project=file.parent,
        put=put,
        break_listing=cut,
    )


class TestYaml(DirectoryContract):
    @pytest.fixture
    def people(self, tmp_path: Path) -> Company:
        return company(tmp_path / "groups.yaml")


class TestCsv(DirectoryContract):
    @pytest.fixture
    def people(self, tmp_path: Path) -> Company:
        return company(tmp_path / "groups.csv")


def read(file: Path, text: str) -> list[DirectoryGroup]:
    file.write_text(text, "utf-8")
    return list(GroupsFile(path=file.name).read(DirectoryReading("hr", EnvironmentConnections({}), file.parent, print)))


def test_a_group_may_be_written_with_its_kind_in_front(tmp_path: Path) -> None:
    found = read(tmp_path / "g.yaml", f"group:staff: ['{ANN}']\nlegal: ['{BOB}']\n")
    assert [g.id for g in found] == ["staff", "legal"]


def test_kinds_are_read_in_any_case(tmp_path: Path) -> None:
    found = read(tmp_path / "g.csv", "group,member,kind\nGroup:staff,User:ann@example.com,user\n")
    assert found == [DirectoryGroup("staff", (ANN,))]
    assert [g.id for g in read(tmp_path / "g.yaml", f"Group:staff: ['{ANN}']\n")] == ["staff"]


def test_names_that_yaml_takes_for_truth_or_numbers_are_names(tmp_path: Path) -> None:
    found = read(tmp_path / "g.yaml", f"on: ['{ANN}']\nno: []\n007: []\n1.10: []\n2026-01-01: []\n")
    assert [g.id for g in found] == ["on", "no", "007", "1.10", "2026-01-01"]


def test_a_column_may_say_what_a_member_is(tmp_path: Path) -> None:
    found = read(tmp_path / "g.csv", "group,member,kind\nstaff,ann@example.com,user\nstaff,legal,group\nlegal,,user\n")
    assert found == [DirectoryGroup("staff", (ANN, "group:legal")), DirectoryGroup("legal", ())]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("g.yaml", "", ["must map each group"]),
        ("g.yaml", "- staff\n", ["must map each group"]),
        ("g.yaml", "staff: [\n", ["is no YAML", "line"]),
        ("g.yaml", f"staff: ['{ANN}']\nlegal:\n", ["line 2", "group legal needs a list", "[]"]),
        ("g.yaml", f"staff: ['{ANN}']\nlegal:\n  - ann\n", ["line 3", "group legal", "'ann' has no kind"]),
        ("g.yaml", f"staff: ['{ANN}']\nstaff: []\n", ["line 2", "group staff is there already, in line 1"]),
        ("g.yaml", "staff: [{user: ann}]\n", ["line 1", "group staff"]),
        ("g.yaml", "the staff: []\n", ["line 1", "U+0020"]),
        ("g.yaml", f"staff: ['{ANN}']\ngroup:staff: []\n", ["line 2", "group staff is there already, in line 1"]),
        ("g.yaml", f"staff: ['{ANN}']\n'staff': []\n", ["line 2", "group staff is there already, in line 1"]),
        ("g.yaml", "user:ann: []\n", ["line 1", "user:ann is no group"]),
        ("g.yaml", f"staff: ['{ANN}', null]\n", ["line 1", "group staff", "no kind"]),
        ("g.yaml", f"a: &a ['{ANN}']\nb: {{<<: *a}}\n", ["line 2", "group b needs a list"]),
        ("g.yaml", "staff: []\n---\nlegal: []\n", ["is no YAML", "line 2"]),
        ("g.yaml", "staff: " + "[" * 5_000, ["nests too deep"]),
        ("g.csv", "group,member,group\nstaff,user:a,legal\n", ["line 1", "column group is there twice"]),
        ("g.csv", "", ["no column group and no column member"]),
        ("g.csv", "group,who\n", ["no column member"]),
        ("g.csv", "group,member\nstaff,ann@example.com\n", ["line 2", "has no kind"]),
        ("g.csv", "group,member,kind\nstaff,ann,boss\n", ["line 2", "'boss'", "user or group"]),
        ("g.csv", f"group,member\nstaff,{ANN},x\n", ["line 2", "another number of columns"]),
        ("g.csv", "group,member\nstaff\n", ["line 2", "another number of columns"]),
        ("g.csv", f"group,member\n,{ANN}\n", ["line 2", "no name"]),
    ],
)
def test_whatever_cannot_be_read_refuses_the_file_and_names_the_line(
    name: str, text: str, words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(FatalError) as error:
        read(tmp_path / name, text)
    for word in ["directory hr", name, *words]:
        assert word in str(error.value)


def test_a_file_that_is_not_there_names_itself(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"directory hr: .*no\.yaml cannot be read"):
        list(GroupsFile(path="no.yaml").read(DirectoryReading("hr", EnvironmentConnections({}), tmp_path, print)))


def test_a_wrong_declaration_names_the_directory_and_every_field() -> None:
    with pytest.raises(FatalError) as error:
        Directory(name="HR", reader=GroupsFile(path="groups.txt"), max_shrink_ratio=3, max_age_hours=0)
    for word in ("directory 'HR'", "name='HR'", "reader.path='groups.txt'", "max_shrink_ratio=3", "max_age_hours=0"):
        assert word in str(error.value)
