"""A chunk of several replicas counts where enough of them hold it and agree; against a real Weaviate of three nodes."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from moat.errors import IndexUnavailable, SchemaError
from moat.index import connected, replicas
from moat.index.store import WeaviateStore
from moat.settings import Settings
from tests.contracts.store import StoreContract
from tests.index.test_store import MODEL
from tests.nodes import nodes as nodes
from tests.nodes import settings as settings
from tests.nodes import store as store


class TestThreeNodes(StoreContract):
    pass


def test_a_collection_with_another_number_of_replicas_is_refused(settings: Settings, store: WeaviateStore) -> None:
    other = WeaviateStore.open(settings.model_copy(update={"replicas": 1}), "writer")
    with pytest.raises(
        SchemaError, match=r"keeps 3 replicas of each chunk and MOAT_REPLICAS is 1.*Set MOAT_REPLICAS=3"
    ):
        other.check(MODEL)
    other.close()
    store.check(MODEL)


def asked(*answers: list[tuple[str, bool]]) -> Any:
    """A read that gives these answers one after the other: ids, each with whether its replicas agree."""
    left = iter(answers)
    return lambda ids: [(SimpleNamespace(uuid=i), agree) for i, agree in next(left) if i in ids]


def test_objects_count_once_their_replicas_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "PAUSES", (0.0, 0.0))
    read = asked([("a", True), ("b", False)], [("b", False)], [("b", True)])
    assert [o.uuid for o in replicas.agreed(read, ["a", "b", "missing"])] == ["a", "b"]
    with pytest.raises(
        IndexUnavailable, match="the replicas of 1 of 2 objects do not agree, or too few of them answer, b"
    ):
        replicas.agreed(asked(*[[("a", True), ("b", False)]] * 3), ["a", "b"])


def test_what_one_replica_has_still_to_forget_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "PAUSES", (0.0, 0.0))
    assert replicas.kept(asked([("a", True)], []), ["a"], several=True) == []
    assert replicas.kept(asked([("a", True)]), ["a"], several=False) == ["a"]
    assert replicas.kept(asked(*[[("a", True)]] * 3), ["a"], several=True) == ["a"]


@pytest.mark.parametrize(
    ("consistency", "away", "enough"),
    [("quorum", [], True), ("quorum", ["n2"], True), ("quorum", ["n2", "n3"], False), ("all", ["n2"], False)],
)
def test_the_last_of_three_replicas_does_not_agree_with_itself(consistency: str, away: list[str], enough: bool) -> None:
    given = Settings.model_validate({"replicas": 3, "consistency": consistency})
    if enough:
        replicas.require(given, away)
    else:
        with pytest.raises(
            IndexUnavailable, match=rf"{', '.join(away)} of Weaviate.s nodes .*MOAT_CONSISTENCY={consistency}"
        ):
            replicas.require(given, away)


def of(name: str, status: str = "HEALTHY", **more: Any) -> dict[str, Any]:
    members = [{"id": f"n{n}"} for n in (1, 2, 3)]
    return {"name": name, "status": status, "raft": {"term": "3", "latestConfiguration": members}, **more}


@pytest.mark.parametrize(
    ("body", "gone", "mark"),
    [
        ([of(f"n{n}", initialLastAppliedIndex=n) for n in (1, 2, 3)], [], "n1:3.1,n2:3.2,n3:3.3"),
        ([of("n1", initialLastAppliedIndex=1), of("n3", initialLastAppliedIndex=9)], ["n2"], "n1:3.1,n3:3.9"),
        ([of("n1", initialLastAppliedIndex=1), {"name": "n2", "status": "TIMEOUT"}], ["n2", "n3"], ""),
        ("nothing of the kind", [], ""),
    ],
)
def test_nodes_that_are_away_are_told_by_those_that_answer(
    body: object, gone: list[str], mark: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = httpx.Request("GET", "http://127.0.0.1")
    answer = httpx.Response(200, json={"statistics": body}, request=request)
    monkeypatch.setattr(httpx, "get", lambda *a, **k: answer)
    assert connected.away(settings) == gone
    assert connected.started(settings) == mark
