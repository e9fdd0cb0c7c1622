"""Bodies of requests in ASGI middleware: read within bounds, and handed on."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Unread = Literal["too large", "broken off", "too slow"]


async def read_body(receive: Receive, most: int, seconds: float, refused: Callable[[Unread], Exception]) -> bytes:
    """Read a body.

    Args:
        receive: Of the request.
        most: Bytes that it may have.
        seconds: That it may take.
        refused: Makes the error that is raised: at the byte that is too many, when the client leaves, or in the end.
    """
    parts, size = list[bytes](), 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise refused("broken off")
                size += len(event.get("body", b""))
                if size > most:
                    raise refused("too large")
                parts.append(event.get("body", b""))
                if not event.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise refused("too slow") from None


def given_body(body: bytes, receive: Receive) -> Receive:
    """Hand on a body that was read, then what the client does next."""
    left = [body]

    async def give() -> Event:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return give
