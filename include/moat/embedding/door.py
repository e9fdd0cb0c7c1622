"""The embedder's door: bounds what a request may hold before it is read, and opens sealed ones.

An ASGI middleware. A body beyond the bound is refused at its announced length, or at the byte that is too many.
"""

import json
from typing import Any

from moat.asgi import App, Event, Receive, Scope, Send, Unread, given_body, read_body
from moat.embedding.limits import MOST_BYTES
from moat.embedding.sealed import OVERHEAD, PATH, Message, seal, unseal

MOST_HELD = 64 << 20  # bytes of bodies that wait for the model or are being read
READING_S = 60.0  # for one body
TOO_LARGE = f"a request takes {MOST_BYTES >> 20} MiB: send the texts in several requests"


class _Refused(Exception):
    """The request is answered here, with a status and a sentence."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status, self.said = status, said


class Door:
    """Passes requests on with their bodies in memory, or refuses them.

    Args:
        app: The embedder.
        key: What sealed requests are opened with; empty: none are taken.
    """

    def __init__(self, app: App, key: str) -> None:
        self._app, self._key, self._held = app, key, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        held = 0
        try:
            announced = _announced(scope)
            most = MOST_BYTES + (OVERHEAD if scope["path"] == PATH else 0)
            if announced is not None and announced > most:
                raise _Refused(413, TOO_LARGE)
            held = most if announced is None else announced
            if self._held + held > MOST_HELD:
                held = 0
                raise _Refused(503, "too many requests wait: try again in a moment")
            self._held += held
            body = await read_body(receive, most, READING_S, _unread)
            if scope["path"] == PATH:
                await self._opened(body, scope, receive, send)
            else:
                await self._app(scope, given_body(body, receive), send)
        except _Refused as refused:
            await _answer(send, refused)
        finally:
            self._held -= held

    async def _opened(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a sealed request with a sealed answer."""
        try:
            asked = unseal(self._key, "request", body) if self._key else None
        except ValueError:
            asked = None
        if asked is None:
            raise _Refused(401, "the request is not sealed with this embedder's key")
        headers = [(name.encode(), value.encode()) for name, value in asked.head["headers"].items()]
        path = asked.head["path"]
        inner = {**scope, "method": asked.head["method"], "path": path, "raw_path": path.encode(), "headers": headers}
        inner["moat.sealed"] = True
        head: dict[str, Any] = {}
        parts: list[bytes] = []

        async def keep(event: Event) -> None:
            if event["type"] == "http.response.start":
                found = {name.decode(): value.decode() for name, value in event["headers"]}
                head.update(status=event["status"], headers=found)
            elif event["type"] == "http.response.body":
                parts.append(event.get("body", b""))

        await self._app(inner, given_body(asked.body, receive), keep)
        sealed = seal(self._key, "answer", Message(head, b"".join(parts)), body)
        await _send(send, 200, "application/octet-stream", sealed)


def _announced(scope: Scope) -> int | None:
    """The body's length as its head says; None if it does not."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 16 else MOST_HELD
        if name == b"transfer-encoding":
            return None
    return 0


def _unread(why: Unread) -> _Refused:
    said = {
        "too large": (413, TOO_LARGE),
        "broken off": (400, "the request broke off"),
        "too slow": (408, f"the request was not sent in {READING_S:g} seconds"),
    }
    return _Refused(*said[why])


async def _answer(send: Send, refused: _Refused) -> None:
    await _send(send, refused.status, "application/json", json.dumps({"detail": refused.said}).encode())


async def _send(send: Send, status: int, kind: str, body: bytes) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(b"retry-after", b"1")] if status == 503 else []
    headers += [(b"connection", b"close")] if status in (408, 413) else []  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
