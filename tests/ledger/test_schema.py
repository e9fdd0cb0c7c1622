"""The migrations make the tables that the code speaks of, and an old schema says what to do."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, bindparam, event, insert, select, text

from moat.errors import LedgerError, LedgerUnavailable
from moat.ledger import Ledger, _alembic, id_secret, loads
from moat.ledger.members import directories, principals_of
from moat.ledger.tables import chunk, document, member, metadata, policy, policy_entry
from moat.ledger.types import Guid
from moat.settings import Settings
from moat.shingles import mark
from tests.fresh_ledger import migrated


def test_the_migrations_make_exactly_the_tables_of_the_code(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_changes_nothing(ledger: Ledger) -> None:
    ledger.migrate()
    ledger.check()


def test_a_ledger_of_another_version_says_what_to_run(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(LedgerError, match="moat migrate"):
        ledger.check()


def test_a_new_database_says_what_to_run(settings: Settings) -> None:
    settings.home.mkdir()
    with pytest.raises(LedgerError, match="at schema none"):
        Ledger.open(settings)


def test_a_database_that_is_down_only_needs_time() -> None:
    with pytest.raises(LedgerUnavailable, match="did not answer"):
        Ledger("postgresql+psycopg2://nobody@127.0.0.1:9/x", "default").check()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_ledger_that_can_only_be_read_says_so(kind: str, settings: Settings, request: pytest.FixtureRequest) -> None:
    url = settings.ledger if kind == "sqlite" else request.getfixturevalue("postgres_database")
    made = migrated(url, "default")
    made.check_writable()
    with made.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = made.engine.url.database
        if kind == "postgresql":
            connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    made.close()
    ro = Ledger(url if kind == "postgresql" else f"sqlite:///file:{name}?mode=ro&uri=true", "default")
    ro.check()
    with pytest.raises(LedgerUnavailable, match="can only be read"):
        ro.check_writable()
    with pytest.raises(LedgerUnavailable, match="can only be read"), ro.write() as connection:
        connection.execute(text("INSERT INTO audit_head (tenant, hash) VALUES ('t', 'h')"))
    ro.close()


def test_a_postgresql_that_vanished_is_given_up_unless_the_url_says_else() -> None:
    given: list[dict[str, Any]] = []
    for url in ("postgresql+psycopg2://a@nowhere/b", "postgresql+psycopg2://a@nowhere/b?connect_timeout=3"):
        ledger = Ledger(url, "t")
        event.listen(ledger.engine, "do_connect", lambda _, __, ___, named: given.append(dict(named)))
        with pytest.raises(LedgerUnavailable), ledger.read():
            pass
        ledger.close()
    assert [int(one["connect_timeout"]) for one in given] == [10, 3]
    assert all(one["keepalives_idle"] == 30 and one["tcp_user_timeout"] == 60_000 for one in given)


def test_a_transaction_is_all_or_nothing(ledger: Ledger) -> None:
    with pytest.raises(RuntimeError), ledger.write() as connection:
        connection.execute(text("INSERT INTO audit_head (tenant, hash) VALUES ('t', 'h')"))
        raise RuntimeError("power cut")
    with ledger.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM audit_head")).scalar_one() == 0


def test_a_ledger_of_the_first_schema_keeps_what_it_has(ledger: Ledger) -> None:
    config = _alembic()
    with ledger.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        for digest, plain in (("plain", True), ("wide", False)):
            row = {"digest": digest, "tenant": "default", "body": "{}", "n_layers": 1, "plain": plain}
            connection.execute(insert(policy), row)
            connection.execute(
                text("INSERT INTO policy_entry (digest, layer, principal) VALUES (:digest, 0, 'group:hr')"), row
            )
        for who in ("user:ann", "user:ina"):
            row = {"tenant": "default", "directory": "staff", "group": "group:hr", "member": who}
            connection.execute(insert(member), row)
    ledger.migrate()
    ledger.check()
    (staff,) = directories(ledger)
    assert (staff.name, staff.n_groups, staff.n_memberships, staff.max_age_s) == ("staff", 1, 2, None)
    with ledger.read() as connection:
        wide = connection.execute(select(policy_entry.c.digest).where(policy_entry.c.wide.is_(True))).scalars()
        assert list(wide) == ["wide"]
        assert principals_of(connection, "default", "user:ann") == {"user:ann", "group:hr"}


def test_a_ledger_with_loads_keeps_its_ids_and_a_new_one_has_a_secret(ledger: Ledger) -> None:
    loads.open_load(Ledger(ledger.url, "older"), "s", "run", {}, 60)
    with ledger.engine.begin() as connection:
        _to(connection, "0004")
    ledger.migrate()
    older, newer = Ledger(ledger.url, "older"), Ledger(ledger.url, "newer")
    assert id_secret.of(older) == ""
    secret = id_secret.of(newer)
    assert len(secret) == 64
    assert id_secret.of(Ledger(ledger.url, "newer")) == secret  # another process
    assert id_secret.of(ledger) not in ("", secret)  # another tenant


def test_principals_that_are_written_otherwise_now_are_masked_and_members_renamed(ledger: Ledger) -> None:
    policies: dict[str, Any] = {
        "plain": {"layers": [["group:hr", "public"]], "deny": ["user:o'brien@x.org"]},
        "mixed": {"layers": [["group:hr"]], "deny": ["user:\u0430nn@x.org"]},
        "domain": {"layers": [["user:zoë@bücher.example"]], "deny": []},
        "list": {"layers": [["group:hr"]], "deny": ['group:["user:temp@x.org"]']},
    }
    with ledger.engine.begin() as connection:
        _to(connection, "0004")
        for name, body in policies.items():
            row = {"digest": name, "tenant": "default", "body": json.dumps(body), "n_layers": 1, "plain": False}
            connection.execute(insert(policy), row)
            entries = [(0, p) for p in body["layers"][0]] + [(-1, p) for p in body["deny"]]
            for layer, principal in entries:
                connection.execute(insert(policy_entry), {"digest": name, "layer": layer, "principal": principal})
            values = {"id": str(uuid4()), "tenant": "default", "source": "s", "key": name, "policy": name}
            connection.execute(insert(document), {**values, "access_version": 1, "first_seen": datetime.now(UTC)})
        for who in ("user:zoë@bücher.example", "user:\u0430nn@x.org", "user:ann@x.org"):
            row = {"tenant": "default", "directory": "staff", "group": "group:hr", "member": who}
            connection.execute(insert(member), row)
    ledger.migrate()
    with ledger.read() as connection:
        rows = connection.execute(select(document.c.key, document.c.policy, document.c.access_version))
        assert {row.key: (row.policy, row.access_version) for row in rows} == {
            "plain": ("plain", 1),
            "mixed": (None, 2),
            "domain": (None, 2),
            "list": (None, 2),
        }
        assert set(connection.scalars(select(policy.c.digest))) == {"plain"}
        assert set(connection.scalars(select(policy_entry.c.digest))) == {"plain"}
        assert principals_of(connection, "default", "user:zoë@BÜCHER.example") == {
            "user:zoë@xn--bcher-kva.example",
            "group:hr",
        }
        assert set(connection.scalars(select(member.c.member))) == {
            "user:zoë@xn--bcher-kva.example", "user:\u0430nn@x.org", "user:ann@x.org",
        }  # fmt: skip


def test_chunks_that_are_there_are_marked(ledger: Ledger) -> None:
    texts = ("one two three four five six", "too short")
    with ledger.engine.begin() as connection:
        _to(connection, "0006")
        of = str(uuid4())
        row = {"id": of, "tenant": "default", "source": "s", "key": "k", "access_version": 1}
        connection.execute(insert(document), {**row, "first_seen": datetime.now(UTC)})
        for text_ in texts:
            connection.execute(
                text(
                    "INSERT INTO chunk (id, document_id, text, heading, kind, n_tokens, text_hash) "
                    "VALUES (:id, :of, :text, '', 'text', 1, 'h')"
                ).bindparams(bindparam("id", type_=Guid), bindparam("of", type_=Guid)),
                {"id": str(uuid4()), "of": of, "text": text_},
            )
    ledger.migrate()
    with ledger.read() as connection:
        rows = connection.execute(select(chunk.c.text, chunk.c.mark)).all()
    assert {row.text: row.mark for row in rows} == {text_: mark(text_) for text_ in texts}


def _to(connection: Connection, revision: str) -> None:
    config = _alembic()
    config.attributes["connection"] = connection
    command.downgrade(config, revision)
