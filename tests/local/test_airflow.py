"""What `make run` asks of Airflow holds out where it is slow, and shows why a task is tried again."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from moat.errors import AirflowUnavailable
from moat.local import airflow
from moat.local.airflow import asked, follow
from moat.local.progress import Progress

Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow.time, "sleep", lambda seconds: None)  # type: ignore[attr-defined]


def served(answer: Answer) -> httpx.Client:
    return httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(answer))


def test_a_slow_airflow_is_asked_again_and_begins_no_second_run() -> None:
    seen = list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        if len(seen) == 1:
            raise httpx.ReadTimeout("busy", request=request)
        return httpx.Response(409 if request.method == "POST" else 200, json={"state": "queued"})

    assert asked(served(answer), "POST", "/dags/docs/dagRuns", json={}) == {}
    seen.clear()
    assert asked(served(answer), "GET", "/dags/docs") == {"state": "queued"}

    def never(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("closed", request=request)

    with pytest.raises(AirflowUnavailable, match="Airflow did not answer to GET /dags/docs: ConnectError"):
        asked(served(never), "GET", "/dags/docs")


def test_a_task_that_is_tried_again_shows_its_reason_each_time_and_brackets_stay() -> None:
    ti: dict[str, Any] = {
        "id": "1",
        "task_id": "load",
        "task_display_name": "batch.load",
        "rendered_map_index": "[0]",
        "map_index": -1,
    }
    moments = [
        {"state": "running", "try_number": 1},
        {"state": "up_for_retry", "try_number": 1},
        {"state": "up_for_retry", "try_number": 1},
        {"state": "up_for_retry", "try_number": 2},
        {"state": "success", "try_number": 3},
    ]
    now = iter(moments)
    began = list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v2")
        if "/logs/" in path:
            error = {"exc_type": "IndexUnavailable", "exc_value": f"try {path[-1]} [docs] did not answer"}
            return httpx.Response(200, json={"content": [{"event": "failed", "error_detail": [error]}]})
        if path.endswith("/taskInstances"):
            return httpx.Response(200, json={"task_instances": [ti | next(now)]})
        if request.method == "POST":
            began.append(path)
            return httpx.Response(200, json={})
        state = "success" if now.__length_hint__() == 0 else "running"  # type: ignore[attr-defined]
        return httpx.Response(200, json={"is_paused": False, "state": state, "dag_runs": []})

    said, looked = list[str](), list[int]()
    assert follow(served(answer), ["docs"], Progress(said.append), lambda: looked.append(1))
    assert said[1:] == [
        r"docs: load [0] is tried again: IndexUnavailable: try 1 \[docs] did not answer",
        r"docs: load [0] is tried again: IndexUnavailable: try 2 \[docs] did not answer",
        r"docs: load [0] [green]done[/]",
    ]
    assert len(looked) == len(moments)
    assert began == ["/dags/docs/dagRuns"]
