"""An embeddings endpoint with the real model's vectors, whose answers can be made wrong; a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import httpx

from moat.local import reaper

Wrong = Literal["", "nan", "fewer", "order", "revision", "garbage", "busy", "trouble"]


class Model:
    """The resident embedder's vectors by text, and what is wrong with the next answers."""

    def __init__(self, upstream: int) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{upstream}", timeout=300.0, trust_env=False)
        self.health = self._http.get("/health").raise_for_status().json()
        self._known: dict[str, str] = {}
        self._lock = threading.Lock()
        self.wrong: Wrong = ""
        self.times = 0

    def answer(self, texts: list[str], honest: bool) -> tuple[int, Any]:
        with self._lock:
            rows = [{"index": i, "embedding": self._vector(text)} for i, text in enumerate(texts)]
            wrong: Wrong = self.wrong if self.times > 0 and not honest else ""
            self.times -= not honest
        whole = {"object": "list", "data": rows, "model": self.health["model"]}
        match wrong:
            case "nan":
                rows[-1]["embedding"] = [float("nan")] * int(self.health["dimensions"])
                for row in rows[:-1]:
                    row["embedding"] = [0.0] * int(self.health["dimensions"])
            case "fewer":
                rows.pop()
            case "order":  # each with its own index: right, and not as it was asked
                rows.reverse()
            case "revision":
                return 409, {"error": "another revision is served"}
            case "garbage":
                return 200, {"data": "no vectors"}
            case "busy":
                return 429, {"error": "slow down"}
            case "trouble":
                return 500, {"error": "out of memory"}
        return 200, whole

    def _vector(self, text: str) -> str:
        if text not in self._known:
            body = {"model": self.health["model"], "input": [text], "encoding_format": "base64"}
            found = self._http.post("/v1/embeddings", json=body).raise_for_status().json()
            self._known[text] = found["data"][0]["embedding"]
        return self._known[text]


def _serve(upstream: int) -> None:
    model = Model(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            given = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))["input"]
            honest = self.server is honest_server
            status, body = model.answer([given] if isinstance(given, str) else given, honest)
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", "retry-after": "0"}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # whoever asked was killed
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            return None

    server, honest_server = (ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2))
    for one in (server, honest_server):
        one.daemon_threads = True
        threading.Thread(target=one.serve_forever, args=(0.05,), daemon=True).start()
    ports = {"port": server.server_address[1], "honest_port": honest_server.server_address[1]}
    print(json.dumps({**ports, **model.health}), flush=True)
    for order in sys.stdin:
        model.wrong, model.times = json.loads(order)
        print("set", flush=True)


class WrongEmbedder:
    """The process. On a second port it answers rightly, for searches. Its model, revision, dimensions and limit are those of the embedder behind it."""

    def __init__(self, upstream: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(upstream)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        reaper.watch(self._process.pid)
        self.known: dict[str, Any] = json.loads(self._read())
        self.port = int(self.known["port"])

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def set(self, wrong: Wrong, times: int = 1) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([wrong, times]) + "\n")
        self._process.stdin.flush()
        self._read()

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        reaper.forget(self._process.pid)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
