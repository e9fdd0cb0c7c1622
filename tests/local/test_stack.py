"""A state folder keeps its ports and keys; one run holds it; what it started ends with it, and nothing else does."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import boto3
import psutil
import pytest
import yaml

from moat import ledger
from moat.connections import EnvironmentConnections
from moat.embedding.address import address_of
from moat.errors import FatalError
from moat.local import __main__ as commands
from moat.local import confined
from moat.local import stack as module
from moat.local.servers import answers, free_ports, listening
from moat.local.stack import Stack, airflow_environment, settle, stack
from moat.local.supervise import RESTARTS, running_pid
from moat.settings import PROJECT, Settings, environment

ODD = "mo at ü#1%"  # a name that paths, URIs and configurations all read in a way of their own
HOLD = """
import signal, sys
from pathlib import Path
from moat.local.__main__ import _interrupt
from moat.local.stack import stack
signal.signal(signal.SIGTERM, _interrupt)
try:
    with stack(Path(sys.argv[1]), lambda line: print(line, flush=True), airflow=False) as held:
        print("all up", flush=True)
        held.watch()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
LOCK = """
import sys, time
from pathlib import Path
from moat.local.stack import Stack
held = Stack(Path(sys.argv[1]), print)
held.hold()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def usual(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The ports that are taken when they are free: here some that are."""
    ports = dict(zip(module.PORTS, free_ports(len(module.PORTS)), strict=True))
    monkeypatch.setattr(module, "PORTS", ports)
    return ports


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOAT_HOME", str(tmp_path / ODD))
    return tmp_path / ODD


@pytest.fixture
def child(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A function that runs some Python in a process of its own."""
    made: list[subprocess.Popen[str]] = []

    def begin(code: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *arguments]
        made.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT, start_new_session=True))
        return made[-1]

    yield begin
    for process in made:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def heard(process: subprocess.Popen[str], word: str) -> list[str]:
    """Lines of a process until one holds the word."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if word in line:
            return lines
    pytest.fail(f"it ended without {word!r}: {lines}")


def opened_to_others(home: Path) -> dict[str, str]:
    """What of a state folder others have rights on, with its mode; the programs that a link leads to are not in it."""
    paths = [home, *(Path(at, name) for at, folders, files in os.walk(home) for name in (*folders, *files))]
    modes = {str(path.relative_to(home)): path.lstat().st_mode for path in paths}
    return {name: oct(mode) for name, mode in modes.items() if mode & 0o077 and not stat.S_ISLNK(mode)}


def addresses(processes: list[psutil.Process]) -> set[tuple[str, int]]:
    """Where some processes listen."""
    pids = {process.pid for process in processes}
    found = (c for c in psutil.net_connections("inet") if c.pid in pids)
    return {(c.laddr.ip, c.laddr.port) for c in found if c.status == psutil.CONN_LISTEN}


def test_the_usual_ports_are_taken_when_they_are_free(home: Path, usual: dict[str, int]) -> None:
    env = settle(home)
    assert {name: int(env[name]) for name in usual} == usual


def test_a_usual_port_of_another_program_is_left_to_it(home: Path, usual: dict[str, int]) -> None:
    with socket.create_server(("127.0.0.1", usual["LOCAL_S3_PORT"])):
        env = settle(home)
        chosen = int(env["LOCAL_S3_PORT"])
        assert chosen != usual["LOCAL_S3_PORT"]
        assert not listening(chosen)
    assert {n: int(env[n]) for n in usual if n != "LOCAL_S3_PORT"} == {
        n: port for n, port in usual.items() if n != "LOCAL_S3_PORT"
    }
    assert settle(home) == env, "the folder remembers, though the usual port is free again"
    assert f"http://127.0.0.1:{chosen}" in env["AIRFLOW_CONN_CONTRACTS_S3"]


def test_a_second_start_finds_the_same_ports_and_keys(home: Path) -> None:
    first = settle(home)
    written = (home / "env").read_bytes()
    assert settle(home) == first
    assert (home / "env").read_bytes() == written


def test_each_folder_has_keys_of_its_own(tmp_path: Path) -> None:
    secrets = (
        "MOAT_WEAVIATE_OPERATOR_KEY",
        "MOAT_WEAVIATE_WRITER_KEY",
        "MOAT_WEAVIATE_READER_KEY",
        "MOAT_AIRFLOW_PASSWORD",
        "LOCAL_S3_SECRET",
        "LOCAL_AIRFLOW_SECRET",
    )
    made = [settle(tmp_path / name)[secret] for name in ("a", "b") for secret in secrets]
    assert len(set(made)) == len(made)
    assert min(len(secret) for secret in made) >= 12


def test_only_the_owner_may_read_the_keys(home: Path) -> None:
    settle(home)
    assert stat.S_IMODE((home / "env").stat().st_mode) == 0o600
    (home / "env").chmod(0o644)
    settle(home)
    assert stat.S_IMODE((home / "env").stat().st_mode) == 0o600
    assert [p.name for p in home.iterdir()] == ["env"], "no draft with keys stays behind"


def test_ports_that_nothing_listens_on_any_more_are_forgotten(home: Path) -> None:
    home.mkdir()
    (home / "env").write_text("MOAT_EMBEDDER_PORT='8765'\nLOCAL_LOG_PORT='8793'\n")
    assert not {"MOAT_EMBEDDER_PORT", "LOCAL_LOG_PORT"} & set(settle(home))
    assert address_of(Settings.load()).socket == home / "embedder.sock"


def test_what_a_person_adds_is_kept_as_it_was_meant(home: Path) -> None:
    settle(home)
    with (home / "env").open("a") as file:
        file.write("MOAT_TENANT=\"acme\"\nexport MOAT_SHARDS=2\nMOAT_MODEL='a\\'b \\\\ c'\n")
    for _ in range(3):
        env = settle(home)
    assert (env["MOAT_TENANT"], env["MOAT_SHARDS"], env["MOAT_MODEL"]) == ("acme", "2", "a'b \\ c")
    settings = Settings.load()
    assert (settings.tenant, settings.shards, settings.model) == ("acme", 2, "a'b \\ c")


def test_settings_and_connections_lead_to_the_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "o'brien's moat"
    monkeypatch.setenv("MOAT_HOME", str(home))
    env = settle(home)
    settings = Settings.load()
    assert settings.weaviate_port == int(env["MOAT_WEAVIATE_PORT"])
    assert settings.weaviate_grpc_port == int(env["MOAT_WEAVIATE_GRPC_PORT"])
    assert settings.weaviate_reader_key.get_secret_value() == env["MOAT_WEAVIATE_READER_KEY"]
    assert settings.airflow_url == f"http://127.0.0.1:{env['LOCAL_AIRFLOW_PORT']}"
    found = EnvironmentConnections(environment())
    assert found.get("contracts_s3").password == env["LOCAL_S3_SECRET"]
    assert found.get("contracts_s3").extra["endpoint_url"] == f"http://127.0.0.1:{env['LOCAL_S3_PORT']}"
    assert found.get("warehouse").host == str(home / "warehouse.duckdb")


def test_airflow_is_told_every_port_and_secret_that_was_settled(home: Path) -> None:
    env = settle(home)
    told = airflow_environment(home, env)
    assert told["AIRFLOW__API__PORT"] == env["LOCAL_AIRFLOW_PORT"]
    for name in ("AIRFLOW__API__BASE_URL", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"):
        assert f"127.0.0.1:{env['LOCAL_AIRFLOW_PORT']}" in told[name]
    assert told["AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS"] == "0o700"
    assert told["AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS"] == "0o600"
    assert len(told["AIRFLOW__API_AUTH__JWT_SECRET"]) >= 64
    assert told["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_nothing_is_left_to_what_airflow_makes_of_a_path_with_a_percent_sign(home: Path) -> None:
    told = airflow_environment(home, settle(home))
    (package,) = find_spec("airflow").submodule_search_locations  # type: ignore[union-attr,misc]
    described = yaml.safe_load(Path(package, "config_templates", "config.yml").read_text("utf-8"))
    derived = {
        f"AIRFLOW__{section.upper()}__{name.upper()}"
        for section, found in described.items()
        for name, option in found["options"].items()
        if "{AIRFLOW_HOME}" in str(option["default"])
    }
    assert len(derived) > 3
    assert derived - told.keys() == set()
    assert all(str(home) in told[name] or str(PROJECT) in told[name] for name in derived)


def test_migrations_are_found_beside_a_percent_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "MIGRATIONS", Path(f"/{ODD}/ledger/migrations"))
    assert ledger._alembic().get_main_option("script_location") == f"/{ODD}/ledger/migrations"


@pytest.mark.parametrize("name", ["MOAT_WEAVIATE_PORT", "LOCAL_S3_PORT", "LOCAL_AIRFLOW_PORT"])
def test_a_settled_port_that_another_program_took_is_named_with_the_way_out(name: str, home: Path) -> None:
    port = settle(home)[name]
    before = dict(os.environ)
    with (
        socket.create_server(("127.0.0.1", int(port))),
        pytest.raises(FatalError) as error,
        stack(home, lambda line: pytest.fail(f"something was started: {line}")),
    ):
        pytest.fail("it never was up")
    for word in (port, name, "taken by another program", str(home / "env")):
        assert word in str(error.value)
    assert running_pid(home) is None
    assert dict(os.environ) == before
    text = (home / "env").read_text()
    (home / "env").write_text("".join(line for line in text.splitlines(True) if not line.startswith(f"{name}=")))
    with socket.create_server(("127.0.0.1", int(port))):
        assert settle(home)[name] != port


def test_a_folder_that_nothing_runs_in_has_no_pid(home: Path) -> None:
    assert running_pid(home) is None
    home.mkdir()
    for text in ("", "no number", "999999999"):
        (home / "pid").write_text(text)
        assert running_pid(home) is None


def test_the_pid_of_a_run_that_was_killed_is_nobodys(
    home: Path, child: Callable[..., subprocess.Popen[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    run = child(LOCK, str(home))
    heard(run, "held")
    assert running_pid(home) == run.pid
    run.kill()
    run.wait()
    stranger = child("import time; print('there', flush=True); time.sleep(600)")
    heard(stranger, "there")
    for pid in (run.pid, stranger.pid):  # the number of the dead may be given to another
        (home / "pid").write_text(str(pid))
        assert running_pid(home) is None
        assert commands.main(["stop"]) == 0
    assert "Moat does not run here" in capsys.readouterr().out
    assert stranger.poll() is None, "a program that has nothing to do with Moat was ended"
    again = Stack(home, print)
    again.hold()
    assert running_pid(home) == os.getpid()
    again.stop()
    assert running_pid(home) is None


def test_a_second_run_is_refused_and_leaves_the_first_alone(
    home: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    run = child(LOCK, str(home))
    heard(run, "held")
    for _ in range(2):
        with (
            pytest.raises(FatalError, match=rf"runs here already \(process {run.pid}\): `make stop` ends it"),
            stack(home, print),
        ):
            pytest.fail("two runs in one folder")
        assert running_pid(home) == run.pid, "`make stop` could no longer find the first"


def test_stop_ends_the_run_of_its_folder_and_no_other(
    home: Path, tmp_path: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    ours, other = child(LOCK, str(home)), child(LOCK, str(tmp_path / "other"))
    for process in (ours, other):
        heard(process, "held")
    assert commands.main(["stop"]) == 0
    assert ours.wait(30) == -15
    assert other.poll() is None
    assert running_pid(tmp_path / "other") == other.pid


def test_everything_starts_answers_and_ends_and_an_embedder_that_ran_already_is_used(
    home: Path,
    usual: dict[str, int],
    binaries: Path,
    embedder_server: int,
    child: Callable[..., subprocess.Popen[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home.mkdir()
    (home / "bin").symlink_to(binaries)
    (home / "env").write_text("".join(f"{name}={port}\n" for name, port in usual.items()))
    (home / "staging" / "old").mkdir(parents=True)
    (home / "staging" / "old" / "texts").write_text("of an earlier version")
    for path in (home, home / "staging", home / "staging" / "old"):
        path.chmod(0o755)
    (home / "staging" / "old" / "texts").chmod(0o644)
    monkeypatch.setenv("MOAT_EMBEDDER_PORT", str(embedder_server))
    monkeypatch.setenv("MOAT_HOME", str(home))
    ports = usual
    run = child(HOLD, str(home))
    lines = heard(run, "all up")
    assert "could be read by others: now by you alone" in lines[0]
    waiting = ("network namespace", " starts")  # the second is said of a server that takes long
    lines = [line for line in lines[1:] if not any(word in line for word in waiting)]
    assert [line.partition(" (")[0] for line in lines[:2]] == ["Weaviate is up", "S3 is up"]
    assert lines[2] == f"embedder runs already at http://127.0.0.1:{embedder_server}"
    assert answers(f"http://127.0.0.1:{ports['MOAT_WEAVIATE_PORT']}/v1/.well-known/ready")
    assert listening(ports["LOCAL_S3_PORT"])
    assert listening(ports["MOAT_WEAVIATE_GRPC_PORT"])
    assert (home / "ledger.db").exists()
    started = psutil.Process(run.pid).children(recursive=True)
    assert len(started) >= 2
    put = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{ports['LOCAL_S3_PORT']}",
        aws_access_key_id="moat",
        aws_secret_access_key=settle(home)["LOCAL_S3_SECRET"],
        region_name="us-east-1",
    )
    put.create_bucket(Bucket="contracts")
    put.put_object(Bucket="contracts", Key="a/secret.txt", Body=b"text", Tagging="readers=hr")
    put.close()
    assert opened_to_others(home) == {}
    if confined.possible():
        assert {ip for ip, _ in addresses(started)} == {"127.0.0.1"}
    assert commands.main(["stop"]) == 0
    heard(run, "interrupted")
    assert run.wait(30) == 0
    assert not any(listening(ports[n]) for n in ("MOAT_WEAVIATE_PORT", "MOAT_WEAVIATE_GRPC_PORT", "LOCAL_S3_PORT"))
    assert psutil.wait_procs(started, timeout=30)[1] == []
    assert running_pid(home) is None
    assert answers(f"http://127.0.0.1:{embedder_server}/health"), "what it did not start it does not end"


def test_a_server_that_ends_by_itself_is_started_three_times_and_then_told_while_the_others_stay(home: Path) -> None:
    from moat.local.servers import Server, start

    said = list[str]()
    made = Stack(home, said.append)

    def begin(name: str, code: str) -> Server:
        return start(name, [sys.executable, "-S", "-c", code], {}, home / "logs", lambda: True)

    stays = begin("stays", "import time; time.sleep(600)")
    made._begin = {"toy": lambda: begin("toy", "print('[disk] error: full')"), "stays": lambda: pytest.fail("it lives")}
    made.running = [made._begin["toy"](), stays]
    for _ in range(RESTARTS + 1):
        made.running[0].process.wait()
        made.look()
    assert [line.partition(":")[0] for line in said[:3]] == [
        f"toy ended with 0 and is started again ({n} of 3)" for n in (1, 2, 3)
    ]
    assert said[0].endswith(r"\[disk] error: full"), "brackets are not eaten"
    assert "toy ended with 0 once more and stays down" in said[3]
    assert str(home / "logs" / "toy.log") in said[3]
    assert made.running == [stays]
    made.look()
    assert len(said) == 4
    made._begin["stays"] = lambda: begin("stays", "import time; time.sleep(600)")
    stays.process.kill()
    stays.process.wait()
    made.look()
    made.look()
    assert said[4] == "stays was killed (signal 9) and is started again (1 of 3)"
    assert said[5] == "stays answers again"
    made.stop()
    assert made.running == []


def test_a_state_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        FatalError, match=r"^the state folder .*/file/moat cannot be written: Not a directory: make it "
    ):
        settle(tmp_path / "file" / "moat")


def test_an_unknown_word_says_what_there_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["strat"]) == 2
    assert "run [--once] | stop | programs" in " ".join(capsys.readouterr().out.split())
