"""On SQLite a backfill ends Airflow's scheduler: there the API server refuses it, and passes on everything else."""

from typing import Any

import moat_backfills
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

URLS = {"sqlite:////tmp/airflow.db": 409, "postgresql+psycopg2://airflow@localhost/airflow": 200}


@pytest.mark.parametrize(("url", "status"), URLS.items())
def test_a_backfill_is_refused_on_sqlite_alone(url: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", url)
    app = FastAPI()
    app.add_api_route("/api/v2/{path:path}", lambda path: {"path": path}, methods=["GET", "POST"])
    registered: Any = moat_backfills.MoatBackfillsPlugin.fastapi_root_middlewares
    for one in registered:
        app.add_middleware(one["middleware"], *one["args"], **one["kwargs"])
    asked = TestClient(app)
    for path in ("/api/v2/backfills", "/api/v2/backfills/"):
        assert asked.post(path).status_code == status
    for path in ("/api/v2/backfills/dry_run", "/api/v2/dags/handbook/dagRuns"):
        assert asked.post(path).json() == {"path": path.removeprefix("/api/v2/")}
    assert asked.get("/api/v2/backfills").status_code == 200


def test_the_refusal_says_what_to_do_instead() -> None:
    assert "one run brings it up to date" in moat_backfills.REFUSED
    assert "PostgreSQL" in moat_backfills.REFUSED
