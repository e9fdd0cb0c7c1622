"""The resident embedder: one process per machine with an OpenAI API.

    moat embedder                        # if none runs, the first task that embeds starts it
    POST /v1/embeddings                  {"model", "input", "encoding_format": "float" | "base64"}
    GET  /health                         model, revision, device, dimensions, max_tokens

It keeps the model loaded. A query goes before all bulk work; bulk clients take turns, one forward pass each.
"""

import asyncio
import base64
import contextlib
import fcntl
import ipaddress
import json
import os
import subprocess
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import numpy as np

from moat.embedding.model import ModelInfo, TokenCounter, folder_of, max_tokens_of, revision_of
from moat.errors import EmbedderUnavailable, ModelError, SettingsError
from moat.settings import Settings

STARTING_S = 300.0  # most of it is importing torch on a busy machine
_started: list[subprocess.Popen[bytes]] = []  # started by this process and left running
MOST_TEXTS = 4_096  # of one request
CPU_BUDGET, GPU_BUDGET = 2_048, 65_536  # tokens of one forward pass; on a CPU, what fits its cache is fastest


def load_model(folder: str, device: str, precision: str) -> Any:
    """Load a sentence-transformers model on a device; `auto` precision is half on a GPU."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # set-up downloaded the model; nothing is fetched at run time
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(folder, device=None if device == "auto" else device)
    on_gpu = model.device.type == "cuda"
    wanted = ("float16" if on_gpu else "float32") if precision == "auto" else precision
    model.to(getattr(torch, wanted))
    model.eval()
    return model


@dataclass(eq=False)
class Job:
    """The texts of one request, longest first, and the vectors made so far."""

    texts: list[str]
    lengths: list[int]
    client: str
    order: deque[int] = field(init=False)
    vectors: list[np.ndarray | None] = field(init=False)
    done: Future[list[np.ndarray | None]] = field(default_factory=Future)

    def __post_init__(self) -> None:
        self.order = deque(sorted(range(len(self.texts)), key=lambda i: -self.lengths[i]))
        self.vectors = [None] * len(self.texts)


class Turns:
    """Schedules the model: queries first, then bulk clients in turn, one forward pass each."""

    def __init__(self, encode: Any, budget: int) -> None:
        self._encode, self._budget = encode, budget
        self._queries: deque[Job] = deque()
        self._bulk: OrderedDict[str, deque[Job]] = OrderedDict()
        self._changed = threading.Condition()
        self.passes = 0
        threading.Thread(target=self._work, name="model", daemon=True).start()

    def submit(self, job: Job, priority: Literal["bulk", "query"]) -> None:
        """Queue a job by its priority."""
        with self._changed:
            if priority == "query":
                self._queries.append(job)
            else:
                self._bulk.setdefault(job.client, deque()).append(job)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queries and not self._bulk:
                    self._changed.wait()
                taken = self._take()
            self._pass(taken)

    def _take(self) -> list[tuple[Job, int]]:
        """Take the texts of the next forward pass, within the budget."""
        taken: list[tuple[Job, int]] = []
        longest = 0

        def fits(job: Job) -> bool:
            return not taken or (len(taken) + 1) * max(longest, job.lengths[job.order[0]]) <= self._budget

        if self._queries:
            while self._queries and fits(self._queries[0]):
                job = self._queries[0]
                longest = max(longest, job.lengths[job.order[0]])
                taken.append((job, job.order.popleft()))
                if not job.order:
                    self._queries.popleft()
            return taken
        client, jobs = self._bulk.popitem(last=False)
        job = jobs[0]
        while job.order and fits(job):
            longest = max(longest, job.lengths[job.order[0]])
            taken.append((job, job.order.popleft()))
        if not job.order:
            jobs.popleft()
        if jobs:
            self._bulk[client] = jobs  # behind all others
        return taken

    def _pass(self, taken: list[tuple[Job, int]]) -> None:
        """Run one forward pass; out of memory, run two of half the size."""
        self.passes += 1
        try:
            vectors = self._encode([job.texts[i] for job, i in taken])
        except Exception as error:  # noqa: BLE001  whatever the model raises belongs to the requests in this pass
            if _out_of_memory(error) and len(taken) > 1:
                self._budget = max(512, self._budget // 2)
                half = len(taken) // 2
                self._pass(taken[:half])
                self._pass(taken[half:])
                return
            for job in {id(job): job for job, _ in taken}.values():
                if not job.done.done():
                    job.done.set_exception(error)
            return
        for (job, i), vector in zip(taken, vectors, strict=True):
            job.vectors[i] = vector
            if all(v is not None for v in job.vectors) and not job.done.done():
                job.done.set_result(job.vectors)


def _out_of_memory(error: Exception) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError)


def app_of(settings: Settings) -> Any:
    """Build the server and load its model. Raises SettingsError for a public address without a key."""
    from fastapi import FastAPI, Header, HTTPException, Request, Response

    key = settings.embedder_key.get_secret_value()
    if not key and not _loopback(settings.embedder_host):
        raise SettingsError(
            f"MOAT_EMBEDDER_HOST={settings.embedder_host} is reachable from outside: set MOAT_EMBEDDER_KEY, or listen on 127.0.0.1"
        )
    folder = folder_of(settings.model)
    model, tokens = (
        load_model(str(folder), settings.embedder_device, settings.embedder_precision),
        TokenCounter.of(settings.model),
    )
    info = ModelInfo(settings.model, revision_of(folder), dimensions_of(model), max_tokens_of(folder))
    turns = Turns(
        lambda texts: model.encode(texts, batch_size=len(texts), convert_to_numpy=True, show_progress_bar=False).astype(
            "<f4"
        ),
        settings.embedder_token_budget or (GPU_BUDGET if model.device.type == "cuda" else CPU_BUDGET),
    )
    state = {"used": time.monotonic()}

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        ending = asyncio.create_task(_end_when_idle(app, state, settings.embedder_idle_minutes * 60))
        yield
        ending.cancel()

    app = FastAPI(title="Moat embedder", lifespan=life)

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {
            "model": info.model,
            "revision": info.revision,
            "dimensions": info.dimensions,
            "max_tokens": info.max_tokens,
            "device": str(model.device),
            "precision": str(next(model.parameters()).dtype).removeprefix("torch."),
            "passes": turns.passes,
        }

    @app.post("/v1/embeddings")
    async def embeddings(
        request: Request,
        authorization: str = Header(""),
        x_moat_priority: str = Header("bulk"),
        x_moat_client: str = Header(""),
        x_moat_revision: str = Header(""),
    ) -> Response:
        if key and authorization != f"Bearer {key}":
            raise HTTPException(401, "the bearer key is missing or wrong: MOAT_EMBEDDER_KEY on both sides")
        state["used"] = time.monotonic()
        body = await request.json()
        texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
        if (
            not isinstance(texts, list)
            or not texts
            or len(texts) > MOST_TEXTS
            or not all(isinstance(t, str) and t for t in texts)
        ):
            raise HTTPException(422, f"input must be a text or a list of 1 to {MOST_TEXTS:,} texts, none of them empty")
        if body.get("model") != info.model or (x_moat_revision and x_moat_revision != info.revision):
            raise HTTPException(
                409,
                f"asked for {body.get('model')} {x_moat_revision}, this embedder serves {info.model} {info.revision}",
            )
        tokens.learn(texts)
        lengths = [tokens.count(text) + tokens.special for text in texts]
        tokens.forget()
        priority: Literal["bulk", "query"] = "query" if x_moat_priority == "query" else "bulk"
        if priority == "bulk" and max(lengths) > info.max_tokens:
            raise HTTPException(
                400,
                f"text {lengths.index(max(lengths))} has {max(lengths)} tokens, the model takes {info.max_tokens}: it would be cut",
            )
        job = Job(
            texts,
            [min(n, info.max_tokens) for n in lengths],
            x_moat_client or (request.client.host if request.client else ""),
        )
        turns.submit(job, priority)
        vectors = await asyncio.wrap_future(job.done)
        state["used"] = time.monotonic()
        return Response(
            _openai_form(vectors, info.model, sum(lengths), body.get("encoding_format", "float")),
            media_type="application/json",
        )

    return app


def _openai_form(vectors: list[np.ndarray | None], model: str, n_tokens: int, form: str) -> str:
    shown = (
        base64.b64encode(v.tobytes()).decode() if form == "base64" else v.tolist() for v in vectors if v is not None
    )
    data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(shown)]
    return json.dumps(
        {"object": "list", "model": model, "data": data, "usage": {"prompt_tokens": n_tokens, "total_tokens": n_tokens}}
    )


async def _end_when_idle(app: Any, state: dict[str, float], idle_s: float) -> None:
    while idle_s > 0:
        await asyncio.sleep(min(5.0, idle_s / 4))
        if time.monotonic() - state["used"] > idle_s:
            app.state.server.should_exit = True
            return


def serve(settings: Settings) -> None:
    """Run the embedder until it is stopped, or idle for MOAT_EMBEDDER_IDLE_MINUTES."""
    import uvicorn

    app = app_of(settings)
    server = uvicorn.Server(uvicorn.Config(app, settings.embedder_host, settings.embedder_port, log_level="warning"))
    app.state.server = server
    server.run()


def ensure_running(settings: Settings) -> str:
    """Return the address of this machine's embedder, starting it if none runs.

    Raises ModelError if it serves another model, EmbedderUnavailable if it does not start.
    """
    url = f"http://{settings.embedder_host}:{settings.embedder_port}"
    if _serves(url, settings):
        return url
    if not _loopback(settings.embedder_host):
        raise EmbedderUnavailable(f"no embedder answers at {url}; start `moat embedder` there")
    settings.home.mkdir(parents=True, exist_ok=True)
    with _locked(settings):
        if _serves(url, settings):
            return url
        log = settings.home / "logs" / "embedder.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            # A session of its own and no inherited files, so that it outlives the task that starts it.
            _started.append(
                child := subprocess.Popen(
                    [sys.executable, "-m", "moat.embedding.server"],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                    close_fds=True,
                    env={**os.environ, "MOAT_HOME": str(settings.home)},
                )
            )
        deadline = time.monotonic() + STARTING_S
        while time.monotonic() < deadline and child.poll() is None:
            if _serves(url, settings):
                return url
            time.sleep(0.2)
        if child.poll() is None:
            child.kill()
        tail = log.read_text(errors="replace").strip().splitlines()[-3:]
        raise EmbedderUnavailable(
            f"the embedder did not start at {url}: {' / '.join(tail) or 'no word in its log'}; see {log}"
        )


def _serves(url: str, settings: Settings) -> bool:
    """Whether an embedder answers. Raises ModelError if it serves another model."""
    try:
        answer = httpx.get(f"{url}/health", timeout=10.0, trust_env=False)
    except httpx.TransportError:
        return False
    body = (
        answer.json()
        if answer.is_success and answer.headers.get("content-type", "").startswith("application/json")
        else {}
    )
    if "model" not in body:
        raise EmbedderUnavailable(
            f"something else than an embedder answers at {url}: set MOAT_EMBEDDER_PORT to a free port"
        )
    if body["model"] != settings.model:
        raise ModelError(
            f"the embedder at {url} serves {body['model']}, MOAT_MODEL is {settings.model}: stop it, or set MOAT_EMBEDDER_PORT to another port"
        )
    return True


@contextlib.contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """Let one process at a time start the embedder of this machine."""
    with (settings.home / "embedder.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def dimensions_of(model: Any) -> int:
    """Number of dimensions of a model's vectors."""
    named = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    return int(named())


if __name__ == "__main__":
    serve(Settings.load())
