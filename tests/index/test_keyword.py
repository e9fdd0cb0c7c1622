"""What keyword and hybrid search find, against a real Weaviate; and how an index of an older version is known."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from weaviate.classes.config import Configure, DataType, Property

from moat.errors import SchemaError
from moat.index.store import Mode, WeaviateStore
from moat.settings import Settings
from tests.company import remove_collection
from tests.contracts.store import an_object, query
from tests.index.test_store import MODEL, opened

TEXTS = {
    "zh": "住宿费上限为每晚四百五十元。发票须在月底之前交给财务部。",
    "ja": "出張の宿泊費は一泊九千円までです。領収書は経理部に出します。",
    "ko": "출장 숙박비는 하루 십만 원까지입니다. 영수증은 재무팀에 냅니다.",
    "th": "ค่าที่พักไม่เกินคืนละหนึ่งพันบาท ส่งใบเสร็จให้ฝ่ายการเงิน",
    "it": "IT is in room 4. WHO rules are at the door.",
    "c": "The kernel of the crane is written in C.",
    "c++": "The planner of the crane is written in C++.",
    "c#": "The screen of the crane is written in C#.",
    "net": "The fishing net is stored in hall 2.",
    ".net": "The screen runs on .NET there.",
    "order": "Order INV-2024-001 came late.",
    "other": "Order INV-2024-002 came late, and so did invoice 001 of 2024.",
}


@pytest.fixture(scope="module")
def store(weaviate_server: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeaviateStore]:
    settings = weaviate_server.model_copy(
        update={"home": tmp_path_factory.mktemp("keyword"), "collection": "Keyword", "tenant": "default"}
    )
    made = opened(settings)
    made.write([an_object(key=key, title=key, heading="", text=text) for key, text in TEXTS.items()])
    yield made
    made.close()
    remove_collection(settings)


def found(store: WeaviateStore, question: str, mode: Mode = "keyword") -> Sequence[str]:
    """Keys of the hits, best first."""
    like = an_object(text=question)
    keys = {str(o.uuid): str(o.properties["key"]) for o in store._collection.iterator(return_properties=["key"])}
    return [keys[identity] for identity, _ in store.search(query(like, mode=mode))]


@pytest.mark.parametrize(
    ("question", "key"),
    [
        ("住宿费", "zh"),
        ("财务部", "zh"),
        ("宿泊費", "ja"),
        ("経理部", "ja"),
        ("숙박비", "ko"),
        ("재무팀", "ko"),
        ("ใบเสร็จ", "th"),
        ("ฝ่ายการเงิน", "th"),
        ("IT", "it"),
        ("who", "it"),
        ("C", "c"),
        ("C++", "c++"),
        ("c#", "c#"),
        (".NET", ".net"),
        ("INV-2024-001", "order"),
        ("inv 2024 001", "order"),
    ],
)
@pytest.mark.parametrize("mode", ["keyword", "hybrid"])
def test_words_inside_a_run_stop_words_signs_and_identifiers_are_found_first(
    store: WeaviateStore, question: str, key: str, mode: Mode
) -> None:
    assert found(store, question, mode)[0] == key


def test_c_is_not_c_plus_plus(store: WeaviateStore) -> None:
    assert set(found(store, "C")) == {"c"}
    assert set(found(store, "C++")) == {"c++"}
    assert set(found(store, "C#")) == {"c#"}


def test_a_question_without_any_word_finds_by_meaning_only(store: WeaviateStore) -> None:
    assert found(store, "?! ...") == []
    assert len(found(store, "?! ...", "hybrid")) == 10


def test_an_object_whose_terms_are_not_of_its_text_reads_back_as_different(served: Settings) -> None:
    made = opened(served)
    o = an_object()
    made.write([o])
    assert made.read_back([o.id])[o.id].text_hash == o.text_hash
    made._collection.data.update(o.id, properties={"terms": "of an older version"})
    assert made.read_back([o.id])[o.id].text_hash != o.text_hash
    made.write([o])
    assert made.read_back([o.id])[o.id].text_hash == o.text_hash
    made.close()


def test_a_collection_of_an_older_version_is_known_and_says_the_way_out(served: Settings) -> None:
    operator = WeaviateStore.open(served, "operator")
    text = [Property(name=name, data_type=DataType.TEXT) for name in ("title", "heading", "text")]
    operator._client.collections.create(
        served.collection_name,
        description=f"Moat schema 1, vectors of {MODEL}",
        properties=text,
        vector_config=Configure.Vectors.self_provided(),
    )
    with pytest.raises(SchemaError, match=r"has schema 1, this version of Moat needs 2.*`moat rebuild`"):
        operator.check(MODEL)
    operator._client.collections.delete(served.collection_name)
    opened(served).close()
    operator.check(MODEL)
    operator.close()


def test_a_collection_with_stop_words_is_refused(served: Settings) -> None:
    opened(served).close()
    operator = WeaviateStore.open(served, "operator")
    from weaviate.classes.config import Reconfigure, StopwordsPreset

    operator._collection.config.update(
        inverted_index_config=Reconfigure.inverted_index(stopwords_preset=StopwordsPreset.EN)
    )
    with pytest.raises(SchemaError, match="stop words must be none, they are en"):
        operator.check(MODEL)
    operator.close()


def test_hybrid_takes_the_best_of_both(served: Settings) -> None:
    made = opened(served)
    near, named, far = an_object(text="harbour"), an_object(text="the crane of quay nine"), an_object(text="lunch")
    made.write([near, named, far])
    asked = query(
        named, mode="hybrid", vector=np.frombuffer(near.vector, "<f4"), text="Where is the crane of the quay?"
    )
    assert {identity for identity, _ in made.search(asked)[:2]} == {near.id, named.id}
    made.close()
