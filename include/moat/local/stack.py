"""The local stack as one unit to start and stop: servers, settings, connections, Airflow."""

import contextlib
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
from dotenv import dotenv_values
from rich.markup import escape

from moat.embedding.address import address_of
from moat.embedding.resident import serves
from moat.errors import FatalError
from moat.ledger import Ledger
from moat.local import confined, servers
from moat.local.binaries import S3, WEAVIATE, program
from moat.local.servers import Server, WeaviateKeys, free_ports, listening
from moat.local.supervise import Say, Supervisor
from moat.maintenance.doctor import OPEN_PORTS
from moat.maintenance.private import tighten
from moat.settings import PROJECT, Settings, private_folder

PORTS = {  # used if free at the first start; then stored in the state folder
    "MOAT_WEAVIATE_PORT": 8081,
    "MOAT_WEAVIATE_GRPC_PORT": 50051,
    "LOCAL_S3_PORT": 7070,
    "LOCAL_AIRFLOW_PORT": 8080,
}
GONE = ("MOAT_EMBEDDER_PORT", "LOCAL_LOG_PORT", "LOCAL_TRIGGER_LOG_PORT")  # of earlier versions: nothing listens there
PARTS = (  # of Airflow; the log servers listen on every address, and on one machine the files are read without them
    ("api-server",),
    ("dag-processor",),
    ("triggerer", "--skip-serve-logs"),
    ("scheduler", "--skip-serve-logs"),
)
NOBODYS_PORT = "1"  # where log servers would be asked for a running task's log: nobody but root can listen there
QUIET = (  # loggers of which a task's log shows warnings and errors only
    "alembic=WARNING task=WARNING airflow.task.operators=WARNING airflow.dag_processing.dagbag=WARNING "
    "airflow.dag_processing.bundles=WARNING"
)
AIRFLOW_STARTING_S = 600.0


def settle(home: Path) -> dict[str, str]:
    """Ports, keys and connections of this state folder, created once and stored in `home/env`."""
    file = home / "env"
    try:
        return _settle(home, file)
    except OSError as error:
        raise FatalError(
            f"the state folder {home} cannot be written: {error.strerror}: make it writable, or set MOAT_HOME to another folder"
        ) from None


def _settle(home: Path, file: Path) -> dict[str, str]:
    private_folder(home)
    there = dotenv_values(file, interpolate=False)
    env = {name: value for name, value in there.items() if value is not None and name not in GONE}
    spare = iter(free_ports(len(PORTS)))
    for name, usual in PORTS.items():
        env.setdefault(name, str(next(spare) if listening(usual) else usual))
    keys = WeaviateKeys.new()
    for name, value in {
        "MOAT_WEAVIATE_HOST": "127.0.0.1",
        "MOAT_WEAVIATE_OPERATOR_KEY": keys.operator,
        "MOAT_WEAVIATE_WRITER_KEY": keys.writer,
        "MOAT_WEAVIATE_READER_KEY": keys.reader,
        "MOAT_AIRFLOW_USER": "admin",
        "MOAT_AIRFLOW_PASSWORD": secrets.token_urlsafe(9),
        "LOCAL_S3_SECRET": secrets.token_urlsafe(24),
        "LOCAL_AIRFLOW_SECRET": secrets.token_urlsafe(72),
    }.items():
        env.setdefault(name, value)
    env["LOCAL_WEAVIATE_PORTS"] = "closed" if confined.possible() else "open"
    env["AIRFLOW_HOME"] = str(home / "airflow")  # so that the command line sees the connections made in its UI
    env["MOAT_AIRFLOW_URL"] = f"http://127.0.0.1:{env['LOCAL_AIRFLOW_PORT']}"
    env["AIRFLOW_CONN_CONTRACTS_S3"] = json.dumps(
        {
            "conn_type": "aws",
            "login": "moat",
            "password": env["LOCAL_S3_SECRET"],
            "extra": {"endpoint_url": f"http://127.0.0.1:{env['LOCAL_S3_PORT']}", "region_name": "us-east-1"},
        }
    )
    env["AIRFLOW_CONN_WAREHOUSE"] = json.dumps(
        {"conn_type": "duckdb", "host": str(home / "warehouse.duckdb"), "extra": {"read_only": True}}
    )
    text = "# Written by `make run`: the ports, keys and connections of the servers on this machine.\n"
    draft = file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(0o600)
    draft.write_text(text + "".join(f"{name}='{_quoted(value)}'\n" for name, value in sorted(env.items())))
    os.replace(draft, file)
    return env


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


class Stack(Supervisor):
    """Everything that `make run` starts. Stopped in reverse order."""

    def __init__(self, home: Path, say: Say) -> None:
        super().__init__(home, say)
        self.env = settle(home)

    def environment(self) -> dict[str, str]:
        """Environment variables for child processes, in addition to this process's own."""
        return {**self.env, "MOAT_HOME": str(self.home), **airflow_environment(self.home, self.env)}

    def start(self, airflow: bool = True) -> None:
        """Start what is needed, one after another, with a line each."""
        self.hold()
        self._refuse_taken_ports()
        if n := tighten(self.home):
            self._say(f"{n:,} files and folders in {escape(str(self.home))} could be read by others: now by you alone")
        if self.env["LOCAL_WEAVIATE_PORTS"] == "open":
            self._say(f"[yellow]{OPEN_PORTS}[/]")
        os.environ.update(self.environment())
        folder = self.home / "bin"
        with self._say.during("bringing the programs of Weaviate and S3"):
            weaviate, s3 = program(WEAVIATE, folder, self._say), program(S3, folder, self._say)
        keys = WeaviateKeys(
            self.env["MOAT_WEAVIATE_OPERATOR_KEY"],
            self.env["MOAT_WEAVIATE_WRITER_KEY"],
            self.env["MOAT_WEAVIATE_READER_KEY"],
        )
        settings = Settings.load()
        Ledger(settings.ledger, settings.tenant).migrate()
        self.one(
            "Weaviate",
            lambda: servers.weaviate(
                weaviate, self.home / "weaviate", settings.weaviate_port, settings.weaviate_grpc_port, keys
            ),
        )
        self.one(
            "S3",
            lambda: servers.s3(
                s3, self.home / "s3", int(self.env["LOCAL_S3_PORT"]), "moat", self.env["LOCAL_S3_SECRET"]
            ),
        )
        address = address_of(settings)
        if serves(address, settings):
            self._say(f"embedder runs already at {address.shown}")  # a search started it; it stops when idle
        else:
            self.one("embedder", lambda: servers.embedder(settings, Path(sys.executable), self.environment()))
        if airflow:
            self._airflow()

    def _airflow(self) -> None:
        """Start the parts of Airflow, each a process with its log, once its database is there."""
        began, folder = time.monotonic(), self.home / "airflow"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        passwords = folder / "simple_auth_manager_passwords.json.generated"
        passwords.unlink(missing_ok=True)
        passwords.touch(0o600)
        passwords.write_text(json.dumps({"admin": self.env["MOAT_AIRFLOW_PASSWORD"]}))
        program, logs = str(Path(sys.executable).parent / "airflow"), self.home / "logs"
        made = servers.start("airflow-migrate", [program, "db", "migrate"], self.environment(), logs, lambda: False)
        self.ended("Airflow's database is made or migrated", made)
        url = f"{self.env['MOAT_AIRFLOW_URL']}/api/v2/monitor/health"

        def ready() -> bool:
            try:
                health = httpx.get(url, timeout=5.0, trust_env=False).json()
            except (httpx.TransportError, ValueError):
                return False
            parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
            return all((health.get(part) or {}).get("status") == "healthy" for part in parts)

        with self._say.during("Airflow starts"):
            server = self._part(PARTS[0], lambda: servers.answers(url))
            others = [self._part(part, ready) for part in PARTS[1:-1]]
            server.wait(AIRFLOW_STARTING_S)  # tasks that the scheduler starts before that fail
            for part in (*others, self._part(PARTS[-1], ready)):
                part.wait(AIRFLOW_STARTING_S)
        self._say(f"Airflow is up ({time.monotonic() - began:.0f} s)")

    def _part(self, part: tuple[str, ...], ready: Callable[[], bool]) -> Server:
        """Start a part of Airflow."""
        command = [str(Path(sys.executable).parent / "airflow"), *part]
        name = f"airflow-{part[0]}"
        return self.begin(lambda: servers.start(name, command, self.environment(), self.home / "logs", ready))

    def _refuse_taken_ports(self) -> None:
        """Raise FatalError if another program now uses a port of an earlier start."""
        for name in PORTS:
            if listening(int(self.env[name])):
                raise FatalError(
                    f"port {self.env[name]} ({name}) is taken by another program, or by one that a killed run left: end it, "
                    f"or delete the line {name} from {self.home / 'env'} and start again, which takes a free one"
                )


def airflow_environment(home: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Airflow's settings, with those that suit one small machine."""
    port = env["LOCAL_AIRFLOW_PORT"]
    return {
        "AIRFLOW_HOME": str(home / "airflow"),
        # What it derives of its home by itself is cut at a % in the path.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow' / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "airflow" / "logs"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home / "airflow" / "logs" / "dag_processor"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__SECRET_KEY": env["LOCAL_AIRFLOW_SECRET"],
        "AIRFLOW__API_AUTH__JWT_SECRET": env["LOCAL_AIRFLOW_SECRET"],
        "AIRFLOW__API__PORT": port,
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": NOBODYS_PORT,
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": NOBODYS_PORT,
        # Task logs are Moat's lines: of Airflow's own, warnings and errors.
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": QUIET,
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__OPENLINEAGE__DISABLED": "True",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": f"{PROJECT}{os.pathsep}{PROJECT / 'include'}",
        "DO_NOT_TRACK": "1",
        "SCARF_NO_ANALYTICS": "1",
    }


@contextlib.contextmanager
def stack(home: Path, say: Say, airflow: bool = True) -> Iterator[Stack]:
    """A running stack, stopped when the block ends for whatever reason."""
    made = Stack(home, say)
    try:
        made.start(airflow)
        yield made
    finally:
        made.stop()
