"""The only way to read: who asks, what may they see, and then once more, what may they see now.

    from include.retrieve import Retriever

    with Retriever.from_settings() as r:
        for hit in r.search("How long is parental leave?", asker="user:alice@example.com"):
            print(hit.score, hit.title, hit.text)

Any error, any time-out and any asker whom nobody knows give nothing, and a line in the audit.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from include.access import canonical
from include.connections import Connections, EnvironmentConnections
from include.embed import Embedder, embedder_of
from include.errors import AccessUnknown, FatalError
from include.ledger import Ledger
from include.ledger.audit import record
from include.ledger.loads import invisible
from include.ledger.look import Seen, look
from include.ledger.policies import principals_of, tokens_of
from include.settings import Settings, environment
from include.store import Filters, Mode, Query, Store, WeaviateStore

log = logging.getLogger(__name__)

MOST_HITS = 1_000
MOST_CANDIDATES = 10_000  # what Weaviate gives of one query
AT_ONCE = 64  # searches of one retriever under way
PATH = " › "


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that answers, as the ledger has it at this moment."""

    source: str
    document_key: str
    uri: str
    title: str
    heading_path: tuple[str, ...]
    page: int | None
    text: str
    score: float  # of the mode that was asked for; the higher the better, comparable within one answer
    chunk_id: str
    metadata: tuple[str, ...] = ()  # "name=value"


class Answer(list[Hit]):
    """Hits, the best first. Empty with `refused` set when the search failed or the asker is unknown."""

    refused: str | None = None


class Retriever:
    """Searches for people. Holds the reader's key; safe to use from several threads."""

    def __init__(self, settings: Settings, ledger: Ledger, store: Store, embedder: Embedder) -> None:
        self._settings, self._ledger, self._store, self._embedder = settings, ledger, store, embedder
        self._slots = threading.BoundedSemaphore(AT_ONCE)

    @classmethod
    def from_settings(cls, settings: Settings | None = None, connections: Connections | None = None) -> "Retriever":
        """A retriever on the settings of this process. Raises SettingsError, LedgerError, IndexUnavailable with the way out."""
        settings = settings or Settings.load()
        connections = connections or EnvironmentConnections(environment())
        reading = settings.model_copy(update={"weaviate_timeout_s": settings.search_timeout_s})
        return cls(
            settings,
            Ledger.open(settings),
            WeaviateStore.open(reading, "reader"),
            embedder_of(settings, connections, wait_s=settings.search_timeout_s, tries=1),
        )

    def search(
        self, question: str, asker: str | None, limit: int = 10, mode: Mode = "hybrid", filters: Filters | None = None
    ) -> Answer:
        """At the most `limit` chunks that answer the question and that the asker may read now.

        `asker` is a principal such as `user:alice@example.com`; the application vouches for it.
        `filters` narrow by `source`, `key`, `kind` (text or table) or a name of the source's
        metadata, each to one value or any of several; they never widen.
        """
        try:
            return self._in_time(lambda: self._search(question, asker, limit, mode, filters or {}))
        except Exception as error:  # noqa: BLE001  whatever fails on the way to an answer gives nothing rather than too much
            return self._refused(asker, mode, error)

    def _in_time(self, search: Callable[[], Answer]) -> Answer:
        """The answer, or TimeoutError: a client of a server that is down tries for a minute before it gives up."""
        seconds = self._settings.search_timeout_s
        late = TimeoutError(f"it took longer than MOAT_SEARCH_TIMEOUT_S, {seconds:g} s")
        deadline = time.monotonic() + seconds
        if not self._slots.acquire(timeout=seconds):
            raise late
        answers: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()

        def work() -> None:
            try:
                answers.put(search())
            except Exception as error:  # noqa: BLE001  raised in the thread that waits
                answers.put(error)
            finally:
                self._slots.release()

        threading.Thread(target=work, name="moat-search", daemon=True).start()
        try:
            answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise late from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _search(self, question: str, asker: str | None, limit: int, mode: Mode, filters: Filters) -> Answer:
        _check(question, limit, mode, filters)
        if asker is None:
            raise AccessUnknown("nobody asks")
        with self._ledger.read() as connection:
            principals = principals_of(connection, self._ledger.tenant, asker)
            if not principals:
                raise AccessUnknown(f"nobody knows {canonical(asker)}: in no group and in no policy")
            tokens = tokens_of(connection, self._ledger.tenant, principals)
            hidden = invisible(connection, self._ledger.tenant)
        if any(not isinstance(value, str) and not value for value in filters.values()):
            return Answer()  # none of these values: nothing, where a dropped filter would give everything
        vector = self._vector(question) if mode != "keyword" else None
        n = min(MOST_CANDIDATES, 2 * limit)
        while True:
            found = self._store.search(Query(mode, question, vector, tokens, hidden, filters, n))
            with self._ledger.read() as connection:
                # Asked again: what was revoked while the index searched is gone as well.
                principals = principals_of(connection, self._ledger.tenant, asker)
                seen = look(connection, self._ledger.tenant, principals, [chunk_id for chunk_id, _ in found])
                before, hidden = hidden, invisible(connection, self._ledger.tenant)
            if set(before) - set(hidden):
                continue  # a load was promoted meanwhile: what it replaced is gone, what it brought was left out
            if len(seen) >= limit or len(found) < n or n == MOST_CANDIDATES:
                break
            n = min(MOST_CANDIDATES, 4 * n)
        ranked = sorted(
            ((score, chunk_id) for chunk_id, score in found if chunk_id in seen), key=lambda pair: (-pair[0], pair[1])
        )
        return Answer(_hit(seen[chunk_id], score) for score, chunk_id in ranked[:limit])

    def _vector(self, question: str) -> np.ndarray:
        vector: np.ndarray = self._embedder.embed([question], "query")[0]
        if not np.isfinite(vector).all():
            raise FatalError("the embedder gave a vector with NaN for the question")
        return vector

    def _refused(self, asker: str | None, mode: str, error: Exception) -> Answer:
        """Nothing, with a word in the log and a line in the audit. The question is in neither."""
        log.warning("search refused for %s: %s: %s", asker, type(error).__name__, error)
        try:
            with self._ledger.write() as connection:
                detail = {"mode": str(mode)[:16], "error": type(error).__name__, "reason": str(error)[:500]}
                record(
                    connection,
                    self._ledger.tenant,
                    str(asker)[:512] if asker else "nobody",
                    "search refused",
                    "search",
                    detail,
                )
        except Exception as unheard:  # noqa: BLE001  the ledger itself may be what failed; the answer stays nothing
            log.error("no audit line could be written: %s", unheard)
        answer = Answer()
        answer.refused = f"{type(error).__name__}: {error}"
        return answer

    def close(self) -> None:
        self._store.close()
        self._embedder.close()
        self._ledger.close()

    def __enter__(self) -> "Retriever":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check(question: str, limit: int, mode: Mode, filters: Filters) -> None:
    if not question.strip():
        raise FatalError("the question is empty")
    if not 1 <= limit <= MOST_HITS:
        raise FatalError(f"limit={limit}: from 1 to {MOST_HITS}")
    if mode not in ("vector", "keyword", "hybrid"):
        raise FatalError(f"mode={mode!r}: vector, keyword or hybrid")
    for name, value in filters.items():
        if not isinstance(value, str) and not (isinstance(value, Sequence) and all(isinstance(v, str) for v in value)):
            raise FatalError(f"filters[{name!r}]={value!r}: a text, or several")


def _hit(seen: Seen, score: float) -> Hit:
    path = tuple(seen.heading.split(PATH)) if seen.heading else ()
    return Hit(
        seen.source, seen.key, seen.uri, seen.title, path, seen.page, seen.text, score, seen.chunk_id, seen.metadata
    )
