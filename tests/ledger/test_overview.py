"""What pages about all sources and about one load ask, on both databases: the same as asking source by source."""

from datetime import UTC, datetime, timedelta

import pytest

from moat.errors import AskedWrongly
from moat.ledger import Ledger, audit, behind, documents, loads, overview, spending
from moat.ledger.second_look import parts_of
from moat.pages.sources import Overview, width_of
from moat.settings import Settings
from tests.ledger.test_counting import ALL, HR, loaded, paper


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """`s`: a and b, then b replaced and a gone; `t`: one document in a load that is still open."""
    loaded(ledger, "s", paper("a", ALL, "one", "two"), paper("b", HR, "three"))
    made = loads.open_load(ledger, "s", "run 2", {}, 3_600)
    newer = paper("b", HR, "four", "five", "six")
    documents.stage(ledger, made, "recipe", [newer[0]], newer[1])
    documents.retire(ledger, made, ["a"])
    loads.note(ledger, made, {"listed": 1, "changed": 1, "vanished": 1})
    loads.staged(ledger, made)
    loads.promote(ledger, made, "me")
    loaded(ledger, "t", paper("100%_of.md", ALL, "seven", of="t"), promote=False)
    spending.spend(ledger, made.id, "embed", 0, 1.0, 70)
    return ledger


def test_the_page_of_sources_says_what_each_source_says(filled: Ledger, settings: Settings) -> None:
    page = Overview(filled).page(settings, lambda name: True)
    rows = {row["source"]: row for row in page["sources"]}
    assert [(r["documents"], r["chunks"], r["state"], r["tokens"]) for r in rows.values()] == [
        (documents.count_visible(filled, "s"), 3, "promoted", 70),
        (documents.count_visible(filled, "t"), 0, "staged", 0),
    ]
    assert rows["s"]["listed"] == [1]
    assert page["totals"]["readers"] == [{"value": "one group or person", "documents": 1}]
    assert [row["source"] for row in Overview(filled).page(settings, lambda name: name == "t")["sources"]] == ["t"]


def test_what_is_kept_between_two_looks_goes_with_each_load(filled: Ledger, settings: Settings) -> None:
    kept = Overview(filled)
    before = kept.page(settings, lambda name: True)
    assert kept.page(settings, lambda name: True)["sources"] == before["sources"]
    loads.rollback(filled, 2, "me")
    rows = {row["source"]: row for row in kept.page(settings, lambda name: True)["sources"]}
    assert (rows["s"]["documents"], rows["s"]["chunks"], rows["s"]["state"]) == (2, 3, "rolled back")
    loads.promote(filled, loads.get(filled, 3), "me")
    rows = {row["source"]: row for row in kept.page(settings, lambda name: True)["sources"]}
    assert (rows["t"]["documents"], rows["t"]["state"]) == (1, "promoted")


def test_a_look_counts_nothing_anew_and_a_decision_does(filled: Ledger) -> None:
    before = overview.moment_of(filled)
    with filled.write() as connection:
        audit.record(connection, filled.tenant, "airflow:ann", "text shown", "document of s", {"key": "b"})
    assert overview.moment_of(filled) == before
    loads.rollback(filled, 2, "me")
    assert overview.moment_of(filled) > before


def test_newest_loads_are_those_of_each_source(filled: Ledger) -> None:
    found = overview.newest_loads(filled, ["s", "t", "nothing"], 1)
    assert {name: [one.id for one in each] for name, each in found.items()} == {"s": [2], "t": [3], "nothing": []}
    assert found["s"] == loads.recent(filled, "s", 1)
    assert overview.spent_since(filled, datetime.now(UTC) + timedelta(hours=1), ["s", "t"]) == {}


@pytest.mark.parametrize(
    ("number", "kind", "keys"),
    [
        (1, "new", ["a", "b"]),
        (1, "changed", []),
        (2, "changed", ["b"]),
        (2, "new", []),
        (2, "vanished", ["a"]),
        (2, "access", []),
        (2, "aside", []),
        (3, "new", ["100%_of.md"]),
    ],
)
def test_documents_behind_a_number(filled: Ledger, number: int, kind: behind.Kind, keys: list[str]) -> None:
    found = behind.of_load(filled, loads.get(filled, number), kind, 10)
    assert ([one.key for one in found.documents], found.n) == (keys, len(keys))
    if len(keys) > 1:
        rest = behind.of_load(filled, loads.get(filled, number), kind, 10, after=keys[0])
        assert ([one.key for one in rest.documents], rest.n) == (keys[1:], len(keys))


def test_there_is_no_other_kind(filled: Ledger) -> None:
    with pytest.raises(AskedWrongly, match="vanished"):
        behind.of_load(filled, loads.get(filled, 1), "gone", 10)  # type: ignore[arg-type]


def test_documents_are_found_by_what_people_type(filled: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [one.key for one in behind.found(filled, "%_O", None, 10)] == ["100%_of.md"]
    assert [one.key for one in behind.found(filled, "b", "s", 10)] == ["b"]
    assert behind.found(filled, "b%", None, 10) == []
    few = behind.found(filled, "", None, 2)
    monkeypatch.setattr(behind, "MOST_SORTED", 1)
    assert behind.found(filled, "", None, 2) == few, "many are found the other way, and are the same"


def test_the_text_of_a_document_is_what_is_visible_of_it(filled: Ledger) -> None:
    def texts(source: str, key: str, limit: int = 10, after: int = -1) -> list[str]:
        with filled.read() as connection:
            return [one.text for one in parts_of(connection, filled.tenant, source, key, limit=limit, after=after)]

    assert texts("s", "b") == ["four", "five", "six"]
    assert texts("s", "b", limit=1, after=0) == ["five"]
    assert texts("s", "a") == [], "it is gone"
    assert texts("t", "100%_of.md") == [], "its load is not promoted"


def test_how_many_a_policy_lets_in() -> None:
    assert [width_of(one) for one in (None, ALL.text(), HR.text())] == [
        "unknown, so nobody",
        "everyone who is known",
        "one group or person",
    ]
