"""Connections to the systems that documents come from, by the id that Airflow knows them by.

`include/` knows no Airflow, so whoever runs a stage hands the connections in: a task gives those of
Airflow (`plugins/moat_connections.py`, with its secrets backends and its SQL hooks), an application
those of its environment.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from include.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection, as Airflow has it."""

    conn_id: str
    conn_type: str
    host: str = ""
    port: int | None = None
    login: str = ""
    password: str = field(default="", repr=False)
    schema: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Sql(Protocol):
    """A database to read rows from."""

    @property
    def placeholder(self) -> str:
        """How a bound value is written in SQL: `?` or `%s`."""
        ...

    def stream(
        self, sql: str, values: Sequence[object] = ()
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[object, ...]]]]:
        """Windows of (column names, rows), never the whole result in memory; one even when there are no rows.

        Raises SourceUnavailable when the database does not answer, FatalError when it refuses the SQL.
        """
        ...


class Connections(Protocol):
    """Where connections come from. Raises SettingsError for an id that nobody defined."""

    def get(self, conn_id: str) -> Connection: ...

    def sql(self, conn_id: str) -> Sql: ...


class EnvironmentConnections:
    """Connections of an application without Airflow: AIRFLOW_CONN_<ID>, as JSON or as a URI."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    def get(self, conn_id: str) -> Connection:
        name = f"AIRFLOW_CONN_{conn_id.upper()}"
        text = self._environment.get(name)
        if not text:
            raise SettingsError(f"connection {conn_id!r} is not defined: set {name}, as JSON or as a URI")
        try:
            return _from_json(conn_id, json.loads(text)) if text.lstrip().startswith("{") else _from_uri(conn_id, text)
        except (ValueError, TypeError) as error:
            raise SettingsError(f"{name} cannot be read as a connection: {type(error).__name__}") from None

    def sql(self, conn_id: str) -> Sql:
        raise SettingsError(
            f"connection {conn_id!r}: rows are read through Airflow's hooks; run it by `moat run` or Airflow"
        )


def _from_json(conn_id: str, body: Mapping[str, Any]) -> Connection:
    extra = body.get("extra") or {}
    return Connection(
        conn_id,
        str(body["conn_type"]) if "conn_type" in body else "",
        body.get("host") or "",
        int(body["port"]) if body.get("port") else None,
        body.get("login") or "",
        body.get("password") or "",
        body.get("schema") or "",
        json.loads(extra) if isinstance(extra, str) else dict(extra),
    )


def _from_uri(conn_id: str, text: str) -> Connection:
    uri = urlsplit(text)
    query = dict(parse_qsl(uri.query))
    extra = json.loads(query["__extra__"]) if "__extra__" in query else query
    return Connection(
        conn_id,
        uri.scheme,
        unquote(uri.hostname or ""),
        uri.port,
        unquote(uri.username or ""),
        unquote(uri.password or ""),
        unquote(uri.path.lstrip("/")),
        extra,
    )
