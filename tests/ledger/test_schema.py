"""The migrations make the tables that the code speaks of, and an old schema says what to do."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, select, text

from moat.errors import LedgerError, LedgerUnavailable
from moat.ledger import Ledger, _alembic
from moat.ledger.members import directories, principals_of
from moat.ledger.tables import member, metadata, policy, policy_entry
from moat.settings import Settings


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
