"""The door to Weaviate, against a real server: its contract, its schema, its roles, its errors."""

import inspect
from collections.abc import Iterator

import grpc
import httpx
import pytest
from pydantic import SecretStr
from weaviate import exceptions
from weaviate.classes.config import DataType, Property, Tokenization

from moat.errors import FatalError, IndexUnavailable, SchemaError
from moat.index.errors import mapped
from moat.index.store import WeaviateStore
from moat.settings import Settings
from tests.contracts.store import StoreContract, an_object, query

MODEL = "m@1/384"


def opened(settings: Settings) -> WeaviateStore:
    operator = WeaviateStore.open(settings, "operator")
    operator.ensure(MODEL)
    operator.grant()
    operator.close()
    return WeaviateStore.open(settings, "writer")


class TestWeaviate(StoreContract):
    @pytest.fixture
    def store(self, served: Settings) -> Iterator[WeaviateStore]:
        made = opened(served)
        yield made
        made.close()


@pytest.fixture
def store(served: Settings) -> Iterator[WeaviateStore]:
    made = opened(served)
    yield made
    made.close()


def test_making_the_collection_twice_is_once(served: Settings, store: WeaviateStore) -> None:
    opened(served).close()
    store.check(MODEL)


def test_a_collection_of_another_model_is_refused_with_both_ways_out(store: WeaviateStore) -> None:
    with pytest.raises(SchemaError, match=r"Set MOAT_MODEL back, or MOAT_COLLECTION"):
        store.check("other@2/768")


def test_a_collection_that_is_not_there_says_what_makes_it(served: Settings) -> None:
    operator = WeaviateStore.open(served, "operator")
    with pytest.raises(SchemaError, match="the next load makes it"):
        operator.check(MODEL)
    operator.close()


def test_where_there_is_no_collection_no_document_has_objects(served: Settings) -> None:
    operator = WeaviateStore.open(served, "operator")
    assert not operator.exists()
    assert operator.ids_of_document("x") == []
    operator.close()


def test_a_collection_whose_allow_is_cut_into_words_is_refused(served: Settings) -> None:
    operator = WeaviateStore.open(served, "operator")
    operator._client.collections.create(
        served.collection_name,
        properties=[Property(name="allow", data_type=DataType.TEXT_ARRAY, tokenization=Tokenization.WORD)],
    )
    with pytest.raises(SchemaError) as error:
        operator.check(MODEL)
    assert "allow must be text[] tokenization=field" in str(error.value)
    assert "source is missing" in str(error.value)
    operator.close()


def test_the_readers_key_reads_and_does_nothing_else(served: Settings, store: WeaviateStore) -> None:
    o = an_object()
    store.write([o])
    reader = WeaviateStore.open(served, "reader")
    assert [i for i, _ in reader.search(query(o))] == [o.id]
    for forbidden in (
        lambda: reader.write([o]),
        lambda: reader.set_allow({o.id: ()}),
        lambda: reader.delete([o.id]),
        lambda: reader.grant(),
    ):
        with pytest.raises(FatalError, match="MOAT_WEAVIATE_WRITER_KEY"):
            forbidden()
    reader.close()
    assert store.read_back([o.id])


def test_the_writers_key_makes_and_drops_no_collection(served: Settings, store: WeaviateStore) -> None:
    with pytest.raises(exceptions.InsufficientPermissionsError):
        store._client.collections.delete(served.collection_name)
    other = WeaviateStore.open(served.model_copy(update={"collection": "Elsewhere"}), "writer")
    with pytest.raises(FatalError):
        other.ensure(MODEL)
    other.close()


def test_nobody_without_a_key_gets_in(served: Settings, store: WeaviateStore) -> None:
    for key in ("", "guessed"):
        with pytest.raises(FatalError):
            WeaviateStore.open(served.model_copy(update={"weaviate_reader_key": SecretStr(key)}), "reader")


def test_a_read_only_shard_is_noticed(served: Settings, store: WeaviateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moat.index.store.time.sleep", lambda s: None)
    operator = WeaviateStore.open(served, "operator")
    collection = operator._client.collections.use(served.collection_name)
    collection.config.update_shards(status="READONLY")
    with pytest.raises(IndexUnavailable, match="read-only"):
        store.write([an_object() for _ in range(5)])
    assert list(store.every()) == []
    collection.config.update_shards(status="READY")
    store.write([an_object() for _ in range(5)])
    assert len(list(store.every())) == 5
    operator.close()


def test_a_server_that_is_down_only_needs_time(settings: Settings) -> None:
    with pytest.raises(IndexUnavailable, match=r"127\.0\.0\.1:1"):
        WeaviateStore.open(settings, "reader").search(query(an_object()))


FOREIGN = [
    kind
    for _, kind in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(kind, exceptions.WeaviateBaseError) and kind.__module__ == exceptions.__name__
]


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda k: k.__name__)
def test_every_error_of_the_client_is_named_by_what_happens_next(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "said")
    error.message = "said"  # type: ignore[attr-defined]
    if issubclass(kind, exceptions.UnexpectedStatusCodeError):
        error._status_code = 503  # type: ignore[attr-defined]
    assert isinstance(mapped(error, "here"), IndexUnavailable | FatalError)
    assert "here" in str(mapped(error, "here"))


@pytest.mark.parametrize("error", [grpc.RpcError("gone"), httpx.ConnectError("refused"), httpx.ReadTimeout("late")])
def test_errors_of_the_transport_may_pass(error: Exception) -> None:
    assert isinstance(mapped(error, "here"), IndexUnavailable)
