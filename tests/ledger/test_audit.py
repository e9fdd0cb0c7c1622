"""The audit's chain: it holds whoever writes at once, and whatever is done to it by hand is found."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError

from moat.errors import AuditBroken
from moat.ledger import Ledger
from moat.ledger.audit import Verified, exported, record, rows, tail, verify
from moat.ledger.tables import audit

WILD: dict[str, Any] = {
    "words": "naïve Zoë 🚢 \u2028 back\\u0000slash \x00 end",
    "half a pair": "\ud83d",
    "numbers": [0, -0.0, 1e-9, 0.1 + 0.2, 2**63, 10**30, float("nan"), True, None],
    "nested": {"b": [{"z": 1, "a": [[], {}]}], "a": {"é": "e\u0301"}},
    "moment": datetime(2026, 3, 1, tzinfo=UTC),
    "by number": {2: "two", 10: "ten"},
}


def written(ledger: Ledger, n: int) -> list[str]:
    """Rows of one tenant, each in a transaction of its own; their hashes."""
    hashes = []
    for i in range(n):
        with ledger.write() as connection:
            hashes.append(
                record(connection, ledger.tenant, f"user:{i % 3}@x.com", "act", f"load {i}", {"n": i, **WILD})
            )
    return hashes


def by_hand(ledger: Ledger, *statements: str) -> None:
    """What somebody with the database's password does, the triggers dropped first."""
    with ledger.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("DROP TRIGGER IF EXISTS audit_append_only ON audit"))
        else:
            connection.execute(text("DROP TRIGGER IF EXISTS audit_no_update"))
            connection.execute(text("DROP TRIGGER IF EXISTS audit_no_delete"))
        for statement in statements:
            connection.execute(text(statement))


def test_an_audit_without_rows_holds(ledger: Ledger) -> None:
    assert verify(ledger) == Verified(0, "")


def test_what_is_written_comes_out_with_the_same_hash_whatever_is_in_it(ledger: Ledger) -> None:
    hashes = written(ledger, 3)
    with ledger.write() as connection:
        hashes.append(record(connection, ledger.tenant, "user:\x00\udc00", "search refused", "search", {}))
        record(connection, "other", "x", "act", "of another tenant", {})
    assert verify(ledger) == Verified(4, hashes[-1])
    assert [entry.hash for entry in rows(ledger)] == hashes
    assert all(entry.holds() for entry in rows(ledger))


def test_many_writers_at_once_make_one_chain(ledger: Ledger) -> None:
    def work(who: int) -> None:
        for i in range(15):
            with ledger.write() as connection:
                record(connection, ledger.tenant, f"user:{who}", "act", str(i), {"i": i})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert verify(ledger).rows == 120


def test_rows_that_come_in_while_it_is_verified_are_no_breach(ledger: Ledger) -> None:
    written(ledger, 5)
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(written, ledger, 40)
        while not work.done():
            assert verify(ledger).rows >= 5
    assert verify(ledger).rows == 45


def test_the_database_itself_refuses_to_change_or_remove_a_row(ledger: Ledger) -> None:
    written(ledger, 2)
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with pytest.raises(DatabaseError, match="append-only"), ledger.engine.begin() as connection:
            connection.execute(text(statement))
    assert verify(ledger).rows == 2


COPY = "INSERT INTO audit (id, tenant, at, actor, action, subject, detail, previous, hash)"
ALL = "tenant, at, actor, action, subject, detail, previous, hash"


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["UPDATE audit SET detail = '{\"n\": 7}' WHERE id = 3"], "row 3 of the audit was changed"),
        (["UPDATE audit SET actor = 'user:other' WHERE id = 1"], "row 1 of the audit was changed"),
        (["UPDATE audit SET at = '2020-01-01 00:00:00.000000' WHERE id = 6"], "row 6 of the audit was changed"),
        (["DELETE FROM audit WHERE id = 1"], "between the beginning and row 2 of the audit was removed"),
        (["DELETE FROM audit WHERE id IN (3, 4)"], "between row 2 and row 5 of the audit was removed"),
        (["DELETE FROM audit WHERE id = 6"], "cut off after row 5"),
        (["DELETE FROM audit"], "cut off after the beginning"),
        ([f"{COPY} SELECT 7, {ALL} FROM audit WHERE id = 2"], "row 7 of the audit was put in: it is a copy of row 2"),
        (
            ["UPDATE audit SET id = 9 WHERE id = 3", "UPDATE audit SET id = 3 WHERE id = 4", "UPDATE audit SET id = 4 WHERE id = 9"],
            "row 3 of the audit was moved: it followed row 4, and stands after row 2",
        ),
        (["UPDATE audit_head SET hash = ''"], "cut off after row 6"),
        (["UPDATE audit SET tenant = 'other' WHERE id = 4"], "between row 3 and row 5 of the audit was removed"),
    ],
)  # fmt: skip
def test_what_is_done_by_hand_is_found_and_the_row_named(ledger: Ledger, statements: list[str], said: str) -> None:
    written(ledger, 6)
    by_hand(ledger, *statements)
    with pytest.raises(AuditBroken, match=said):
        verify(ledger)


def forged(ledger: Ledger, at: int, follows: int) -> Callable[[Connection], None]:
    """A row made as Moat makes it, that follows another row and has a hash of its own that is right."""

    def put(connection: Connection) -> None:
        last = next(entry for entry in rows(ledger) if entry.id == follows)
        detail = {"n": 1}
        body = json.dumps(detail, sort_keys=True)
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        texts = (last.hash, ledger.tenant, moment.isoformat(), "user:x", "act", "s", body)
        joined = "".join(f"{len(t.encode())}:{t}" for t in texts)
        values: dict[str, object] = dict(
            zip(("previous", "tenant", "at", "actor", "action", "subject"), texts, strict=False)
        )
        values |= {"id": at, "at": moment, "detail": detail, "hash": hashlib.sha256(joined.encode()).hexdigest()}
        connection.execute(audit.insert().values(values))

    return put


@pytest.mark.parametrize(("at", "follows"), [(3, 2), (7, 6), (7, 4)])
def test_a_row_that_is_put_in_with_a_right_hash_is_found(ledger: Ledger, at: int, follows: int) -> None:
    written(ledger, 6)
    if at == 3:  # what stands behind moves on
        by_hand(ledger, *(f"UPDATE audit SET id = {i + 1} WHERE id = {i}" for i in (6, 5, 4, 3)))
    put = forged(ledger, at, follows)
    with ledger.engine.begin() as connection:
        put(connection)
    with pytest.raises(AuditBroken, match=f"row {at} of the audit was put in"):
        verify(ledger)


def test_a_chain_that_was_written_anew_is_found_by_a_head_that_was_written_down(ledger: Ledger) -> None:
    head = written(ledger, 4)[2]
    assert verify(ledger, head).rows == 4, "an earlier head is in the chain for ever"
    by_hand(ledger, "DELETE FROM audit", "DELETE FROM audit_head")
    written(ledger, 4)
    assert verify(ledger).rows == 4
    with pytest.raises(AuditBroken, match=f"hash {head} is not in the audit"):
        verify(ledger, head)


def test_the_tail_is_the_newest_rows_of_whom_and_what_is_asked_for(ledger: Ledger) -> None:
    written(ledger, 7)
    with ledger.write() as connection:
        record(connection, ledger.tenant, "user:0@x.com", "promote", "load 7", {})
    assert [entry.subject for entry in tail(ledger, 2)] == ["load 6", "load 7"]
    assert [entry.subject for entry in tail(ledger, 9, action="promote")] == ["load 7"]
    assert [entry.subject for entry in tail(ledger, 2, actor="user:0@x.com")] == ["load 6", "load 7"]
    assert tail(ledger, 5, action="nothing") == []


def test_an_export_is_proved_without_moat_as_its_docstring_says(ledger: Ledger, tmp_path: Any) -> None:
    written(ledger, 4)
    lines = [exported(entry) for entry in rows(ledger)]
    file = tmp_path / "audit.jsonl"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    recipe = (exported.__doc__ or "").partition("in front:")[2]
    code = "\n".join(line.removeprefix("        ") for line in recipe.splitlines())
    exec(code, {"FILE": str(file)})
    file.write_text("\n".join(lines).replace('"act"', '"acts"', 1) + "\n", "utf-8")
    with pytest.raises(AssertionError):
        exec(code, {"FILE": str(file)})


def test_an_export_begins_at_a_moment(ledger: Ledger) -> None:
    written(ledger, 2)
    moment = datetime.now(UTC)
    later = written(ledger, 2)
    assert [entry.hash for entry in rows(ledger, moment)] == later
