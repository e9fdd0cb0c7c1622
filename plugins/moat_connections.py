"""Airflow's connections and SQL hooks, adapted to Moat's interface."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from moat.connections import Connection
from moat.errors import FatalError, SettingsError, SourceUnavailable
from moat.foreign import is_of_the_login, is_of_the_query, said

WINDOW = 2_000  # rows fetched at a time
PASSING = {"OperationalError", "InterfaceError", "IOException", "ConnectionException"}


# The package that brings the hook of a connection's type.
PROVIDERS = {
    **dict.fromkeys(("postgres",), "apache-airflow-providers-postgres"),
    **dict.fromkeys(("aws", "redshift", "athena"), "apache-airflow-providers-amazon"),
    **dict.fromkeys(("google_cloud_platform", "gcpbigquery", "gcpcloudsql"), "apache-airflow-providers-google"),
    **dict.fromkeys(("azure", "wasb", "azure_data_lake"), "apache-airflow-providers-microsoft-azure"),
    **dict.fromkeys(("hiveserver2", "hive_cli"), "apache-airflow-providers-apache-hive"),
    "drill": "apache-airflow-providers-apache-drill",
    "druid": "apache-airflow-providers-apache-druid",
    "impala": "apache-airflow-providers-apache-impala",
    "mssql": "apache-airflow-providers-microsoft-mssql",
    "duckdb": "airflow-provider-duckdb",
    **{
        name: f"apache-airflow-providers-{name}"
        for name in (
            *("databricks", "elasticsearch", "exasol", "jdbc", "mysql", "odbc", "oracle", "presto", "snowflake"),
            *("sqlite", "teradata", "trino", "vertica"),
        )
    },
}
CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"  # by which Airflow's own `airflow connections` has its database asked too


class AirflowConnections:
    """Connections stored in Airflow, in any of its backends. Imports Airflow at first use.

    Args:
        outside: Whether this process is no task, as the command line is: then nobody else asks Airflow's database.
    """

    def __init__(self, outside: bool = False) -> None:
        self._outside = outside

    def get(self, conn_id: str) -> Connection:
        found = _connection(conn_id, self._outside)
        return Connection(
            conn_id=conn_id,
            conn_type=found.conn_type,
            host=found.host or "",
            port=found.port,
            login=found.login or "",
            password=found.password or "",
            schema=found.schema or "",
            extra=found.extra_dejson,
        )

    def sql(self, conn_id: str) -> HookSql:
        from airflow.sdk.exceptions import AirflowException

        found = _connection(conn_id, self._outside)
        missing = ""
        try:
            hook = found.get_hook()
        except (AirflowException, AttributeError, ImportError) as error:  # unknown type, or one without a hook
            hook, missing = None, PROVIDERS.get(found.conn_type or "", "")
            if isinstance(error, ImportError) and error.name:
                missing = f"{missing or 'its provider'}, whose module {error.name} is missing"
        if hook is None and missing:
            raise SettingsError(
                f"connection {conn_id!r} is of type {found.conn_type}, whose provider is not installed here: "
                f"install {missing}, here and where tasks run"
            )
        if not hasattr(hook, "get_conn") or not hasattr(hook, "placeholder"):
            raise SettingsError(f"connection {conn_id!r} is of type {found.conn_type or 'none'}: it has no SQL hook")
        return HookSql(conn_id, hook)


class HookSql:
    """Rows from a common-sql hook, with a server-side cursor if the database has one."""

    def __init__(self, conn_id: str, hook: Any) -> None:
        self._conn_id, self._hook = conn_id, hook

    @property
    def placeholder(self) -> str:
        return str(self._hook.placeholder)

    def stream(
        self, sql: str, values: Sequence[object] = ()
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[object, ...]]]]:
        try:
            connection = self._hook.get_conn()
        except _errors(self._hook) as error:
            raise self._mapped(error) from None  # whose words may quote rows
        with closing(connection):
            errors = _errors(connection)
            try:
                # A PostgreSQL cursor without a name holds the whole result in the client.
                named = self._hook.conn_type == "postgres"
                with closing(connection.cursor(f"moat_{uuid.uuid4().hex}") if named else connection.cursor()) as cursor:
                    cursor.execute(sql, list(values)) if values else cursor.execute(sql)
                    rows = cursor.fetchmany(WINDOW)
                    columns = tuple(column[0] for column in cursor.description)
                    yield columns, [tuple(row) for row in rows]
                    while rows := cursor.fetchmany(WINDOW) if rows else []:
                        yield columns, [tuple(row) for row in rows]
            except errors as error:
                raise self._mapped(error, sql) from None

    def _mapped(self, error: BaseException, sql: str = "") -> FatalError | SourceUnavailable:
        names = {kind.__name__ for kind in type(error).__mro__}
        told = said(error, sql)
        if is_of_the_login(error):
            return FatalError(
                f"connection {self._conn_id}: the database refuses its login or password: {told}. "
                "Correct it under Admin > Connections, or in the variable or backend that it comes from"
            )
        if names & PASSING and not (sql and is_of_the_query(error)):  # before a query is sent, none is at fault
            return SourceUnavailable(f"connection {self._conn_id}: the database did not answer: {told}")
        return FatalError(
            f"connection {self._conn_id}: the database refuses the query: {told}; run it by hand to see the whole answer"
        )


def _connection(conn_id: str, outside: bool) -> Any:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    unseen = _unseen(conn_id) if outside else ""
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise SettingsError(
            f"connection {conn_id!r} is not defined: add it under Admin > Connections, or set AIRFLOW_CONN_{conn_id.upper()}"
            + (f". What is defined in Airflow's UI is not seen here: {unseen}" if unseen else "")
        ) from None


def _unseen(conn_id: str) -> str:
    """Have Airflow's database asked for connections from now on; returns why it cannot be, empty if it can."""
    from airflow.configuration import conf
    from airflow.sdk.exceptions import AirflowException
    from cryptography.fernet import InvalidToken
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    url = make_url(conf.get("database", "sql_alchemy_conn"))
    way = "set AIRFLOW_HOME, or AIRFLOW__DATABASE__SQL_ALCHEMY_CONN and AIRFLOW__CORE__FERNET_KEY, to those of that Airflow"
    if url.get_backend_name() == "sqlite" and not os.path.isfile(url.database or ""):  # asking would make the file
        return f"there is no {url.database}; {way}"
    os.environ.setdefault(CONTEXT, "server")
    try:
        from airflow.secrets.metastore import MetastoreBackend

        found = MetastoreBackend().get_connection(conn_id)
        if found is not None:
            found.get_uri()  # reads the password
    except InvalidToken:
        return f"the fernet key of this process does not open it; {way}"
    except (SQLAlchemyError, AirflowException, ImportError) as error:
        return f"Airflow's database at {url!r} cannot be read: {said(error)}; {way}"
    return ""


def _errors(driver: Any) -> tuple[type[BaseException], ...]:
    """The base exception (PEP 249) of the driver's package."""
    if hasattr(driver, "get_conn"):
        packages: Sequence[str] = ("psycopg2", "psycopg", "duckdb", "MySQLdb", "pymysql", "sqlite3")
    else:
        packages = (type(driver).__module__.split(".")[0].lstrip("_"),)
    found = (getattr(sys.modules.get(name), "Error", None) for name in packages)
    return tuple(error for error in found if error is not None) or (OSError,)
