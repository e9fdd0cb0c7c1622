"""Lineage of a load: input and output datasets, their columns, and check results.

Uses only the ledger, the declaration and staging; `plugins/moat_lineage.py` sends it to OpenLineage.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from moat.access.rules import Columns
from moat.connections import Connection, Connections
from moat.errors import MoatError
from moat.index.schema import PROPERTIES
from moat.ledger import checks, loads
from moat.ledger.checks import CheckResult
from moat.ledger.loads import Load
from moat.readers.local_files import LocalFiles
from moat.readers.query_text import query_in
from moat.readers.s3_objects import S3Objects
from moat.readers.warehouse_rows import WarehouseRows
from moat.runtime import Runtime, path
from moat.settings import PROJECT
from moat.source import Source

Stage = Literal["read", "gate", "load", "promote"]
PORTS = {"postgres": 5432, "mysql": 3306, "mssql": 1433, "redshift": 5439, "trino": 8080}
FILES = {"duckdb", "sqlite"}  # file-based databases
STAGED = ("key", "text", "metadata", "allow")  # parts of a document that can be traced to columns


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetColumn:
    """A column; `came_from` lists (namespace, dataset, column), `how` the transformation."""

    name: str
    type: str = ""
    n_null: int | None = None
    came_from: tuple[tuple[str, str, str], ...] = ()
    how: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """An input or output dataset, named by OpenLineage's conventions."""

    namespace: str
    name: str
    columns: tuple[DatasetColumn, ...] = ()
    version: str = ""
    n_rows: int | None = None
    checked: tuple[CheckResult, ...] = ()
    replaced: bool = False  # replaces what was visible before


@dataclass(frozen=True, slots=True)
class TaskLineage:
    """One task's share of a load's lineage."""

    load: Load
    inputs: tuple[Dataset, ...]
    outputs: tuple[Dataset, ...]


def facts_of(runtime: Runtime, source: Source, stage: Stage, run: str) -> TaskLineage | None:
    """Lineage of a stage in a run's newest load, if any."""
    load = next((one for one in loads.recent(runtime.ledger, source.name) if one.run == run), None)
    if load is None:
        return None
    origins = _origins(runtime, source, load)
    staged = _staged(runtime, source, load, origins)
    if stage == "read":
        return TaskLineage(load, origins, () if load.state == "unchanged" else (staged,))
    if stage == "gate":
        return TaskLineage(load, (replace(staged, checked=tuple(checks.of_load(runtime.ledger, load.id))),), ())
    made = _collection(runtime, source, load, origins)
    plain = tuple(replace(one, n_rows=None) for one in origins)
    if stage == "promote":
        judged = replace(staged, checked=tuple(checks.of_load(runtime.ledger, load.id)))
        return TaskLineage(load, (*plain, judged), (replace(made, replaced=load.state == "promoted"),))
    return TaskLineage(load, (*plain, staged), (made,))


def _origins(runtime: Runtime, source: Source, load: Load) -> tuple[Dataset, ...]:
    """Input datasets of the source: folder, bucket prefix or tables."""
    reader, listed = source.reader, load.counts.get("listed")
    if isinstance(reader, LocalFiles):
        folder = Path(PROJECT, os.path.expanduser(reader.path)).resolve()
        return (Dataset(namespace="file", name=folder.as_posix(), n_rows=listed),)
    if isinstance(reader, S3Objects):
        return (Dataset(namespace=f"s3://{reader.bucket}", name=reader.prefix.strip("/") or "/", n_rows=listed),)
    if isinstance(reader, WarehouseRows):
        return tuple(_tables(runtime, source, load, reader))
    return (Dataset(namespace="moat", name=source.name, n_rows=listed),)


def _tables(runtime: Runtime, source: Source, load: Load, reader: WarehouseRows) -> Iterator[Dataset]:
    """Tables of the query, each with its used columns."""
    query = _query(reader)
    namespace, prefix = _database(runtime.connections, reader.conn_id)
    used = _used(source, reader)
    shape = _shape(runtime, source, load)
    tables, origin = _parsed(query, runtime.connections, reader.conn_id)
    for table in tables:
        columns = {}
        for name in used:
            for of, column in origin.get(name.lower(), [(table, name)] if len(tables) == 1 else []):
                if of == table:
                    columns[column] = _column(column, shape.get(name))
        n = load.counts.get("listed") if len(tables) == 1 else None
        yield Dataset(namespace=namespace, name=f"{prefix}{table}", columns=tuple(columns.values()), n_rows=n)
    if not tables:  # the parser does not understand the query: the query itself is the dataset
        columns = {name: _column(name, shape.get(name)) for name in used}
        yield Dataset(
            namespace=namespace,
            name=f"{prefix}{reader.sql}",
            columns=tuple(columns.values()),
            n_rows=load.counts.get("listed"),
        )


def _staged(runtime: Runtime, source: Source, load: Load, origins: Sequence[Dataset]) -> Dataset:
    """The load's records between tasks: one dataset per source, one version per load."""
    uri = urlsplit(runtime.settings.staging)
    if uri.scheme == "s3":
        namespace, name = f"s3://{uri.netloc}", f"{uri.path.strip('/')}/{source.name}".lstrip("/")
    else:
        namespace, name = "file", Path(runtime.settings.staging, source.name).resolve().as_posix()
    n = sum(load.counts.get(kind, 0) for kind in ("new", "changed"))
    return Dataset(
        namespace=namespace,
        name=name,
        columns=_followed(runtime, source, origins, STAGED),
        version=str(load.id),
        n_rows=n,
    )


def _collection(runtime: Runtime, source: Source, load: Load, origins: Sequence[Dataset]) -> Dataset:
    """The searchable collection in Weaviate, with what this load wrote to it."""
    s = runtime.settings
    names = tuple(one.name for one in PROPERTIES)
    followed = {one.name: one for one in _followed(runtime, source, origins, names)}
    columns = tuple(
        replace(followed.get(one.name, DatasetColumn(name=one.name)), type=one.data_type) for one in PROPERTIES
    )
    written = load.counts.get("written")
    return Dataset(
        namespace=f"weaviate://{s.weaviate_host}:{s.weaviate_port}",
        name=s.collection_name,
        columns=columns,
        version=str(load.id),
        n_rows=written,
    )


def _followed(
    runtime: Runtime, source: Source, origins: Sequence[Dataset], names: Sequence[str]
) -> tuple[DatasetColumn, ...]:
    """Columns of Moat's output, each with the row columns behind it."""
    reader = source.reader
    if not isinstance(reader, WarehouseRows):
        return ()
    access = source.access.columns if isinstance(source.access, Columns) else ()
    made = {
        "key": ((reader.key,), "the row's key, as text"),
        "text": (tuple(dict.fromkeys(reader.fields())), "filled into the declaration's text, cleaned, cut into chunks"),
        "metadata": (reader.metadata, "name=value of each"),
        "allow": (access, "principals as opaque tokens"),
    }
    _, origin = _parsed(_query(reader), runtime.connections, reader.conn_id)
    _, prefix = _database(runtime.connections, reader.conn_id)
    found = []
    for name in names:
        if name not in made:
            continue
        fields, how = made[name]
        came = []
        for field in fields:
            default = [(origins[0].name.removeprefix(prefix), field)] if len(origins) == 1 else []
            came += [(origins[0].namespace, f"{prefix}{t}", c) for t, c in origin.get(field.lower(), default)]
        found.append(DatasetColumn(name=name, came_from=tuple(dict.fromkeys(came)), how=how))
    return tuple(found)


def _used(source: Source, reader: WarehouseRows) -> tuple[str, ...]:
    """Columns named by the declaration, in its order."""
    access = source.access.columns if isinstance(source.access, Columns) else ()
    dated = (reader.modified_at,) if reader.modified_at else ()
    return tuple(dict.fromkeys((reader.key, *reader.fields(), *reader.metadata, *access, *dated)))


def _query(reader: WarehouseRows) -> str:
    try:
        return query_in(PROJECT / "dags" / "sql" / reader.sql).strip()
    except FileNotFoundError:
        return ""


def _parsed(
    query: str, connections: Connections, conn_id: str
) -> tuple[tuple[str, ...], Mapping[str, list[tuple[str, str]]]]:
    """Tables of a query, and the origin of each result column, in lower case."""
    from openlineage_sql import parse

    try:
        dialect = connections.get(conn_id).conn_type
    except MoatError:
        dialect = None
    found = parse([re.sub(r"--[^\n]*", "", query)], dialect=dialect) if query else None
    if found is None or not found.in_tables:
        return (), {}
    tables = tuple(sorted(one.qualified_name for one in found.in_tables))
    origin = {
        one.descendant.name.lower(): [(of.origin.qualified_name, of.name) for of in one.lineage if of.origin]
        for one in found.column_lineage
    }
    return tables, {name: came for name, came in origin.items() if came}


def _database(connections: Connections, conn_id: str) -> tuple[str, str]:
    """Namespace of a connection's database, and the prefix of its table names; never credentials."""
    try:
        found = connections.get(conn_id)
    except MoatError:
        return f"connection://{conn_id}", ""
    if found.conn_type in FILES:
        return found.conn_type, f"{Path(found.host).as_posix()}/" if found.host else ""
    return f"{found.conn_type}://{_host(found)}", f"{found.schema}." if found.schema else ""


def _host(found: Connection) -> str:
    host = urlsplit(found.host).hostname if "://" in found.host else found.host
    port = found.port or PORTS.get(found.conn_type)
    return f"{host or 'localhost'}:{port}" if port else (host or "localhost")


def _column(name: str, seen: tuple[str, int | None] | None) -> DatasetColumn:
    kind, n_null = seen or ("", None)
    return DatasetColumn(name=name, type=kind, n_null=n_null)


def _shape(runtime: Runtime, source: Source, load: Load) -> dict[str, tuple[str, int | None]]:
    """Types and NULL counts of the rows' columns, if counted."""
    file = path(source.name, load.id, "read", "shape.json")
    try:
        if not runtime.staging.exists(file):
            return {}
        body = json.loads(runtime.staging.read_bytes(file))
    except (MoatError, OSError, ValueError):
        return {}
    columns = body.get("columns", []) if isinstance(body, dict) else []
    return {
        str(told["name"]): (str(told.get("type") or ""), told.get("nulls") if told.get("n") else None)
        for told in columns
        if isinstance(told, dict) and "name" in told
    }
