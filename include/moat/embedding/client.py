"""Clients of an embedder: texts -> vectors of length 1.

Three embedders behind one protocol: the resident one of this machine and any OpenAI-compatible server,
over the same HTTP; and one in process, for tests and for setups without a server.
`tests/contracts/embedder.py` holds what each must keep.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import numpy as np

from moat.answered import shown
from moat.connections import Connections
from moat.embedding.address import Address
from moat.embedding.answers import info_of, vectors_of
from moat.embedding.limits import Priority, requests
from moat.embedding.model import ModelInfo, TokenCounter, folder_of
from moat.embedding.resident import ensure_running
from moat.errors import EmbedderHung, EmbedderUnavailable, ModelError, SettingsError, WrongServer
from moat.ids import text_hash
from moat.listening import at_url
from moat.settings import Settings
from moat.waiting import told

Vectors = np.ndarray  # float32, one row per text, each of length 1
Progress = Callable[[str], None] | None
AT_ONCE = 2  # parallel requests
MEANT = {
    400: "a text is longer than its model takes, or it takes no such request",
    401: "the key is missing or wrong",
    403: "the key may not do this",
    409: "it serves another model or revision than MOAT_MODEL",
    413: "a request is larger than it takes",
    422: "it does not take such texts",
}
PASSING = (408, 425, 429)  # statuses that may pass with another try, beside those from 500 up
ELSEWHERE = (301, 302, 303, 307, 308, 404, 405, 410)  # no embedder is there
TRIES = 6
WAIT_S = 300.0  # maximum, for one answer
HUNG = 2  # tries that may end without an answer in that time
PROBE_S = 5.0
PROBE = "what answers here?"


class Embedder(Protocol):
    """Turns texts into vectors."""

    def info(self) -> ModelInfo:
        """Describe the model that the embedder serves.

        Returns:
            Its name, revision, dimensions and token limit.

        Raises:
            EmbedderUnavailable: The embedder did not answer.
        """
        ...

    def embed(self, texts: Sequence[str], priority: Priority = "bulk") -> Vectors:
        """Embed texts.

        Args:
            texts: Texts that are not empty and within the bounds of `moat.embedding.limits`. In bulk, each must
                fit the model's token limit.
            priority: `query` goes before all `bulk` work.

        Returns:
            Array of float32 with shape (texts, dimensions), in the order of the texts, each row of length 1.

        Raises:
            EmbedderUnavailable: The embedder did not answer.
            ModelError: A text is beyond the bound, or the embedder refuses the request, or serves another model
                or revision.
            WrongServer: Something else than an embedder answers.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """What an embeddings server takes beside model and texts, by the extra of its connection."""

    path: str = "/v1/embeddings"  # below the host and its base path
    sends_dimensions: bool = False  # whether to ask for `dimensions`, of a model that can give fewer
    query_prompt: str = ""  # put before each question
    document_prompt: str = ""  # put before each text of a document


PLAIN = Form()


class HttpEmbedder:
    """An OpenAI-compatible embeddings server: `moat embedder`, TEI, vLLM, or a hosted endpoint.

    Args:
        at: URL of the server, without `/v1/embeddings`; or the address of a resident one.
        model: Name of the model to request.
        key: Bearer key for a URL; empty: none.
        known: The model's description; None: read from `/health` of the server.
        wait_s: Maximum seconds for one answer.
        tries: Maximum tries of one request; two of them may end without an answer.
        progress: Called with a line at least every 30 s that a request waits; None: nothing is said.
        form: What the server takes beside the OpenAI form's model and texts.
    """

    def __init__(
        self,
        at: str | Address,
        model: str,
        key: str = "",
        known: ModelInfo | None = None,
        wait_s: float = WAIT_S,
        tries: int = TRIES,
        progress: Progress = None,
        form: Form = PLAIN,
    ) -> None:
        self._model, self._known, self._wait_s, self._tries = model, known, wait_s, tries
        self._at, self._progress, self._form = at, progress, form
        timeout = httpx.Timeout(wait_s, connect=min(wait_s, 10.0))
        if isinstance(at, str):
            headers = {"authorization": f"Bearer {key}"} if key else {}
            self._where = at
            self._http = httpx.Client(
                base_url=at, headers=headers, timeout=timeout, transport=_Wordless(trust_env=False), trust_env=False
            )
        else:
            self._where, self._http = at.shown, at.client(timeout)
        self._client = f"{threading.get_ident():x}-{time.time_ns():x}"  # so that the server can let clients take turns

    def info(self) -> ModelInfo:
        if self._known is None:
            answer = self._asked(lambda: self._http.get("/health"))
            try:
                self._known = info_of(answer)
            except ValueError as odd:
                raise WrongServer(
                    f"something else than an embedder answers at {self._where}/health: {odd}; {shown(answer)}"
                ) from None
        return self._known

    def embed(self, texts: Sequence[str], priority: Priority = "bulk") -> Vectors:
        info = self.info()
        windows = list(requests(texts, priority))
        if len(windows) == 1:
            return self._embed(windows[0], priority, info)
        # While one answer is sent, the server computes the next.
        with ThreadPoolExecutor(AT_ONCE) as pool:
            parts = list(pool.map(lambda window: self._embed(window, priority, info), windows))
        return np.concatenate(parts) if parts else np.empty((0, info.dimensions), np.float32)

    def _embed(self, texts: list[str], priority: Priority, info: ModelInfo) -> Vectors:
        prompt = self._form.query_prompt if priority == "query" else self._form.document_prompt
        body: dict[str, Any] = {
            "model": self._model,
            "input": [prompt + text for text in texts],
            "encoding_format": "base64",
        }
        if self._form.sends_dimensions:
            body["dimensions"] = info.dimensions
        headers = {"x-moat-priority": priority, "x-moat-client": self._client, "x-moat-revision": info.revision}
        answer = self._asked(lambda: self._http.post(self._form.path, json=body, headers=headers))
        try:
            rows = vectors_of(answer)
        except ValueError as odd:
            raise self._wrong(str(odd)) from None
        if len(rows) != len(texts):
            raise EmbedderUnavailable(f"{self._where} was sent {len(texts)} texts and answered {len(rows)}")
        vectors = np.stack(rows)
        if vectors.shape[1] != info.dimensions:
            raise ModelError(f"{self._where} gives {vectors.shape[1]} dimensions, {info.dimensions} were declared")
        return _of_length_one(vectors)

    def _asked(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        """Send a request, again while the server is busy or restarting."""
        reason, unanswered = "", 0
        for attempt in range(self._tries):
            wait = min(30.0, 0.5 * 2**attempt)
            try:
                with told(self._progress, f"waits for the embedder at {self._where} (try {attempt + 1})"):
                    answer = ask()
            except httpx.ReadTimeout:
                reason = "it takes connections, and gives no answer"
                unanswered += 1
                if unanswered == HUNG or attempt + 1 == self._tries:
                    raise EmbedderHung(self._hung(unanswered)) from None
            except httpx.TransportError as error:
                reason = type(error).__name__
            except httpx.DecodingError:
                raise self._wrong("what is not compressed as it says") from None
            else:
                if answer.is_success:
                    return answer
                reason = str(answer.status_code)  # its words may quote a question or a text
                if answer.status_code in ELSEWHERE:
                    raise self._wrong(f"status {reason}")
                if answer.status_code not in PASSING and answer.status_code < 500:
                    meant = MEANT.get(answer.status_code, "its own log says why")
                    raise ModelError(f"the embedder at {self._where} refuses with {reason}: {meant}")
                wait = _retry_after(answer, wait)
            if attempt + 1 < self._tries:
                time.sleep(wait)
        raise EmbedderUnavailable(f"the embedder at {self._where} did not answer in {self._tries} tries: {reason}")

    def _hung(self, times: int) -> str:
        """What is said of an embedder that takes connections and does not answer."""
        who = self._at.listener() if isinstance(self._at, Address) else at_url(self._at)
        return (
            f"the embedder at {self._where} hangs: it takes connections and gave no answer within {self._wait_s:g} s, "
            f"{times} times{f'; it is {who}' if who else ''}. End it and start it again, or raise MOAT_EMBEDDER_TIMEOUT_S"
        )

    def _wrong(self, odd: str) -> WrongServer:
        """What is said of something else than an embedder; it is shown by its answer to a question of our own."""
        said = f"something else than an embedder answers at {self._where}{self._form.path}: {odd}"
        if isinstance(self._at, Address):  # the key has opened the answer, or it is this user's own socket
            return WrongServer(f"{said}. Another version of Moat serves there: end it, and start `moat embedder` again")
        try:
            answer = httpx.post(
                f"{self._at.rstrip('/')}{self._form.path}",
                json={"model": self._model, "input": [PROBE]},
                timeout=PROBE_S,
                trust_env=False,
                verify=self._at.startswith("https"),  # reading certificates takes longer than asking
            )
            found = shown(answer)
        except httpx.HTTPError as error:
            found = type(error).__name__
        return WrongServer(
            f"{said}; asked once more, without a key: {found}. Correct host, port and path of the connection"
        )

    def close(self) -> None:
        self._http.close()


class _Wordless(httpx.HTTPTransport):
    """Drops the reason phrase of an answer, which is the server's own text, and which httpx logs."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        answer.extensions.pop("reason_phrase", None)
        return answer


class InProcessEmbedder:
    """The model in this process, without a server.

    Every process that uses it takes seconds to import it.
    """

    def __init__(self, settings: Settings) -> None:
        folder = folder_of(settings.model)
        from moat.embedding import encoder

        tokens = TokenCounter.of(settings.model)
        opened = encoder.open_encoder(folder, settings.embedder_device, settings.embedder_precision, tokens)
        self._model, self._info = opened.model, encoder.info_of(settings.model, folder, opened)

    def info(self) -> ModelInfo:
        return self._info

    def embed(self, texts: Sequence[str], priority: Priority = "bulk") -> Vectors:
        windows = list(requests(texts, priority))  # refuses what a server would
        if not windows:
            return np.empty((0, self._info.dimensions), np.float32)
        return _of_length_one(self._model.encode(list(texts), convert_to_numpy=True, show_progress_bar=False))

    def close(self) -> None:
        return None


def embedder_of(
    settings: Settings,
    connections: Connections,
    progress: Progress = None,
    wait_s: float | None = None,
    tries: int | None = None,
) -> Embedder:
    """Open the embedder of the settings, starting a resident one if none runs.

    Args:
        settings: Settings of this process.
        connections: Source of connections, for an endpoint.
        progress: Called with a line at least every 30 s that is waited; None: nothing is said.
        wait_s: Maximum seconds for one answer; a search waits less. None: MOAT_EMBEDDER_TIMEOUT_S.
        tries: Maximum tries of one request; a search tries once. None: MOAT_EMBEDDER_TRIES.

    Returns:
        The embedder, which the caller closes.

    Raises:
        ModelError: The embedder serves another model or revision than the settings name.
        EmbedderUnavailable: The embedder did not start or answer.
        WrongServer: Something else than an embedder answers.
        SettingsError: The connection of an endpoint is not there, or not complete.
    """
    embedder: Embedder
    wait_s = settings.embedder_timeout_s if wait_s is None else wait_s
    tries = settings.embedder_tries if tries is None else tries
    if settings.embedder == "in_process":
        embedder = InProcessEmbedder(settings)
    elif settings.embedder == "endpoint":
        embedder = _endpoint(settings, connections, wait_s, tries, progress)
    else:
        address = ensure_running(settings, wait_s, progress)
        embedder = HttpEmbedder(address, settings.model, wait_s=wait_s, tries=tries, progress=progress)
    found = embedder.info()
    if settings.model_revision and found.revision.partition("#")[0] != settings.model_revision:
        embedder.close()
        raise ModelError(
            f"MOAT_MODEL_REVISION asks for {settings.model_revision}, the embedder serves {found.model} at {found.revision}: "
            "bring that revision, or change the setting"
        )
    return embedder


def _endpoint(
    settings: Settings, connections: Connections, wait_s: float, tries: int, progress: Progress
) -> HttpEmbedder:
    """The endpoint, by its connection."""
    found = connections.get(settings.embedder_conn_id)
    prompt = str(found.extra.get("document_prompt", ""))  # vectors of another one belong into another collection
    try:
        known = ModelInfo(
            model=str(found.extra["model"]),
            revision=str(found.extra.get("revision", "")) + (f"#{text_hash(prompt)[:8]}" if prompt else ""),
            dimensions=int(found.extra["dimensions"]),
            max_tokens=int(found.extra["max_tokens"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise SettingsError(
            f"connection {settings.embedder_conn_id}: its extra must have model, dimensions and max_tokens; {error} is missing or no number"
        ) from error
    host = httpx.URL(found.host if "://" in found.host else f"{found.schema or 'https'}://{found.host}")
    return HttpEmbedder(
        str(host.copy_with(port=found.port) if found.port else host).rstrip("/"),
        known.model,
        key=found.password,
        known=known,
        wait_s=wait_s,
        tries=tries,
        progress=progress,
        form=Form(
            str(found.extra.get("path", PLAIN.path)),
            found.extra.get("send_dimensions", False) in (True, "true"),
            str(found.extra.get("query_prompt", "")),
            prompt,
        ),
    )


def _of_length_one(vectors: np.ndarray) -> Vectors:
    """Scale rows to length 1; zeros and NaN stay for the gate."""
    made = np.array(vectors, np.float32)
    lengths = np.linalg.norm(made, axis=1, keepdims=True)
    np.divide(made, lengths, out=made, where=lengths > 0)
    return made


def _retry_after(answer: httpx.Response, default: float) -> float:
    value = answer.headers.get("retry-after", "")
    return min(60.0, float(value)) if value.replace(".", "", 1).isdigit() else default


def model_of(settings: Settings, connections: Connections) -> str:
    """Key of the model that the embedder serves.

    For a load that embedded nothing, and for a new collection.
    """
    embedder = embedder_of(settings, connections)
    try:
        return embedder.info().key
    finally:
        embedder.close()
