"""The collections of a tenant: the live one, and one that a rebuild fills beside it.

Searches and loads name `Moat_default`. That is a collection until the first rebuild, and from then on an alias of the
collection that the last rebuild made, so that one command of Weaviate puts another in its place. A key's rights are
those to the collection itself, whatever alias it is named by.
"""

import re
from typing import TYPE_CHECKING

from moat.errors import IndexUnavailable, SettingsError
from moat.index.connected import connected
from moat.index.errors import mapped_errors
from moat.index.schema import PROPERTIES, STOP_WORDS, description
from moat.settings import Settings

if TYPE_CHECKING:
    from weaviate import WeaviateClient

BESIDE = "Rebuilt"  # no tenant has a capital letter, so no tenant's own collection is called like this


class Collections:
    """Which collection is live, by the operator's key. Raises IndexUnavailable or FatalError."""

    def __init__(self, client: "WeaviateClient", settings: Settings) -> None:
        self._client, self._settings, self._name = client, settings, settings.collection_name

    @classmethod
    def open(cls, settings: Settings) -> "Collections":
        """Connect with the operator's key.

        Raises:
            SettingsError: There is no operator's key.
            IndexUnavailable: Weaviate does not answer.
            FatalError: It refuses the key.
        """
        if not settings.weaviate_operator_key.get_secret_value():
            raise SettingsError("only the operator's key makes and swaps collections: set MOAT_WEAVIATE_OPERATOR_KEY")
        return cls(connected(settings, "operator"), settings)

    def live(self) -> str | None:
        """Own name of the collection that searches read; None where there is none."""
        with mapped_errors(self._settings):
            found = target_of(self._client, self._name)
            return found if self._client.collections.exists(found) else None

    def others(self) -> list[str]:
        """Collections that rebuilds of this tenant made and that are not live, sorted."""
        mine = re.compile(rf"{re.escape(self._name)}_{BESIDE}\d+")
        with mapped_errors(self._settings):
            there, live = self._client.collections.list_all(simple=True), target_of(self._client, self._name)
        return sorted(name for name in there if mine.fullmatch(name) and name != live)

    def next(self) -> str:
        """Name for a collection beside the live one."""
        numbers = [int(name.rpartition(BESIDE)[2]) for name in (*self.others(), self.live() or "") if BESIDE in name]
        return f"{self._name}_{BESIDE}{max(numbers, default=0) + 1}"

    def swap(self, target: str) -> None:
        """Let searches read another collection; repeatable.

        The first time, a collection that bears the name itself has to go before the alias can be made: in between,
        for some milliseconds, there is none.
        """
        with mapped_errors(self._settings):
            if self._client.alias.get(alias_name=self._name) is not None:
                self._client.alias.update(alias_name=self._name, new_target_collection=target)
            else:
                self._client.collections.delete(self._name)
                self._client.alias.create(alias_name=self._name, target_collection=target)
        if self.live() != target:
            raise IndexUnavailable(f"Weaviate did not let {self._name} mean {target}")

    def drop(self, name: str) -> None:
        """Remove a collection that is not live, and the roles that grant rights to it."""
        with mapped_errors(self._settings):
            self._client.collections.delete(name)
            for role in ("writer", "reader"):
                self._client.roles.delete(f"moat_{role}_{name}")

    def close(self) -> None:
        self._client.close()


def target_of(client: "WeaviateClient", name: str) -> str:
    """Own name of the collection behind a name, whether or not it is there. By the operator's client only."""
    found = client.alias.get(alias_name=name)
    return found.collection if found is not None else name


def create(client: "WeaviateClient", settings: Settings, name: str, model: str) -> None:
    """Make a collection for vectors of a model, with the settings' shards and replicas."""
    from weaviate.classes.config import (
        Configure,
        DataType,
        Property,
        ReplicationDeletionStrategy,
        StopwordsPreset,
        Tokenization,
        VectorDistances,
    )

    kinds = {"text": DataType.TEXT, "text[]": DataType.TEXT_ARRAY, "int": DataType.INT}
    properties = [
        Property(
            name=p.name,
            data_type=kinds[p.data_type],
            index_filterable=p.filterable,
            index_searchable=p.searchable if p.data_type != "int" else None,
            tokenization=Tokenization(p.tokenization) if p.tokenization else None,
            skip_vectorization=True,
        )
        for p in PROPERTIES
    ]
    several = settings.replicas > 1
    client.collections.create(
        name,
        description=description(model),
        properties=properties,
        vector_config=Configure.Vectors.self_provided(
            vector_index_config=Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE)
        ),
        inverted_index_config=Configure.inverted_index(stopwords_preset=StopwordsPreset(STOP_WORDS)),
        sharding_config=Configure.sharding(desired_count=settings.shards),
        # A node that was away gets what it missed by itself, and what was deleted meanwhile does not come back from it.
        replication_config=Configure.replication(
            factor=settings.replicas,
            async_enabled=True if several else None,
            deletion_strategy=ReplicationDeletionStrategy.TIME_BASED_RESOLUTION if several else None,
        ),
    )
