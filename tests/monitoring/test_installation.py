"""`moat health` is the truth about an installation: dead and hung servers, disk, directories, DAGs, lost runs."""

import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from time_machine import travel

from moat.ledger import Ledger, history, incidents, loads
from moat.ledger.incidents import Happening
from moat.ledger.members import failed, replace_members
from moat.local.servers import free_ports
from moat.maintenance.disk_room import disk_room
from moat.monitoring.health import health
from moat.monitoring.installation import (
    Airflows,
    asked_of_airflow,
    directories,
    open_incidents,
    paused_dags,
    source_troubles,
)
from moat.monitoring.servers import look, look_at_servers
from moat.settings import Settings
from tests.cli.test_cli import moat  # noqa: F401


@pytest.fixture
def hung() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


class _Place:
    def __init__(self, **env: str) -> None:
        self.env = env


def test_with_every_server_dead_or_hung_health_ends_soon_and_says_which(
    hung: int,
    tmp_path: Path,
    moat: Any,  # noqa: F811
) -> None:
    (tmp_path / "file").write_text("no folder")
    closed = free_ports(1)[0]
    place = _Place(
        MOAT_HOME=str(tmp_path / "home"),
        MOAT_LEDGER_URL=f"postgresql+psycopg2://nobody@127.0.0.1:{hung}/x",
        MOAT_STAGING_URI=str(tmp_path / "file" / "staging"),
        MOAT_WEAVIATE_PORT=str(closed),
        MOAT_EMBEDDER_PORT=str(hung),
        MOAT_AIRFLOW_URL=f"http://127.0.0.1:{hung}",
    )
    begun = time.monotonic()
    said = moat(place, "health", "--json")
    assert time.monotonic() - begun < 15
    assert (said.code, said.json["well"], said.json["sources"]) == (1, False, [])
    found = {part["what"]: part for part in said.json["installation"]}
    assert [name for name, part in found.items() if not part["ok"]] == ["ledger", "staging", "weaviate", "embedder", "airflow"]  # fmt: skip
    assert found["ledger"]["found"] == found["airflow"]["found"] == "does not answer within 5 s"
    assert found["weaviate"]["found"] == f"does not answer at 127.0.0.1:{closed}: ConnectError"
    plain = moat(place, "health", MOAT_WEAVIATE_PORT=str(hung), MOAT_AIRFLOW_URL=f"http://127.0.0.1:{closed}")
    assert "the sources are not known: the ledger cannot be read" in plain.out
    assert plain.out.count("NOT WELL") == 5


def test_what_answers_is_well_and_a_stranger_is_not(served: Settings, ledger: Ledger) -> None:
    found = look_at_servers(served.model_copy(update={"ledger_url": ledger.url}), lambda: pytest.fail("not needed"))
    assert {what: one.ok for what, one in found.items()} == dict.fromkeys(
        ("ledger", "staging", "weaviate", "embedder"), True
    )
    assert found["weaviate"].found.startswith("answers, version 1.")
    wrong = served.model_copy(update={"weaviate_grpc_port": free_ports(1)[0], "ledger_url": "sqlite:////nowhere/x.db"})
    found = look_at_servers(wrong, lambda: pytest.fail("not needed"))
    assert [what for what, one in found.items() if not one.ok] == ["ledger", "weaviate"]
    assert "gRPC" in found["weaviate"].found
    (one,) = look({"airflow": lambda: str(json.loads("<html>"))}, 1.0).values()
    assert (one.ok, one.found) == (False, "gives an answer that is none of its own: JSONDecodeError")


def test_disk_directories_and_incidents_are_told(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gb = 1 << 30
    for total, free, ok in ((100, 11, True), (100, 9, False), (10, 1.5, False), (10, 2, True)):
        usage = shutil._ntuple_diskusage(total * gb, 0, int(free * gb))  # type: ignore[attr-defined]
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, usage=usage: usage)
        assert disk_room(tmp_path / "not" / "there")[0] is ok, (total, free)
    groups = {"group:staff": ["user:ann@example.com"]}
    replace_members(ledger, "hand", groups, "test")
    replace_members(ledger, "okta", {"group:okta": ["user:ann@example.com"]}, "test", max_age_s=3600)
    assert [one.ok for one in directories(ledger)] == [True, True]
    hand, okta = directories(ledger, datetime.now(UTC) + timedelta(hours=2))
    assert (hand.ok, okta.ok) == (True, False)
    assert (
        "read 2.0 hours ago, 1.0 hours are allowed, so searches give nothing: `moat directory sync okta`" in okta.found
    )
    failed(ledger, "okta", "401")
    assert [(one.ok, one.found.endswith(": 401")) for one in directories(ledger)] == [(True, False), (False, True)]

    assert open_incidents(ledger).ok
    for name in ("a", "b"):
        what = Happening.now("task", "read", ("read", "boom"), "block" if name == "a" else "warn", None)
        incidents.join(ledger, name, "run", datetime.now(UTC), [what])
    assert (open_incidents(ledger).ok, open_incidents(ledger).found) == (False, "1 block, 1 warn: `moat incidents` lists them")  # fmt: skip


def test_loads_whose_run_has_ended_rollbacks_and_orphans_are_told_at_their_source(ledger: Ledger) -> None:
    for name, run, lease_s in (
        ("fresh", "airflow:fresh:1", 600.0),
        ("failed", "airflow:failed:1", 600.0),
        ("silent", "airflow:silent:1", -1.0),
        ("killed", f"cli:{socket.gethostname()}:{2**22 + 1}:x", 600.0),
        ("held", "airflow:held:1", 600.0),
    ):
        load = loads.open_load(ledger, name, run, {}, lease_s)
        if name == "held":
            loads.hold(ledger, load, "many")
    load = loads.open_load(ledger, "back", "test", {}, 60.0)
    loads.staged(ledger, load)
    loads.promote(ledger, load, "test")
    loads.rollback(ledger, load.id, "test")
    airflow = Airflows(ended={"airflow:failed:1": "failed", "airflow:held:1": "gone"})
    found = source_troubles(ledger, {"lost": 3}, history.under_way(ledger), airflow)
    assert found == {
        "lost": [
            "no DAG file declares it and 3 documents are visible: `moat source retire lost`, or, where a file declares it by another "
            "name now, `moat source rename lost NAME`"
        ],
        "failed": ["load 2 stands open and its run is failed: the next run takes it over, or `moat reject 2`"],
        "silent": ["load 3 stands open and its run has not reported for as long as its lease lasts: the next run takes it over, or `moat reject 3`"],
        "killed": ["load 4 stands open and its process has ended: the next run takes it over, or `moat reject 4`"],
        "held": ["load 5 is held and its run is gone: `moat reject 5`"],
        "back": ["load 6 was rolled back: the next run loads it again, unless its DAG is paused or the source was mended"],
    }  # fmt: skip
    with travel(datetime.now(UTC)):
        ill = {one.source: one.why for one in health(ledger, [], more=found)}
    assert ill["back"] == found["back"][0]
    assert ill["fresh"] == ""


def test_airflow_tells_its_health_paused_dags_and_ended_runs(settings: Settings) -> None:
    gives: dict[str, Any] = {
        "/auth/token": {"access_token": "t"},
        "/api/v2/monitor/health": {"scheduler": {"status": "unhealthy"}, "triggerer": {"status": None}, "metadatabase": {"status": "healthy"}},
        "/api/v2/dags": {"dags": [{"dag_id": n} for n in ("docs", "sync_access", "reconcile", "new", "theirs")], "total_entries": 5},
        "/api/v2/dags/docs/dagRuns/a%2F1": {"state": "failed"},
        "/api/v2/dags/docs/dagRuns/2": {"state": "running"},
    }  # fmt: skip

    class Airflow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = gives.get(self.path.partition("?")[0])
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  the server's own name

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Airflow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        at = settings.model_copy(update={"airflow_url": f"http://127.0.0.1:{server.server_port}"})
        runs = [history.UnderWay(n, "docs", "open", f"airflow:docs:{run}", None) for n, run in enumerate(("a/1", "2", "3"))]  # fmt: skip
        airflow, wrong = asked_of_airflow(at, ["docs", "new"], runs)
        assert look_at_servers(at, lambda: pytest.fail("not needed"), 2.0)["airflow"].found == "answers, but not well: scheduler is unhealthy"  # fmt: skip
        server.shutdown()
    assert wrong == []
    assert airflow.ended == {"airflow:docs:a/1": "failed", "airflow:docs:3": "gone"}
    assert airflow.paused == ("docs", "new", "reconcile", "sync_access")
    told = paused_dags(airflow, ["docs"])
    assert (told.ok, told.found) == (False, "paused: docs, sync_access; switch them on in Airflow; not switched on: new, reconcile")  # fmt: skip
    assert paused_dags(Airflows(paused=("new",)), ["docs"]).ok, "a source that nobody has switched on yet is no fault"
