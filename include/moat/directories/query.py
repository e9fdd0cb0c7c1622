"""Groups from a database: each row of a query is one membership."""

from collections.abc import Iterator
from pathlib import Path

from moat.access.policy import KINDS, without_kind
from moat.declarations import declared
from moat.directories.reader import DirectoryGroup, DirectoryReading
from moat.errors import ColumnMissing, DirectoryUnavailable, FatalError, SourceUnavailable
from moat.readers.query_text import query_in


@declared
class GroupsQuery:
    """Read groups from a query in `dags/sql/`, one membership per row.

    A NULL member makes an empty group, as a LEFT JOIN gives it.

    Attributes:
        conn_id: Connection of the database, which needs a SQL hook in Airflow.
        sql: Name of the file in `dags/sql/` with the query.
        group: Column with the id of the group.
        member: Column with the member.
        kind: Column that says whether the member is a `user` or a `group`; None: a user, unless it begins with
            `group:`.

    Example:
        Memberships of an HR system:

            GroupsQuery(conn_id="hr", sql="members.sql", member="email")
    """

    conn_id: str
    sql: str
    group: str = "group_id"
    member: str = "member"
    kind: str | None = None

    def wrong(self) -> list[str]:
        """Return the errors of the declaration; empty if it is valid."""
        found = [f"{name} is empty" for name in ("conn_id", "sql", "group", "member") if not getattr(self, name)]
        if "/" in self.sql or not self.sql.endswith(".sql"):
            found.append(f"sql={self.sql!r} must be the name of a file in dags/sql, such as members.sql")
        return found

    def read(self, reading: DirectoryReading) -> Iterator[DirectoryGroup]:
        """Yield every group of the query. Raises DirectoryUnavailable, FatalError."""
        where = f"directory {reading.directory}, {self.sql}"
        groups: dict[str, list[str]] = {}
        for columns, rows in self._streamed(reading, where):
            at = self._places(columns, where)
            for row in rows:
                group, member, kind = (None if place is None else row[place] for place in at)
                if group is None:
                    raise FatalError(f"{where}: {self.group} is NULL beside member {member!r}; leave such rows out")
                members = groups.setdefault(str(group), [])
                if member is not None:
                    members.append(self._principal(str(member), kind, where))
        yield from (DirectoryGroup(group, tuple(members)) for group, members in groups.items())

    def _streamed(
        self, reading: DirectoryReading, where: str
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[object, ...]]]]:
        query = self._query(reading)
        try:
            yield from reading.connections.sql(self.conn_id).stream(query)
        except FatalError as error:
            raise FatalError(f"{where}: {error}") from error
        except SourceUnavailable as error:
            raise DirectoryUnavailable(f"{where}: {error}") from error

    def _query(self, reading: DirectoryReading) -> str:
        path = Path(reading.project, "dags", "sql", self.sql)
        try:
            return query_in(path)
        except FileNotFoundError:
            there = ", ".join(sorted(p.name for p in path.parent.glob("*.sql"))) or "none"
            raise FatalError(
                f"directory {reading.directory}, {self.sql}: {path} is not there; dags/sql holds {there}"
            ) from None

    def _places(self, columns: tuple[str, ...], where: str) -> tuple[int, int, int | None]:
        """Positions of group, member and kind in a row; a database may change a name's case."""
        places = {column.lower(): place for place, column in enumerate(columns)}
        wanted = [name for name in (self.group, self.member, self.kind) if name is not None]
        if missing := [name for name in wanted if name.lower() not in places]:
            raise ColumnMissing(f"{where}: it does not return {', '.join(missing)}; it returns {', '.join(columns)}")
        return (
            places[self.group.lower()],
            places[self.member.lower()],
            None if self.kind is None else places[self.kind.lower()],
        )

    def _principal(self, member: str, kind: object, where: str) -> str:
        if self.kind is None:
            return member if member.partition(":")[0].lower() in KINDS else f"user:{member}"
        if kind not in KINDS:
            raise FatalError(f"{where}: {self.kind} is {kind!r} beside member {member!r}; it must be user or group")
        # Taken literally: a user named `group:admins` is no group.
        return f"{kind}:{without_kind(member, str(kind))}"
