"""The DAG sync_directory as Airflow reads it, and run by Airflow: what passes, what is held, what cannot be read."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from moat.dagfile import all_directories, directory_named
from moat.directories.directory import Directory, GroupsFile
from moat.errors import DeclarationError
from moat.ledger import Ledger, holds
from moat.ledger.members import directories, memberships
from moat.local import samples
from moat.settings import PROJECT

TRY = """
import json, sys
from pathlib import Path
folder, files = sys.argv[1], json.loads(sys.argv[2])
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.dagbag import BundleDagBag
bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
assert not bag.import_errors, bag.import_errors
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import select
runs = []
for step in files:
    for name, text in step.items():
        Path(name).write_text(text)
    run = bag.dags["sync_directory"].test()
    with create_session() as session:
        asked = sorted(session.scalars(select(DagRun.run_id).where(DagRun.dag_id == "held_access")))
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    runs.append({"state": run.state.value, "tasks": states, "asked": asked})
print("ANSWER" + json.dumps(runs))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of its own whose DAG file declares two directories."""
    made = tmp_path / "project"
    for folder in ("include", "plugins"):
        shutil.copytree(PROJECT / folder, made / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (made / "dags").mkdir()
    shutil.copy(PROJECT / "dags" / "held_access.py", made / "dags")
    (made / "dags" / "sync_directory.py").write_text(
        '"""Directories. (Airflow DAG)"""\nfrom moat_directories import sync_directories\n'
        "from include.people.directory import Directory, GroupsFile\n"
        'sync_directories(Directory(name="okta", reader=GroupsFile(path="okta.yaml")), '
        'Directory(name="hr", reader=GroupsFile(path="hr.yaml"), own_names=True))\n'
    )
    return made


def test_airflow_swaps_what_is_sound_holds_what_is_not_and_asks_once(
    project: Path, asked_of_airflow: Any, tmp_path: Path
) -> None:
    many = {"staff": [f"user:p{i}@example.com" for i in range(12)]}
    okta, hr = str(project / "okta.yaml"), str(project / "hr.yaml")
    steps = [
        {okta: json.dumps(many), hr: '{"everyone": ["group:okta/staff"]}'},
        {okta: json.dumps({"staff": ["user:p1@example.com"]})},
        {},
        {okta: "staff: ["},
    ]
    home = tmp_path / "moat"
    Ledger(f"sqlite:///{home}/ledger.db", "default").migrate()
    first, held, again, broken = asked_of_airflow(
        TRY,
        tmp_path,
        str(project / "dags"),
        json.dumps(steps),
        MOAT_HOME=str(home),
        PYTHONPATH=os.pathsep.join(
            str(f) for f in (project, *(project / part for part in ("include", "plugins", "dags")))
        ),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(project / "plugins"),
    )
    assert first == {"state": "success", "tasks": {"okta": "success", "hr": "success"}, "asked": []}
    assert held == {"state": "failed", "tasks": {"okta": "failed", "hr": "success"}, "asked": ["hold-1"]}
    assert again == held, "the same hold asks nobody twice, and does not keep the other directory back"
    assert broken == held
    ledger = Ledger(f"sqlite:///{home}/ledger.db", "default")
    assert len(memberships(ledger, "okta")[1]) == 12
    states = {state.name: state for state in directories(ledger)}
    assert "okta.yaml cannot be read" in (states["okta"].error or "")
    assert (states["hr"].error, states["hr"].max_age_s) == (None, 86_400)
    assert holds.get(ledger, 1).subject == "okta"
    ledger.close()


@pytest.fixture(scope="module")
def shipped(dag_bags: Any) -> Any:
    return dag_bags["shipped"]


def test_the_shipped_dag_has_a_task_for_every_directory_and_imports_no_directorys_library(shipped: Any) -> None:
    dag = shipped["dags"]["sync_directory"]
    assert set(dag["tasks"]) == set(all_directories().directories)
    task = dag["tasks"]["samples"]
    assert task["name"] == "people and groups of samples"
    assert task["policy"] == [["moat.errors.FatalError", "fail"], ["moat.errors.RetriableError", "retry"]]
    assert (dag["schedule"], dag["catchup"], dag["at_once"]) == (True, False, 1)
    assert {"ldap3", "httpx", "sqlalchemy"} & set(shipped["loaded"]) == set()


def test_the_sample_company_is_declared_and_found_without_airflow() -> None:
    assert directory_named("samples") == Directory(
        name="samples",
        description="Tidewater Freight: its groups bear the company's own names, such as group:people-team",
        reader=GroupsFile(path="include/samples/groups.yaml"),
        own_names=True,
    )


def test_make_run_brings_the_sample_companys_groups_by_the_declared_directory(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "_bucket", lambda connections: None)
    monkeypatch.setattr(samples, "_warehouse", lambda file: None)
    samples.bring(tmp_path, None, ledger)  # type: ignore[arg-type]  # a file needs no connection
    (state,) = directories(ledger)
    assert (state.name, state.n_groups, state.max_age_s) == ("samples", 10, 86_400)
    assert ("group:legal", "user:alice.martins@example.com") in memberships(ledger, "samples")[1]


def test_an_unknown_directory_is_told_which_there_are() -> None:
    with pytest.raises(DeclarationError, match="declares directory 'okta'; there are samples"):
        directory_named("okta")


def test_a_wrong_declaration_keeps_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "people.py").write_text(
        "from moat_directories import sync_directories\nfrom include.people.directory import *\n"
        "sync_directories(Directory(name='okta', reader=GroupsFile(path='g.yaml'), max_shrink=1))\n"
    )
    (tmp_path / "others.py").write_text(
        "from moat_directories import sync_directories\nfrom include.people.directory import *\n"
        "sync_directories(Directory(name='entra', reader=GroupsFile(path='g.yaml')))\n"
    )
    found = all_directories(tmp_path)
    assert list(found.directories) == ["entra"], "a broken file takes no other one down"
    assert re.search(r"directory 'okta': max_shrink: .*Did you mean max_shrink_ratio", str(found.broken["people.py"]))
