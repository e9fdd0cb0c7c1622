"""The only read path: verify the asker, search, then check access once more.

    from include.retrieve import Retriever

    with Retriever.from_settings() as r:
        for hit in r.search("How long is parental leave?", asker="user:alice@example.com"):
            print(hit.score, hit.title, hit.text)

`search`, `get`, `count` and `aggregate` return what the asker may read at this moment. They never
raise: an error, a timeout or an unknown asker gives an empty result and an entry in the audit.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, closing
from types import TracebackType
from typing import Any

import numpy as np
from sqlalchemy import Connection

from moat.connections import Connections, EnvironmentConnections
from moat.embedding.client import Embedder, embedder_of
from moat.errors import FatalError
from moat.ids import is_id
from moat.index.store import Filters, Mode, Query, Store, WeaviateStore
from moat.ledger import Ledger, answers, counting
from moat.ledger.loads import invisible
from moat.ledger.members import Expansions
from moat.ledger.older_versions import newer_of
from moat.ledger.policies import access_tokens_of
from moat.ledger.second_look import look_by_id, masked, second_look
from moat.search.guard import Asking, G, Guard
from moat.search.identity import Asker, Bearer, Identity, Service, identified, name_of, principals
from moat.search.jwt import Verifier
from moat.search.results import (
    Count,
    Hit,
    NewerVersion,
    SearchResult,
    Share,
    Shares,
    check_filters,
    check_ids,
    check_search,
)
from moat.settings import Settings, environment

__all__ = ["Bearer", "Count", "Hit", "NewerVersion", "Retriever", "SearchResult", "Service", "Share", "Shares"]

MOST_CANDIDATES = 10_000  # maximum results of one query in Weaviate


class Retriever:
    """Answers people, services and bearers of a JWT; safe to use from several threads.

    It reads the index with the reader's key. Use it as a context manager, or call `close` at the end.

    Args:
        settings: Settings of this process.
        ledger: The tenant's ledger, which decides what may be read.
        store: The index, opened with the reader's key.
        embedder: Embeds the questions; it must serve the model that the documents were embedded with.
    """

    def __init__(self, settings: Settings, ledger: Ledger, store: Store, embedder: Embedder) -> None:
        self._ledger, self._store, self._embedder = ledger, store, embedder
        self._verifier = Verifier(settings)
        self._expansions = Expansions(ledger, settings.principals_cache_s)
        self._records = settings.record_answers
        self._guard = Guard(ledger, settings.search_timeout_s)

    @classmethod
    def from_settings(cls, settings: Settings | None = None, connections: Connections | None = None) -> "Retriever":
        """Open a retriever on the settings of this process.

        Args:
            settings: Settings to use; None: read from the environment.
            connections: Source of connections, for an embedder that is an endpoint; None: `AIRFLOW_CONN_<ID>` of
                the environment.

        Returns:
            A retriever that the caller closes.

        Raises:
            SettingsError: A setting or a connection is missing or wrong.
            LedgerError: The ledger is not at the revision of this version.
            LedgerUnavailable: The ledger's database did not answer.
            IndexUnavailable: Weaviate did not answer.
            ModelError: The embedder serves another model or revision.
            EmbedderUnavailable: The embedder did not answer.
        """
        settings = settings or Settings.load()
        connections = connections or EnvironmentConnections(environment())
        reading = settings.model_copy(update={"weaviate_timeout_s": settings.search_timeout_s})
        with ExitStack() as opened:  # what is open when the next cannot be opened is closed again
            made = cls(
                settings,
                opened.enter_context(closing(Ledger.open(settings))),
                opened.enter_context(closing(WeaviateStore.open(reading, "reader"))),
                opened.enter_context(
                    closing(embedder_of(settings, connections, wait_s=settings.search_timeout_s, tries=1))
                ),
            )
            opened.pop_all()
        return made

    def search(
        self, question: str, asker: Asker, limit: int = 10, mode: Mode = "hybrid", filters: Filters | None = None
    ) -> SearchResult:
        """Return the chunks that best answer a question and that the asker may read.

        Args:
            question: The question in the asker's words; it must not be empty.
            asker: Who asks: a principal such as `user:alice@example.com`, for whom the application vouches; a
                `Service`; or a `Bearer`, whose JWT is verified. None and unknown askers get nothing.
            limit: Maximum number of hits, from 1 to 1,000.
            mode: `hybrid` combines `vector` and `keyword`; either can be chosen alone.
            filters: Values by name: `source`, `key`, `kind` (`text` or `table`) or a name of the source's
                metadata, each with one value or several, of which any may match. Filters never widen access.

        Returns:
            Hits, best first. Empty with `refused` set for an error, a timeout or an unknown asker.

        Example:
            The five best tables of one source:

                hits = r.search(
                    "travel rates", asker="user:alice@example.com", limit=5, filters={"source": "handbook", "kind": "table"}
                )
        """

        def work(who: Identity) -> SearchResult:
            check_search(question, limit, mode)
            check_filters(filters or {})
            return self._noted(who, *self._search(question, who, limit, mode, filters or {}))

        return self._ask(f"search {str(mode)[:16]}", asker, work, SearchResult, question)

    def get(self, chunk_ids: Sequence[str], asker: Asker) -> SearchResult:
        """Return those of the given chunks that the asker may read, in the given order.

        The ledger answers, not the index. A chunk that does not exist, that may not be read, or whose id is
        malformed is left out, and the result does not show which of these it was.

        Args:
            chunk_ids: Up to 1,000 ids of chunks, such as `Hit.chunk_id`; repeated ids are returned once.
            asker: Who asks: a principal such as `user:alice@example.com`, for whom the application vouches; a
                `Service`; or a `Bearer`, whose JWT is verified. None and unknown askers get nothing.

        Returns:
            Hits with score 1. Empty with `refused` set for an error, a timeout or an unknown asker.
        """

        def work(who: Identity) -> SearchResult:
            check_ids(chunk_ids)
            ids = list(dict.fromkeys(i.lower() for i in chunk_ids if is_id(i)))
            with self._ledger.read() as connection:
                mine = self._principals(connection, who)
                seen = look_by_id(connection, self._ledger.tenant, mine, ids)
                newer = newer_of(connection, self._ledger.tenant, mine, {one.document for one in seen.values()})
            hits = SearchResult(Hit.of(seen[i], 1.0, newer.get(seen[i].document)) for i in ids if i in seen)
            return self._noted(who, hits, {one.document for one in seen.values()})

        return self._ask("get", asker, work, SearchResult)

    def count(self, asker: Asker, filters: Filters | None = None) -> Count:
        """Count the documents and chunks that the asker may read, exactly.

        Args:
            asker: Who asks: a principal such as `user:alice@example.com`, for whom the application vouches; a
                `Service`; or a `Bearer`, whose JWT is verified. None and unknown askers get nothing.
            filters: As for `search`; None: everything.

        Returns:
            The count. Both numbers are 0, with `refused` set, for an error, a timeout or an unknown asker.
        """

        def work(who: Identity) -> Count:
            check_filters(filters or {})
            with self._ledger.read() as connection:
                mine = self._principals(connection, who)
                return Count(*counting.count(connection, self._ledger.tenant, mine, filters or {}))

        return self._ask("count", asker, work, Count)

    def aggregate(self, asker: Asker, by: str, filters: Filters | None = None) -> Shares:
        """Count the documents and chunks that the asker may read, by value of a property.

        A document with several values counts for each of them; one without a value counts for none.

        Args:
            asker: Who asks: a principal such as `user:alice@example.com`, for whom the application vouches; a
                `Service`; or a `Bearer`, whose JWT is verified. None and unknown askers get nothing.
            by: `source`, `key`, `kind`, or a name of the sources' metadata.
            filters: As for `search`; None: everything.

        Returns:
            Shares by value, largest first. Empty with `refused` set for an error, a timeout or an unknown asker.

        Example:
            Documents per source:

                for source, share in r.aggregate("user:alice@example.com", by="source").items():
                    print(source, share.documents)
        """

        def work(who: Identity) -> Shares:
            check_filters(filters or {})
            if not isinstance(by, str) or not by:
                raise FatalError(f"by={by!r}: source, key, kind or a name of the metadata")
            with self._ledger.read() as connection:
                mine = self._principals(connection, who)
                found = counting.aggregate(connection, self._ledger.tenant, mine, by, filters or {})
            return Shares({value: Share(*counted) for value, counted in found})

        return self._ask("aggregate", asker, work, Shares)

    def _ask(
        self, query: str, asker: Asker, work: Callable[[Identity], G], nothing: Callable[[], G], *secrets: Any
    ) -> G:
        """Run a query for the verified asker in time; otherwise return the empty result."""
        tokens = [asker.token] if isinstance(asker, Bearer) else []
        asking = Asking(name_of(asker), query, [s for s in (*secrets, *tokens) if isinstance(s, str)])

        def verified() -> G:
            who = identified(asker, self._verifier)
            asking.who = who.name
            return work(who)

        return self._guard.kept(asking, verified, nothing)

    def _principals(self, connection: Connection, who: Identity) -> frozenset[str]:
        return principals(connection, self._expansions, who)

    def _search(
        self, question: str, who: Identity, limit: int, mode: Mode, filters: Filters
    ) -> tuple[SearchResult, set[str]]:
        """The hits, and the ids of their documents."""
        tenant = self._ledger.tenant
        with self._ledger.read() as connection:
            tokens = access_tokens_of(connection, tenant, self._principals(connection, who))
            hidden, sources = invisible(connection, tenant), masked(connection, tenant)
        vector = self._vector(question) if mode != "keyword" else None
        n = min(MOST_CANDIDATES, 2 * limit)
        while True:
            found = self._store.search(
                Query(
                    mode=mode,
                    text=question,
                    vector=vector,
                    tokens=tokens,
                    hidden_loads=hidden,
                    filters=filters,
                    limit=n,
                    hidden_sources=sources,
                )
            )
            with self._ledger.read() as connection:
                # Expanded again, so that access revoked during the index search is gone as well.
                mine = self._principals(connection, who)
                seen = second_look(connection, tenant, mine, [chunk_id for chunk_id, _ in found])
                newer = newer_of(connection, tenant, mine, {one.document for one in seen.values()})
                before, hidden = hidden, invisible(connection, tenant)
            seen = {i: one for i, one in seen.items() if one.document not in newer or not newer[one.document].instead}
            if set(before) - set(hidden):
                continue  # a load was promoted meanwhile: its chunks were hidden from this search, so search again
            if len(seen) >= limit or len(found) < n or n == MOST_CANDIDATES:
                break
            n = min(MOST_CANDIDATES, 4 * n)
        ranked = sorted(
            ((score, chunk_id) for chunk_id, score in found if chunk_id in seen), key=lambda pair: (-pair[0], pair[1])
        )
        best = [(seen[chunk_id], score) for score, chunk_id in ranked[:limit]]
        hits = SearchResult(Hit.of(one, score, newer.get(one.document)) for one, score in best)
        return hits, {one.document for one, _ in best}

    def _noted(self, who: Identity, hits: SearchResult, documents: Collection[str]) -> SearchResult:
        """The hits, once it is recorded who is answered from what, where that is asked for."""
        if self._records:
            answers.note(self._ledger, who.name, documents)
        return hits

    def _vector(self, question: str) -> np.ndarray:
        vector: np.ndarray = self._embedder.embed([question], "query")[0]
        if not np.isfinite(vector).all():
            raise FatalError("the embedder gave a vector with NaN for the question")
        return vector

    def close(self) -> None:
        """Close the index, the embedder and the ledger."""
        self._store.close()
        self._embedder.close()
        self._ledger.close()

    def __enter__(self) -> "Retriever":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
