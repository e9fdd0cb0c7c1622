"""What every request to the door passes first: its id, its host and origin, its size, its log line.

An ASGI middleware. A body beyond the bound is refused at its announced length, or at the byte that is too many.
"""

import json
import logging
import re
import time
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from moat.asgi import App, Event, Receive, Scope, Send, Unread, given_body, read_body
from moat.door.counters import Counters
from moat.door.problems import MEDIA_TYPE, headers_of, kind_of, problem_of
from moat.errors import DoorRefused
from moat.search.asked_by import asked_by

log = logging.getLogger(__name__)

MOST_BYTES = 512 << 10  # of one body
READING_S = 15.0  # for one body
REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
PROBED = ("/health", "/ready", "/metrics")  # also asked by an address of the machine, not its name
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Bounds:
    """Passes requests on to the door's routes, or refuses them.

    Args:
        app: The door's routes.
        url: The door's own address, as applications know it.
        hosts: Names under which it answers, without ports.
        counters: What counts the requests.
    """

    def __init__(self, app: App, url: str, hosts: Iterable[str], counters: Counters) -> None:
        self._app, self._hosts, self._counters = app, frozenset(hosts), counters
        self._netloc = urlsplit(url).netloc.lower()
        secure = {"strict-transport-security": "max-age=31536000"} if url.startswith("https:") else {}
        self._headers = [(name.encode(), value.encode()) for name, value in {**HEADERS, **secure}.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        given, begun = headers.get("x-request-id", ""), time.monotonic()
        request = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        told: dict[str, Any] = {"status": 0, "code": "", "who": "", "request": request}
        scope["moat"] = told

        async def dressed(event: Event) -> None:
            if event["type"] == "http.response.start":
                told["status"] = event["status"]
                own = [*event.get("headers", ())]
                there = {name.lower() for name, _ in own}
                more = [pair for pair in self._headers if pair[0] not in there]
                event = {**event, "headers": [*own, *more, (b"x-request-id", request.encode())]}
            await send(event)

        self._counters.open.inc()
        try:
            with asked_by(request=request):
                await self._passed(scope, headers, receive, dressed)
        finally:
            self._counters.open.dec()
            self._tell(scope, told, request, time.monotonic() - begun)

    async def _passed(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        told = scope["moat"]
        try:
            self._check(scope["path"], headers)
            body = await _read(receive, headers)
            await self._app(scope, given_body(body, receive), send)
        except DoorRefused as refused:
            told["code"] = refused.code
            await _answer(send, refused)
        except Exception as error:  # noqa: BLE001  its words may quote what was asked, so only its kind is told
            log.error("a request failed: %s", type(error).__name__)
            if not told["status"]:
                told["code"] = "failed"
                await _answer(send, DoorRefused("failed"))

    def _check(self, path: str, headers: dict[str, str]) -> None:
        """Refuse other hosts and origins, which a page of somebody else's would have (DNS rebinding)."""
        host, origin = headers.get("host", "").lower(), headers.get("origin", "").lower()
        if path not in PROBED and urlsplit(f"//{host}").hostname not in self._hosts:
            raise DoorRefused("wrong_host")
        if origin and urlsplit(origin).netloc not in (host, self._netloc):
            raise DoorRefused("wrong_origin")

    def _tell(self, scope: Scope, told: dict[str, Any], request: str, seconds: float) -> None:
        """Count and log a request: no question, no token and no text is in it."""
        route = told.get("route") or getattr(scope.get("route"), "path", "") or "other"
        self._counters.answered(route, told["status"], told["code"], seconds)
        words = (
            scope["method"],
            route,
            told["status"],
            told["code"] or "-",
            1000 * seconds,
            told["who"] or "-",
            request,
        )
        log.info("%s %s %s %s %.0f ms asker=%s request=%s", *words)


async def _read(receive: Receive, headers: dict[str, str]) -> bytes:
    """Read a body. Raises DoorRefused at the byte that is too many, and when it takes too long."""
    announced = headers.get("content-length", "0")
    if not (announced.isascii() and announced.isdigit()) or len(announced) > 15 or int(announced) > MOST_BYTES:
        raise _unread("too large")
    return await read_body(receive, MOST_BYTES, READING_S, _unread)


def _unread(why: Unread) -> DoorRefused:
    if why == "too large":
        return DoorRefused("too_large", f"A request takes {MOST_BYTES >> 10} KiB.")
    return DoorRefused("too_slow")


async def _answer(send: Send, refused: DoorRefused) -> None:
    content, status = json.dumps(problem_of(refused)).encode(), kind_of(refused).status
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(content)), **headers_of(refused)}
    headers |= {"connection": "close"} if status in (408, 413) else {}  # the rest of the body is not read
    start = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": content})
