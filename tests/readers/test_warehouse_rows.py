"""Rows of a real DuckDB and a real PostgreSQL: the reader's contract, columns, keys, cursors."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
from moat_connections import AirflowConnections

from moat.access.policy import Policy
from moat.access.rules import Columns, Groups
from moat.errors import FatalError, SettingsError, SourceUnavailable
from moat.readers import warehouse_rows
from moat.readers.reader import Gone, Reading
from moat.readers.warehouse_rows import WarehouseRows
from moat.records import RawDocument, SetAside
from moat.settings import PROJECT
from moat.testing.reader import ReaderContract, System, planned


class Database:
    """A table `notes` in a real database, with the connection id that Airflow knows it by."""

    def __init__(self, conn_id: str, execute: Callable[[str, list[Any]], None], mark: str, project: Path) -> None:
        self.conn_id, self.execute, self.mark, self.project = conn_id, execute, mark, project
        execute("DROP TABLE IF EXISTS notes", [])
        execute(
            "CREATE TABLE notes (id VARCHAR(40), body TEXT, team TEXT, moved TIMESTAMP, amount DOUBLE PRECISION)", []
        )
        (project / "dags" / "sql").mkdir(parents=True, exist_ok=True)
        self.sql("SELECT * FROM notes WHERE body NOT LIKE '%never this%';")

    def sql(self, text: str) -> None:
        (self.project / "dags" / "sql" / "notes.sql").write_text(text)

    def put(
        self,
        key: str,
        body: str,
        team: str | None = "all",
        moved: str | None = "2026-01-01",
        amount: float | None = 1.5,
    ) -> None:
        self.execute(f"DELETE FROM notes WHERE id = {self.mark}", [key])
        self.execute(f"INSERT INTO notes VALUES ({', '.join([self.mark] * 5)})", [key, body, team, moved, amount])

    def reader(self, **changed: Any) -> WarehouseRows:
        return WarehouseRows(**{"conn_id": self.conn_id, "sql": "notes.sql", "key": "id", "text": "{body}", **changed})

    def open(self, rule: Any = None, max_bytes: int = 1 << 20, **changed: Any) -> Any:
        return self.reader(**changed).open(
            Reading(
                source="s",
                rule=rule or Columns(allow="team"),
                connections=AirflowConnections(),
                project=self.project,
                max_bytes=max_bytes,
            )
        )


@pytest.fixture(params=["duckdb", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    if request.param == "duckdb":
        file = tmp_path / "w.duckdb"
        monkeypatch.setenv("AIRFLOW_CONN_W", json.dumps({"conn_type": "duckdb", "host": str(file)}))

        def in_duckdb(sql: str, values: list[Any]) -> None:
            with duckdb.connect(str(file)) as connection:
                connection.execute(sql, values)

        yield Database("w", in_duckdb, "?", tmp_path)
    else:
        uri = request.getfixturevalue("postgres_server")
        host = uri.split("host=")[1]
        monkeypatch.setenv(
            "AIRFLOW_CONN_W",
            json.dumps({"conn_type": "postgres", "host": host, "login": "postgres", "schema": "postgres"}),
        )
        connection = psycopg2.connect(uri)
        connection.autocommit = True

        def in_postgres(sql: str, values: list[Any]) -> None:
            with connection.cursor() as cursor:
                cursor.execute(sql, values or None)

        yield Database("w", in_postgres, "%s", tmp_path)
        connection.close()


class TestWarehouseRows(ReaderContract):
    @pytest.fixture
    def system(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> System:
        class InProject(WarehouseRows):  # dags/sql of the test's own folder
            def open(self, reading: Reading) -> Any:
                return super().open(
                    Reading(
                        source=reading.source,
                        rule=reading.rule,
                        connections=reading.connections,
                        project=database.project,
                        max_bytes=reading.max_bytes,
                    )
                )

        return System(
            reader=InProject(conn_id="w", sql="notes.sql", key="id", text="{body}"),
            connections=AirflowConnections(),
            put=lambda name, text: database.put(name, text),
            remove=lambda name: database.execute(f"DELETE FROM notes WHERE id = {database.mark}", [name]),
            break_listing=lambda: database.execute("ALTER TABLE notes RENAME TO other", []),
        )


def test_with_modified_at_only_that_column_tells_a_change(database: Database) -> None:
    database.put("1", "old")
    with database.open(modified_at="moved") as reader:
        (before,) = reader.listing()
    database.put("1", "new, and nobody moved the date")
    with database.open(modified_at="moved") as reader:
        assert list(reader.listing()) == [before]
    database.put("1", "new", moved="2026-02-02")
    with database.open(modified_at="moved") as reader:
        (after,) = reader.listing()
    assert after.fingerprint != before.fingerprint


def test_a_row_without_a_date_is_read_again_and_compared_by_content(database: Database) -> None:
    database.put("1", "text", moved=None)
    with database.open(modified_at="moved") as reader:
        (first,), (second,) = reader.listing(), reader.listing()
        assert first.fingerprint != second.fingerprint
        (a,), (b,) = reader.fetch([planned(first)]), reader.fetch([planned(second)])
    assert a.content_hash == b.content_hash


def test_access_is_listed_apart_from_content(database: Database) -> None:
    database.put("1", "text", team="emea")
    with database.open(modified_at="moved") as reader:
        (before,) = reader.listing()
    database.put("1", "text", team="apac")
    with database.open(modified_at="moved") as reader:
        (after,) = reader.listing()
    assert before.fingerprint == after.fingerprint
    assert after.policy == Policy.of(["group:apac"]).text()


def test_a_null_in_the_access_column_is_unknown(database: Database) -> None:
    database.put("1", "text", team=None)
    with database.open() as reader:
        (one,) = reader.listing()
    assert one.policy is None


def test_a_row_whose_access_goes_unknown_before_it_is_fetched_is_set_aside(database: Database) -> None:
    database.put("1", "text")
    with database.open() as reader:
        (one,) = reader.listing()
        database.put("1", "text", team=None)
        (answer,) = reader.fetch([planned(one)])
    assert isinstance(answer, SetAside)
    assert answer.error == "AccessUnknown"


@pytest.mark.parametrize(
    "wrong", [{"text": "{boddy}"}, {"metadata": ("state",)}, {"key": "uid"}, {"modified_at": "changed"}]
)
def test_a_field_that_the_query_does_not_return_fails_with_those_that_it_does(
    database: Database, wrong: dict[str, Any]
) -> None:
    with pytest.raises(FatalError) as error, database.open(**wrong):
        pass
    name = next(iter(wrong.values()))
    assert (name[0] if isinstance(name, tuple) else name.strip("{}")) in str(error.value)
    for column in ("id", "body", "team", "moved"):
        assert column in str(error.value)


def test_values_that_fill_a_template_keep_their_formats_and_null_is_nothing(database: Database) -> None:
    database.put("1", "Hello", amount=2.5)
    with database.open(
        text="# {body}\n\n{amount:.2f} on {moved:%d.%m.%Y} {team}", metadata=("team", "amount")
    ) as reader:
        (raw,) = reader.fetch([planned(one) for one in reader.listing()])
    assert isinstance(raw, RawDocument)
    assert raw.content.decode() == "# Hello\n\n2.50 on 01.01.2026 all"
    assert raw.metadata == ("team=all", "amount=2.5")
    assert raw.name == "1.md"
    assert raw.modified is None
    with database.open(modified_at="moved") as reader:
        (raw,) = reader.fetch([planned(one) for one in reader.listing()])
    assert raw.modified == datetime(2026, 1, 1, tzinfo=UTC).timestamp()  # type: ignore[union-attr]


def test_a_format_that_does_not_fit_the_value_sets_the_row_aside(database: Database) -> None:
    database.put("1", "Hello", amount=None)
    database.put("2", "World")
    with database.open(text="{body} {amount:.2f}") as reader:
        answers = {a.key: a for a in reader.fetch([planned(one) for one in reader.listing()])}
    assert isinstance(answers["1"], SetAside)
    assert isinstance(answers["2"], RawDocument)


def test_metadata_is_part_of_the_content(database: Database) -> None:
    database.put("1", "text", amount=1)
    with database.open(metadata=("amount",)) as reader:
        (a,) = reader.fetch([planned(one) for one in reader.listing()])
    database.put("1", "text", amount=2)
    with database.open(metadata=("amount",)) as reader:
        (b,) = reader.fetch([planned(one) for one in reader.listing()])
    assert a.content_hash != b.content_hash


@pytest.mark.parametrize("modified_at", [None, "moved"])
def test_a_row_without_a_key_is_set_aside_and_the_others_come(database: Database, modified_at: str | None) -> None:
    database.put("1", "good")
    for key in ("''", "'  '", "NULL", "NULL"):
        database.execute(f"INSERT INTO notes (id, body, team) VALUES ({key}, 'Empty key row about anchors', 'all')", [])
    with database.open(modified_at=modified_at) as reader:
        first, second = list(reader.listing()), list(reader.listing())
        assert {one.key for one in first} == {one.key for one in second}
        (raw,) = reader.fetch([planned(one) for one in first if one.policy])
    aside = {one.key: one.reason for one in first if one.policy is None}
    assert len(aside) == 4, "each by a name of its own, so that none is listed twice"
    assert all(key.startswith("row without id, ") for key in aside)
    assert {reason.split(":")[0] for reason in aside.values()} == {"its id is ''", "its id is '  '", "its id is None"}
    assert raw.key == "1"


def test_keys_that_differ_by_case_or_white_space_are_different_rows(database: Database) -> None:
    for key in ("a", "A", "a ", " a"):
        database.put(key, f"text of {key!r}")
    with database.open() as reader:
        listed = list(reader.listing())
        answers = {a.key: a for a in reader.fetch([planned(one) for one in listed])}
    assert set(answers) == {"a", "A", "a ", " a"}
    assert all(a.content.decode() == f"text of {key!r}" for key, a in answers.items())


def values(database: Database, columns: str, **given: Any) -> tuple[str, tuple[str, ...], str]:
    """Text, metadata and fingerprint of one row made of these columns."""
    database.sql(f"SELECT '1' AS id, 'all' AS team, {columns}")
    with database.open(**given) as reader:
        (one,) = reader.listing()
        (raw,) = reader.fetch([planned(one)])
    assert isinstance(raw, RawDocument), raw
    return raw.content.decode(), raw.metadata, one.fingerprint


def test_a_change_behind_the_28th_digit_is_seen_and_metadata_is_exact(database: Database) -> None:
    whole = "123456789012345678901234567890" if database.mark == "%s" else "1234567890123456789012345678"
    kind = "numeric(40,10)" if database.mark == "%s" else "decimal(38,10)"
    first, second = (f"{whole}.1234567891", f"{whole}.1234567892")
    seen = [
        values(database, f"CAST('{amount}' AS {kind}) AS amount", text="{amount}", metadata=("amount",))
        for amount in (first, second)
    ]
    assert [text for text, _, _ in seen] == [first, second]
    assert [metadata for _, metadata, _ in seen] == [(f"amount={first}",), (f"amount={second}",)]
    assert seen[0][2] != seen[1][2]


def test_keys_of_38_digits_are_found_again(database: Database) -> None:
    keys = ["12345678901234567890123456789012345671", "12345678901234567890123456789012345672"]
    database.sql(
        " UNION ALL ".join(
            f"SELECT CAST('{key}' AS numeric(38,0)) AS id, '{key}' AS body, 'all' AS team" for key in keys
        )
    )
    with database.open() as reader:
        answers = {a.key: a for a in reader.fetch([planned(one) for one in reader.listing()])}
    assert {key: a.content.decode() for key, a in answers.items()} == {key: key for key in keys}


def test_null_and_its_name_are_different(database: Database) -> None:
    of_null = values(database, "CAST(NULL AS VARCHAR) AS body, CAST(NULL AS TIMESTAMP) AS moved, 1 AS amount")
    of_text = values(database, "'None' AS body, CAST(NULL AS TIMESTAMP) AS moved, 1 AS amount")
    assert of_null[2] != of_text[2]


@pytest.mark.parametrize(
    ("duckdb_value", "postgres_value", "text"),
    [
        ("'2*3*4 __main__ <script> # x'", None, "2\\*3\\*4 \\_\\_main\\_\\_ &lt;script> \\# x"),
        ("3.10::DECIMAL(5,2)", None, "3.10"),
        ("'nan'::DOUBLE PRECISION", None, "NaN"),
        ("'-inf'::DOUBLE PRECISION", None, "-Infinity"),
        ("true", None, "True"),
        ("[1.10, 2.00]::DECIMAL(5,2)[]", "ARRAY[1.10, 2.00]", "\\[1.10, 2.00\\]"),
        ("['a', NULL, 'ü']", "ARRAY['a', NULL, 'ü']", '\\["a", null, "ü"\\]'),
        ("{'b': 1, 'a': [true, NULL]}", """'{"b": 1, "a": [true, null]}'::json""", '{"b": 1, "a": \\[true, null\\]}'),
        ("encode('hé')", "convert_to('hé', 'UTF8')", "hé"),
        ("from_hex('fffe00')", "decode('fffe00', 'hex')", "fffe00"),
        ("TIME '12:30:00'", None, "12:30:00"),
        ("INTERVAL '26 hours'", None, "1 day, 2:00:00"),
        ("'5f0f4b0e-6d5a-5d0e-9a53-6d6f61740001'::UUID", None, "5f0f4b0e-6d5a-5d0e-9a53-6d6f61740001"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_values_of_every_type_are_text_as_a_person_writes_them(
    database: Database, duckdb_value: str, postgres_value: str | None, text: str
) -> None:
    value = postgres_value or duckdb_value if database.mark == "%s" else duckdb_value
    assert values(database, f"{value} AS body")[0] == text


def test_a_moment_with_a_zone_is_the_same_in_every_session_postgres(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = request.getfixturevalue("postgres_server")
    (tmp_path / "dags" / "sql").mkdir(parents=True)
    columns = "timestamptz '2026-03-01 12:00:00+00' AS at, tstzrange('2026-03-01 12:00:00+00', NULL) AS span"
    (tmp_path / "dags" / "sql" / "t.sql").write_text(
        f"SELECT 1 AS id, {columns}, ARRAY[timestamptz '2026-03-01 12:00+00'] AS many"
    )
    seen = []
    for zone in ("UTC", "America/New_York"):
        connection = {"conn_type": "postgres", "host": uri.split("host=")[1], "login": "postgres", "schema": "postgres"}
        monkeypatch.setenv("AIRFLOW_CONN_W", json.dumps({**connection, "extra": {"options": f"-c timezone={zone}"}}))
        reading = Reading(
            source="s", rule=Groups(allow=("a",)), connections=AirflowConnections(), project=tmp_path, max_bytes=1 << 20
        )
        template = "{at} {at:%H:%M} {span} {many}"
        reader = WarehouseRows(conn_id="w", sql="t.sql", key="id", text=template, modified_at="at", metadata=("at",))
        with reader.open(reading) as opened:
            (one,) = opened.listing()
            (raw,) = opened.fetch([planned(one)])
        assert isinstance(raw, RawDocument)
        seen.append((one.fingerprint, raw.content.decode(), raw.metadata))
    assert seen[0] == seen[1]
    assert seen[0][0] == "at=2026-03-01T12:00:00+00:00"
    assert seen[0][1].startswith("2026-03-01 12:00:00+00:00 12:00 ")


IN_A_ZONE = """
import sys
from pathlib import Path
from moat_connections import AirflowConnections
from moat.access.rules import Groups
from moat.readers.reader import Reading
from moat.readers.warehouse_rows import WarehouseRows
from moat.testing.reader import planned
reading = Reading(source="s", rule=Groups(allow=("a",)), connections=AirflowConnections(), project=Path(sys.argv[1]), max_bytes=1 << 20)
with WarehouseRows(conn_id="w", sql="t.sql", key="id", text="{body} {at}", metadata=("at",)).open(reading) as reader:
    (one,) = reader.listing()
    (raw,) = reader.fetch([planned(one)])
print(one.fingerprint, raw.content.decode(), raw.metadata)
"""


def test_a_moment_with_a_zone_is_the_same_on_every_machine_duckdb_12368(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "dags" / "sql").mkdir(parents=True)
    (tmp_path / "dags" / "sql" / "t.sql").write_text("SELECT * FROM t")
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute((shared / "words" / "w_tz_duckdb.sql").read_text("utf-8").split(";")[0])
    connected = json.dumps({"conn_type": "duckdb", "host": str(tmp_path / "w.duckdb")})
    path = os.pathsep.join(str(PROJECT / folder) for folder in ("", "include", "plugins"))
    said = [
        subprocess.run(
            [sys.executable, "-c", IN_A_ZONE, str(tmp_path)],
            env={**os.environ, "TZ": zone, "AIRFLOW_CONN_W": connected, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
        for zone in ("UTC", "America/New_York")
    ]
    assert said[0] == said[1]
    assert "2026-03-01 12:00:00+00:00 ('at=2026-03-01T12:00:00+00:00',)" in said[0]


@pytest.mark.parametrize("kind", ["INTEGER", "VARCHAR", "UUID", "DATE"])
def test_keys_of_any_type_are_found_again(database: Database, kind: str) -> None:
    values = {
        "INTEGER": ["7", "8"], "VARCHAR": ["a'b", "c%d"], "DATE": ["DATE '2026-01-02'", "DATE '2026-01-03'"],
        "UUID": ["'5f0f4b0e-6d5a-5d0e-9a53-6d6f61740001'", "'5f0f4b0e-6d5a-5d0e-9a53-6d6f61740002'"],
    }[kind]  # fmt: skip
    shown = [f"'{v.replace(chr(39), chr(39) * 2)}'" for v in values] if kind == "VARCHAR" else values
    database.sql(
        " UNION ALL ".join(
            f"SELECT CAST({v} AS {kind}) AS id, 'text {i}' AS body, 'all' AS team" for i, v in enumerate(shown)
        )
    )
    with database.open() as reader:
        listed = list(reader.listing())
        answers = list(reader.fetch([planned(one) for one in listed]))
    assert {a.key for a in answers} == {one.key for one in listed}
    assert all(isinstance(a, RawDocument) for a in answers)


def test_many_wanted_rows_are_found_in_one_pass(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warehouse_rows, "SCAN_ABOVE", 5)
    for i in range(20):
        database.put(str(i), f"text {i}")
    with database.open() as reader:
        wanted = [planned(one) for one in reader.listing() if int(one.key) % 2]
        database.execute(f"DELETE FROM notes WHERE id = {database.mark}", ["3"])
        answers = {a.key: a for a in reader.fetch(wanted)}
    assert set(answers) == {str(i) for i in range(1, 20, 2)}
    assert isinstance(answers["3"], Gone)


def test_a_percent_sign_in_the_sql_is_the_warehouses(database: Database) -> None:
    database.put("1", "100 % never this one")
    database.put("2", "kept")
    with database.open() as reader:
        (raw,) = reader.fetch([planned(one) for one in reader.listing()])
    assert raw.key == "2"


@pytest.mark.parametrize("end", ["; -- every note", " -- every note", ";\n/* every\nnote */ ;\n", " -- a; b\n;;"])
def test_a_query_may_end_in_comments_and_semicolons(end: str, database: Database) -> None:
    database.put("1", "kept")
    database.sql(f"SELECT id, body, team FROM notes{end}")
    with database.open() as reader:
        (raw,) = reader.fetch([planned(one) for one in reader.listing()])
    assert raw.key == "1"


def test_a_sql_file_that_is_missing_names_those_that_are_there(database: Database) -> None:
    with (
        pytest.raises(FatalError, match=r"other\.sql is not there; dags/sql holds notes\.sql"),
        database.open(sql="other.sql"),
    ):
        pass


def test_a_refused_query_needs_a_person(database: Database) -> None:
    database.sql("SELECT nothing FROM nowhere")
    with pytest.raises(FatalError, match="connection w"), database.open():
        pass


def test_a_database_that_is_down_only_needs_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dags" / "sql").mkdir(parents=True)
    (tmp_path / "dags" / "sql" / "n.sql").write_text("SELECT 1 AS id")
    monkeypatch.setenv(
        "AIRFLOW_CONN_DOWN", json.dumps({"conn_type": "postgres", "host": "127.0.0.1", "port": 9, "login": "x"})
    )
    reading = Reading(
        source="s", rule=Groups(allow=("a",)), connections=AirflowConnections(), project=tmp_path, max_bytes=1
    )
    with (
        pytest.raises(SourceUnavailable, match="did not answer"),
        WarehouseRows(conn_id="down", sql="n.sql", key="id", text="{id}").open(reading),
    ):
        pass


def test_a_connection_that_nobody_defined_says_where_to_add_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"Admin > Connections.*AIRFLOW_CONN_NOPE"):
        AirflowConnections().sql("nope")


def test_a_million_rows_never_sit_in_memory(database: Database) -> None:
    n = 1_000_000
    rows = f"range({n}) r(i)" if database.mark == "?" else f"generate_series(1, {n}) r(i)"
    database.sql(f"SELECT i AS id, repeat('x', 200) || i AS body, 'all' AS team FROM {rows}")
    with database.open() as reader:
        first = next(iter(reader._rows(f"SELECT * FROM ({reader._query}) moat")))
        assert len(str(first["body"])) > 200
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seen = sum(1 for _ in reader._rows(f"SELECT * FROM ({reader._query}) moat"))
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert seen == n
    assert grown_mb < 200, "two hundred million characters went through"
