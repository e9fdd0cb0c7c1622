"""A server is up when it answers, tells why when it does not, and is gone with all that it started."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from moat.errors import FatalError
from moat.local import servers
from moat.local.servers import Server, answers, free_ports, listening, running, start
from moat.settings import Settings

HEAD = "import os, signal, socket, subprocess, sys, time\n"
LISTEN = "s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print('listening', flush=True)\n"
CHILD = (
    "child = subprocess.Popen([sys.executable, '-c', 'import signal, time; {}; time.sleep(600)'])\n"
    "print('child', child.pid, flush=True)\n"
)


def living(pid: int) -> bool:
    """Whether a process runs; one that only waits to be buried does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(pid: int) -> bool:
    """Whether a process that was ended is gone, as soon as the machine gets round to it."""
    return until(lambda: not living(pid))


def until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def child_of(server: Server) -> int:
    return int(next(line for line in server.log.read_text().splitlines() if line.startswith("child")).split()[1])


@pytest.fixture
def toy(tmp_path: Path) -> Any:
    """A function that starts a server of some lines of Python, ready when its port listens."""
    made: list[Server] = []

    def begin(code: str, name: str = "toy", ready: Callable[[], bool] | None = None, **env: str) -> Server:
        port = free_ports(1)[0]
        command = [sys.executable, "-c", HEAD + textwrap.dedent(code), str(port)]
        made.append(start(name, command, env, tmp_path / "logs", ready or (lambda: listening(port))))
        return made[-1]

    yield begin
    for server in made:
        server.stop()


def test_a_server_that_dies_at_start_gives_the_end_of_its_log(toy: Any) -> None:
    server = toy("for i in range(9): print('line', i)\nprint('no space left', file=sys.stderr)\nsys.exit(3)")
    with pytest.raises(FatalError) as error, running(server):
        pytest.fail("it never was up")
    assert str(error.value) == f"toy ended with 3: no space left; its log is {server.log}"


def test_a_servers_last_error_is_told_in_short_and_of_its_own_start(toy: Any) -> None:
    first = toy("print('fatal: of an earlier start')")
    first.process.wait()
    line = '{"level": "error", "msg": "not enough space", "error": "need 3 GB", "build": "' + "x" * 2_000 + '"}'
    server = toy(f"print({line!r}); print('bye')")
    server.process.wait()
    assert server.last_error() == "error: not enough space: need 3 GB"
    assert server.how == "ended with 0"
    silent = toy("os.kill(os.getpid(), signal.SIGKILL)")
    silent.process.wait()
    assert (silent.how, silent.last_error()) == ("was killed (signal 9)", "it said nothing")


def test_a_server_that_never_answers_is_stopped_and_told(toy: Any) -> None:
    server = toy("print('waiting for a quorum', flush=True)\ntime.sleep(600)")
    assert until(lambda: "quorum" in server.log.read_text())
    with pytest.raises(FatalError, match=r"^toy did not answer in 0\.1 s: waiting for a quorum; its log is "):
        server.wait(0.1)
    assert gone(server.process.pid)


def test_it_runs_inside_the_block_and_is_gone_after_it(toy: Any) -> None:
    server = toy(CHILD.format("pass") + LISTEN + "time.sleep(600)")
    with running(server):
        assert living(server.process.pid)
        child = child_of(server)
        assert living(child)
        assert os.getpgid(child) == server.process.pid != os.getpgid(0)
    assert gone(server.process.pid)
    assert gone(child)


def test_it_is_gone_when_the_block_raises(toy: Any) -> None:
    server = toy(CHILD.format("pass") + LISTEN + "time.sleep(600)")
    with pytest.raises(ZeroDivisionError), running(server):
        child = child_of(server)
        _ = 1 / 0
    assert gone(server.process.pid)
    assert gone(child)


def test_a_child_that_outlives_its_server_is_ended_too(toy: Any) -> None:
    server = toy(CHILD.format("pass") + LISTEN + "time.sleep(600)")
    with running(server):
        child = child_of(server)
        server.process.kill()
        server.process.wait()
        assert living(child)
    assert gone(child)


def test_what_ignores_a_polite_word_is_ended(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "STOPPING_S", 0.5)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    server = toy(f"{deaf}\n{CHILD.format(deaf)}{LISTEN}time.sleep(600)")
    with running(server):
        child = child_of(server)
    assert server.process.returncode == -9
    assert gone(child)


def test_a_server_may_tidy_up_before_it_ends(toy: Any, tmp_path: Path) -> None:
    code = f"""
    def tidy(*_):
        open({str(tmp_path / "tidied")!r}, 'w').close()
        sys.exit(0)
    signal.signal(signal.SIGTERM, tidy)
    """
    with running(server := toy(textwrap.dedent(code) + LISTEN + "time.sleep(600)")):
        pass
    assert server.process.returncode == 0
    assert (tmp_path / "tidied").exists()


def test_when_one_of_two_does_not_start_the_other_is_stopped(toy: Any) -> None:
    good = toy(LISTEN + "time.sleep(600)", "good")
    with pytest.raises(FatalError, match="bad ended with 1"), running(good, toy("sys.exit(1)", "bad")):
        pytest.fail("it never was up")
    assert gone(good.process.pid)


def test_the_last_started_is_stopped_first(toy: Any, tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = f"def end(*_):\n    print(sys.argv[0], os.environ['WHO'], file=open({str(order)!r}, 'a')); sys.exit(0)\n"
    code += f"signal.signal(signal.SIGTERM, end)\n{LISTEN}time.sleep(600)"
    with running(toy(code, "first", WHO="first"), toy(code, "second", WHO="second")):
        pass
    assert [line.split()[-1] for line in order.read_text().splitlines()] == ["second", "first"]


def test_stopping_twice_is_no_error(toy: Any) -> None:
    with running(server := toy(LISTEN + "time.sleep(600)")):
        server.stop()
    server.stop()
    assert gone(server.process.pid)


def test_a_server_gets_its_own_environment_over_ours(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOAT_TENANT", "ours")
    monkeypatch.setenv("KEPT", "kept")
    with running(
        server := toy(
            f"print(os.environ['MOAT_TENANT'], os.environ['KEPT'])\n{LISTEN}time.sleep(600)", MOAT_TENANT="its"
        )
    ):
        pass
    assert server.log.read_text().splitlines()[-2:] == ["its kept", "listening"]


def test_free_ports_are_free_and_differ() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert not any(listening(port) for port in ports)


def test_an_address_answers_only_when_it_says_yes(weaviate_server: Settings) -> None:
    url = f"http://127.0.0.1:{weaviate_server.weaviate_port}/v1"
    assert answers(f"{url}/.well-known/ready")
    assert not answers(f"{url}/no-such-thing")
    assert not answers(f"http://127.0.0.1:{free_ports(1)[0]}/")


def test_weaviate_lets_nobody_in_without_a_key(weaviate_server: Settings) -> None:
    url = f"http://127.0.0.1:{weaviate_server.weaviate_port}/v1"
    for path in ("schema", "objects", "meta"):
        assert httpx.get(f"{url}/{path}", trust_env=False).status_code == 401
        wrong = {"authorization": "Bearer wrong"}
        assert httpx.get(f"{url}/{path}", headers=wrong, trust_env=False).status_code == 401
    key = weaviate_server.weaviate_operator_key.get_secret_value()
    assert httpx.get(f"{url}/schema", headers={"authorization": f"Bearer {key}"}, trust_env=False).is_success


STARTER = """
import sys, time
from pathlib import Path
from moat.local.servers import start
server = start("toy", [sys.executable, "-c", {server!r}], {{}}, Path(sys.argv[1]), lambda: True)
print(server.process.pid, flush=True)
time.sleep(600)
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: None); time.sleep(600)"


@pytest.mark.parametrize("server", ["import time; time.sleep(600)", STUBBORN])
def test_a_server_ends_with_a_starter_that_was_killed(tmp_path: Path, server: str) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER.format(server=server), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    assert psutil.pid_exists(pid)
    starter.kill()
    starter.wait()
    starter.stdout.close()
    assert gone(pid)
