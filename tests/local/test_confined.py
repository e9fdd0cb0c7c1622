"""What Moat starts is reached only through ports that ask for a key: nobody else gets at a cluster's own ports."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest

from moat.local import confined, servers
from moat.local.binaries import WEAVIATE, program
from moat.local.servers import Server, WeaviateKeys, free_ports, listening

QUERY = "/weaviate.internal.cluster.ClusterService/Query"
APPLY = "/weaviate.internal.cluster.ClusterService/Apply"
SCHEMA = b"\x08\x02"  # QueryRequest(type=GET_SCHEMA)
DELETE_CLASS = b"\x08\x03\x12\x04Kept"  # ApplyRequest(type=DELETE_CLASS, class="Kept")


def sockets(server: Server) -> list[tuple[str, int]]:
    """Addresses on which a server and its children can be reached on this machine."""
    root = psutil.Process(server.process.pid)
    tree = {process.pid for process in (root, *root.children(recursive=True))}
    return sorted(
        {
            (c.laddr.ip, c.laddr.port)
            for c in psutil.net_connections("inet")
            if c.pid in tree and (c.status == psutil.CONN_LISTEN or (c.type == socket.SOCK_DGRAM and not c.raddr))
        }
    )


def commanded(port: int, method: str, request: bytes) -> bytes | None:
    """What a cluster's port answers to somebody without a key; None: it takes no such command."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            return bytes(channel.unary_unary(method)(request, timeout=10, wait_for_ready=False))
        except grpc.RpcError:
            return None


@pytest.fixture(scope="module")
def served(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int, int, WeaviateKeys]]:
    """A Weaviate of its own with a collection, as `make run` starts it: (server, port, gRPC port, keys)."""
    port, grpc_port = free_ports(2)
    keys, folder = WeaviateKeys.new(), tmp_path_factory.mktemp("weaviate")
    server = servers.weaviate(program(WEAVIATE, binaries, print), folder, port, grpc_port, keys)
    with servers.running(server):
        made = httpx.post(
            f"http://127.0.0.1:{port}/v1/schema",
            json={"class": "Kept"},
            headers={"authorization": f"Bearer {keys.operator}"},
            timeout=60,
        )
        assert made.is_success
        yield server, port, grpc_port, keys


needs_namespace = pytest.mark.skipif(not confined.possible(), reason="this machine allows no network namespace")


@needs_namespace
def test_weaviate_listens_on_two_ports_of_loopback_and_nowhere_else(served: Any) -> None:
    server, port, grpc_port, _ = served
    assert sockets(server) == sorted([("127.0.0.1", port), ("127.0.0.1", grpc_port)])


@needs_namespace
def test_a_local_user_without_a_key_commands_no_port(served: Any) -> None:
    server, port, _, keys = served
    for _, open_port in sockets(server):
        assert commanded(open_port, QUERY, SCHEMA) is None
        assert commanded(open_port, APPLY, DELETE_CLASS) is None
    schema = httpx.get(
        f"http://127.0.0.1:{port}/v1/schema", headers={"authorization": f"Bearer {keys.operator}"}, timeout=60
    )
    assert [one["class"] for one in schema.json()["classes"]] == ["Kept"]


ECHO = """
import socket, sys, threading
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
hidden = socket.create_server(("127.0.0.1", int(sys.argv[2])))
def answer(peer):
    with peer:
        while data := peer.recv(1 << 16):
            peer.sendall(data)
while True:
    threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()
"""


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[tuple[Server, int, int]]:
    """A confined server that sends back what it gets: (server, its port, the port that it keeps to itself)."""
    port, hidden = free_ports(2)
    command = [sys.executable, confined.__file__, str(port), "--", sys.executable, "-c", ECHO, str(port), str(hidden)]
    server = servers.start("echo", command, {}, tmp_path, lambda: listening(port))
    with servers.running(server):
        yield server, port, hidden


@needs_namespace
def test_what_passes_through_is_whole_in_both_directions_for_many_at_once(echo: Any) -> None:
    _, port, hidden = echo
    assert not listening(hidden)
    failed = list[str]()

    def talk(n: int) -> None:
        sent = bytes([n]) * (4 << 20)
        with socket.create_connection(("127.0.0.1", port)) as peer:

            def write() -> None:
                peer.sendall(sent)
                peer.shutdown(socket.SHUT_WR)

            writing = threading.Thread(target=write)
            writing.start()
            got = b"".join(iter(lambda: peer.recv(1 << 16), b""))
            writing.join()
        if got != sent:
            failed.append(f"{n}: {len(got)}")

    talkers = [threading.Thread(target=talk, args=(n,)) for n in range(8)]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join()
    assert failed == []


@needs_namespace
def test_it_ends_with_its_server_and_its_server_with_it(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    base = [sys.executable, confined.__file__, str(port), "--"]
    assert subprocess.run([*base, sys.executable, "-c", "raise SystemExit(7)"], check=False).returncode == 7
    told = tmp_path / "pid"
    code = f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    outer = subprocess.Popen([*base, sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (told.exists() and told.read_text()):
        time.sleep(0.05)
    inner = psutil.Process(int(told.read_text()))
    outer.kill()
    outer.wait()
    assert psutil.wait_procs([inner], timeout=60)[1] == []


def test_where_no_namespace_is_allowed_the_server_runs_all_the_same_and_says_so(tmp_path: Path) -> None:
    copy = tmp_path / "confined.py"
    source = Path(confined.__file__).read_text()
    copy.write_text(source.replace("NEW_USER, NEW_NET = 0x10000000, 0x40000000", "NEW_USER, NEW_NET = 0x1, 0x2"))
    command = [sys.executable, str(copy), str(free_ports(1)[0]), "--", sys.executable, "-c", "print('runs')"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "runs\n")
    assert "open to its other users" in done.stderr
