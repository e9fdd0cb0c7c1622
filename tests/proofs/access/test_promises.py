"""Small promises of access, one each, from the listing of a source to the answer."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from moat.errors import AskedWrongly, SourceUnavailable
from moat.ledger import holds
from moat.ledger.members import replace_members
from moat.ledger.tables import document
from moat.settings import Settings
from tests.proofs.access.company import (
    ALL,
    ANN,
    GROUPS,
    HR,
    HUGO,
    INA,
    ONLY_HUGO,
    PAY,
    company,
    reads,
    says,
    settled_without,
    text_of,
)
from tests.proofs.access.harness import Moat, place


@pytest.fixture
def moat(weaviate_server: Settings, tmp_path: Path) -> Iterator[Moat]:
    with place(weaviate_server, tmp_path) as settings:
        made = company(settings, max_widened_documents=1, max_access_age_hours=0.000_000_1)
        made.run()
        yield made
        made.close()


def test_a_change_of_a_groups_members_holds_from_the_next_question_on(moat: Moat) -> None:
    assert reads(moat, INA)
    assert not reads(moat, ANN)
    moat.groups({**GROUPS, HR: [ANN, HUGO]})
    assert not reads(moat, INA)
    assert reads(moat, ANN)


def test_a_deny_holds_for_members_of_a_denied_group_inside_another(moat: Moat) -> None:
    moat.groups({**GROUPS, "group:leavers": ["group:exits"], "group:exits": [INA]})
    says(moat, f"allow: ['{HR}']\ndeny: ['group:leavers']")
    moat.sync()
    assert reads(moat, HUGO)
    settled_without(moat, INA)


def test_inherited_access_restricts(moat: Moat) -> None:
    """elastic/connectors#4095"""
    says(moat, f"allow: ['{INA}', '{HUGO}']", "")
    says(moat, f"allow: ['{HUGO}', '{ANN}']\ninherit: true")
    moat.sync()
    moat.run()  # what widens and is not held, too
    assert reads(moat, HUGO)
    for who in (ANN, INA):
        settled_without(moat, who)


def test_unknown_access_is_nobodys_until_it_is_known_again(moat: Moat) -> None:
    says(moat, "")
    moat.sync()
    for who in (ANN, INA, HUGO):
        settled_without(moat, who)
    moat.run()
    assert not reads(moat, HUGO)
    says(moat, ONLY_HUGO)
    moat.run()
    assert reads(moat, HUGO)


def test_what_becomes_public_waits_for_a_person(moat: Moat) -> None:
    moat.shelf.texts.pop("hr/file.txt")
    moat.run()
    says(moat, "public: true")
    assert moat.sync().held == 1
    assert not reads(moat, ANN)
    holds.release(moat.ledger, moat.waiting()[0].id, "proof")
    moat.sync()
    assert reads(moat, ANN)


def test_more_widened_documents_than_the_limit_wait_for_a_person(moat: Moat) -> None:
    says(moat, ALL)
    assert moat.sync().held == 2
    assert not reads(moat, ANN)
    holds.reject(moat.ledger, moat.waiting()[0].id, "proof")
    moat.sync()
    moat.run()
    assert not reads(moat, ANN)


def test_a_source_whose_access_cannot_be_read_for_too_long_is_masked_until_it_can(moat: Moat) -> None:
    def down(n: int) -> None:
        raise SourceUnavailable("it does not answer")

    moat.shelf.while_listing = down
    with pytest.raises(SourceUnavailable):
        moat.sync()
    assert not reads(moat, HUGO)
    moat.shelf.while_listing = lambda n: None
    moat.sync()
    assert reads(moat, HUGO)


def test_a_directory_that_was_not_read_for_too_long_gives_nothing(moat: Moat) -> None:
    replace_members(moat.ledger, "staff", GROUPS, "proof", max_age_s=-1)
    answer = moat.door.search("cranes", HUGO)
    assert answer == []
    assert "staff" in (answer.refused or "")


def test_an_erased_document_is_nobodys(moat: Moat) -> None:
    with moat.ledger.write() as connection:
        connection.execute(update(document).where(document.c.key == PAY).values(erased_at=datetime.now(UTC)))
    assert not reads(moat, HUGO)
    assert reads(moat, HUGO, "hr/file.txt")


def test_a_text_that_was_replaced_is_nobodys(moat: Moat) -> None:
    moat.shelf.texts[PAY] = "cranes pay second"
    moat.run()
    assert text_of(moat, HUGO) == ["cranes pay second"]
    assert moat.door.get(list(moat.ids([(PAY, "cranes pay first")])), HUGO) == []


@pytest.mark.parametrize("mode", ["keyword", "vector", "hybrid"])
def test_an_empty_list_of_a_filter_is_none_of_them(moat: Moat, mode: str) -> None:
    """linagora/openrag#759"""
    for ask in (
        lambda: moat.door.search("cranes", HUGO, 10, mode, {"source": []}),  # type: ignore[arg-type]
        lambda: moat.door.count(HUGO, {"source": []}),
        lambda: moat.door.aggregate(HUGO, "source", {"key": []}),
    ):
        with pytest.raises(AskedWrongly, match="leave it out"):
            ask()  # type: ignore[no-untyped-call]
