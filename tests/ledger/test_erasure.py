"""Erasures in the ledger, on SQLite and on PostgreSQL: the tombstone, what goes with it, what the receipt says."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select, text, update

from moat.access.policy import Policy
from moat.errors import ErasureRefused
from moat.ids import document_id
from moat.ledger import Ledger, erasure, loads, receipts
from moat.ledger.erasure import Request
from moat.ledger.policies import keep
from moat.ledger.tables import (
    access_change,
    chunk,
    document,
    embedding,
    hold,
    hold_document,
    load,
    past_content,
    presence,
    quarantine,
    revision,
)

KEYS = ("a.md", "b.md")


def seeded(ledger: Ledger) -> int:
    """A promoted load with two documents of one chunk each, and rows of them in every other table."""
    current = loads.open_load(ledger, "docs", "test", {}, 60)
    now = datetime.now(UTC)
    with ledger.write() as connection:
        policies = [Policy.of(["user:ann"]), Policy.of(["user:ann", "group:all"])]
        digests = keep(connection, ledger.tenant, policies)
        waits = {"tenant": ledger.tenant, "kind": "widening", "subject": "docs", "digest": "x", "state": "waiting"}
        waiting = insert(hold).values(**waits, reason="r", detail={}, opened_at=now).returning(hold.c.id)
        held = connection.execute(waiting).scalar_one()
        for i, (key, policy) in enumerate(zip(KEYS, policies, strict=True)):
            identity, digest = document_id(ledger.tenant, "docs", key), digests[policy.text()]
            values: dict[Any, dict[str, Any]] = {
                document: {"id": identity, "tenant": ledger.tenant, "source": "docs", "key": key, "policy": digest, "access_version": 1, "first_seen": now},
                revision: {"document_id": identity, "added_in": current.id, "uri": "u", "title": "t", "media_type": "m", "fingerprint": "f", "content_hash": "c", "recipe": "r", "metadata": [], "n_pages": 1, "n_chunks": 1},
                chunk: {"id": identity, "document_id": identity, "text": "words", "heading": "", "kind": "text", "n_tokens": 1, "text_hash": f"h{i}"},
                presence: {"chunk_id": identity, "added_in": current.id, "position": 0},
                embedding: {"model": "m", "text_hash": f"h{i}", "vector": b"v"},
                access_change: {"load_id": current.id, "document_id": identity, "policy": digest, "from_version": 1},
                hold_document: {"hold_id": held, "document_id": identity, "policy": digest},
                quarantine: {"tenant": ledger.tenant, "source": "docs", "key": key, "uri": "u", "stage": "parse", "error": "E", "reason": "r", "fingerprint": "f", "recipe": "r", "attempts": 1, "load_id": current.id, "state": "set aside", "first_at": now, "last_at": now},
            }  # fmt: skip
            for table, row in values.items():
                connection.execute(insert(table).values(row))
        connection.execute(insert(embedding).values(model="m2", text_hash="h0", vector=b"v"))
        connection.execute(insert(embedding).values(model="m", text_hash="of a load that was rejected", vector=b"v"))
    return current.id


def ended(ledger: Ledger, number: int) -> None:
    with ledger.write() as connection:
        connection.execute(update(load).where(load.c.id == number).values(state="promoted"))


def count(connection: Connection, table: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def asked(*keys: str, **given: Any) -> Request:
    return Request(source="docs", keys=keys or ("a.md",), by="test", **given)


def test_the_tombstone_alone_takes_access_and_all_that_could_bring_it_back(ledger: Ledger) -> None:
    seeded(ledger)
    erasure.begin(ledger, asked())
    with ledger.read() as connection:
        row = connection.execute(select(document).where(document.c.key == "a.md")).one()
        assert (row.policy, row.access_version) == (None, 2)
        assert row.erased_at is not None
        assert (count(connection, access_change), count(connection, hold_document)) == (1, 1), "the other one's"
    erasure.begin(ledger, asked())
    with ledger.read() as connection:
        again = connection.execute(select(document).where(document.c.key == "a.md")).one()
        assert again == row, "the same word twice changes nothing"
    assert len(receipts.listing(ledger)) == 1


def test_everything_but_the_tombstone_goes_and_the_other_document_stays(ledger: Ledger) -> None:
    number = seeded(ledger)
    ended(ledger, number)
    receipt = erasure.collect(ledger, erasure.begin(ledger, asked()), (), ())
    assert receipt.text_hashes == ("h0",)
    assert {what.split()[-1] for what in receipts.left(ledger, receipt)} == {
        "chunk",
        "revision",
        "presence",
        "quarantine",
    }
    gone = erasure.forget(ledger, receipt)
    assert gone == {"revisions": 1, "chunks": 1, "embeddings": 3, "quarantine rows": 1}
    finished = erasure.done(ledger, receipt, gone)
    assert receipts.left(ledger, finished) == receipts.missing_from_audit(ledger, finished) == []
    with ledger.read() as connection:
        for table in (chunk, revision, presence, embedding, hold_document, quarantine):
            assert count(connection, table) == 1, table.name
        assert count(connection, access_change) == 0  # of a load that has ended
        assert count(connection, document) == 2
    assert ledger.scrub()


def test_a_digest_of_an_earlier_content_goes_too_and_is_a_finding_where_it_does_not(ledger: Ledger) -> None:
    ended(ledger, seeded(ledger))
    kept = insert(past_content).values(
        document_id=document_id(ledger.tenant, "docs", "a.md"), content_hash="c0", at=datetime.now(UTC)
    )
    with ledger.write() as connection:
        connection.execute(kept)
    receipt = erasure.collect(ledger, erasure.begin(ledger, asked()), (), ())
    erasure.forget(ledger, receipt)
    assert receipts.left(ledger, receipt) == []
    with ledger.write() as connection:
        connection.execute(kept)
    assert receipts.left(ledger, receipt) == ["1 rows of past_content"]


def test_vectors_of_no_text_stay_while_some_load_may_have_just_made_them(ledger: Ledger) -> None:
    ended(ledger, seeded(ledger))
    loads.open_load(ledger, "elsewhere", "test", {}, 60)
    assert erasure.under_way(ledger, "docs") == []
    assert [state for _, state in erasure.under_way(ledger)] == ["open"]
    receipt = erasure.collect(ledger, erasure.begin(ledger, asked()), (), ())
    assert erasure.forget(ledger, receipt)["embeddings"] == 2, "of both models"


def test_a_vector_of_a_text_that_stays_is_no_finding(ledger: Ledger) -> None:
    ended(ledger, seeded(ledger))
    with ledger.write() as connection:
        connection.execute(update(chunk).values(text_hash="h0"))
    receipt = erasure.collect(ledger, erasure.begin(ledger, asked()), (), ())
    erasure.forget(ledger, receipt)
    assert receipts.left(ledger, receipt) == []


def test_a_key_that_only_lies_in_quarantine_is_known(ledger: Ledger) -> None:
    seeded(ledger)
    with ledger.write() as connection:
        connection.execute(update(quarantine).where(quarantine.c.key == "b.md").values(key="aside.md"))
    erasure.begin(ledger, asked("aside.md"))
    with pytest.raises(ErasureRefused, match="never saw 1 of 1 keys"):
        erasure.begin(ledger, asked("elsewhere.md"))
    erasure.begin(ledger, asked("elsewhere.md", unknown="tombstone"))
    with ledger.read() as connection:
        tombs = connection.scalars(select(document.c.key).where(document.c.erased_at.is_not(None)))
        assert sorted(tombs) == ["aside.md", "elsewhere.md"]


def test_only_documents_that_one_principal_alone_may_read_are_theirs(ledger: Ledger) -> None:
    seeded(ledger)
    assert erasure.alone(ledger, "docs", "user:ann") == (["a.md"], 1)
    assert erasure.alone(ledger, "docs", "group:all") == ([], 1)
    assert erasure.alone(ledger, "other", "user:ann") == ([], 0)


def test_more_documents_than_fit_into_one_statement_are_erased(ledger: Ledger) -> None:
    keys = tuple(f"{i}.md" for i in range(2_500))
    receipt = erasure.begin(ledger, asked(*keys, unknown="tombstone"))
    erasure.forget(ledger, erasure.collect(ledger, receipt, [], [f"h{i}" for i in range(2_500)]))
    assert receipts.left(ledger, receipt) == []
    with ledger.write() as connection:
        connection.execute(text("UPDATE document SET erased_at = NULL WHERE key = '7.md'"))
    assert "no tombstone of 1 documents" in receipts.left(ledger, receipt)[0]
