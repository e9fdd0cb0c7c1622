"""The wheel in an environment of its own, in an application that has an `include` of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from moat.settings import PROJECT, Settings
from tests.company import ANN, Company, environment_of
from tests.dagbag import asked_of_airflow

UV = PROJECT / ".venv" / "bin" / "uv"
SHIPPED = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    *(f"requirements{of}.in" for of in ("", "-author", "-door", "-worker")),
)
ASK = """
import json, sys
import include.source  # the application's own
from moat import Bearer, Retriever, Service, Source
from moat.retrieve import Hit

with Retriever.from_settings() as retriever:
    found = retriever.search(*sys.argv[1:3])
    count = retriever.count(sys.argv[2])
print(json.dumps({
    "texts": [hit.text for hit in found], "refused": found.refused, "documents": count.documents,
    "theirs": include.source.OURS, "airflow": any(name.startswith("airflow") for name in sys.modules),
}))
"""


def ran(*command: str | Path, **given: Any) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **given)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of a copy, so that the project's folder stays as it is."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(PROJECT / "include", copy / "include", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in SHIPPED:
        shutil.copy(PROJECT / name, copy)
    ran(UV, "build", "--quiet", "--wheel", "--out-dir", copy / "dist", copy)
    (made,) = (copy / "dist").glob("*.whl")
    return made


def test_the_wheel_holds_the_package_and_nothing_that_could_clash(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"moat"}
    versions = {file.name for file in (PROJECT / "include/moat/ledger/migrations/versions").glob("*.py")}
    assert {name.rpartition("/")[2] for name in names if "/versions/" in name} == versions
    assert {"moat/py.typed", "moat/door/page.html", "moat/ledger/migrations/env.py", "moat/testing/plugin.py"} <= set(
        names
    )


DECLARE = """
from moat.errors import IndexUnavailable
from moat import Columns, Groups, LocalFiles, Retriever, Source, WarehouseRows
from moat.index.store import WeaviateStore
from moat.ledger import Ledger
from moat.settings import Settings

assert Source(name="docs", reader=LocalFiles("x"), access=Groups(("staff",)))
ledger = Ledger("sqlite:///ledger.db", "default")
ledger.migrate()
with ledger.read() as connection:
    print(connection.exec_driver_sql("SELECT count(*) FROM source").scalar_one())
try:
    WeaviateStore.open(Settings.model_validate({"weaviate_port": 1}), "reader")
except IndexUnavailable:
    print("mapped")
"""
RANGE = re.compile(r"([\w.-]+)(?:\[\w+\])?>=([\w.]+),<\d+")


@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_asking_works_at_both_ends_of_its_version_ranges(wheel: Path, end: str, tmp_path: Path) -> None:
    ran(UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "bare")
    python, constraints = tmp_path / "bare" / "bin" / "python", tmp_path / "constraints.txt"
    ranges = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    bounds = [found for found in map(RANGE.fullmatch, ranges) if found]
    assert len(bounds) == len(ranges), "each has a lowest version and an end"
    constraints.write_text("".join(f"{b[1]}=={b[2]}\n" for b in bounds) if end == "lowest" else "")
    ran(UV, "pip", "install", "--quiet", "--python", python, "--constraint", constraints, wheel)
    said = ran(python, "-c", DECLARE, cwd=tmp_path, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
    assert said.split() == ["0", "mapped"]
    command = subprocess.run([python.with_name("moat"), "--help"], capture_output=True, text=True, check=False)
    assert "pip install 'moat[author]'" in command.stderr
    there = json.loads(ran(UV, "pip", "list", "--python", python, "--format", "json"))
    assert not {"apache-airflow", "torch"} & {one["name"] for one in there}


def test_an_application_asks_through_it_beside_its_own_include(
    wheel: Path, company: Company, served: Settings, tmp_path: Path
) -> None:
    company.run()
    bare, app = tmp_path / "bare", tmp_path / "app"
    ran(UV, "venv", "--quiet", "--python", sys.executable, bare)
    pins = ("--constraint", PROJECT / "requirements.txt")
    ran(UV, "pip", "install", "--quiet", "--python", bare / "bin" / "python", *pins, wheel)
    (app / "include").mkdir(parents=True)
    (app / "include" / "__init__.py").touch()
    (app / "include" / "source.py").write_text("OURS = 'the application has an include of its own'\n")
    (app / "ask.py").write_text(ASK)
    mine = {
        name: os.environ[name] for name in ("PATH", "XDG_RUNTIME_DIR")
    }  # of the same user, who has the embedder's key
    env = {**mine, **environment_of(served, "reader")}  # and nothing else of this process's
    out = ran(bare / "bin" / "python", "ask.py", "How long is parental leave?", ANN, cwd=app, env=env)
    answer = json.loads(out.strip().splitlines()[-1])
    assert answer["refused"] is None
    assert answer["texts"][0] == "Parental leave lasts twenty weeks."
    assert answer["documents"] == 2
    assert answer["theirs"] == "the application has an include of its own"
    assert answer["airflow"] is False


READ = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
from moat.dagfile import declared
from moat.settings import PROJECT

folder = sys.argv[1]
bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
found = declared()
print("ANSWER" + json.dumps({
    "errors": {Path(file).name: error for file, error in bag.import_errors.items()}, "dags": sorted(bag.dags),
    "project": str(PROJECT), "sources": sorted(found.sources), "broken": [str(one) for one in found.broken.values()],
}))
"""


def test_an_airflow_with_an_include_and_plugins_of_its_own_takes_moat_beside_them(wheel: Path, tmp_path: Path) -> None:
    project, dags, plugins = tmp_path / "theirs", tmp_path / "theirs" / "dags", tmp_path / "theirs" / "plugins"
    for folder in (dags, plugins, project / "include"):
        folder.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:  # as installing it does
        archive.extractall(tmp_path / "site")
    (project / "include" / "__init__.py").touch()
    (project / "include" / "source.py").write_text("OURS = 'etl'\n")
    (plugins / "theirs.py").write_text("from include.source import OURS\n")
    for file in (PROJECT / "plugins").glob("moat_*.py"):
        shutil.copy(file, plugins)
    for name in ("ingest", "sync_access", "held_access", "anchor_audit", "reconcile", "replay_quarantine"):
        shutil.copy(PROJECT / "dags" / f"{name}.py", dags)
    (dags / "etl.py").write_text(
        "import theirs\nfrom airflow.sdk import DAG\nfrom include.source import OURS\n\nwith DAG(OURS):\n    pass\n"
    )
    page = (PROJECT / "docs" / "adopt.md").read_text("utf-8")
    (dags / "policies.py").write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0])
    answer = asked_of_airflow(
        READ,
        project,
        str(dags),
        PYTHONPATH=f"{tmp_path / 'site'}:{project}",
        AIRFLOW__CORE__PLUGINS_FOLDER=str(plugins),
    )
    own = ["anchor_audit", "etl", "held_access", "policies", "reconcile", "replay_quarantine", "sync_access"]
    assert (answer["errors"], answer["dags"]) == ({}, own)
    assert (answer["project"], answer["sources"], answer["broken"]) == (str(project), ["policies"], [])
