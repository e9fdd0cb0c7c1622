"""Connections to the systems that documents come from, by Airflow's ids.

`moat` does not import Airflow, so whoever runs a stage passes the connections in: a task those of
Airflow (`plugins/moat_connections.py`, with its secrets backends and SQL hooks), an application those
of its environment.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from moat.errors import SettingsError

PROTOCOL = re.compile(r"[a-z]+://")  # protocol of a host that is a URL, such as https://example.com


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One connection, with the fields that Airflow keeps."""

    conn_id: str
    conn_type: str
    host: str = ""
    port: int | None = None
    login: str = ""
    password: str = field(default="", repr=False)
    schema: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Sql(Protocol):
    """A database that rows are read from."""

    @property
    def placeholder(self) -> str:
        """Placeholder of a bound value in SQL: `?` or `%s`."""
        ...

    def stream(
        self, sql: str, values: Sequence[object] = ()
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[object, ...]]]]:
        """Run a query and stream its rows, never holding the whole result in memory.

        Args:
            sql: The query, with placeholders for values.
            values: The values to bind, in order.

        Yields:
            Windows of (column names, rows); at least one window, even without rows.

        Raises:
            SourceUnavailable: The database did not answer.
            FatalError: The database refuses the SQL.
        """
        ...


class Connections(Protocol):
    """Where connections come from; an unknown id raises SettingsError."""

    def get(self, conn_id: str) -> Connection:
        """Return a connection by its id."""
        ...

    def sql(self, conn_id: str) -> Sql:
        """Return the database behind a connection."""
        ...


class EnvironmentConnections:
    """Connections of an application without Airflow: AIRFLOW_CONN_<ID>, as JSON or as a URI.

    Args:
        environment: Variables to read; None: those of this process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    def get(self, conn_id: str) -> Connection:
        """Return a connection from its variable.

        Raises:
            SettingsError: The variable is unset, or is neither JSON nor a URI.
        """
        name = f"AIRFLOW_CONN_{conn_id.upper()}"
        text = self._environment.get(name)
        if not text:
            raise SettingsError(f"connection {conn_id!r} is not defined: set {name}, as JSON or as a URI")
        try:
            return _from_json(conn_id, json.loads(text)) if text.lstrip().startswith("{") else _from_uri(conn_id, text)
        except (ValueError, TypeError) as error:
            raise SettingsError(f"{name} cannot be read as a connection: {type(error).__name__}") from None

    def sql(self, conn_id: str) -> Sql:
        """Raise SettingsError: rows are read through Airflow's hooks only."""
        raise SettingsError(
            f"connection {conn_id!r}: rows are read through Airflow's hooks; run it by `moat run` or Airflow"
        )


def _from_json(conn_id: str, body: Mapping[str, Any]) -> Connection:
    extra = body.get("extra") or {}
    return Connection(
        conn_id=conn_id,
        conn_type=_type(str(body.get("conn_type") or "")),
        host=body.get("host") or "",
        port=int(body["port"]) if body.get("port") else None,
        login=body.get("login") or "",
        password=body.get("password") or "",
        schema=body.get("schema") or "",
        extra=dict(json.loads(extra) if isinstance(extra, str) else extra),
    )


def _from_uri(conn_id: str, text: str) -> Connection:
    """Parse TYPE://[PROTOCOL://]LOGIN:PASSWORD@HOST:PORT/SCHEMA?EXTRA, as Airflow writes it."""
    conn_type, parted, rest = text.partition("://")
    if not parted:
        raise ValueError("a URI begins with the connection's type and ://")
    protocol = PROTOCOL.match(rest)
    uri = urlsplit(f"//{rest[protocol.end() :] if protocol else rest}")
    query = dict(parse_qsl(uri.query, keep_blank_values=True))
    extra = dict(json.loads(query["__extra__"])) if "__extra__" in query else query
    host = unquote(uri.hostname or "")
    return Connection(
        conn_id=conn_id,
        conn_type=_type(conn_type),
        host=f"{protocol[0]}{host}" if protocol and host else host,
        port=uri.port,
        login=unquote(uri.username or ""),
        password=unquote(uri.password or ""),
        schema=unquote(uri.path.removeprefix("/")),
        extra=extra,
    )


def _type(conn_type: str) -> str:
    """Normalize a connection's type to Airflow's name for it."""
    return "postgres" if conn_type == "postgresql" else conn_type.replace("-", "_")
