"""Servers as child processes, each on loopback with its own ports and data folder.

Used by `make run` and by the tests. A server is stopped by the pid that started it and leaves
nothing behind but its data folder.
"""

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from moat.embedding.address import address_of
from moat.embedding.resident import serves
from moat.errors import EmbedderUnavailable, FatalError
from moat.local import confined, reaper
from moat.settings import Settings

STARTING_S = 120.0
STOPPING_S = 20.0
PORTS = range(10_240, 32_768)
ERROR = re.compile(r"error|fatal|panic|exception|no space left|denied|refused|cannot", re.IGNORECASE)
LONGEST = 300  # characters of a server's last error


@dataclass(eq=False, kw_only=True)
class Server:
    """A running child process with its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    ready: Callable[[], bool]
    since: int = 0  # length of the log before it started
    began: float = field(default_factory=time.monotonic)
    asked_by: signal.Signals = signal.SIGTERM  # to end

    @property
    def how(self) -> str:
        """How it ended, in words."""
        code = self.process.poll()
        if code is None:
            return "runs"
        return f"was killed (signal {-code})" if code < 0 else f"ended with {code}"

    def stop(self) -> None:
        """Ask it to end with its children; kill it after STOPPING_S."""
        for sign in (self.asked_by, signal.SIGKILL):
            if self.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, sign)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(STOPPING_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # children that outlived it
        reaper.forget(self.process.pid)

    def wait(self, timeout_s: float = STARTING_S) -> "Server":
        """Wait until it answers; returns it. Raises FatalError with the end of its log."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.ready():
                return self
            time.sleep(0.1)
        state = self.how if self.process.poll() is not None else f"did not answer in {timeout_s:g} s"
        self.stop()
        raise FatalError(f"{self.name} {state}: {self.last_error()}; its log is {self.log}")

    def last_error(self) -> str:
        """The last line of its log since its start that tells of an error, else the last line; in short."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            file.seek(self.since)
            lines = [_in_words(line) for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
            if lines:
                return next((line for line in reversed(lines) if ERROR.search(line)), lines[-1])[:LONGEST]
        return "it said nothing"


def _in_words(line: str) -> str:
    """A line of a log; of a JSON line its message and its error."""
    try:
        found = json.loads(line)
    except ValueError:
        return line.strip()
    if not isinstance(found, dict):
        return line.strip()
    said = [str(found[name]) for name in ("level", "msg", "message", "event", "error") if found.get(name)]
    return ": ".join(dict.fromkeys(said)) or line.strip()


def start(name: str, command: Sequence[str], env: Mapping[str, str], folder: Path, ready: Callable[[], bool]) -> Server:
    """Start a server in its own process group; `wait` for it. What it writes only this user can read."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    log.touch(0o600)
    since = log.stat().st_size
    with log.open("ab") as out:
        process = subprocess.Popen(
            list(command),
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,
        )
    reaper.watch(process.pid)
    return Server(name=name, process=process, log=log, ready=ready, since=since)


def answers(url: str) -> bool:
    """Whether a GET of this URL succeeds."""
    try:
        return httpx.get(url, timeout=5.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


def free_ports(n: int) -> list[int]:
    """Free ports on loopback.

    Below the range from which the system takes ports for outgoing connections: any client could take
    one of those before the server has started.
    """
    found: list[int] = []
    while len(found) < n:
        port = secrets.choice(PORTS)
        if port not in found and _free(port):
            found.append(port)
    return found


def ports_in_a_row(n: int) -> range:
    """A range of consecutive free ports."""
    while True:
        first = secrets.choice(PORTS[:-n])
        if all(_free(port) for port in range(first, first + n)):
            return range(first, first + n)


def _free(port: int) -> bool:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore the last connections of an ended server
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def listening(port: int) -> bool:
    with socket.socket() as s:
        s.settimeout(1.0)
        return s.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class WeaviateKeys:
    """API keys of the three roles."""

    operator: str
    writer: str
    reader: str

    @classmethod
    def new(cls) -> "WeaviateKeys":
        return cls(*(secrets.token_urlsafe(24) for _ in range(3)))


def weaviate(binary: Path, folder: Path, port: int, grpc_port: int, keys: WeaviateKeys) -> Server:
    """A single-node Weaviate: no anonymous access, roles by key, no auto-schema, no telemetry.

    Its cluster's ports take commands without a key, and no setting changes that; so it runs in a network namespace
    of its own where the machine allows one, and only the two given ports can be reached.
    """
    gossip, data, raft, raft_rpc = ports_in_a_row(4)  # Weaviate finds its own data port at gossip + 1
    env = {
        "PERSISTENCE_DATA_PATH": str(folder / "data"),
        "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
        "AUTHENTICATION_APIKEY_ENABLED": "true",
        "AUTHENTICATION_APIKEY_ALLOWED_KEYS": ",".join((keys.operator, keys.writer, keys.reader)),
        "AUTHENTICATION_APIKEY_USERS": "moat-operator,moat-writer,moat-reader",
        "AUTHORIZATION_RBAC_ENABLED": "true",
        "AUTHORIZATION_RBAC_ROOT_USERS": "moat-operator",
        "AUTOSCHEMA_ENABLED": "false",
        "QUERY_BATCHED_CONTAINS_ENABLED": "true",
        "DISABLE_TELEMETRY": "true",
        "DEFAULT_VECTORIZER_MODULE": "none",
        "ENABLE_MODULES": "",
        "GRPC_PORT": str(grpc_port),
        "CLUSTER_HOSTNAME": f"moat-{port}",
        "CLUSTER_IN_LOCALHOST": "true",
        "CLUSTER_GOSSIP_BIND_PORT": str(gossip),
        "CLUSTER_DATA_BIND_PORT": str(data),
        "RAFT_PORT": str(raft),
        "RAFT_INTERNAL_RPC_PORT": str(raft_rpc),
        "RAFT_BOOTSTRAP_EXPECT": "1",
        "RAFT_JOIN": f"moat-{port}:{raft}",
        # The cluster has only this node. Where there is no namespace, this is all that can be done about its ports.
        "CLUSTER_BIND_ADDR": "127.0.0.1",
        "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
        "CLUSTER_BASIC_AUTH_USERNAME": "moat",
        "CLUSTER_BASIC_AUTH_PASSWORD": secrets.token_urlsafe(24),
        "GO_PROFILING_DISABLE": "true",
        "LOG_LEVEL": "warning",
    }
    own = [str(binary), "--host", "127.0.0.1", "--port", str(port), "--scheme", "http"]
    command = [sys.executable, "-S", "-E", confined.__file__, str(port), str(grpc_port), "--", *own]
    url = f"http://127.0.0.1:{port}/v1/.well-known/ready"
    return start("weaviate", command, env, folder, lambda: answers(url) and listening(grpc_port))


def s3(binary: Path, folder: Path, port: int, access: str, secret: str) -> Server:
    """An S3 server over a folder (versitygw), on any file system."""
    for name in ("buckets", "metadata", "versions"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [
        str(binary),
        "--port",
        f"127.0.0.1:{port}",
        "--quiet",
        "posix",
        "--sidecar",
        str(folder / "metadata"),
        "--versioning-dir",
        str(folder / "versions"),
        "--dir-perms",
        "0700",
        "--file-perms",
        "0600",
        str(folder / "buckets"),
    ]
    env = {"ROOT_ACCESS_KEY_ID": access, "ROOT_SECRET_ACCESS_KEY": secret}
    return start("s3", command, env, folder, lambda: listening(port))


def embedder(settings: Settings, python: Path, env: Mapping[str, str]) -> Server:
    """The embedding server of these settings, without idle timeout."""
    address = address_of(settings)
    command = [str(python), "-m", "moat.embedding.server"]
    stays = {**env, "MOAT_EMBEDDER_IDLE_MINUTES": "0"}

    def ready() -> bool:
        try:
            return serves(address, settings)
        except EmbedderUnavailable:
            return False

    return start("embedder", command, stays, settings.home / "logs", ready)


@contextlib.contextmanager
def running(*begun: Server) -> Iterator[None]:
    """Wait until the servers are up; stop them when the block ends."""
    try:
        for server in begun:
            server.wait(300.0)
        yield
    finally:
        for server in reversed(begun):
            server.stop()
