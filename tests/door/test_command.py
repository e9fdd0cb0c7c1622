"""The door as a process of its own, started as a person starts it."""

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from moat.settings import PROJECT, Settings
from tests.company import HUGO, Company, environment_of


def started(settings: Settings, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MOAT_", "AIRFLOW_CONN_"))}
    env = {**own, **environment_of(settings, "reader"), **variables, "PYTHONPATH": str(PROJECT / "include")}
    command = [sys.executable, "-m", "moat.door", *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_serves_as_a_person_says_so_and_ends_when_it_is_told_to(company: Company) -> None:
    from moat.local.servers import free_ports

    (port,) = free_ports(1)
    door = started(company.runtime.settings, "--as", HUGO, "--port", str(port))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            until = time.monotonic() + 120
            while time.monotonic() < until and door.poll() is None:
                try:
                    assert http.get("/health").json() == {"status": "ok", "development": True}
                    break
                except httpx.TransportError:
                    time.sleep(0.2)
            found = http.post(
                "/v1/search", json={"question": "zebra crane", "limit": 1}, headers={"x-request-id": "r.1"}
            )
            assert len(found.json()["hits"]) == 1
    finally:
        door.send_signal(signal.SIGTERM)
        out, said = door.communicate(timeout=60)
    assert f"Development: whoever reaches http://127.0.0.1:{port} without a token asks as {HUGO}." in said
    assert "POST /v1/search 200 - " in said
    assert f"asker={HUGO} request=r.1" in said
    assert "zebra" not in said + out
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("variables", "arguments", "words"),
    [
        ({"MOAT_DOOR_HOST": "0.0.0.0"}, ("--as", HUGO), "on loopback only"),
        ({"MOAT_DOOR_SERVICES": "chat"}, (), "write user:ID"),
    ],
)
def test_it_says_in_one_line_why_it_does_not_open(
    company: Company, variables: dict[str, str], arguments: tuple[str, ...], words: str
) -> None:
    door = started(company.runtime.settings, *arguments, **variables)
    _, said = door.communicate(timeout=120)
    assert door.returncode == 1
    assert said.strip().splitlines()[-1].startswith("SettingsError: ")
    assert words in said
    assert "Traceback" not in said
