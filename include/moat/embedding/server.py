"""The resident embedder: one process with an OpenAI API, on a unix socket or on TCP.

    moat embedder                        # if none runs, the first task that embeds starts it
    POST /v1/embeddings                  {"model", "input", "encoding_format": "float" | "base64"}
    GET  /health                         model, revision, device, dimensions, max_tokens

It keeps the model loaded. A query goes before all bulk work; bulk clients take turns, one forward pass each.
"""

import asyncio
import base64
import contextlib
import hmac
import json
import os
import signal
import socket
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from moat.embedding.address import address_of
from moat.embedding.asked import Asked, asked_of
from moat.embedding.door import Door
from moat.embedding.limits import Priority
from moat.embedding.model import ModelInfo, TokenCounter, folder_of, max_tokens_of, revision_of
from moat.embedding.resident import serves
from moat.errors import EmbedderUnavailable
from moat.settings import Settings, private_folder

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

    def submit(self, job: Job, priority: Priority) -> None:
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

    # Over a socket the file's mode says who may ask; a key that Moat keeps for the user seals and asks nobody.
    key = "" if address_of(settings).socket else settings.embedder_key.get_secret_value()
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
    # Reading and counting beside the loop: a large request of one client holds up neither questions nor health.
    workers = {"bulk": ThreadPoolExecutor(1, "bulk"), "query": ThreadPoolExecutor(2, "query")}
    state = {"used": time.monotonic()}

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        ending = asyncio.create_task(_end_when_idle(app, state, settings.embedder_idle_minutes * 60))
        yield
        ending.cancel()
        for pool in workers.values():
            pool.shutdown(wait=False, cancel_futures=True)

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

    def measured(content: bytes, priority: Priority, revision: str) -> Asked:
        try:
            asked = asked_of(content, priority)
        except ValueError as wrong:
            raise HTTPException(422, str(wrong)) from None
        if asked.model != info.model or (revision and revision != info.revision):
            raise HTTPException(
                409, f"another model or revision is asked for; this embedder serves {info.model} {info.revision}"
            )
        asked.lengths = [n + tokens.special for n in tokens.lengths(asked.texts)]
        longest = max(asked.lengths)
        if priority == "bulk" and longest > info.max_tokens:
            raise HTTPException(
                400,
                f"text {asked.lengths.index(longest)} has {longest} tokens, the model takes {info.max_tokens}: it would be cut",
            )
        return asked

    @app.post("/v1/embeddings")
    async def embeddings(
        request: Request,
        authorization: str = Header(""),
        x_moat_priority: str = Header("bulk"),
        x_moat_client: str = Header(""),
        x_moat_revision: str = Header(""),
    ) -> Response:
        sealed = request.scope.get("moat.sealed", False)
        if key and not sealed and not hmac.compare_digest(authorization.encode(), f"Bearer {key}".encode()):
            raise HTTPException(401, "the bearer key is missing or wrong: MOAT_EMBEDDER_KEY on both sides")
        state["used"] = time.monotonic()
        priority: Priority = "query" if x_moat_priority == "query" else "bulk"
        content = await request.body()
        loop, pool = asyncio.get_running_loop(), workers[priority]
        asked = await loop.run_in_executor(pool, measured, content, priority, x_moat_revision)
        client = x_moat_client[:64] or (request.client.host if request.client else "")
        job = Job(asked.texts, [min(n, info.max_tokens) for n in asked.lengths], client)
        turns.submit(job, priority)
        vectors = await asyncio.wrap_future(job.done)
        state["used"] = time.monotonic()
        answer = await loop.run_in_executor(
            pool, lambda: _openai_form(vectors, info.model, sum(asked.lengths), asked.form)
        )
        return Response(answer, media_type="application/json")

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
    """Run the embedder until it is stopped, or idle for MOAT_EMBEDDER_IDLE_MINUTES.

    Raises EmbedderUnavailable if one runs there already, SettingsError for a public address without a key.
    """
    import uvicorn

    address = address_of(settings)
    if address.socket is not None and serves(address, settings):
        raise EmbedderUnavailable(f"an embedder answers at {address.shown} already")
    app = app_of(settings)
    config = uvicorn.Config(
        Door(app, address.key), settings.embedder_host, settings.embedder_port, log_level="warning", lifespan="on"
    )
    app.state.server = server = uvicorn.Server(config)
    if address.socket is None:
        server.run()
        return
    # uvicorn hands a signal on when it has ended: by then the socket is to be removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _listening(address.socket) as opened:
        server.run(sockets=[opened])


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """A unix socket that only this user can open, removed in the end."""
    private_folder(path.parent)
    path.unlink(missing_ok=True)  # of one that was killed: nothing answers there
    before = os.umask(0o177)
    try:
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        opened.bind(str(path))
        mine = path.stat().st_ino
    finally:
        os.umask(before)
    try:
        yield opened
    finally:
        opened.close()
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == mine:
                path.unlink()


def dimensions_of(model: Any) -> int:
    """Number of dimensions of a model's vectors."""
    named = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    return int(named())


if __name__ == "__main__":
    serve(Settings.load())
