"""`make cluster`: the services of docker-compose.yaml on this machine's loopback, without Docker.

Each service's environment, command and files are the compose file's own (`moat.local.compose`). What is different on
one loopback stands in this file alone: ports, folders, three nodes of Weaviate and two workers where Compose starts
one of each, and what would listen on every address.
"""

import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import httpx

from moat.errors import FatalError
from moat.local import confined, databases, servers
from moat.local.binaries import S3, WEAVIATE, program
from moat.local.cluster_env import COMPOSE, NODES, settled
from moat.local.compose import Service, services
from moat.local.servers import Server, listening
from moat.local.supervise import Say, Supervisor
from moat.maintenance.doctor import OPEN_PORTS
from moat.maintenance.private import tighten
from moat.settings import PROJECT, private_folder

WORKERS = 2  # of the queue `default`
REPLICAS, SHARDS = 3, 2
RESTARTS = 50  # an hour: Compose starts what has ended again for ever
AIRFLOW_STARTING_S, WORKER_STARTING_S = 600.0, 300.0
GIVEN = "AIRFLOW__SCHEDULER__"  # settings of a shell that hold here too, where the compose file says nothing else
NOBODYS_PORT = "1"  # where a running task's log would be asked for: on one machine nothing serves them
PLAIN = re.compile(r"[\w./+-]+")  # what a path may hold that stands in shell scripts unquoted
INSIDE = re.compile(r"(?<![\w.}/-])/(run/secrets|run/moat|data|tmp|var/lib/weaviate|docker-entrypoint-initdb\.d)\b")


class Cluster(Supervisor):
    """Everything that `make cluster` starts.

    Args:
        home: The state folder, with all data, secrets and logs; its path holds letters, digits and . _ + - / only.
        programs: Folder of the built programs of Weaviate and S3.
        say: Takes a line of progress.
    """

    started_by = "make cluster"

    def __init__(self, home: Path, programs: Path, say: Say) -> None:
        super().__init__(home, say, RESTARTS)
        if not PLAIN.fullmatch(str(home)):
            raise FatalError(
                f"{home} would stand in shell scripts: set MOAT_HOME to a path of letters, digits and . _ + -"
            )
        private_folder(home)
        self.programs = programs
        self.given = settled(home / "cluster.env")
        self.services = services(COMPOSE, {**self.given, **self._variables()})

    def port(self, name: str) -> int:
        return int(self.given[f"PORT_{name}"])

    def _variables(self) -> dict[str, str]:
        """What `.env` says for Compose: here every server is on this machine, and the workers are few."""
        return {
            "MAIN_HOST": "127.0.0.1",
            "EMBEDDER_HOST": "127.0.0.1",
            "AIRFLOW_URL": f"http://127.0.0.1:{self.port('AIRFLOW')}",
            "WORKER_CONCURRENCY": "2",
            "GPU_WORKER_CONCURRENCY": "1",
            "MOAT_GPU_SLOTS": "1",
            "MOAT_REPLICAS": str(REPLICAS),
            "MOAT_SHARDS": str(SHARDS),
        }

    def _addresses(self) -> dict[str, str]:
        """What stands in the compose file for an address in a container, and where that is here."""
        return {
            "127.0.0.1:8080": f"127.0.0.1:{self.port('AIRFLOW')}",
            "127.0.0.1:6379": f"127.0.0.1:{self.port('REDIS')}",
            "127.0.0.1:7070": f"127.0.0.1:{self.port('S3')}",
            "//s3:7070": f"//127.0.0.1:{self.port('S3')}",
            "@127.0.0.1/": f"@127.0.0.1:{self.port('POSTGRES')}/",
            "@postgres/": f"@127.0.0.1:{self.port('POSTGRES')}/",
            "@airflow-db/": f"@127.0.0.1:{self.port('AIRFLOW_DB')}/",
            "versitygw --port :7070": f"{self.programs / f'{S3.name}-{S3.version}'} --port 127.0.0.1:{self.port('S3')}",
            "'appendonly yes\\n": f"'bind 127.0.0.1\\nport {self.port('REDIS')}\\nappendonly yes\\n",
            "python plugins/": f"python {PROJECT / 'plugins'}/",
        }

    def instance(self, service: str, name: str, more: Mapping[str, str] | None = None) -> Service:
        """A service as it runs here under a name of its own: with its folders, addresses and environment.

        `more` replaces texts of its command, beside the addresses.
        """
        root, texts = self.home / "roles" / name, {**self._addresses(), **(more or {})}

        def here(text: str) -> str:
            text = INSIDE.sub(lambda found: f"{root}{found[0]}", text)
            for there, instead in texts.items():
                text = text.replace(there, instead)
            return text

        of = self.services[service]
        files = {path: here(content) for path, content in of.files.items()}
        connections = "/run/moat/connections.json"
        if connections in files:
            files[connections] = json.dumps(json.loads(files[connections]) | self.company())
        environment = {n: here(value) for n, value in of.environment.items()}
        return replace(
            of,
            name=name,
            environment={**self._image(root), **environment, **self._instead(service, of.environment)},
            command=tuple(here(part) for part in of.command),
            files={f"{root}{path}": content for path, content in files.items()},
        )

    def _image(self, root: Path) -> dict[str, str]:
        """What the image gives every container of Moat."""
        return {
            "AIRFLOW_HOME": str(root / "airflow"),
            "MOAT_HOME": str(root / "moat"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "PYTHONPATH": f"{PROJECT}{os.pathsep}{PROJECT / 'include'}",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
            "HF_HUB_OFFLINE": "1",
            "DO_NOT_TRACK": "1",
            "SCARF_NO_ANALYTICS": "1",
        }

    def _instead(self, service: str, environment: Mapping[str, str]) -> dict[str, str]:
        """Settings that are different because all of it is on one loopback."""
        ports = {
            "MOAT_WEAVIATE_PORT": self.port("WEAVIATE"),
            "MOAT_WEAVIATE_GRPC_PORT": self.port("WEAVIATE_GRPC"),
            "MOAT_EMBEDDER_PORT": self.port("EMBEDDER"),
            "MOAT_DOOR_PORT": self.port("DOOR"),
        }
        found = {
            n: str(port) for n, port in ports.items() if n in environment or n.replace("PORT", "HOST") in environment
        }
        found |= {n: "127.0.0.1" for n in ("MOAT_EMBEDDER_HOST", "MOAT_DOOR_HOST") if environment.get(n) == "0.0.0.0"}  # noqa: S104
        if "AIRFLOW__CORE__EXECUTOR" in environment:
            found |= {
                "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": NOBODYS_PORT,
                "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": NOBODYS_PORT,
            }
        if service == "api-server":
            found |= {"AIRFLOW__API__HOST": "127.0.0.1", "AIRFLOW__API__PORT": str(self.port("AIRFLOW"))}
        if service == "scheduler":
            found |= {
                "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
                "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.port("SCHEDULER_HEALTH")),
            }
        return found

    def company(self) -> dict[str, dict[str, object]]:
        """Connections to the sample company's own systems, which are no part of Moat's cluster."""
        where = {"endpoint_url": f"http://127.0.0.1:{self.port('COMPANY_S3')}", "region_name": "us-east-1"}
        secret = self.given["COMPANY_S3_KEY"]
        warehouse = str(self.home / "warehouse.duckdb")
        return {
            "contracts_s3": {"conn_type": "aws", "login": "company", "password": secret, "extra": where},
            "warehouse": {"conn_type": "duckdb", "host": warehouse, "extra": {"read_only": True}},
        }

    def start(self) -> None:
        """Start every service, in the order in which they wait for one another, with a line each."""
        self.hold()
        for name in [n for n in os.environ if n.startswith(("MOAT_", "AIRFLOW_")) and not n.startswith(GIVEN)]:
            del os.environ[name]  # of `make run`, or of a shell: every server would inherit it
        databases.postgres_programs()  # raises before anything starts
        databases.redis_program()
        self._refuse_taken_ports()
        tighten(self.home)
        with self._say.during("bringing the programs of Weaviate and S3"):
            for wanted in (WEAVIATE, S3):
                program(wanted, self.programs, self._say)
        self._write_environment()
        self._storage()
        self.weaviate()
        self._airflow()

    def stop(self) -> None:
        """Stop every server, last started first; workers end their tasks meanwhile, all at the same time."""
        for server in self.running:
            if server.name.startswith("worker") and server.process.poll() is None:
                server.process.send_signal(signal.SIGTERM)
        super().stop()

    def _storage(self) -> None:
        """PostgreSQL twice, Redis, S3, and the sample company's own S3."""
        for name, service in (("airflow-db", "AIRFLOW_DB"), ("postgres", "POSTGRES")):
            self._database(name, self.port(service))
        redis, s3 = self.port("REDIS"), self.port("S3")
        found = {"exec redis-server": f"exec {databases.redis_program()}"}
        begun = [self.begin(lambda: self._started(self.instance("redis", "redis", found), lambda: listening(redis)))]
        begun += [self.begin(lambda: self._run("s3", "s3", lambda: servers.answers(f"http://127.0.0.1:{s3}/health")))]
        begun += [self.begin(self._company_s3)]
        self.up("Redis and S3", begun)
        self.ended("the buckets are made", self._run("s3-init", "s3-init", lambda: False))

    def _company_s3(self) -> Server:
        folder, port = self.home / "company-s3", self.port("COMPANY_S3")
        binary = self.programs / f"{S3.name}-{S3.version}"
        made = servers.s3(binary, folder, port, "company", self.given["COMPANY_S3_KEY"])
        made.name = "company-s3"  # beside the other one
        return made

    def _database(self, name: str, port: int) -> None:
        """A PostgreSQL, with the roles and databases that the compose file's script makes in a new one."""
        of, root = self.instance(name, name), self.home / "roles" / name
        folder, password = root / "postgres", self.given["POSTGRES_PASSWORD"]
        self._write(of)
        made = databases.make_database(folder, password)
        self.one(name, lambda: databases.postgres(name, folder, port))
        if made or (root / "new").exists():
            (root / "new").touch()
            psql = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGPASSWORD": password}
            path = {"PATH": f"{databases.postgres_programs()}{os.pathsep}{os.environ.get('PATH', '')}"}
            script = f"{root}/docker-entrypoint-initdb.d/databases.sh"
            self.ended(
                f"the databases of {name} are made",
                servers.start(
                    f"{name}-databases", ["/bin/sh", "-e", script], {**psql, **path}, self._logs, lambda: False
                ),
            )
            (root / "new").unlink()

    def weaviate(self) -> None:
        """Three nodes in one namespace, and what passes connections on to one that takes them."""
        if not confined.possible():
            self._say(f"[yellow]{OPEN_PORTS}[/]")
        self.up("Weaviate's ports", [self.begin(self._wall)])
        numbers = range(1, NODES + 1)
        self.up("Weaviate, three nodes", [self.begin(lambda n=n: self._node(n)) for n in numbers])  # type: ignore[misc]

    def _wall(self) -> Server:
        nodes = range(1, NODES + 1)
        doors = [f"{self.port(f'NODE{n}_OUTSIDE')}={self.port(f'NODE{n}_HTTP')}" for n in nodes]
        for name, kind in (("WEAVIATE", "HTTP"), ("WEAVIATE_GRPC", "GRPC")):
            doors.append(f"{self.port(name)}={','.join(str(self.port(f'NODE{n}_{kind}')) for n in nodes)}")
        joined = ["--join", str(pid)] if (pid := self._inside()) else []
        command = [sys.executable, "-S", "-E", confined.__file__, *joined, *doors]
        made = servers.start("weaviate-ports", command, {}, self._logs, lambda: True)
        walls = confined.possible()
        made.ready = lambda: not walls or _namespace(made.process.pid) != _namespace(os.getpid())
        return made

    def _inside(self) -> int:
        """A living process of Weaviate's namespace; 0 if there is none."""
        return next(
            (s.process.pid for s in self.running if s.name.startswith("weaviate") and s.process.poll() is None), 0
        )

    def node(self, n: int) -> Service:
        """The service `weaviate` as one node of several."""
        name, others = f"weaviate-{n}", [m for m in range(1, NODES + 1) if m != n]
        binary = self.programs / f"{WEAVIATE.name}-{WEAVIATE.version}"
        own = f"{binary} --host 127.0.0.1 --port {self.port(f'NODE{n}_HTTP')}"
        of = self.instance("weaviate", name, {"/bin/weaviate --host 0.0.0.0 --port 8081": own})
        row = [self.port(f"NODE{m}_ROW") for m in range(1, NODES + 1)]
        cluster = {
            "GRPC_PORT": str(self.port(f"NODE{n}_GRPC")),
            "CLUSTER_HOSTNAME": name,
            "CLUSTER_GOSSIP_BIND_PORT": str(row[n - 1]),
            "CLUSTER_DATA_BIND_PORT": str(row[n - 1] + 1),  # Weaviate finds those of the others one above
            "CLUSTER_JOIN": ",".join(f"127.0.0.1:{row[m - 1]}" for m in others),
            "RAFT_PORT": str(row[n - 1] + 2),
            "RAFT_INTERNAL_RPC_PORT": str(row[n - 1] + 3),
            "RAFT_JOIN": ",".join(f"weaviate-{m}:{row[m - 1] + 2}" for m in range(1, NODES + 1)),
            "RAFT_BOOTSTRAP_EXPECT": str(NODES),
        }
        return replace(of, environment={**of.environment, **cluster})

    def _node(self, n: int) -> Server:
        of = self.node(n)
        command = [sys.executable, "-S", "-E", confined.__file__, "--join", str(self._inside()), "--", *of.command]
        url = f"http://127.0.0.1:{self.port(f'NODE{n}_OUTSIDE')}/v1/.well-known/ready"
        return self._started(replace(of, command=tuple(command)), lambda: servers.answers(url))

    def _airflow(self) -> None:
        url = f"http://127.0.0.1:{self.port('AIRFLOW')}/api/v2/monitor/health"

        def healthy(*parts: str) -> bool:
            try:
                health = httpx.get(url, timeout=5.0, trust_env=False).json()
            except (httpx.TransportError, ValueError):
                return False
            return all((health.get(part) or {}).get("status") == "healthy" for part in parts)

        embedder = f"http://127.0.0.1:{self.port('EMBEDDER')}/health"
        begun = [self.begin(lambda: self._run("embedder", "embedder", lambda: servers.answers(embedder)))]
        self.ended("Airflow's and Moat's databases are made", self._run("airflow-init", "airflow-init", lambda: False))
        begun += [self.begin(lambda: self._run("api-server", "api-server", lambda: servers.answers(url)))]
        self.up("the embedder and Airflow's API server", begun, AIRFLOW_STARTING_S)
        begun = [
            self.begin(lambda part=part, named=named: self._part(part, lambda: healthy(named)))  # type: ignore[misc]
            for part, named in (
                ("dag-processor", "dag_processor"),
                ("triggerer", "triggerer"),
                ("scheduler", "scheduler"),
            )
        ]
        self.up("Airflow", begun, AIRFLOW_STARTING_S)
        names = [("worker", f"worker-{n}") for n in range(1, WORKERS + 1)] + [("worker-gpu", "worker-gpu")]
        begun = [self.begin(lambda of=of, name=name: self._worker(of, name)) for of, name in names]  # type: ignore[misc]
        door = self.port("DOOR")
        begun += [self.begin(lambda: self._run("door", "door", lambda: listening(door)))]
        self.up("the workers and the door", begun, WORKER_STARTING_S)

    def _part(self, name: str, ready: Callable[[], bool]) -> Server:
        """A part of Airflow; the triggerer's log server would listen on every address."""
        of = self.instance(name, name)
        own = ("--skip-serve-logs",) if name == "triggerer" else ()
        return self._started(replace(of, command=(*of.command, *own)), ready)

    def worker(self, service: str, name: str) -> Service:
        """A worker with a name of its own among those of this machine; its log server would listen on every address."""
        of = self.instance(service, name)
        return replace(of, command=(*of.command, "--celery-hostname", f"{name}@%h", "--skip-serve-logs"))

    def _worker(self, service: str, name: str) -> Server:
        made = self._started(self.worker(service, name), lambda: False)
        made.ready = lambda: b" ready." in made.log.read_bytes()[made.since :]
        return made

    def _run(self, service: str, name: str, ready: Callable[[], bool]) -> Server:
        return self._started(self.instance(service, name), ready)

    def _started(self, of: Service, ready: Callable[[], bool]) -> Server:
        """Start an instance, with the folders and files that its container would have."""
        self._write(of)
        return servers.start(of.name, of.command, of.environment, self._logs, ready)

    def _write(self, of: Service) -> None:
        root = self.home / "roles" / of.name
        for folder in ("data", "tmp", "airflow", "moat"):
            (root / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, content in of.files.items():
            Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            Path(path).write_text(content)

    @property
    def _logs(self) -> Path:
        return self.home / "logs"

    def _write_environment(self) -> None:
        """Write `home/env`, with which `MOAT_HOME=… moat` is the compose file's service `moat`: all keys."""
        of = self.instance("moat", "moat")
        self._write(of)
        env = {n: value for n, value in of.environment.items() if n.startswith("MOAT_") and n != "MOAT_HOME"}
        connections = json.loads(next(text for path, text in of.files.items() if path.endswith("connections.json")))
        env |= {f"AIRFLOW_CONN_{name.upper()}": json.dumps(one) for name, one in connections.items()}
        text = "# Written by `make cluster`: where its servers are, and the files of their keys.\n"
        (self.home / "env").write_text(text + "".join(f"{name}='{value}'\n" for name, value in sorted(env.items())))

    def _refuse_taken_ports(self) -> None:
        for name, port in self.given.items():
            if name.startswith("PORT_") and listening(int(port)):
                raise FatalError(
                    f"port {port} ({name}) is taken by another program, or by one that a killed run left: end it, "
                    f"or delete the line {name} from {self.home / 'cluster.env'} and start again, which takes a free one"
                )


def _namespace(pid: int) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/net")
    return ""


@contextlib.contextmanager
def cluster(home: Path, programs: Path, say: Say) -> Iterator[Cluster]:
    """A running cluster, stopped when the block ends for whatever reason."""
    made = Cluster(home, programs, say)
    try:
        made.start()
        yield made
    finally:
        made.stop()
