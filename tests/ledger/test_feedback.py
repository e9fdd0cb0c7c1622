"""What askers say of passages: kept once each, listed newest first, gone with the document."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from moat.door.wire import FeedbackGiven
from moat.ids import document_id
from moat.ledger import Ledger, erasure, feedback
from moat.ledger.feedback import Said
from moat.ledger.tables import document
from moat.settings import Settings
from tests.fresh_ledger import migrated

SOURCE, CHUNK = "docs", "00000000-0000-5000-8000-000000000001"


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Ledger]:
    """A ledger with two documents."""
    url = settings.ledger if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    made = migrated(url, settings.tenant)
    rows = [
        {
            "id": document_id(made.tenant, SOURCE, key),
            "tenant": made.tenant,
            "source": SOURCE,
            "key": key,
            "first_seen": datetime.now(UTC),
        }
        for key in ("a", "b")
    ]
    with made.write() as connection:
        for row in rows:
            connection.execute(insert(document).values(**row))
    yield made
    made.close()


def test_the_newest_word_of_an_asker_to_a_passage_is_kept_and_goes_with_the_document(ledger: Ledger) -> None:
    a, b = (document_id(ledger.tenant, SOURCE, key) for key in ("a", "b"))
    feedback.give(ledger, "user:ann", a, Said(CHUNK, "up"))
    feedback.give(ledger, "user:ann", a, Said(CHUNK, "down", "it is of last year" + "!" * 3_000))
    feedback.give(ledger, "user:bob", b, Said(CHUNK, "up"))
    found = feedback.listing(ledger)
    assert [(one.key, one.asker, one.verdict) for one in found] == [("b", "user:bob", "up"), ("a", "user:ann", "down")]
    assert found[1].why.startswith("it is of last year!")
    assert len(found[1].why) == feedback.MOST_WHY
    assert [one.asker for one in feedback.listing(ledger, SOURCE, "down")] == ["user:ann"]
    assert feedback.listing(ledger, "another") == []
    assert len(feedback.listing(ledger, limit=1)) == 1
    erasure.begin(ledger, erasure.Request(source=SOURCE, keys=("a",), by="test"))
    assert [one.key for one in feedback.listing(ledger)] == ["b"]


def test_a_word_is_up_or_down() -> None:
    with pytest.raises(ValueError, match="up"):
        FeedbackGiven.model_validate({"chunk_id": CHUNK, "verdict": "perhaps"})
