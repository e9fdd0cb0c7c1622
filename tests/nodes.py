"""A Weaviate of three nodes for tests, as `make cluster` starts it: fixtures to import."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from moat.index.store import WeaviateStore
from moat.local.cluster import REPLICAS, SHARDS, Cluster
from moat.settings import Settings
from tests.index.test_store import opened


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, binaries: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("nodes"), binaries, lambda line: None)
    try:
        made.hold()
        made.weaviate()
        yield made
    finally:
        made.stop()


@pytest.fixture
def settings(nodes: Cluster, tmp_path: Path) -> Settings:
    """Settings of a collection of its own on the three nodes."""
    keys = {role: nodes.given[f"WEAVIATE_{role.upper()}_KEY"] for role in ("operator", "writer", "reader")}
    given = {
        "home": tmp_path / "home",
        "collection": f"R{uuid.uuid4().hex}",
        "weaviate_port": nodes.port("WEAVIATE"),
        "weaviate_grpc_port": nodes.port("WEAVIATE_GRPC"),
        "replicas": REPLICAS,
        "shards": SHARDS,
        **{f"weaviate_{role}_key": SecretStr(key) for role, key in keys.items()},
    }
    return Settings.model_validate(given)


@pytest.fixture
def store(settings: Settings) -> Iterator[WeaviateStore]:
    made = opened(settings)
    yield made
    made.close()
