"""The ledger: the SQL database of record. SQLite on one machine, PostgreSQL on many."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, false, inspect, make_url, text, update
from sqlalchemy.exc import InternalError, OperationalError

from moat.errors import LedgerError, LedgerUnavailable
from moat.foreign import is_of_the_login, said
from moat.ledger.tables import source
from moat.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config

READ_ONLY = re.compile(r"read-?only", re.IGNORECASE)  # of PostgreSQL and SQLite
MIGRATIONS = Path(__file__).parent / "migrations"
SCRUB_TRIES = 50  # 0.2 s apart
# A PostgreSQL whose machine vanished sends no word: it is given up within about a minute, unless the URL says else.
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}
UNSCRUBBED = "0001"  # a schema whose SQLite files still hold what was deleted under it


class Ledger:
    """Access to one tenant's part of the ledger. Creating it opens no connection.

    Args:
        url: SQLAlchemy URL of the database, SQLite or PostgreSQL.
        tenant: Name of the tenant whose rows are read and written.
    """

    def __init__(self, url: str, tenant: str) -> None:
        self.tenant = tenant
        self.url = url
        self.engine = _engine(url)

    @classmethod
    def open(cls, settings: Settings) -> "Ledger":
        """Open the ledger of these settings.

        Args:
            settings: Settings with the database URL and the tenant.

        Returns:
            A ledger whose schema has been checked.

        Raises:
            LedgerError: The schema is not the one of this version; run `moat migrate`.
        """
        ledger = cls(settings.ledger, settings.tenant)
        ledger.check()
        return ledger

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a read connection that sees one snapshot for all its queries.

        Raises:
            LedgerError: The database did not answer.
        """
        one_state = {"isolation_level": "REPEATABLE READ"} if self.engine.dialect.name == "postgresql" else {}
        with self._mapped(), self.engine.connect().execution_options(**one_state) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a write transaction; it rolls back if the block raises.

        Raises:
            LedgerError: The database did not answer.
        """
        with self._mapped(), self.engine.connect().execution_options(moat_write=True) as connection, connection.begin():
            yield connection

    def migrate(self) -> None:
        """Migrate the schema to this version. Idempotent."""
        from alembic import command  # a quarter of a second of CPU, for this method alone

        if self.url.startswith("sqlite:///"):
            Path(self.url.removeprefix("sqlite:///")).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._mapped(), self.engine.begin() as connection:
            found = _schema_of(connection)
            config = _alembic()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        if found == UNSCRUBBED:
            self._outside("VACUUM")

    def check(self) -> None:
        """Check that the schema is the one of this version.

        Raises:
            LedgerError: It is not; the message names the command that migrates it.
        """
        wanted = max(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))
        with self.read() as connection:
            found = _schema_of(connection)
        if found != wanted:
            raise LedgerError(
                f"the ledger at {self.engine.url!r} is at schema {found or 'none'}, this Moat needs {wanted}: "
                "run `moat migrate`"
            )

    def check_writable(self) -> None:
        """Check that rows can be written, by a statement that changes none.

        Raises:
            LedgerError: The database or its file can only be read, or did not answer.
        """
        with self.write() as connection:
            connection.execute(update(source).where(false()).values(tenant=self.tenant))

    def scrub(self) -> bool:
        """Remove deleted data from the bytes of SQLite's files.

        Deleted rows are overwritten in place, but the write-ahead log keeps earlier pages until a
        checkpoint truncates it. On PostgreSQL this does nothing: VACUUM takes care of it.

        Returns:
            False if another reader blocked the checkpoint.
        """
        with self._mapped():
            for _ in range(SCRUB_TRIES):
                busy = self._outside("PRAGMA wal_checkpoint(TRUNCATE)")
                if not busy:
                    return True
                time.sleep(0.2)
        return False

    def close(self) -> None:
        self.engine.dispose()

    def _outside(self, statement: str) -> bool:
        """Run a SQLite statement outside of any transaction; returns whether it reports busy."""
        if self.engine.dialect.name != "sqlite":
            return False
        raw = self.engine.raw_connection()
        try:
            rows = raw.cursor().execute(statement).fetchall()
        finally:
            raw.close()
        return bool(rows and rows[0][0])

    def _never_made(self) -> bool:
        """Whether this is a file of SQLite in a folder that is not there."""
        file = self.engine.url.database or ""
        return self.engine.dialect.name == "sqlite" and bool(file) and not Path(file).parent.exists()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InternalError) as error:
            told = said(error.orig or error)
            if READ_ONLY.search(str(error.orig)):
                raise LedgerUnavailable(
                    f"the ledger at {self.engine.url!r} can only be read: {told}. Is it a standby, or its file or disk "
                    "read-only? Nothing is lost, and what was under way is done again when it runs again"
                ) from None
            if isinstance(error, InternalError):
                raise
            if self._never_made():
                raise LedgerError(f"there is no ledger at {self.engine.url!r} yet: run `moat migrate` first") from None
            if is_of_the_login(error.orig or error):
                raise LedgerError(
                    f"the ledger at {self.engine.url!r} refuses its user or password: {told}. Correct MOAT_LEDGER_URL"
                ) from None
            more = (
                "; make room on its disk: nothing is lost, and what was under way is done again when it runs again"
                if "full" in told or "no space" in told
                else ""
            )
            raise LedgerUnavailable(f"the ledger at {self.engine.url!r} did not answer: {told}{more}") from None


def add(connection: Connection, table: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; skip those whose primary key or unique key already exists."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as pg_insert

        connection.execute(pg_insert(table).on_conflict_do_nothing(), rows)
    else:
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        connection.execute(sqlite_insert(table).on_conflict_do_nothing(), rows)


def _schema_of(connection: Connection) -> str | None:
    """Number of the newest migration that the database has; None if it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def _alembic() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))  # % begins a reference
    return config


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        given = make_url(url)
        patience = PATIENCE if given.get_driver_name() == "psycopg2" else {}
        own = {name: value for name, value in patience.items() if name not in given.query}
        return create_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args=own)  # values may be text
    engine = create_engine(url, connect_args={"timeout": 60}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _connect(raw: Any, _: Any) -> None:
        raw.isolation_level = None  # SQLAlchemy begins the transaction; pysqlite would begin it too late
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute("PRAGMA secure_delete=ON")  # overwrite deleted data, in free pages too

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # Upgrading a read lock fails under load, so a write transaction takes its lock first.
        write = connection.get_execution_options().get("moat_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def write_alone(connection: Connection, table: Table) -> None:
    """Let no other transaction write a table until this one ends; on SQLite a write transaction does so anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE")
