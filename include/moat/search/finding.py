"""Find what answers a question: by the index, which is fast, and by the ledger's second look, which is right."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from moat.embedding.client import Embedder
from moat.errors import FatalError
from moat.filters import Filters
from moat.index.store import Filters as IndexFilters
from moat.index.store import Mode, Query, Store
from moat.ledger import Ledger, counting
from moat.ledger.filters import exact
from moat.ledger.former_names import first_names
from moat.ledger.loads import invisible
from moat.ledger.older_versions import Newer, newer_of
from moat.ledger.policies import access_tokens_of
from moat.ledger.second_look import VisibleChunk, masked, second_look
from moat.search.cursor import Scored
from moat.search.result_types import GroupBy

MOST_CANDIDATES = 10_000  # maximum results of one query in Weaviate
MOST_NAMED = 2_000  # documents that a filter of the ledger names to the index; of more, the second look chooses

Mine = Callable[[Connection], frozenset[str]]  # principals of the asker at this moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, as it was checked."""

    question: str
    mode: Mode
    filters: Filters
    group_by: GroupBy


class Found(NamedTuple):
    """A chunk that the asker may read, its score, and a newer version of its document."""

    chunk: VisibleChunk
    score: float
    newer: Newer | None


class Finder:
    """Answers questions from one index and one ledger."""

    def __init__(self, ledger: Ledger, store: Store, embedder: Embedder) -> None:
        self._ledger, self._store, self._embedder = ledger, store, embedder

    def find(self, asked: Asked, mine: Mine, limit: int) -> list[Found]:
        """The best `limit` chunks, or documents by their best chunk, that the asker may read, best first."""
        tenant, filters = self._ledger.tenant, asked.filters
        with self._ledger.read() as connection:
            me = mine(connection)
            named = self._named(connection, me, filters)
            tokens = access_tokens_of(connection, tenant, me)
            hidden = invisible(connection, tenant)
            sources = first_names(connection, tenant, masked(connection, tenant))
        if named is None:
            return []
        vector = self._vector(asked.question) if asked.mode != "keyword" else None
        n = min(MOST_CANDIDATES, 2 * limit)
        while True:
            found = self._store.search(
                Query(
                    mode=asked.mode,
                    text=asked.question,
                    vector=vector,
                    tokens=tokens,
                    hidden_loads=hidden,
                    filters=named,
                    limit=n,
                    hidden_sources=sources,
                )
            )
            with self._ledger.read() as connection:
                # Expanded again, so that access revoked during the index search is gone as well.
                seen = self.look(connection, mine(connection), found, filters)
                before, hidden = hidden, invisible(connection, tenant)
            if set(before) - set(hidden):
                continue  # a load was promoted meanwhile: its chunks were hidden from this search, so search again
            ranked = sorted(seen, key=lambda one: (-one.score, one.chunk.chunk_id))
            best = _first_of_each(ranked) if asked.group_by == "document" else ranked
            if len(best) >= limit or len(found) < n or n == MOST_CANDIDATES:
                return best[:limit]
            n = min(MOST_CANDIDATES, 4 * n)

    def look(
        self, connection: Connection, mine: frozenset[str], scored: Sequence[Scored], filters: Filters
    ) -> list[Found]:
        """Those of the chunks that these principals may read now and that match every filter, in the given order.

        Without documents that a newer one stands for, where their source says so.
        """
        tenant = self._ledger.tenant
        seen = second_look(connection, tenant, mine, [chunk_id for chunk_id, _ in scored], filters)
        newer = newer_of(connection, tenant, mine, {one.document for one in seen.values()})
        found = (Found(one, score, newer.get(one.document)) for i, score in scored if (one := seen.get(i)))
        return [one for one in found if one.newer is None or not one.newer.instead]

    def _named(self, connection: Connection, mine: frozenset[str], filters: Filters) -> IndexFilters | None:
        """The filters of the index; None if the ledger knows that nothing matches.

        A filter that the index has no property for becomes the ids of the documents that match it and that the asker
        may read, if these are not too many.
        """
        of_index = exact(filters)
        if "source" in of_index:
            of_index["source"] = first_names(connection, self._ledger.tenant, of_index["source"])
        if len(of_index) == len(filters):
            return of_index
        ids = counting.matching(connection, self._ledger.tenant, mine, filters, MOST_NAMED + 1)
        if not ids:
            return None
        return of_index if len(ids) > MOST_NAMED else {**of_index, "document": ids}

    def _vector(self, question: str) -> np.ndarray:
        vector: np.ndarray = self._embedder.embed([question], "query")[0]
        if not np.isfinite(vector).all():
            raise FatalError("the embedder gave a vector with NaN for the question")
        return vector


def _first_of_each(ranked: Iterable[Found]) -> list[Found]:
    """The best chunk of each document."""
    best: dict[str, Found] = {}
    for one in ranked:
        best.setdefault(one.chunk.document, one)
    return list(best.values())


def documents_of(found: Collection[Found]) -> set[str]:
    """Ids of the documents that these chunks are of."""
    return {one.chunk.document for one in found}
