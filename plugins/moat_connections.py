"""Airflow's connections and SQL hooks, adapted to Moat's interface."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from moat.connections import Connection
from moat.errors import FatalError, SettingsError, SourceUnavailable
from moat.foreign import is_of_the_query, said

WINDOW = 2_000  # rows fetched at a time
PASSING = {"OperationalError", "InterfaceError", "IOException", "ConnectionException"}


class AirflowConnections:
    """Connections stored in Airflow, in any of its backends. Imports Airflow at first use."""

    def get(self, conn_id: str) -> Connection:
        found = _connection(conn_id)
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

        found = _connection(conn_id)
        try:
            hook = found.get_hook()
        except (AirflowException, AttributeError):  # unknown type, or one without a hook, such as generic
            hook = None
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
        if names & PASSING and not (sql and is_of_the_query(error)):  # before a query is sent, none is at fault
            return SourceUnavailable(f"connection {self._conn_id}: the database did not answer: {told}")
        return FatalError(
            f"connection {self._conn_id}: the database refuses the query: {told}; run it by hand to see the whole answer"
        )


def _connection(conn_id: str) -> Any:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise SettingsError(
            f"connection {conn_id!r} is not defined: add it under Admin > Connections, or set AIRFLOW_CONN_{conn_id.upper()}"
        ) from None


def _errors(driver: Any) -> tuple[type[BaseException], ...]:
    """The base exception (PEP 249) of the driver's package."""
    if hasattr(driver, "get_conn"):
        packages: Sequence[str] = ("psycopg2", "psycopg", "duckdb", "MySQLdb", "pymysql", "sqlite3")
    else:
        packages = (type(driver).__module__.split(".")[0].lstrip("_"),)
    found = (getattr(sys.modules.get(name), "Error", None) for name in packages)
    return tuple(error for error in found if error is not None) or (OSError,)
