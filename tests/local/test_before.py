"""What a machine lacks is told before anything is installed, and nothing is silent for long."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections import namedtuple
from pathlib import Path

import pytest

from moat.cli.render import BECAME, accounted
from moat.local import before, patient
from moat.local.airflow import reason_in
from moat.local.progress import Progress


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A state folder that has its programs."""
    (tmp_path / "bin").mkdir()
    for name in before.PROGRAMS:
        (tmp_path / "bin" / f"{name}1.0").touch()
    return tmp_path


def test_a_machine_that_has_everything_is_told_nothing(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert before.main([str(whole), "run"]) == 0
    assert capsys.readouterr() == ("", "")


def test_all_that_is_missing_is_told_at_once_each_with_its_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    (tmp_path / "file").touch()
    monkeypatch.setattr(urllib.request, "urlopen", closed)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(3 * 10**9))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / "env").write_text(f"LOCAL_S3_PORT='{port}'\nMOAT_WEAVIATE_PORT='1'\nMOAT_TENANT='x'\n")
        assert before.main([str(tmp_path), "run"]) == 1
        assert before.taken(str(tmp_path / "none")) == []
    told = capsys.readouterr().err.splitlines()
    for words in (
        ("Go is not installed", "no route to host", "install Go 1.24"),
        ("3.0 GB free", "GB are needed"),
        (f"port {port} (LOCAL_S3_PORT)", "delete the line"),
    ):
        assert any(all(word in line for word in words) for line in told), (words, told)
    assert len(told) == 3, told


def test_another_python_a_missing_venv_and_a_folder_that_cannot_be_written_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "this is 3.9: `make run PYTHON=python3.11`" in before.python((3, 9))
    assert "python3-venv" in before.python((3, 12), has=False)
    assert before.python((3, 12), has=True) == ""
    # As on a disk that is mounted read-only: here the folder of a device, where nobody makes files.
    assert "the state folder /proc/moat cannot be written" in before.writable("/proc/moat")
    assert before.writable(str(tmp_path / "not" / "yet")) == ""


def test_a_project_that_airflow_cannot_be_installed_in_is_told(tmp_path: Path) -> None:
    assert before.place(str(tmp_path / "mo at ü#1")) == ""
    assert "without a percent sign" in before.place(str(tmp_path / "1%"))


def test_it_runs_by_a_python_that_has_nothing(whole: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", before.__file__, str(whole)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_silent_command_has_a_line_every_while(capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-S", "-c", "import time; time.sleep(0.4); raise SystemExit(3)"]
    assert patient.main("installing", command, every_s=0.1) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "installing"
    assert lines[1].startswith("installing: 0 s")


def test_silent_work_is_told_of_and_talking_work_is_not() -> None:
    said = list[str]()
    progress = Progress(said.append, every_s=0.05)
    with progress.during("Weaviate starts"):
        time.sleep(0.3)
    assert said
    assert set(said) == {"Weaviate starts (0 s so far)"}
    said.clear()
    quiet = Progress(said.append, every_s=30.0)
    with quiet.during("S3 starts"):
        quiet("S3 is up")
    assert said == ["S3 is up"]


def test_a_task_that_failed_shows_the_error_that_its_log_ends_with() -> None:
    content = [
        {"event": "handbook: 15 listed"},
        {"event": "Task failed", "error_detail": [{"exc_type": "IndexUnavailable", "exc_value": "no\n answer"}, {}]},
        {"event": "::endgroup::"},
    ]
    assert reason_in(content) == "IndexUnavailable: no answer"
    assert reason_in(["a line", {"event": "x"}]) == ""
    assert len(reason_in([{"error_detail": [{"exc_type": "E", "exc_value": "x" * 900}]}])) < 310


def test_every_document_that_was_listed_is_accounted_for() -> None:
    assert accounted({"listed": 60, "new": 59, "unknown": 1, "aside": 1}) == (
        "60: 59 new, 1 set aside because who may read them is unknown; 1 of the new and changed set aside"
    )
    assert accounted({"listed": 5, "unchanged": 3, "vanished": 2}) == "5: 3 unchanged, 2 not told apart; 2 vanished"
    assert accounted({"listed": 0}) == "0"
    every = {name: n for n, name in enumerate(BECAME, 1)}
    assert "not told apart" not in accounted({"listed": sum(every.values()), **every})
