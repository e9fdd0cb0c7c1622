"""Reader of warehouse rows: each row of a query is a document."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from moat.access.policy import Access
from moat.access.rules import Columns, Facts, Needs
from moat.connections import Sql
from moat.declarations import declared
from moat.errors import AccessUnknown, ColumnMissing, FatalError, ParseFailed, SourceUnavailable
from moat.ids import content_hash, joined
from moat.readers import row_template
from moat.readers.query_text import query_in
from moat.readers.reader import Fetched, Gone, Reading, too_large
from moat.readers.row_template import IDENTIFIER
from moat.readers.row_values import filtered, key_text, moment_of, same
from moat.readers.shape import Counting, FewValues, Shape, of_rows
from moat.records import Listed, Planned, RawDocument, SetAside

BY_KEY = 500  # keys of one IN (...)
SCAN_ABOVE = 5_000  # wanted rows above which one scan is faster than queries by key


@declared
class WarehouseRows:
    """Read every row of a query in `dags/sql/` as a document.

    Attributes:
        conn_id: Connection of the database, which needs a SQL hook in Airflow.
        sql: Name of the file in `dags/sql/` with the query.
        key: Column with the row's key, unique; a row without one is set aside.
        text: The document as Markdown, with `{column}` where a value is filled in. A value is data: its characters
            are never markup, lines and paragraphs stay. `{column|markdown}` and `{column|html}` take it for markup.
            Formats such as `{amount:.2f}` apply; NULL is nothing, a moment with a zone is in UTC.
        modified_at: Column that changes with every change of a row. With it, only keys, this column and the
            columns of access are listed; None: every row is read whole to be compared.
        metadata: Columns to filter a search by.

    Example:
        Tickets, filtered by their state:

            WarehouseRows(
                conn_id="warehouse",
                sql="tickets.sql",
                key="ticket_id",
                text="# {subject}\\n\\n{body}",
                modified_at="updated_at",
                metadata=("state",),
            )
    """

    conn_id: str
    sql: str
    key: str
    text: str
    modified_at: str | None = None
    metadata: tuple[str, ...] = ()
    offers: ClassVar[frozenset[Needs]] = frozenset({"nothing", "columns"})

    @property
    def stamped(self) -> bool:
        """Whether a row's fingerprint is a time that the table says, not the row's own content."""
        return self.modified_at is not None

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        found = [f"{name} is empty" for name in ("conn_id", "sql", "key", "text") if not getattr(self, name)]
        if "/" in self.sql or not self.sql.endswith(".sql"):
            found.append(f"sql={self.sql!r} must be the name of a file in dags/sql, such as tickets.sql")
        names = [name for name in (self.key, self.modified_at, *self.metadata) if name is not None]
        found += [f"{name!r} is not a column's name" for name in names if not IDENTIFIER.match(name)]
        return found + row_template.wrong(self.text)

    def fields(self) -> list[str]:
        """Columns that the text takes, in their order."""
        return row_template.columns(self.text)

    @contextmanager
    def open(self, reading: Reading) -> "Iterator[_OpenQuery]":
        """Open the query. Raises FatalError if its file or a declared column is missing."""
        path = Path(reading.project, "dags", "sql", self.sql)
        try:
            query = query_in(path)
        except FileNotFoundError:
            there = ", ".join(sorted(p.name for p in path.parent.glob("*.sql"))) or "none"
            raise FatalError(f"source {reading.source}: {path} is not there; dags/sql holds {there}") from None
        yield _OpenQuery(reading.connections.sql(self.conn_id), query, self, reading)


Row = Mapping[str, object]


class _OpenQuery:
    def __init__(self, sql: Sql, query: str, declared_as: WarehouseRows, reading: Reading) -> None:
        self._sql, self._query, self._declared, self._reading = sql, query, declared_as, reading
        rule = reading.rule
        self._access_columns = rule.columns if isinstance(rule, Columns) else ()
        self._judge: Callable[[Facts], Access] = rule.judge(lambda path: None)
        self._there = self._check_columns()
        self._listed: dict[str, Counting] = {}
        self._read: dict[str, Counting] = {}  # columns that are not listed, from fetched rows
        self._moved: dict[str, FewValues] = {}  # all columns but the key, from fetched rows

    def shape(self) -> Shape:
        """Return statistics of every column, from listed or fetched rows."""
        counted = {**self._read, **self._listed}
        declared = {name.lower(): name for name in counted}
        names = [declared.get(name.lower(), name) for name in self._there]
        moved = {name: few.counts() for name, few in self._moved.items()}
        return of_rows(replace(counted.get(name, Counting(name)).column(), moved=moved.get(name, {})) for name in names)

    def listing(self) -> Iterator[Listed]:
        d = self._declared
        some = (
            dict.fromkeys((d.key, d.modified_at, *self._access_columns))
            if d.modified_at
            else dict.fromkeys(self._columns())
        )
        self._listed = {name: Counting(name) for name in some if name}
        unnamed = Counter[str]()
        for row in self._rows(f"SELECT {self._named(some)} FROM ({self._query}) moat"):
            _count(self._listed, row)
            key, fingerprint = key_text(row[d.key]), self._fingerprint(row)
            judge = partial(self._judge, Facts(key, columns=row))
            if not key:
                judge = partial(
                    Access.unknown, f"its {d.key} is {row[d.key]!r}: a row needs a key; give it one in the SQL"
                )
                key = self._stand_in(row, unnamed)
            yield self._reading.listed(key, self._uri(key), fingerprint, 0, judge)

    def _stand_in(self, row: Row, unnamed: Counter[str]) -> str:
        """Name a row without a key by what it holds, and by a number if others hold the same."""
        held = content_hash(joined(*(f"{name}={same(value)}" for name, value in row.items())).encode())[:12]
        unnamed[held] += 1
        return f"row without {self._declared.key}, {held}" + (f" {unnamed[held]}" if unnamed[held] > 1 else "")

    def fetch(self, wanted: Iterable[Planned]) -> Iterator[Fetched]:
        self._read = {name: Counting(name) for name in self._columns() if name not in self._listed}
        self._moved = {name: FewValues() for name in self._columns() if name != self._declared.key}
        todo = iter(wanted)
        first = list(islice(todo, SCAN_ABOVE + 1))
        kind = self._key_type()
        if len(first) > SCAN_ABOVE or kind is None:
            yield from self._scan({one.key: one for one in chain(first, todo)})
            return
        missing = {one.key: one for one in first if kind is int and not one.key.removeprefix("-").isdecimal()}
        first = [one for one in first if one.key not in missing]
        query = self._query.replace("%", "%%") if self._sql.placeholder == "%s" else self._query
        for start in range(0, len(first), BY_KEY):
            asked = {one.key: one for one in first[start : start + BY_KEY]}
            marks = ", ".join([self._sql.placeholder] * len(asked))
            condition = f"{self._name(self._declared.key)} IN ({marks})"
            for row in self._rows(
                f"SELECT {self._named(self._columns())} FROM ({query}) moat WHERE {condition}",
                [kind(key) for key in asked],
            ):
                one = asked.pop(key_text(row[self._declared.key]), None)
                if one is not None:
                    yield self._fetched(one, row)
            missing |= asked
        if missing:  # the warehouse may compare keys otherwise than as text: scan for them
            yield from self._scan(missing)

    def _key_type(self) -> Callable[[str], object] | None:
        """Type of a key in SQL, so that an index serves it.

        None if only a scan finds the key.
        """
        name = self._declared.key
        for row in self._rows(f"SELECT {self._name(name)} FROM ({self._query}) moat"):
            value = row[name]
            if key_text(value):
                return int if type(value) is int else str if isinstance(value, str | UUID) else None
        return None

    def _scan(self, missing: dict[str, Planned]) -> Iterator[Fetched]:
        for row in self._rows(f"SELECT {self._named(self._columns())} FROM ({self._query}) moat"):
            one = missing.pop(key_text(row[self._declared.key]), None)
            if one is not None:
                yield self._fetched(one, row)
        yield from (Gone(key) for key in missing)

    def _fetched(self, one: Planned, row: Row) -> RawDocument | SetAside:
        _count(self._read, row)
        _count(self._moved, row)
        try:
            content = row_template.fill(self._declared.text, row).encode()
            metadata = tuple(f"{n}={filtered(row[n])}" for n in self._declared.metadata if row[n] is not None)
            identity = content_hash(joined(content.decode(), *metadata).encode())
        except ValueError as error:  # a format that does not fit the value, or characters that are no UTF-8
            return SetAside(
                key=one.key,
                uri=one.uri,
                stage="read",
                error=ParseFailed.__name__,
                reason=f"text cannot be filled in: {error}",
                fingerprint=one.fingerprint,
            )
        if len(content) > self._reading.max_bytes:
            return too_large(one, len(content), self._reading.max_bytes)
        now = self._reading.listed(
            one.key, one.uri, self._fingerprint(row), 0, partial(self._judge, Facts(one.key, columns=row))
        )
        if now.policy is None:
            return SetAside(
                key=one.key,
                uri=one.uri,
                stage="read",
                error=AccessUnknown.__name__,
                reason=now.reason,
                fingerprint=now.fingerprint,
            )
        return RawDocument(
            key=one.key,
            uri=one.uri,
            name=f"{one.key}.md",
            fingerprint=now.fingerprint,
            content=content,
            content_hash=identity,
            policy=now.policy,
            access_version=one.access_version,
            metadata=metadata,
            modified=moment_of(row[self._declared.modified_at]) if self._declared.modified_at else None,
        )

    def _rows(self, query: str, values: Sequence[object] = ()) -> Iterator[Row]:
        for columns, rows in self._streamed(query, values):
            names = self._as_declared(columns)
            yield from (dict(zip(names, row, strict=True)) for row in rows)

    def _streamed(
        self, query: str, values: Sequence[object] = ()
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[object, ...]]]]:
        """Stream rows from the database; errors name the source and its SQL file."""
        where = f"source {self._reading.source}, {self._declared.sql}"
        try:
            yield from self._sql.stream(query, values)
        except FatalError as error:
            raise FatalError(f"{where}: {error}") from error
        except SourceUnavailable as error:
            raise SourceUnavailable(f"{where}: {error}") from error

    def _as_declared(self, columns: Sequence[str]) -> list[str]:
        """Name result columns as in the declaration, because a warehouse may change their case."""
        by_lower = {name.lower(): name for name in self._columns()}
        return [by_lower.get(column.lower(), column) for column in columns]

    def _check_columns(self) -> tuple[str, ...]:
        """Return the query's columns. Raises FatalError if a declared one is missing."""
        found = next(iter(self._streamed(f"SELECT * FROM ({self._query}) moat WHERE 1 = 0")))[0]
        there = {column.lower() for column in found}
        if missing := [name for name in self._columns() if name.lower() not in there]:
            raise ColumnMissing(
                f"source {self._reading.source}: {self._declared.sql} does not return {', '.join(missing)}; "
                f"it returns {', '.join(found)}"
            )
        return found

    def _columns(self) -> list[str]:
        d = self._declared
        names = (d.key, *d.fields(), *d.metadata, *self._access_columns, *([d.modified_at] if d.modified_at else ()))
        return list(dict.fromkeys(names))

    def _named(self, columns: Iterable[str | None]) -> str:
        return ", ".join(self._name(column) for column in columns if column)

    def _name(self, column: str) -> str:
        """Qualify a column, unquoted, so that its case folds as in the query."""
        return f"moat.{column}"

    def _uri(self, key: str) -> str:
        return f"row://{self._declared.conn_id}/{self._declared.sql.removesuffix('.sql')}/{key}"

    def _fingerprint(self, row: Row) -> str:
        name = self._declared.modified_at
        if name is None:
            compared = (c for c in self._columns() if c not in self._access_columns)
            return content_hash(joined(*(_compared(c, row[c]) for c in compared)).encode("utf-8", "surrogatepass"))
        # A row without a date may have changed, so it is read again and compared by its content.
        return _compared(name, row[name]) if row[name] is not None else f"{name} NULL at {time.time_ns()}"


def _compared(name: str, value: object) -> str:
    return f"{name} NULL" if value is None else f"{name}={same(value)}"


def _count(columns: Mapping[str, Counting | FewValues], row: Row) -> None:
    for name, counting in columns.items():
        counting.add(row[name])
