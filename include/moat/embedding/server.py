"""The resident embedder: one process with an OpenAI API, on a unix socket or on TCP.

    moat embedder                        # if none runs, the first task that embeds starts it
    POST /v1/embeddings                  {"model", "input", "encoding_format": "float" | "base64"}
    GET  /health                         model, revision, device, precision, dimensions, max_tokens

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
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from moat.embedding.address import address_of
from moat.embedding.asked import Asked, asked_of
from moat.embedding.door import Door
from moat.embedding.encoder import CPU_BUDGET, GPU_BUDGET, info_of, open_encoder
from moat.embedding.limits import Priority
from moat.embedding.model import TokenCounter, folder_of
from moat.embedding.resident import serves
from moat.embedding.turns import Job, Turns
from moat.errors import EmbedderUnavailable
from moat.settings import Settings, private_folder


def app_of(settings: Settings) -> Any:
    """Build the server and load its model. Raises SettingsError for a public address without a key."""
    from fastapi import FastAPI, Header, HTTPException, Request, Response

    # Over a socket the file's mode says who may ask; a key that Moat keeps for the user seals and asks nobody.
    key = "" if address_of(settings).socket else settings.embedder_key.get_secret_value()
    folder = folder_of(settings.model)
    tokens = TokenCounter.of(settings.model)
    encoder = open_encoder(folder, settings.embedder_device, settings.embedder_precision, tokens)
    device = encoder.model.device
    info = info_of(settings.model, folder, encoder)
    budget = settings.embedder_token_budget or (GPU_BUDGET if device.type == "cuda" else CPU_BUDGET)
    turns = Turns(encoder.vectors, budget, encoder.packing)
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
            "device": str(device),
            "precision": encoder.precision,
            "faithful": encoder.faithful,
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
        asked.items, asked.lengths = encoder.read(asked.texts)
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
        job = Job(asked.items, [min(n, info.max_tokens) for n in asked.lengths], client)
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


if __name__ == "__main__":
    serve(Settings.load())
