"""`moat source new` writes a DAG file that is right as it stands, and says what is still to do."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from moat.cli import app, new_source
from moat.connections import EnvironmentConnections
from moat.dagfile import sources_in
from moat.settings import Settings
from moat.source import Groups, LocalFiles, S3Objects, WarehouseRows

STAFF = Groups(("staff",))


@pytest.fixture
def dags(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project" / "dags"
    folder.mkdir(parents=True)
    monkeypatch.setattr(new_source, "DAGS", folder)
    monkeypatch.setattr(new_source, "connections", EnvironmentConnections)  # Airflow's take seconds to import
    monkeypatch.setenv("MOAT_HOME", str(settings.home))
    return folder


def new(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["source", "new", *words, "--group", "staff"])
    return done.exit_code, f"{done.output} {done.exception or ''}"


def test_each_kind_is_written_so_that_it_can_be_run(dags: Path, tmp_path: Path) -> None:
    docs = tmp_path / "d'ocs"
    docs.mkdir()
    (docs / "a.md").write_text("# A")
    code, said = new("policies", "--kind", "folder", "--at", str(docs), "--json")
    assert code == 0, said
    (row,) = json.loads(said.strip())["found"]
    assert "1 documents, a.md can be read" in row["found"]
    code, said = new("contracts", "--kind", "s3", "--at", "s3://legal/signed/")
    assert (code, "to do: source contracts" in said, "contracts_s3" in said) == (0, True, True), said
    assert new("tickets", "--kind", "rows", "--at", "public.tickets", "--conn", "dwh")[0] == 0
    readers = [sources_in(dags / f"{name}.py")[0].reader for name in ("policies", "contracts", "tickets")]
    patterns = ("*.md", "*.docx", "*.pdf")
    assert readers[:2] == [LocalFiles(str(docs), patterns), S3Objects("contracts_s3", "legal", "signed/", patterns)]
    assert isinstance(readers[2], WarehouseRows)
    assert (readers[2].conn_id, readers[2].text) == ("dwh", "# {title}\n\n{body}")
    assert "FROM public.tickets" in (dags / "sql" / "tickets.sql").read_text()
    assert all(sources_in(file)[0].access == STAFF for file in dags.glob("*.py"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("Policies!", "--kind", "folder", "--at", "x"), "name='Policies!': small letters"),
        (("there", "--kind", "folder", "--at", "x"), "other.py is there already"),
        (("tickets", "--kind", "s3", "--at", ""), "bucket is empty"),
    ],
)
def test_nothing_is_written_that_would_be_wrong_or_in_the_way(dags: Path, words: tuple[str, ...], said: str) -> None:
    (dags / "other.py").write_text("from ingest import ingest\nname='there'\n")
    code, told = new(*words)
    assert (code, said in told) == (1, True), told
    assert [file.name for file in dags.iterdir()] == ["other.py"]
