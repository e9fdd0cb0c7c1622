"""The retriever for programs that await: the same methods, rules and results.

from include.retrieve import AsyncRetriever

async with await AsyncRetriever.from_settings() as r:
    hits = await r.search("How long is parental leave?", asker="user:alice@example.com")
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import TypeVar

from moat.connections import Connections
from moat.filters import Filters
from moat.index.store import Mode
from moat.retrieve import Retriever
from moat.search.guard import AT_ONCE
from moat.search.identity import Asker
from moat.search.result_types import Count, GroupBy, SearchResult, Shares
from moat.settings import Settings

T = TypeVar("T")


class AsyncRetriever:
    """Answers as `Retriever` does, without keeping an event loop waiting; safe to use from several tasks.

    The work is done in up to 64 threads. A task that is cancelled waits no longer; its question ends by itself, within
    its time. Arguments, results and errors are those of `Retriever`'s methods of the same names.

    Args:
        retriever: What answers; it is closed with this one.
    """

    def __init__(self, retriever: Retriever) -> None:
        self._retriever, self._threads = retriever, ThreadPoolExecutor(AT_ONCE, "moat-async")

    @classmethod
    async def from_settings(
        cls, settings: Settings | None = None, connections: Connections | None = None
    ) -> "AsyncRetriever":
        """Open a retriever, as `Retriever.from_settings` does."""
        return cls(await asyncio.to_thread(Retriever.from_settings, settings, connections))

    async def search(
        self,
        question: str,
        asker: Asker,
        limit: int = 10,
        mode: Mode = "hybrid",
        filters: Filters | None = None,
        *,
        group_by: GroupBy = None,
    ) -> SearchResult:
        """Return the chunks that best answer a question and that the asker may read."""
        asked = partial(self._retriever.search, question, asker, limit, mode)
        return await self._run(partial(asked, filters, group_by=group_by))

    async def page(
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
        """Return the hits of a question page by page, of one view."""
        asked = partial(self._retriever.page, question, asker, limit, mode)
        return await self._run(partial(asked, filters, group_by=group_by, cursor=cursor))

    async def get(self, chunk_ids: Sequence[str], asker: Asker) -> SearchResult:
        """Return those of the given chunks that the asker may read, in the given order."""
        return await self._run(partial(self._retriever.get, chunk_ids, asker))

    async def read(self, source: str, key: str, asker: Asker, first: int = 0, limit: int = 100) -> SearchResult:
        """Return the passages of one document in its order, as far as the asker may read it."""
        return await self._run(partial(self._retriever.read, source, key, asker, first=first, limit=limit))

    async def count(self, asker: Asker, filters: Filters | None = None) -> Count:
        """Count the documents and chunks that the asker may read, exactly."""
        return await self._run(partial(self._retriever.count, asker, filters))

    async def aggregate(self, asker: Asker, by: str, filters: Filters | None = None) -> Shares:
        """Count the documents and chunks that the asker may read, by value of a property."""
        return await self._run(partial(self._retriever.aggregate, asker, by, filters))

    async def _run(self, work: Callable[[], T]) -> T:
        # In the caller's context, so that an audit entry has what is known of the query: see `moat.search.asked_by`.
        return await asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, work)

    async def close(self) -> None:
        """Close the index, the embedder and the ledger."""
        await self._run(self._retriever.close)
        self._threads.shutdown(wait=False)

    async def __aenter__(self) -> "AsyncRetriever":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
