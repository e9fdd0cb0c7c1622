"""moat directory sync, list, remove: for people and as JSON."""

import json
import shutil
from pathlib import Path

import pytest

from moat.ledger import Ledger
from moat.settings import PROJECT
from tests.cli.test_cli import Place

DAG = '''"""Directories. (Airflow DAG)"""
from moat_directories import sync_directories

from include.people.directory import Directory, GroupsFile

sync_directories(Directory(name="okta", reader=GroupsFile(path="okta.yaml")))
'''


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A project that declares one directory, of twelve people in one group."""
    project = tmp_path / "project"
    for folder in ("include", "plugins"):
        shutil.copytree(PROJECT / folder, project / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (project / "dags").mkdir()
    (project / "dags" / "people.py").write_text(DAG)
    Ledger(f"sqlite:///{tmp_path}/home/ledger.db", "default").migrate()
    made = Place(project, tmp_path, {"MOAT_HOME": str(tmp_path / "home")})
    people(made, 12)
    return made


def people(place: Place, n: int) -> None:
    groups = {"staff": [f"user:p{i}@example.com" for i in range(n)]}
    (place.project / "okta.yaml").write_text(json.dumps(groups))


def test_a_directory_is_listed_before_it_was_ever_read(place: Place) -> None:
    assert place.typed("directory", "list", "--json").json == [{"name": "okta", "declared": True, "state": None}]
    assert "never" in place.typed("directory", "list").out


def test_a_sync_shows_what_came_of_it_and_a_hold_ends_with_3(place: Place) -> None:
    done = place.typed("directory", "sync")
    assert done.code == 0, done
    assert "swapped" in done.out
    assert "12 memberships" in done.err
    people(place, 2)
    held = place.typed("directory", "sync", "okta", "--json")
    assert (held.code, held.err) == (3, "")
    (told,) = held.json
    assert (told["directory"], told["outcome"], told["hold"]) == ("okta", "held", 1)
    shown = place.typed("directory", "sync")
    assert shown.code == 3
    assert "`moat access release 1` lets it pass" in shown.out
    (listed,) = place.typed("directory", "list", "--json").json
    assert (listed["state"]["n_memberships"], listed["state"]["error"][:15]) == (12, "held by hold 1:")
    assert "GroupsFile" in place.typed("directory", "list").out


def test_an_unknown_directory_is_told_which_there_are(place: Place) -> None:
    said = place.typed("directory", "sync", "hr")
    assert said.code == 1
    assert "there are okta" in said.err


def test_a_directory_is_removed_when_no_dag_file_declares_it(place: Place) -> None:
    place.typed("directory", "sync")
    refused = place.typed("directory", "remove", "okta")
    assert refused.code == 1
    assert "take it out there first" in refused.err
    (place.project / "dags" / "people.py").unlink()
    assert place.typed("directory", "remove", "okta", "--json").json == {"memberships": 12}
    (listed,) = place.typed("directory", "list", "--json").json
    assert (listed["declared"], listed["state"]["n_memberships"], listed["state"]["max_age_s"]) == (False, 0, None)
    assert "no directory hr" in place.typed("directory", "remove", "hr").err
