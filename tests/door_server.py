"""A door on a real socket of loopback, in a thread of the test's process."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import uvicorn

from moat.door.serve import door_of
from moat.retrieve import Retriever
from moat.settings import Settings

OPERATOR, CHAT = "user:root@example.com", "user:chat@example.com"


@contextmanager
def door_at(settings: Settings, retriever: Retriever, person: str = "") -> Iterator[str]:
    """The door's URL, for as long as it is served; it closes the retriever."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        app: Any = door_of(settings.model_copy(update={"door_port": port}), retriever, person=person)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", lifespan="on", proxy_headers=False, timeout_keep_alive=30)
        )
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                thread.join(0.02)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()
