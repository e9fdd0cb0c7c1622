"""What answers in the place of a server, or hangs in it, is named as that, in time, and never by a traceback."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from moat import waiting
from moat.connections import EnvironmentConnections
from moat.embedding.client import HttpEmbedder, embedder_of
from moat.embedding.model import ModelInfo
from moat.errors import EmbedderHung, EmbedderUnavailable, IndexUnavailable, SettingsError, WrongServer
from moat.index.store import WeaviateStore
from moat.ledger import Ledger
from moat.listening import at_port
from moat.monitoring.servers import look_at_servers
from moat.retrieve import Retriever
from moat.settings import Settings

PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Tidewater's portal, for all who work there."
TEXT = "nobody may read this text"
Answer = tuple[int, dict[str, str], bytes]


def vector(value: Any) -> bytes:
    return json.dumps({"data": [{"index": 0, "embedding": value}]}).encode()


ODD: dict[str, Answer] = {  # with how each of them is told
    "a page": (200, {"content-type": "text/html"}, PAGE),
    "an object": (200, {}, b"{}"),
    "null": (200, {}, b"null"),
    "a list": (200, {}, b"[]"),
    "nothing": (200, {}, b""),
    "no utf-8": (200, {}, b'{"a": "\xff"}'),
    "not compressed": (200, {"content-encoding": "gzip"}, b"plain"),
    "moved": (301, {"location": "https://login.example.com/"}, b""),
    "not found": (404, {}, PAGE),
}
ODD_VECTORS: dict[str, Answer] = {
    "data: null": (200, {}, b'{"data": null}'),
    "a row of null": (200, {}, b'{"data": [null]}'),
    "no base64": (200, {}, vector("%%%")),
    "half a float": (200, {}, vector("AAAA")),
    "words": (200, {}, vector(["a"])),
    "no vector": (200, {}, vector(None)),
}


@pytest.fixture(scope="module")
def odd() -> Iterator[Callable[[Answer], int]]:
    """A function that has a server answer everything alike, and gives its port."""
    given: list[Answer] = [(200, {}, b"")]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, body = given[0]
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  by its name in http.server

        def log_message(self, *_: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def answering(answer: Answer) -> int:
        given[0] = answer
        return server.server_port

    yield answering
    server.shutdown()
    server.server_close()


@pytest.fixture
def hung() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(50)
        yield listening.getsockname()[1]


def endpoint(port: int, **given: Any) -> HttpEmbedder:
    return HttpEmbedder(
        f"http://127.0.0.1:{port}",
        "m",
        "the key",
        ModelInfo(model="m", revision="", dimensions=2, max_tokens=9),
        **given,
    )


def test_what_is_no_embedder_is_named_with_its_address_and_first_words(odd: Callable[[Answer], int]) -> None:
    for name, answer in (ODD | ODD_VECTORS).items():
        port = odd(answer)
        with pytest.raises(WrongServer) as error:
            endpoint(port, tries=1).embed([TEXT])
        said = str(error.value)
        assert f"else than an embedder answers at http://127.0.0.1:{port}/v1/embeddings" in said, name
        assert TEXT not in said, name
        assert "the key" not in said, name
        if answer[2] is PAGE:
            assert "“<!DOCTYPE html><html><head><title>Sign in</title></head><body>" in said, name
            assert "work there" not in said, name
        if name == "moved":
            assert "leads to https://login.example.com/" in said


def test_an_embedder_in_another_form_at_its_socket_is_named(odd: Callable[[Answer], int], tmp_path: Path) -> None:
    for name, answer in ODD.items():
        given = {"home": tmp_path, "embedder_port": odd(answer)}
        with pytest.raises((EmbedderUnavailable, WrongServer)) as error:
            embedder_of(Settings.model_validate(given), EnvironmentConnections({}))
        assert "something else" in str(error.value), name
        assert str(given["embedder_port"]) in str(error.value), name


def test_what_is_no_weaviate_is_named_in_a_run_and_in_health(odd: Callable[[Answer], int], settings: Settings) -> None:
    for name, answer in ODD.items():
        port = odd(answer)
        made = settings.model_copy(update={"weaviate_port": port, "embedder": "in_process"})
        with pytest.raises(WrongServer, match=f"else than Weaviate answers at http://127.0.0.1:{port}/v1/meta"):
            WeaviateStore.open(made, "writer").exists()
        looked = look_at_servers(made, lambda: EnvironmentConnections({}))["weaviate"]
        assert not looked.ok
        assert looked.found.startswith("something else than Weaviate answers"), name


def test_an_embedder_that_hangs_is_named_and_no_second_one_started(
    hung: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "EVERY_S", 0.05)
    monkeypatch.setattr("moat.embedding.client.time.sleep", lambda _: None)
    lines: list[str] = []
    with pytest.raises(EmbedderHung, match=r"hangs: .* within 0\.2 s, 2 times; it is process \d+ \(.*since 20.* UTC"):
        endpoint(hung, wait_s=0.2, progress=lines.append).embed([TEXT])
    assert lines
    assert lines[0].startswith(f"waits for the embedder at http://127.0.0.1:{hung} (try 1), for ")
    resident = Settings.model_validate({"home": tmp_path, "embedder_port": hung})
    (tmp_path / "embedder.answered").touch()
    with pytest.raises(EmbedderHung, match=r"process \d+ .*It answered last at 20.* End it: the next task or search"):
        embedder_of(resident, EnvironmentConnections({}), wait_s=0.2)
    assert not (tmp_path / "logs").exists(), "no second one was started"
    path = tmp_path / "embedder.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(1)
        with pytest.raises(EmbedderHung, match=r"embedder\.sock hangs: .*process \d+"):
            embedder_of(Settings.model_validate({"home": tmp_path}), EnvironmentConnections({}), wait_s=0.2)


def test_a_retriever_opens_in_the_time_of_a_search(hung: int, ledger: Ledger, settings: Settings) -> None:
    made = settings.model_copy(update={"weaviate_port": hung, "search_timeout_s": 1.0})
    begun = time.monotonic()
    with pytest.raises(IndexUnavailable, match=f"Weaviate at 127.0.0.1:{hung}"):
        Retriever.from_settings(made)
    assert time.monotonic() - begun < 20, "Weaviate's own limit would be 60 s"


def test_a_connection_without_its_extra_is_a_matter_of_the_connection() -> None:
    for extra in ({"model": "m"}, {"model": "m", "dimensions": None, "max_tokens": 9}):
        body = json.dumps({"conn_type": "http", "host": "x", "extra": extra})
        with pytest.raises(SettingsError, match="connection embedder_default: its extra must have"):
            embedder_of(
                Settings.model_validate({"embedder": "endpoint"}),
                EnvironmentConnections({"AIRFLOW_CONN_EMBEDDER_DEFAULT": body}),
            )


def test_one_port_for_http_and_grpc_is_told_before_anything_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOAT_WEAVIATE_PORT", "9999")
    monkeypatch.setenv("MOAT_WEAVIATE_GRPC_PORT", "9999")
    with pytest.raises(SettingsError, match=r"MOAT_WEAVIATE_GRPC_PORT=.*HTTP and gRPC have a port each"):
        Settings.load()


def test_nothing_is_said_while_lines_come(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    with waiting.told(lines.append, "waits", 0.3) as heard:
        assert heard is not None
        for _ in range(8):
            time.sleep(0.05)
            heard("news")
        assert set(lines) == {"news"}
        time.sleep(0.7)
    assert "waits, for" in lines[-1]


def test_the_process_at_a_port_is_found(hung: int) -> None:
    assert at_port("127.0.0.1", hung).startswith("process ")
    assert at_port("127.0.0.1", 1) == ""
    assert at_port("example.com", hung) == ""
