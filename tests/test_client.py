"""The client asks a door as the retriever is asked: the same face, results, codes and errors."""

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from moat.async_retrieve import AsyncRetriever
from moat.client import AsyncClient, Client
from moat.errors import AskedWrongly, SettingsError
from moat.filters import Range
from moat.retrieve import Retriever
from moat.search.askers import Bearer, Service

METHODS = ("search", "page", "get", "read", "count", "aggregate")
HEAVY = ("airflow", "torch", "weaviate", "sqlalchemy", "numpy", "grpc", "pydantic", "jwt", "fastapi")


def test_it_brings_httpx_and_nothing_heavy() -> None:
    code = f"import moat.client, sys; print([m for m in {HEAVY} if m in sys.modules], 'httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "True"]


@pytest.mark.parametrize(("mine", "theirs"), [(Client, Retriever), (AsyncClient, AsyncRetriever)])
def test_its_methods_are_the_retrievers(mine: type, theirs: type) -> None:
    for name in METHODS:
        assert inspect.signature(getattr(mine, name)) == inspect.signature(getattr(theirs, name)), name


@pytest.fixture
def answering() -> Iterator[Callable[..., tuple[str, list[Any]]]]:
    """A function that starts a server which gives answers in turn; its URL, and the headers it was asked with."""
    servers = []

    def start(*answers: tuple[int, bytes, dict[str, str]]) -> tuple[str, list[Any]]:
        left, asked = list(answers), list[Any]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                asked.append(dict(self.headers))
                status, body, headers = left.pop(0) if len(left) > 1 else left[0]
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}", asked

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


BUSY = (429, b'{"code": "too_many_requests", "detail": "wait"}', {"retry-after": "1"})
HANGS_UP: tuple[int, bytes, dict[str, str]] = (0, b"", {})
COUNTED: tuple[int, bytes, dict[str, str]] = (200, b'{"documents": 3, "chunks": 5}', {})


def test_a_busy_door_is_asked_again_when_it_says_and_not_beyond_the_time(answering: Callable[..., Any]) -> None:
    url, asked = answering(BUSY, COUNTED)
    with Client(url) as client:
        assert client.count(Bearer("t")).documents == 3
    assert len(asked) == 2
    url, asked = answering(BUSY)
    with Client(url, timeout_s=0.9) as client:
        found = client.count(Bearer("t"))
    assert (found.code, found.documents, len(asked)) == ("too_many_requests", 0, 1)


def test_a_connection_that_breaks_is_tried_once_more(answering: Callable[..., Any]) -> None:
    url, asked = answering(HANGS_UP, COUNTED)
    with Client(url) as client:
        assert client.count(Bearer("t")).documents == 3
    url, asked = answering(HANGS_UP)
    with Client(url) as client:
        assert client.count(Bearer("t")).code == "door_unavailable"
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (200, b"{}"), (502, b"bad gateway"), (500, b"[]"), (302, b"")]
)
def test_what_is_no_door_gives_nothing(answering: Callable[..., Any], status: int, body: bytes) -> None:
    url, _ = answering((status, body, {}))
    with Client(url) as client:
        found = client.search("x", Bearer("t"))
    assert (list(found), found.code) == ([], "door_unavailable")


def test_a_door_that_is_not_there_gives_nothing() -> None:
    with Client("http://127.0.0.1:9", timeout_s=2) as client:
        assert client.count(Bearer("t")).code == "door_unavailable"

    async def scene() -> str | None:
        async with AsyncClient("http://127.0.0.1:9", timeout_s=2) as client:
            return (await client.get([], Bearer("t"))).code

    assert asyncio.run(scene()) == "door_unavailable"


def test_nobody_gets_nothing_and_the_services_token_stands_for_nobody(answering: Callable[..., Any]) -> None:
    url, asked = answering(COUNTED)
    with Client(url, token=lambda: "service") as client:
        for nobody in (None, ""):
            found = client.count(nobody)
            assert (found.documents, found.code) == (0, "unknown_asker")
        assert asked == []
        with pytest.raises(AskedWrongly, match="a Service does not ask a door"):
            client.count(Service("report", ("group:staff",)))
        client.count("user:ann@example.com")
        client.count("user:zoë 100%@example.com")
        client.count(Bearer("hers"))
    known = [{k.lower(): v for k, v in headers.items()} for headers in asked]
    assert (known[0]["authorization"], known[0]["moat-on-behalf-of"]) == ("Bearer service", "user:ann@example.com")
    assert known[1]["moat-on-behalf-of"] == "user:zo%C3%AB%20100%25@example.com"
    assert (known[2]["authorization"], known[2].get("moat-on-behalf-of")) == ("Bearer hers", None)


def test_wrong_values_are_told_before_anything_is_sent(answering: Callable[..., Any]) -> None:
    url, asked = answering(COUNTED)
    with Client(url) as client:
        for wrong in (
            lambda: client.search("", Bearer("t")),
            lambda: client.search("x", Bearer("t"), 0),
            lambda: client.search("x", Bearer("t"), filters={"source": []}),
            lambda: client.page("x", Bearer("t"), cursor=3),  # type: ignore[arg-type]
            lambda: client.aggregate(Bearer("t"), "modified"),
            lambda: client.read("docs", "", Bearer("t")),
        ):
            with pytest.raises(AskedWrongly):
                wrong()
    assert asked == []


@pytest.mark.parametrize("url", ["http://moat.example.com", "moat.example.com", "ftp://127.0.0.1"])
def test_tokens_do_not_travel_in_the_clear(url: str) -> None:
    with pytest.raises(SettingsError):
        Client(url)


def test_filters_travel_as_they_are_meant() -> None:
    from moat.client import _filters
    from moat.door.wire import Counting, filters_of

    given: dict[str, Any] = {
        "source": "docs",
        "language": ["de", "en"],
        "price": Range(at_least=1, below=2.5),
        "modified": Range(at_least=date(2026, 7, 1), below=datetime(2026, 8, 1, 12, tzinfo=UTC)),
        "year": 2026,
        "signed": date(2026, 7, 5),
    }
    meant = {**given, "signed": Range(at_least=date(2026, 7, 5), at_most=date(2026, 7, 5))}
    assert filters_of(Counting.model_validate({"filters": _filters(given)}).filters) == meant
