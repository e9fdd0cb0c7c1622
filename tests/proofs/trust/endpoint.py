"""Two servers on loopback: an embeddings endpoint that can be made to fail, and one that takes messages."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import httpx
import numpy as np

Fault = Literal["", "wrong model", "shuffled", "identical", "nan", "zero", "noisy", "half", "down", "refused"]


class Endpoint:
    """The embedder's vectors, passed on as an OpenAI-compatible server does; each text is asked of it once."""

    def __init__(self, upstream: int) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{upstream}", timeout=300.0, trust_env=False)
        self.health = self._http.get("/health").json()
        self._known: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()
        self.mend()

    def close(self) -> None:
        self._http.close()

    def mend(self) -> None:
        self.fault: Fault = ""
        self.part, self.dice = 1.0, np.random.default_rng(5)

    def fail(self, fault: Fault, part: float) -> None:
        self.fault, self.part = fault, part

    def answer(self, texts: list[str]) -> tuple[int, dict[str, Any]]:
        """Status and body for some texts."""
        with self._lock:
            if self.fault == "down":
                return 503, {"error": "model is loading"}
            if self.fault == "refused":
                return 401, {"error": "invalid API key"}
            vectors = self._broken(texts, self._vectors(texts))
        rows = [
            {"index": i, "embedding": base64.b64encode(np.ascontiguousarray(v, "<f4").tobytes()).decode()}
            for i, v in enumerate(vectors)
        ]
        return 200, {"object": "list", "data": rows, "model": self.health["model"]}

    def _vectors(self, texts: list[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for start in range(0, len(new), 256):
            body = {"model": self.health["model"], "input": new[start : start + 256], "encoding_format": "base64"}
            for row in self._http.post("/v1/embeddings", json=body).raise_for_status().json()["data"]:
                vector = np.frombuffer(base64.b64decode(row["embedding"]), "<f4")
                self._known[new[start + row["index"]]] = vector
        return np.stack([self._known[text] for text in texts])

    def _broken(self, texts: list[str], vectors: np.ndarray) -> np.ndarray:
        if not self.fault:
            return vectors
        if self.fault == "half":
            return vectors[:, : vectors.shape[1] // 2]
        made = vectors.copy()
        if self.fault == "noisy":
            return made + self.dice.normal(size=made.shape) * self.part / np.sqrt(made.shape[1])
        struck = np.flatnonzero(self.dice.random(len(texts)) < self.part)
        match self.fault:
            case "wrong model":
                for i in struck:
                    made[i] = _other_model(texts[i], made.shape[1])
            case "shuffled":
                made[struck] = made[np.roll(struck, 1)]
            case "identical":
                made[struck] = vectors[0]
            case "nan":
                made[struck, 7] = np.nan
            case "zero":
                made[struck] = 0.0
        return made


def _other_model(text: str, dimensions: int) -> np.ndarray:
    """A plain model of another make: words and their beginnings, hashed to directions and added up."""
    total = np.zeros(dimensions, np.float32)
    for word in text.lower().split():
        for part in (word, word[:4]):
            seed = int.from_bytes(hashlib.sha256(part.encode()).digest()[:8], "big")
            total += np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
    return total / max(float(np.linalg.norm(total)), 1e-6)


@contextmanager
def serving(endpoint: Endpoint) -> Iterator[int]:
    """Serve an endpoint; the port."""

    class Handler(_Quiet):
        def do_POST(self) -> None:
            texts = json.loads(self.body())["input"]
            self.reply(*endpoint.answer([texts] if isinstance(texts, str) else texts))

        def do_GET(self) -> None:
            self.reply(200, endpoint.health)

    with _served(Handler) as port:
        yield port


@contextmanager
def mailbox() -> Iterator[tuple[str, list[Any]]]:
    """A webhook that keeps what it is sent; its address, and the bodies."""
    taken: list[Any] = []

    class Handler(_Quiet):
        def do_POST(self) -> None:
            taken.append(json.loads(self.body()))
            self.reply(200, {})

    with _served(Handler) as port:
        yield f"http://127.0.0.1:{port}/hook", taken


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def reply(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        return None


@contextmanager
def _served(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
