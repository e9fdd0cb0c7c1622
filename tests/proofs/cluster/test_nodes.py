"""A Weaviate of three nodes, each chunk on all of them: what counts as written holds whichever node is killed."""

import os
import signal
import time
from collections.abc import Callable

import httpx
import pytest

from moat.errors import IndexUnavailable
from moat.index.store import WeaviateStore
from moat.index.write import prove
from moat.local.cluster import Cluster
from moat.local.cluster_env import NODES
from moat.settings import Settings
from tests.contracts.store import an_object
from tests.nodes import nodes as nodes
from tests.nodes import settings as settings
from tests.nodes import store as store

pytestmark = pytest.mark.timeout(600)
BACK_S = 180.0  # in which a node has everything that it missed


def kill(nodes: Cluster, n: int) -> None:
    process = next(s for s in nodes.running if s.name == f"weaviate-{n}").process
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def until(look: Callable[[], bool], what: str) -> float:
    """Seconds until it is so."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() < began + BACK_S, what
        time.sleep(0.2)
    return time.monotonic() - began


def back(nodes: Cluster) -> None:
    """Let what has ended be started again, as the cluster does by itself."""
    nodes.look()
    for server in nodes.running:
        server.wait()


def held(nodes: Cluster, n: int, settings: Settings, chunk: str) -> bool:
    """Whether a node has an object itself."""
    answer = httpx.get(
        f"http://127.0.0.1:{nodes.port(f'NODE{n}_OUTSIDE')}/v1/objects/{settings.collection_name}/{chunk}",
        params={"node_name": f"weaviate-{n}"},
        headers={"authorization": f"Bearer {settings.weaviate_operator_key.get_secret_value()}"},
        timeout=10.0,
        trust_env=False,
    )
    return answer.status_code == 200


def test_loads_go_on_without_one_node_and_it_has_all_of_it_when_it_is_back(
    nodes: Cluster, settings: Settings, store: WeaviateStore
) -> None:
    before = {o.id: o for o in (an_object() for _ in range(300))}
    store.write(list(before.values()))
    assert prove(store, before) == 0
    kill(nodes, 2)
    after = {o.id: o for o in (an_object(load=2) for _ in range(300))}
    store.write(list(after.values()))
    prove(store, after)
    gone = list(before)[:100]
    store.delete(gone)
    assert store.read_back(gone) == {}
    back(nodes)
    late, extra = list(after)[::30], gone[::10]
    waited = until(
        lambda: all(held(nodes, 2, settings, i) for i in late), "the node has not what was written meanwhile"
    )
    until(lambda: not any(held(nodes, 2, settings, i) for i in extra), "the node still has what was deleted meanwhile")
    print(f"the node had all of it {waited:.0f} s after it was up")
    for _ in range(NODES):  # each of them is asked in turn
        assert len(store.read_back([*before, *after])) == 500
        assert prove(store, after) == 0


def test_with_too_few_nodes_nothing_counts_as_written_or_read(
    nodes: Cluster, settings: Settings, store: WeaviateStore
) -> None:
    objects = {o.id: o for o in (an_object() for _ in range(20))}
    store.write(list(objects.values()))
    assert prove(store, objects) == 0
    for n in (2, 3):
        kill(nodes, n)
    try:
        with pytest.raises(IndexUnavailable):
            store.read_back(list(objects))
        with pytest.raises(IndexUnavailable):
            store.write([an_object()])
    finally:
        back(nodes)
    assert until(lambda: len(store.read_back(list(objects))) == len(objects), "the nodes do not agree") < BACK_S


def test_every_start_of_a_node_gives_another_mark(nodes: Cluster, settings: Settings, store: WeaviateStore) -> None:
    before = store.started()
    assert before
    kill(nodes, 2)
    back(nodes)
    until(lambda: store.started().count("weaviate") == NODES, "a node is not seen by the others")
    assert store.started() != before


def test_what_passes_connections_on_finds_the_nodes_again(
    nodes: Cluster, settings: Settings, store: WeaviateStore
) -> None:
    objects = {o.id: o for o in (an_object() for _ in range(20))}
    store.write(list(objects.values()))
    ports = next(s for s in nodes.running if s.name == "weaviate-ports").process
    os.kill(ports.pid, signal.SIGKILL)
    ports.wait()
    back(nodes)
    assert until(lambda: len(store.read_back(list(objects))) == len(objects), "nobody reaches the nodes") < BACK_S
