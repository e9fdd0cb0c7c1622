"""The only read path: verify the asker, search, then check access once more.

    from include.retrieve import Retriever

    with Retriever.from_settings() as r:
        for hit in r.search("How long is parental leave?", asker="user:alice@example.com"):
            print(hit.score, hit.title, hit.text)

`search`, `page`, `get`, `read`, `count` and `aggregate` return what the asker may read at this moment. An error, a timeout or
an unknown asker gives an empty result with a code, and an entry in the audit. Only a program that asks wrongly gets an
error: AskedWrongly.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, closing
from types import TracebackType
from typing import Any

from sqlalchemy import Connection

from moat.connections import Connections, EnvironmentConnections
from moat.embedding.client import Embedder, embedder_of
from moat.errors import IndexUnavailable, LedgerUnavailable
from moat.filters import NAMES, Filters, Range, check
from moat.ids import document_id, is_id
from moat.index.store import Mode, Store, WeaviateStore
from moat.ledger import Ledger, answers, counting, id_secret
from moat.ledger.former_names import first_names
from moat.ledger.members import Expansions
from moat.ledger.older_versions import newer_of
from moat.ledger.second_look import look_by_document, look_by_id
from moat.search.cursor import Cursors, Left, bound_to
from moat.search.finding import Asked, Finder, Found, documents_of
from moat.search.guard import Asking, G, Guard
from moat.search.highlights import asked_terms
from moat.search.identity import Asker, Bearer, Identity, Service, identified, name_of, principals
from moat.search.jwt import Verifier
from moat.search.names import Names
from moat.search.result_types import (
    MOST_PAGED,
    Count,
    GroupBy,
    Hit,
    NewerVersion,
    SearchResult,
    Share,
    Shares,
    check_by,
    check_document,
    check_ids,
    check_page,
    check_search,
)
from moat.search.results import hit_of
from moat.settings import Settings, environment
from moat.threads import within

__all__ = ["Bearer", "Count", "Hit", "NewerVersion", "Range", "Retriever", "SearchResult", "Service", "Share", "Shares"]


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
        self._finder, self._names = Finder(ledger, store, embedder), Names(ledger)
        self._kept_cursors: Cursors | None = None
        self._verifier = Verifier(settings)
        self._expansions = Expansions(ledger, settings.principals_cache_s)
        self._records = settings.record_answers
        self._guard = Guard(ledger, settings.search_timeout_s)

    @classmethod
    def from_settings(cls, settings: Settings | None = None, connections: Connections | None = None) -> "Retriever":
        """Open a retriever on the settings of this process.

        A server that does not answer within MOAT_SEARCH_TIMEOUT_S is given up. Where no resident embedder runs, one is
        started, which has MOAT_EMBEDDER_START_S.

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
            WrongServer: Something else answers in the place of Weaviate or the embedder.
        """
        settings = settings or Settings.load()
        connections = connections or EnvironmentConnections(environment())
        wait_s = settings.search_timeout_s
        reading = settings.model_copy(update={"weaviate_timeout_s": wait_s})
        late = f"did not answer within MOAT_SEARCH_TIMEOUT_S, {wait_s:g} s"
        with ExitStack() as opened:  # what is open when the next cannot be opened is closed again
            ledger = within(wait_s, lambda: Ledger.open(settings), LedgerUnavailable(f"the ledger {late}"))
            opened.enter_context(closing(ledger))
            WeaviateStore.warm()
            slow = IndexUnavailable(f"Weaviate at {settings.weaviate_host}:{settings.weaviate_port} {late}")
            store = within(wait_s, lambda: WeaviateStore.open(reading, "reader"), slow)
            opened.enter_context(closing(store))
            embedder = embedder_of(settings, connections, wait_s=wait_s, tries=1)
            opened.enter_context(closing(embedder))
            made = cls(settings, ledger, store, embedder)
            opened.pop_all()
        return made

    def search(
        self,
        question: str,
        asker: Asker,
        limit: int = 10,
        mode: Mode = "hybrid",
        filters: Filters | None = None,
        *,
        group_by: GroupBy = None,
    ) -> SearchResult:
        """Return the chunks that best answer a question and that the asker may read.

        Args:
            question: The question in the asker's words; it must not be empty.
            asker: Who asks: a principal such as `user:alice@example.com`, for whom the application vouches; a
                `Service`; or a `Bearer`, whose JWT is verified. None and unknown askers get nothing.
            limit: Maximum number of hits, from 1 to 1,000.
            mode: `hybrid` combines `vector` and `keyword`; either can be chosen alone.
            filters: Values by name: `source`, `key`, `kind` (`text` or `table`), `language`, `media_type`, `modified`,
                or a name of the documents' metadata. Each has one value or several, of which any may match; of
                metadata also a number, a day or a `Range`, of `modified` only these. Filters never widen access.
            group_by: `document`: each hit is the best chunk of another document; None: the best chunks, of whichever.

        Returns:
            Hits, best first. Empty with `refused` and `code` set for an error, a timeout or an unknown asker.

        Raises:
            AskedWrongly: A value is wrong, or no document that the asker may read has such a name.

        Example:
            The five best tables of one source:

                hits = r.search(
                    "travel rates", asker="user:alice@example.com", limit=5, filters={"source": "handbook", "kind": "table"}
                )
        """
        check_search(question, limit, mode, group_by)
        check(filters or {})
        asked = Asked(question=question, mode=mode, filters=dict(filters or {}), group_by=group_by)

        def work(who: Identity) -> SearchResult:
            return self._result(who, asked, self._found(who, asked, limit))

        return self._ask(f"search {mode}", asker, work, SearchResult, question)

    def page(
        self,
        question: str,
        asker: Asker,
        limit: int = 10,
        mode: Mode = "hybrid",
        filters: Filters | None = None,
        *,
        group_by: GroupBy = None,
        cursor: str | None = None,
    ) -> SearchResult:
        """Return the hits of a question page by page, of one view: nothing comes twice and nothing moves.

        The view is of the moment of the first page, 200 hits at the most, and can be asked for 15 minutes. What was
        promoted since is not in it. What was replaced or taken away since, or may no longer be read, is left out of
        the pages, and `changed` says so.

        Args:
            question: As for `search`, and the same for each page.
            asker: As for `search`; the same for each page.
            limit: Maximum number of hits of this page, from 1 to 200.
            mode: As for `search`; the same for each page.
            filters: As for `search`; the same for each page.
            group_by: As for `search`; the same for each page.
            cursor: `cursor` of the page before; None: the first page.

        Returns:
            Hits, best first, with the `cursor` of the next page; that is None on the last. Empty with `refused` and
            `code` set for an error, a timeout, an unknown asker, or a cursor that is not theirs.

        Raises:
            AskedWrongly: A value is wrong, or no document that the asker may read has such a name.

        Example:
            All that is found, ten at a time:

                page = r.page(question, asker=who)
                while page.cursor:
                    page = r.page(question, asker=who, cursor=page.cursor)
        """
        check_page(question, limit, mode, group_by, cursor)
        check(filters or {})
        asked = Asked(question=question, mode=mode, filters=dict(filters or {}), group_by=group_by)

        def work(who: Identity) -> SearchResult:
            of = (self._ledger.tenant, who.name, who.principals, question, mode, group_by)
            bound, cursors = bound_to(*of, filters=asked.filters), self._cursors()
            if cursor is None:
                found = self._found(who, asked, MOST_PAGED)
                left = cursors.first([(one.chunk.chunk_id, one.score) for one in found])
            else:
                left = cursors.read(cursor, bound)
                with self._ledger.read() as connection:
                    found = self._finder.look(connection, self._principals(connection, who), left.hits, asked.filters)
            shown = found[:limit]
            ids = [chunk_id for chunk_id, _ in left.hits]
            n = ids.index(shown[-1].chunk.chunk_id) + 1 if len(found) > limit else len(ids)
            result = self._result(who, asked, shown)
            result.changed = n > len(shown)
            result.cursor = cursors.write(Left(left.hits[n:], left.since), bound) if n < len(ids) else None
            return result

        return self._ask(f"page {mode}", asker, work, SearchResult, question)

    def get(self, chunk_ids: Sequence[str], asker: Asker) -> SearchResult:
        """Return those of the given chunks that the asker may read, in the given order.

        The ledger answers, not the index. A chunk that does not exist, that may not be read, or whose id is
        malformed is left out, and the result does not show which of these it was.

        Args:
            chunk_ids: Up to 1,000 ids of chunks, such as `Hit.chunk_id`; repeated ids are returned once.
            asker: As for `search`.

        Returns:
            Hits with score 1. Empty with `refused` set for an error, a timeout or an unknown asker.
        """

        check_ids(chunk_ids)

        def work(who: Identity) -> SearchResult:
            ids = list(dict.fromkeys(i.lower() for i in chunk_ids if is_id(i)))
            with self._ledger.read() as connection:
                mine = self._principals(connection, who)
                seen = look_by_id(connection, self._ledger.tenant, mine, ids)
                newer = newer_of(connection, self._ledger.tenant, mine, {one.document for one in seen.values()})
            hits = SearchResult(hit_of(seen[i], 1.0, newer.get(seen[i].document)) for i in ids if i in seen)
            return self._noted(who, hits, {one.document for one in seen.values()})

        return self._ask("get", asker, work, SearchResult)

    def read(self, source: str, key: str, asker: Asker, first: int = 0, limit: int = 100) -> SearchResult:
        """Return the passages of one document in its order, as far as the asker may read it.

        A document that may not be read gives the same as one that does not exist: nothing.

        Args:
            source: Name of the source, such as `Hit.source`.
            key: The source's own key of the document, such as `Hit.document_key`.
            asker: As for `search`.
            first: Number of passages to leave out at the beginning.
            limit: Maximum number of passages, from 1 to 1,000.

        Returns:
            Hits with score 1. Empty with `refused` set for an error, a timeout or an unknown asker.

        """
        check_document(source, key, first, limit)

        def work(who: Identity) -> SearchResult:
            tenant = self._ledger.tenant
            with self._ledger.read() as connection:
                of = document_id(tenant, first_names(connection, tenant, [source])[0], key)
                mine = self._principals(connection, who)
                seen = look_by_document(connection, tenant, mine, of, slice(first, first + limit))
                newer = newer_of(connection, tenant, mine, {of} if seen else set()).get(of)
            return self._noted(who, SearchResult(hit_of(one, 1.0, newer) for one in seen), {of} if seen else ())

        return self._ask("read", asker, work, SearchResult)

    def count(self, asker: Asker, filters: Filters | None = None) -> Count:
        """Count the documents and chunks that the asker may read, exactly.

        Args:
            asker: As for `search`.
            filters: As for `search`; None: everything.

        Returns:
            The count. Both numbers are 0, with `refused` set, for an error, a timeout or an unknown asker.
        """

        check(filters or {})

        def work(who: Identity) -> Count:
            with self._ledger.read() as connection:
                mine = self._principals(connection, who)
                counted = Count(*counting.count(connection, self._ledger.tenant, mine, filters or {}))
            self._names.check_counted(who.name, self._mine(who), filters or {}, counted.documents)
            return counted

        return self._ask("count", asker, work, Count)

    def aggregate(self, asker: Asker, by: str, filters: Filters | None = None) -> Shares:
        """Count the documents and chunks that the asker may read, by value of a property.

        A document with several values counts for each of them; one without a value counts for none.

        Args:
            asker: As for `search`.
            by: `source`, `key`, `kind`, `language`, `media_type`, or a name of the documents' metadata.
            filters: As for `search`; None: everything.

        Returns:
            Shares by value, largest first. Empty with `refused` set for an error, a timeout or an unknown asker.

        Example:
            Documents per source:

                for source, share in r.aggregate("user:alice@example.com", by="source").items():
                    print(source, share.documents)
        """

        check(filters or {})
        check_by(by)

        def work(who: Identity) -> Shares:
            with self._ledger.read() as connection:
                mine = self._principals(connection, who)
                found = counting.aggregate(connection, self._ledger.tenant, mine, by, filters or {})
            of_metadata = () if by in NAMES else (by,)
            self._names.check_counted(who.name, self._mine(who), filters or {}, len(found), *of_metadata)
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

    def _mine(self, who: Identity) -> Callable[[Connection], frozenset[str]]:
        return lambda connection: self._principals(connection, who)

    def _cursors(self) -> Cursors:
        """Cursors by the tenant's secret, which every process of an application reads from the ledger."""
        if self._kept_cursors is None:
            self._kept_cursors = Cursors(id_secret.of(self._ledger))
        return self._kept_cursors

    def _found(self, who: Identity, asked: Asked, limit: int) -> list[Found]:
        """What answers a question, once the names in its filters are known to mean something."""
        found = self._finder.find(asked, self._mine(who), limit)
        self._names.check(who.name, self._mine(who), asked.filters, {one.chunk.source for one in found})
        return found

    def _result(self, who: Identity, asked: Asked, found: Sequence[Found]) -> SearchResult:
        """The hits, as they are shown to the asker."""
        terms = asked_terms(asked.question)
        hits = SearchResult(hit_of(one.chunk, one.score, one.newer, terms) for one in found)
        return self._noted(who, hits, documents_of(found))

    def _noted(self, who: Identity, hits: SearchResult, documents: Collection[str]) -> SearchResult:
        """The hits, once it is recorded who is answered from what, where that is asked for."""
        if self._records:
            answers.note(self._ledger, who.name, documents)
        return hits

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
