"""Moat's pages in Airflow's UI, and their routes on its API server.

Every component of Airflow imports this file, but only the API server serves pages: what they need is imported by the
first request. Who may do what is asked of Airflow's auth manager, here alone; `moat.pages` knows no Airflow.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from moat.connections import Connections
    from moat.pages.person import Person, Right

PREFIX = "/moat-pages"
BUNDLE = f"{PREFIX.lstrip('/')}/static/moat.js"
ICON = {
    "icon": f"{PREFIX.lstrip('/')}/static/moat.svg",
    "icon_dark_mode": f"{PREFIX.lstrip('/')}/static/moat-dark.svg",
}
# Permissions of their own, which no role of Airflow has before somebody gives it.
OWN: dict[str, str] = {"text": "moat_read_text", "ask": "moat_view_as"}


class Pages:
    """An ASGI application that is built by its first request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._app: Any = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if self._app is None:
            import asyncio

            await asyncio.to_thread(self._build)
        await self._app(scope, receive, send)

    def _build(self) -> None:
        from moat.pages.app import build

        with self._lock:
            if self._app is None:
                self._app = build(asked_of_airflow(), _connections)


def asked_of_airflow() -> Callable[..., Person]:
    """A dependency of FastAPI that gives who asks, by the login that Airflow knows; without one it answers 401."""
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import Depends

    def person(user: Any = Depends(get_user)) -> Person:
        from moat.pages.person import Person

        return Person(name=f"airflow:{user.get_name()}", may=lambda right, source: may(user, right, source))

    return person


def may(user: Any, right: Right, source: str) -> bool:
    """Whether Airflow lets somebody do something with a source, whose name is that of its DAG."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails

    manager = get_auth_manager()
    of_dag: dict[str, tuple[Any, Any]] = {
        "see": ("GET", DagAccessEntity.RUN),
        "mend": ("PUT", None),
        "trigger": ("POST", DagAccessEntity.RUN),
        "decide": ("PUT", DagAccessEntity.HITL_DETAIL),  # what Airflow asks of an answer under Required Actions
    }
    if right == "enter":
        return bool(manager.is_authorized_view(access_view=AccessView.WEBSITE, user=user))
    if right in OWN:
        allowed = manager.is_authorized_custom_view(method="GET", resource_name=OWN[right], user=user)
        return bool(allowed) and not _only_viewer(manager, user)
    method, entity = of_dag[right]
    details = DagDetails(id=source, team_name=_team_of(source))
    return bool(source and manager.is_authorized_dag(method=method, access_entity=entity, details=details, user=user))


def _team_of(source: str) -> str | None:
    """The team that a source's DAG belongs to, where Airflow keeps teams apart."""
    from airflow.configuration import conf
    from airflow.models.dag import DagModel

    return DagModel.get_team_name(source) if conf.getboolean("core", "multi_team") else None


def _only_viewer(manager: Any, user: Any) -> bool:
    """Whether the auth manager is Airflow's simple one and the user no admin: it gives every view to everybody."""
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    return isinstance(manager, SimpleAuthManager) and str(getattr(user, "role", "")).upper() != "ADMIN"


def _connections() -> Connections:
    from moat_connections import AirflowConnections

    return AirflowConnections()


class MoatPages(AirflowPlugin):
    name = "moat_pages"
    fastapi_apps = [{"app": Pages(), "url_prefix": PREFIX, "name": "moat pages"}]  # noqa: RUF012  as the base class has it
    react_apps = [  # noqa: RUF012  the same file; the host calls the function of that name in it
        {
            "name": "Knowledge base",
            "bundle_url": BUNDLE,
            "destination": "nav",
            "url_route": "moat",
            "nav_top_level": True,
            **ICON,
        },
        {"name": "Load", "bundle_url": BUNDLE, "destination": "dag_run", "url_route": "moat-load", **ICON},
        {
            "name": "Knowledge base at a glance",
            "bundle_url": BUNDLE,
            "destination": "dashboard",
            "url_route": "moat-home",
        },
    ]
