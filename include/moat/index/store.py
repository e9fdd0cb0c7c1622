"""The only access to Weaviate; `moat.index.errors` maps what its client raises.

`tests/contracts/store.py` holds what a store must keep, against a real Weaviate.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from moat.access.policy import TOKEN
from moat.batching import windows
from moat.errors import FatalError, IndexNotKept, IndexUnavailable, SchemaError
from moat.index.collections import create, target_of
from moat.index.connected import Role, away, connected, grant, started
from moat.index.errors import mapped_errors, meaning_of, unless_missing
from moat.index.filters import combined
from moat.index.fusion import POOL, fuse, vector_weight
from moat.index.objects import READ, Stored, properties_of, stored
from moat.index.replicas import agreed, kept, require
from moat.index.schema import check_collection
from moat.index.terms import question_terms
from moat.records import IndexObject
from moat.settings import Settings

if TYPE_CHECKING:
    from weaviate import WeaviateClient
    from weaviate.collections import Collection

Mode = Literal["vector", "keyword", "hybrid"]
Filters = Mapping[str, str | Sequence[str]]

LEAST_SERVER = (1, 39, 1)  # 1.39.0 acknowledges writes to a read-only shard and loses them
AT_ONCE = 500  # objects of one write or read
MOST = 10_000  # maximum results of one query in Weaviate
PATCHES = 8  # parallel patches
TRIES = 4
SEARCHED = ["terms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search in the index; the caller's filters only narrow it."""

    mode: Mode
    text: str
    vector: np.ndarray | None  # None only for keyword
    tokens: Sequence[str]
    hidden_loads: Sequence[int]
    filters: Filters
    limit: int
    hidden_sources: Sequence[str] = ()


class Store(Protocol):
    """Index of chunks. Every method raises IndexUnavailable or FatalError, nothing else."""

    def ensure(self, model: str) -> None:
        """Create the collection for vectors of this model, unless it exists."""
        ...

    def check(self, model: str) -> None:
        """Raise SchemaError unless the live collection is what Moat needs for this model."""
        ...

    def write(self, objects: Sequence[IndexObject]) -> None:
        """Write or overwrite objects; return only when every one is acknowledged."""
        ...

    def read_back(self, ids: Sequence[str]) -> dict[str, Stored]:
        """Read objects by id; missing ones are left out."""
        ...

    def vectors(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """Read vectors by id, float32; missing objects are left out."""
        ...

    def reached(self, ids: Sequence[str], vector: np.ndarray) -> set[str]:
        """Those of the objects that a vector search reaches; `vector` is of any of them, float32."""
        ...

    def set_allow(self, allow: Mapping[str, Sequence[str]]) -> None:
        """Replace the access tokens of objects; missing objects are left out."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Delete objects; return only when none of them is left."""
        ...

    def discard(self, ids: Sequence[str]) -> None:
        """Delete objects one by one, also those that no index of the server has; missing ones are left out."""
        ...

    def search(self, query: Query) -> list[tuple[str, float]]:
        """Search for chunks; return (id, score) pairs, best first, or nothing without access tokens."""
        ...

    def every(self) -> Iterator[Stored]:
        """Iterate over all objects, in no order."""
        ...

    def ids_of_document(self, document: str) -> list[str]:
        """Return up to 10,000 ids of a document's objects; none without a collection."""
        ...

    def exists(self) -> bool:
        """Whether the collection exists."""
        ...

    def started(self) -> str:
        """A mark that is another once the server was started again; empty where it cannot be known."""
        ...

    def count(self, source: str, hidden_loads: Sequence[int]) -> int:
        """Number of a source's objects that no hidden load wrote."""
        ...

    def close(self) -> None: ...


class WeaviateStore:
    """The store on a Weaviate server."""

    def __init__(self, client: "WeaviateClient", settings: Settings, name: str = "") -> None:
        self._client, self._settings, self._name = client, settings, name or settings.collection_name

    @classmethod
    def open(cls, settings: Settings, role: Role, name: str = "") -> "WeaviateStore":
        """Connect with a role's key; to the live collection, unless one beside it is named.

        Raises IndexUnavailable, WrongServer, FatalError.
        """
        return cls(connected(settings, role), settings, name)

    @staticmethod
    def warm() -> None:
        """Import the client, which takes seconds and is nothing that a server could be late with."""
        import weaviate  # noqa: F401

    @property
    def _collection(self) -> "Collection[Any, Any]":
        return self._client.collections.use(self._name)

    @property
    def _settled(self) -> "Collection[Any, Any]":
        """The collection as it is written and proved: by as many replicas as MOAT_CONSISTENCY says."""
        from weaviate.classes.config import ConsistencyLevel

        return self._collection.with_consistency_level(ConsistencyLevel[self._settings.consistency.upper()])

    def ensure(self, model: str) -> None:
        with mapped_errors(self._settings):
            if not self.exists():
                create(self._client, self._settings, target_of(self._client, self._name), model)

    def exists(self) -> bool:
        with mapped_errors(self._settings):
            return bool(self._client.collections.exists(self._name))

    def version(self) -> str:
        """Version of the server, such as 1.39.3."""
        with mapped_errors(self._settings):
            return str(self._client.get_meta()["version"])

    def closed_shards(self) -> list[str]:
        """Shards of the collection that take no objects, each with its state."""
        with mapped_errors(self._settings):
            shards = self._collection.config.get_shards()
        return [f"shard {one.name} is {one.status}" for one in shards if one.status != "READY"]

    def grant(self) -> None:
        """Give the writer's and reader's key minimal rights, by the operator's key."""
        with mapped_errors(self._settings):
            grant(self._client, target_of(self._client, self._name))

    def started(self) -> str:
        with mapped_errors(self._settings):
            return started(self._settings)

    def count(self, source: str, hidden_loads: Sequence[int]) -> int:
        from weaviate.classes.query import Filter

        parts = [Filter.by_property("source").equal(source)]
        if hidden_loads:
            parts.append(Filter.by_property("load").contains_none(list(hidden_loads)))
        with mapped_errors(self._settings):
            answer = self._collection.aggregate.over_all(filters=Filter.all_of(parts), total_count=True)
        return int(answer.total_count or 0)

    def check(self, model: str) -> None:
        if not self.exists():
            raise SchemaError(
                f"collection {self._name} is not there: the next load makes it, and `moat reconcile --repair` fills it from the ledger"
            )
        with mapped_errors(self._settings):
            config = self._collection.config.get()
        check_collection(self._name, config, model, self._settings.replicas)

    def write(self, objects: Sequence[IndexObject]) -> None:
        from weaviate.classes.data import DataObject

        for o in objects:
            if not all(TOKEN.match(token) for token in o.allow):
                raise FatalError(
                    f"chunk {o.id} of {o.source} {o.key}: {o.allow} holds what is no access token; nothing was written"
                )

        def send(window: list[IndexObject]) -> list[IndexObject]:
            answer = self._settled.data.insert_many(
                [
                    DataObject(
                        uuid=o.id,
                        vector=np.frombuffer(o.vector, "<f4").tolist(),
                        properties=properties_of(o),
                    )
                    for o in window
                ]
            )
            if answer.errors:
                reasons.update(meaning_of(error.message) for error in answer.errors.values())
            return [window[i] for i in answer.errors]

        reasons: set[str] = set()
        for window in windows(objects, AT_ONCE):
            if left := self._until_taken(send, window):
                raise IndexNotKept(
                    f"Weaviate did not take {len(left)} of {len(window)} objects, {left[0].id} among them: "
                    f"{'; '.join(sorted(reasons))}. A read-only shard has a full disk behind it: free it, set the shard READY"
                )

    def _until_taken(
        self, send: Callable[[list[IndexObject]], list[IndexObject]], window: list[IndexObject]
    ) -> list[IndexObject]:
        """Send objects, refused ones again with pauses; return those left."""
        left = window
        for attempt in range(TRIES):
            try:
                with mapped_errors(self._settings):
                    left = send(left)
            except IndexUnavailable:
                if attempt + 1 == TRIES:
                    raise
            if not left:
                break
            time.sleep(0.2 * 4**attempt)
        return left

    def read_back(self, ids: Sequence[str]) -> dict[str, Stored]:
        found: dict[str, Stored] = {}
        if self._settings.replicas > 1:
            with mapped_errors(self._settings):
                gone = away(self._settings)
            require(self._settings, gone)
        for window in windows(ids, AT_ONCE):
            found.update((str(o.uuid), stored(str(o.uuid), o.properties)) for o in agreed(self._read, window))
        return found

    def _read(self, ids: Sequence[str]) -> list[tuple[Any, bool]]:
        """Objects by id, each with whether its replicas were compared and agree."""
        from weaviate.classes.query import MetadataQuery

        several = self._settings.replicas > 1
        marks = MetadataQuery(is_consistent=True) if several else None
        with mapped_errors(self._settings):
            answer = self._settled.query.fetch_objects_by_ids(
                ids, limit=len(ids), return_properties=READ, return_metadata=marks
            )
        return [(o, not several or o.metadata.is_consistent is True) for o in answer.objects]

    def vectors(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for window in windows(ids, AT_ONCE):
            with mapped_errors(self._settings):
                answer = self._collection.query.fetch_objects_by_ids(
                    window, limit=len(window), include_vector=True, return_properties=[]
                )
            found.update((str(o.uuid), np.asarray(o.vector["default"], np.float32)) for o in answer.objects)
        return found

    def reached(self, ids: Sequence[str], vector: np.ndarray) -> set[str]:
        from weaviate.classes.query import Filter

        found = set[str]()
        for window in windows(ids, AT_ONCE):
            among = Filter.by_id().contains_any(window)
            with mapped_errors(self._settings):
                answer = self._collection.query.near_vector(
                    vector.tolist(), filters=among, limit=len(window), return_properties=[]
                )
            found.update(str(o.uuid) for o in answer.objects)
        return found

    def set_allow(self, allow: Mapping[str, Sequence[str]]) -> None:
        def patch(one: tuple[str, Sequence[str]]) -> None:
            with mapped_errors(self._settings), unless_missing():
                self._settled.data.update(one[0], properties={"allow": list(one[1])})

        for chunk, tokens in allow.items():
            if not all(TOKEN.match(token) for token in tokens):
                raise FatalError(f"chunk {chunk}: {tokens} holds what is no access token; nothing was written")
        with ThreadPoolExecutor(PATCHES) as pool:
            list(pool.map(patch, allow.items()))

    def delete(self, ids: Sequence[str]) -> None:
        from weaviate.classes.query import Filter

        for window in windows(ids, AT_ONCE):
            with mapped_errors(self._settings):
                self._settled.data.delete_many(where=Filter.by_id().contains_any(window))
            if left := kept(self._read, window, self._settings.replicas > 1):
                raise IndexNotKept(
                    f"Weaviate kept {len(left)} of {len(window)} objects that were deleted, {left[0]} among them"
                )

    def discard(self, ids: Sequence[str]) -> None:
        def one(chunk_id: str) -> None:
            with mapped_errors(self._settings), unless_missing():
                self._settled.data.delete_by_id(chunk_id)

        with ThreadPoolExecutor(PATCHES) as pool:
            list(pool.map(one, ids))

    def search(self, query: Query) -> list[tuple[str, float]]:
        if not query.tokens:
            return []  # no tokens match nothing; an empty filter would match everything
        if query.mode == "keyword":
            return self._by_terms(query, query.limit)
        if query.mode == "vector":
            return self._by_vector(query, query.limit)
        pool = max(POOL, query.limit)
        by_vector, by_terms = self._by_vector(query, pool), self._by_terms(query, pool)
        return fuse(by_vector, by_terms, vector_weight(query.text), query.limit)

    def _by_vector(self, query: Query, limit: int) -> list[tuple[str, float]]:
        from weaviate.classes.query import MetadataQuery

        if query.vector is None:
            raise FatalError(f"a {query.mode} search needs a vector")
        with mapped_errors(self._settings):
            answer = self._collection.query.near_vector(
                query.vector.tolist(),
                filters=combined(query),
                limit=limit,
                return_metadata=MetadataQuery(distance=True),
                return_properties=[],
            )
        return [(str(o.uuid), 1.0 - float(o.metadata.distance or 0.0)) for o in answer.objects]

    def _by_terms(self, query: Query, limit: int) -> list[tuple[str, float]]:
        from weaviate.classes.query import MetadataQuery

        asked = question_terms(query.text)
        if not asked:
            return []  # a question of signs only
        with mapped_errors(self._settings):
            answer = self._collection.query.bm25(
                " ".join(asked),
                query_properties=SEARCHED,
                filters=combined(query),
                limit=limit,
                return_metadata=MetadataQuery(score=True),
                return_properties=[],
            )
        return [(str(o.uuid), float(o.metadata.score or 0.0)) for o in answer.objects]

    def ids_of_document(self, document: str) -> list[str]:
        from weaviate.classes.query import Filter

        if not self.exists():
            return []
        with mapped_errors(self._settings):
            answer = self._collection.query.fetch_objects(
                filters=Filter.by_property("document").equal(document), limit=MOST, return_properties=[]
            )
        return [str(o.uuid) for o in answer.objects]

    def every(self) -> Iterator[Stored]:
        with mapped_errors(self._settings):
            for o in self._collection.iterator(return_properties=READ):
                yield stored(str(o.uuid), o.properties)

    def close(self) -> None:
        self._client.close()
