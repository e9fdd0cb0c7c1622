"""Asking as somebody else finds what they find, by the rules that search itself has."""

import pytest

from moat.ledger import audit
from moat.pages.asked import AskedAs
from moat.pages.asking import answer
from moat.pages.person import Person
from tests.company import ANN, HUGO, Company


@pytest.fixture
def loaded(company: Company) -> Company:
    assert company.run().load.state == "promoted"
    return company


def test_two_people_side_by_side(loaded: Company) -> None:
    runtime = loaded.runtime
    ledger, settings, connections = runtime.ledger, runtime.settings, runtime.connections
    asked = AskedAs(asker=ANN, other=HUGO, question="What does a crane driver earn?")
    ann, hugo = answer(ledger, settings, connections, Person("airflow:adam", lambda right, of: True), asked)["askers"]
    assert "people/pay.md" not in {hit["key"] for hit in ann["hits"]}
    (pay,) = [hit for hit in hugo["hits"] if hit["key"] == "people/pay.md"]
    assert ("four thousand" in pay["text"], pay["by"]) == (True, f"{HUGO} → group:people")
    (hidden,) = [one for one in ann["missing"] if one["key"] == "people/pay.md"]
    assert (hidden["readable"], hidden["reason"]) == (False, "in none of group:people")
    assert hugo["missing"] == []
    lines = audit.tail(ledger, 10, "asked as")
    assert sorted((one.actor, one.subject) for one in lines) == [("airflow:adam", ANN), ("airflow:adam", HUGO)]
    assert "crane" not in str([one.detail for one in lines])

    blind = Person("airflow:olga", lambda right, of: right != "see")
    ann, hugo = answer(ledger, settings, connections, blind, asked)["askers"]
    assert (ann["hits"], ann["missing"], hugo["hits"], hugo["missing"]) == ([], [], [], [])
    assert hugo["not_shown"] > 0
