"""Serves /moat/metrics on Airflow's API server: the ledger's numbers, protected by MOAT_METRICS_KEY.

Every component of Airflow imports this file, but only the API server serves requests: expensive
imports and the ledger connection wait for the first request.
"""

from __future__ import annotations

import asyncio
import hmac
import threading
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from moat.errors import MoatError

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from moat.settings import Settings

PLAIN = "text/plain; charset=utf-8"


class Metrics:
    """An ASGI application with one page. Without a configured key it returns 404."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._registry: Any = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        status, kind, body = await asyncio.to_thread(self.answer, scope)
        headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-store")]
        headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def answer(self, scope: MutableMapping[str, Any]) -> tuple[int, str, bytes]:
        """Status, content type and body. Without the key reveals only whether one is set."""
        from moat.settings import Settings

        path = scope["path"].removeprefix(scope.get("root_path", "")).rstrip("/")
        try:
            settings = Settings.load()
            key = settings.metrics_key.get_secret_value()
            if not key or path != "/metrics" or scope["method"] not in ("GET", "HEAD"):
                return 404, PLAIN, b"not found\n"
            if not _given(scope, key):
                return 401, PLAIN, b"Authorization: Bearer MOAT_METRICS_KEY\n"
            return self._text(settings)
        except MoatError as error:
            return 503, PLAIN, f"{type(error).__name__}: see `moat doctor`\n".encode()

    def _text(self, settings: Settings) -> tuple[int, str, bytes]:
        from moat.ledger import Ledger
        from moat.monitoring.metrics import CONTENT_TYPE, registry_of, text

        with self._lock:
            if self._registry is None:
                self._registry = registry_of(Ledger.open(settings))
            return 200, CONTENT_TYPE, text(self._registry)


def _given(scope: MutableMapping[str, Any], key: str) -> bool:
    """Whether the request has the right key, compared in constant time."""
    said = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
    return len(said) == 1 and hmac.compare_digest(said[0], f"Bearer {key}".encode())


class MoatMetrics(AirflowPlugin):
    name = "moat_metrics"
    fastapi_apps = [{"app": Metrics(), "url_prefix": "/moat", "name": "moat metrics"}]  # noqa: RUF012  as the base class has it
