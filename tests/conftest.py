"""What tests share: real servers, started when a test first asks for one, and a state folder per test."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

PROJECT = Path(__file__).resolve().parents[1]
# Before anything imports Airflow: a home of its own, thrown away at the end.
_airflow_home = tempfile.TemporaryDirectory(prefix="moat-airflow-")
os.environ.update(
    AIRFLOW_HOME=_airflow_home.name,
    AIRFLOW__CORE__DAGS_FOLDER=str(PROJECT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(PROJECT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__OPENLINEAGE__DISABLED="True",
    AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
    DO_NOT_TRACK="1",
    SCARF_NO_ANALYTICS="1",
    HF_HUB_OFFLINE="1",
    XDG_RUNTIME_DIR=os.environ.get("XDG_RUNTIME_DIR") or _airflow_home.name,
)
for _name in [n for n in os.environ if n.startswith("MOAT_")]:
    del os.environ[_name]  # a test sees the settings that it makes, whatever the shell has
_home = tempfile.TemporaryDirectory(prefix="moat-home-")
os.environ["MOAT_HOME"] = _home.name
for _folder in (PROJECT, PROJECT / "include", PROJECT / "dags", PROJECT / "plugins"):
    sys.path.insert(0, str(_folder))

from tests import servers  # noqa: E402

# A run says the same of the same code. `pytest --hypothesis-profile default` looks for new examples.
hypothesis.settings.register_profile("repeatable", derandomize=True)
hypothesis.settings.load_profile("repeatable")

if TYPE_CHECKING:  # imported where they are needed: a test that needs no ledger pays for none
    from moat.index.store import WeaviateStore
    from moat.ledger import Ledger
    from moat.records import Document
    from moat.runtime import Runtime
    from moat.settings import Settings
    from tests.company import Company

SHARED = Path(os.environ.get("SHARED_DATA", PROJECT.parent / "shared" / "data"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="Run the proofs of quality and trust on all of their data.")
    parser.addoption("--sweep", type=int, default=20_000, help="Fewest checks that the leak sweep makes.")
    parser.addoption(
        "--no-shrink", action="store_true", help="Show the state machine's first failing example as it is."
    )


# Minutes each: begun first, so that nothing long is left when one of two processes has nothing more to do.
SLOW = (
    "tests/proofs/e2e",
    "tests/proofs/access/test_machine",
    "tests/proofs",
    "tests/stages",
    "tests/checks",
)
# What a test needs, by the fixture through which it asks for it. `-m "not server"` leaves those that need none.
NEEDS = {
    "weaviate_server": "weaviate",
    "embedder_server": "embedder",
    "s3_server": "s3",
    "postgres_server": "postgres",
    "asked_of_airflow": "airflow",
    "binaries": "programs",
    "ldap_server": "ldap",
    "scim_server": "scim",
    "embedder_home": "embedder",
    "in_process": "model",
    "place": "programs",
    "toy": "programs",
    "child": "programs",
}
POSTGRES = {"postgresql", "postgres"}  # parameters of fixtures that ask for its server by themselves


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((i for i, name in enumerate(SLOW) if item.nodeid.startswith(name)), len(SLOW)))
    for item in items:
        needs = {need for fixture, need in NEEDS.items() if fixture in getattr(item, "fixturenames", ())}
        given = getattr(item, "callspec", None)
        if given and POSTGRES & {value for value in given.params.values() if isinstance(value, str)}:
            needs.add("postgres")
        for need in (*sorted(needs), *(["server"] if needs else [])):
            item.add_marker(need)


_servers: servers.Servers | None = None


def pytest_configure(config: pytest.Config) -> None:
    global _servers
    if not hasattr(config, "workerinput"):  # the process that the run began with
        _servers = servers.Servers()


def pytest_unconfigure(config: pytest.Config) -> None:
    if _servers is not None and not hasattr(config, "workerinput"):
        _servers.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real test data; tests that need it skip where it is missing."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not there; it holds real data that does not come with the project")
    return SHARED


@pytest.fixture(scope="session")
def binaries() -> Path:
    return PROJECT / ".moat" / "bin"


@pytest.fixture(scope="session")
def weaviate_server(warm_parser: None) -> Settings:
    """A real Weaviate; the settings lead to it with the three keys."""
    from moat.settings import Settings

    return Settings.model_validate(servers.asked("weaviate"))


@pytest.fixture(scope="session")
def s3_server() -> str:
    """A real S3 server; its endpoint. The keys are moat / moat-secret."""
    return str(servers.asked("s3"))


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """A real PostgreSQL; the URI of its first database."""
    return str(servers.asked("postgres"))


@pytest.fixture
def postgres_database(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database of the test's own, for a ledger on the real PostgreSQL."""
    with _empty_database(postgres_server) as url:
        yield url


@pytest.fixture
def another_postgres_database(postgres_server: str) -> Iterator[str]:
    """A second empty database, to bring a copy into."""
    with _empty_database(postgres_server) as url:
        yield url


@contextlib.contextmanager
def _empty_database(postgres_server: str) -> Iterator[str]:
    from sqlalchemy import create_engine, text

    uri, name = postgres_server.replace("postgresql://", "postgresql+psycopg2://"), f"l{uuid.uuid4().hex}"
    admin = create_engine(uri, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield uri.replace("/postgres?", f"/{name}?")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(scope="session")
def embedder_server() -> int:
    """The resident embedder with the real model; its port."""
    return int(servers.asked("embedder"))


@pytest.fixture(scope="session")
def asked_of_airflow() -> Callable[..., Any]:
    """A function that runs some Python in a fresh process with Airflow's paths, as a task has them."""
    from tests.dagbag import asked_of_airflow

    return asked_of_airflow


@pytest.fixture(scope="session")
def dag_bags(asked_of_airflow: Callable[..., Any]) -> Any:
    """What Airflow has read of the shipped DAG files and of made-up ones."""
    return servers.asked("dag bags")


@pytest.fixture(scope="session")
def warm_parser() -> Iterator[None]:
    """One parser for all runs of this process, as it is one for all documents of a run: it takes seconds to start."""
    from moat.parse.sandbox import Sandbox

    kept: dict[tuple[float, ...], Sandbox] = {}

    def sandbox(settings: Settings) -> contextlib.AbstractContextManager[Sandbox]:
        limits = (settings.parse_memory_mb, settings.parse_timeout_s, settings.parse_output_mb)
        return contextlib.nullcontext(kept.setdefault(limits, Sandbox(settings)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("moat.stages.prepare.Sandbox", sandbox)
        yield
    for one in kept.values():
        one.__exit__(None, None, None)


@pytest.fixture
def s3(s3_server: str) -> Iterator[Any]:
    """A client of the S3 server."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=s3_server,
        region_name="us-east-1",
        aws_access_key_id="moat",
        aws_secret_access_key="moat-secret",
    )
    yield client
    client.close()


@pytest.fixture
def bucket(s3: Any) -> str:
    """A bucket of a test's own."""
    name = f"b{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a fresh state folder that reaches no server."""
    from moat.settings import Settings

    return Settings.model_validate({"home": tmp_path / "home", "weaviate_port": 1, "weaviate_grpc_port": 2})


@pytest.fixture
def served(tmp_path: Path, weaviate_server: Settings, embedder_server: int) -> Iterator[Settings]:
    """Settings of a fresh state folder with a collection of its own on the real servers."""
    from tests.company import collection_of_its_own

    with collection_of_its_own(weaviate_server, embedder_server, tmp_path / "home") as made:
        yield made


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    """A fresh ledger on SQLite."""
    from tests.fresh_ledger import migrated

    made = migrated(settings.ledger, settings.tenant)
    yield made
    made.close()


@pytest.fixture
def make_runtime() -> Iterator[Callable[..., Runtime]]:
    """A function that opens the runtime of some settings."""
    from tests.company import open_runtime

    made: list[Runtime] = []

    def make(settings: Settings, lines: list[str] | None = None) -> Runtime:
        made.append(open_runtime(settings) if lines is None else open_runtime(settings, lines.append))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


@pytest.fixture
def runtime(served: Settings, make_runtime: Callable[..., Runtime]) -> Runtime:
    """A runtime on real servers."""
    return make_runtime(served)


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    """A small company's documents, on real servers; nothing of them is loaded yet."""
    from tests.company import Company

    return Company(runtime, tmp_path / "docs")


@pytest.fixture(params=["sqlite", "postgresql"])
def company_on_either_ledger(
    request: pytest.FixtureRequest, served: Settings, make_runtime: Callable[..., Runtime], tmp_path: Path
) -> Company:
    """The company with everything promoted once, on SQLite and on PostgreSQL."""
    from tests.company import Company

    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    made = Company(make_runtime(served.model_copy(update={"ledger_url": url})), tmp_path / "docs")
    assert made.runtime.ledger.engine.dialect.name == request.param
    first = made.run()
    assert first.load.state == "promoted", first.load.reason
    return made


@pytest.fixture
def index(company: Company) -> Iterator[WeaviateStore]:
    """The company's collection."""
    made = company.index()
    yield made
    made.close()


@pytest.fixture
def document() -> Callable[..., Document]:
    """A function that makes a document from blocks written as (kind, text, level, page)."""
    from moat.records import Block, Document

    def make(*blocks: tuple[Any, ...], title: str = "", media_type: str = "text/plain") -> Document:
        of = ("kind", "text", "level", "page")
        made = tuple(Block(**dict(zip(of, block, strict=False))) for block in blocks)
        return Document(key="key", uri="file:///key", title=title, media_type=media_type, blocks=made)

    return make
