"""Groups from a real DuckDB and a real PostgreSQL."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
from moat_connections import AirflowConnections

from moat.directories.directory import GroupsQuery
from moat.directories.reader import DirectoryGroup, DirectoryReading
from moat.errors import DirectoryUnavailable, FatalError
from tests.contracts.directory import ANN, BOB, Company, DirectoryContract

SQL = "SELECT g.id AS group_id, m.member, m.kind FROM groups g LEFT JOIN members m ON m.group_id = g.id ORDER BY 1, 2;"


class Database:
    """Tables `groups` and `members` in a real database, and a query over them."""

    def __init__(self, execute: Callable[[str, list[Any]], None], mark: str, project: Path) -> None:
        self.execute, self.mark, self.project = execute, mark, project
        for table in ("groups", "members", "gone"):
            execute(f"DROP TABLE IF EXISTS {table}", [])
        execute("CREATE TABLE groups (id TEXT)", [])
        execute("CREATE TABLE members (group_id TEXT, member TEXT, kind TEXT)", [])
        (project / "dags" / "sql").mkdir(parents=True)
        self.sql(SQL)

    def sql(self, text: str) -> None:
        (self.project / "dags" / "sql" / "members.sql").write_text(text)

    def put(self, groups: Any) -> None:
        self.execute("DELETE FROM groups", [])
        self.execute("DELETE FROM members", [])
        for group, members in groups.items():
            self.execute(f"INSERT INTO groups VALUES ({self.mark})", [group])
            for member in members:
                kind, _, name = member.partition(":")
                self.execute(f"INSERT INTO members VALUES ({', '.join([self.mark] * 3)})", [group, name, kind])

    def read(self, **changed: Any) -> list[DirectoryGroup]:
        reader = GroupsQuery(**{"conn_id": "w", "sql": "members.sql", "kind": "kind", **changed})
        return list(reader.read(DirectoryReading("hr", AirflowConnections(), self.project, print)))


@pytest.fixture(params=["duckdb", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    if request.param == "duckdb":
        file = tmp_path / "w.duckdb"
        monkeypatch.setenv("AIRFLOW_CONN_W", json.dumps({"conn_type": "duckdb", "host": str(file)}))

        def in_duckdb(sql: str, values: list[Any]) -> None:
            with duckdb.connect(str(file)) as connection:
                connection.execute(sql, values)

        yield Database(in_duckdb, "?", tmp_path)
    else:
        uri = request.getfixturevalue("postgres_server")
        told = {
            "conn_type": "postgres",
            "host": uri.split("host=")[1],
            "login": "postgres",
            "schema": "postgres",
        }
        monkeypatch.setenv("AIRFLOW_CONN_W", json.dumps(told))
        connection = psycopg2.connect(uri)
        connection.autocommit = True

        def in_postgres(sql: str, values: list[Any]) -> None:
            with connection.cursor() as cursor:
                cursor.execute(sql, values or None)

        yield Database(in_postgres, "%s", tmp_path)
        connection.close()


class TestGroupsQuery(DirectoryContract):
    @pytest.fixture
    def people(self, database: Database) -> Company:
        reader = GroupsQuery(conn_id="w", sql="members.sql", kind="kind")
        return Company(
            reader=reader,
            connections=AirflowConnections(),
            project=database.project,
            put=database.put,
            break_listing=lambda: database.execute("ALTER TABLE members RENAME TO gone", []),
        )


def test_without_a_column_for_the_kind_a_bare_member_is_a_user(database: Database) -> None:
    database.sql("SELECT 'staff' AS g, 'ann@example.com' AS m UNION ALL SELECT 'staff', 'group:legal' ORDER BY 2")
    assert database.read(group="g", member="m", kind=None) == [DirectoryGroup("staff", (ANN, "group:legal"))]


def test_a_kind_in_front_of_a_member_is_read_in_any_case(database: Database) -> None:
    database.sql(
        "SELECT 'staff' AS g, 'User:ann@example.com' AS m UNION ALL SELECT 'staff', 'GROUP:legal' ORDER BY 2 DESC"
    )
    (found,) = database.read(group="g", member="m", kind=None)
    assert sorted(found.members) == ["GROUP:legal", "User:ann@example.com"]


def test_a_user_whose_name_begins_with_group_is_no_group(database: Database) -> None:
    database.sql("SELECT 'staff' AS group_id, 'group:admins' AS member, 'user' AS kind")
    assert database.read() == [DirectoryGroup("staff", ("user:group:admins",))]


def test_columns_may_come_in_another_case(database: Database) -> None:
    database.put({"staff": [BOB]})
    assert database.read(group="GROUP_ID", member="Member", kind="KIND") == [DirectoryGroup("staff", (BOB,))]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT NULL AS group_id, 'ann' AS member, 'user' AS kind", ["group_id is NULL", "'ann'"]),
        ("SELECT 'staff' AS group_id, 'ann' AS member, 'boss' AS kind", ["kind is 'boss'", "user or group"]),
        ("SELECT 'staff' AS group_id, 'ann' AS member, NULL AS kind", ["kind is None"]),
        ("SELECT 'staff' AS grp, 'ann' AS member, 'user' AS kind", ["does not return group_id", "grp, member, kind"]),
        ("SELECT * FROM no_such_table", ["no_such_table"]),
    ],
)
def test_a_query_that_does_not_fit_needs_a_person(sql: str, words: list[str], database: Database) -> None:
    database.sql(sql)
    with pytest.raises(FatalError) as error:
        database.read()
    for word in ["directory hr, members.sql", *words]:
        assert word in str(error.value)


def test_a_missing_file_names_those_that_are_there(database: Database) -> None:
    with pytest.raises(FatalError, match=r"dags/sql holds members\.sql"):
        database.read(sql="people.sql")


def test_a_database_that_does_not_answer_may_answer_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dags" / "sql").mkdir(parents=True)
    (tmp_path / "dags" / "sql" / "members.sql").write_text("SELECT 1")
    monkeypatch.setenv("AIRFLOW_CONN_W", json.dumps({"conn_type": "postgres", "host": "127.0.0.1", "port": 1}))
    reader = GroupsQuery(conn_id="w", sql="members.sql")
    with pytest.raises(DirectoryUnavailable, match=r"directory hr, members\.sql"):
        list(reader.read(DirectoryReading("hr", AirflowConnections(), tmp_path, print)))
