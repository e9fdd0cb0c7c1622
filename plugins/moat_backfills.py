"""Refuse backfills where Airflow's database is SQLite: there they end Airflow's scheduler.

Airflow writes the runs of a backfill while its scheduler reads them. On SQLite the request is answered 503, "Database is
locked", and the scheduler ends by a run that is gone again (ObjectDeletedError; Airflow 3.3.2). On PostgreSQL neither
happens, and nothing is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import MutableMapping

BACKFILLS = "/api/v2/backfills"
REFUSED = (
    "This Airflow keeps its database in SQLite, where a backfill ends the scheduler, so it is refused. A source of Moat "
    "needs none: each run reads all that the source holds now, and one run brings it up to date. Other DAGs: trigger "
    "the runs one by one, or keep Airflow's database on PostgreSQL."
)


class RefuseBackfills:
    """An ASGI middleware that answers 409 to a request for a backfill, and passes on everything else."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._on_sqlite = conf.get("database", "sql_alchemy_conn").startswith("sqlite")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        asked = (scope["type"], scope.get("method")) == ("http", "POST") and scope["path"].rstrip("/").endswith(
            BACKFILLS
        )
        if asked and self._on_sqlite:
            from starlette.responses import JSONResponse

            await JSONResponse({"detail": REFUSED}, 409)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class MoatBackfillsPlugin(AirflowPlugin):
    """Registers the middleware, which only Airflow's API server makes."""

    name = "moat_backfills"
    fastapi_root_middlewares = [  # noqa: RUF012  as the base class has it
        {"name": "moat_backfills", "middleware": RefuseBackfills, "args": [], "kwargs": {}}
    ]
