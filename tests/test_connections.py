"""Connections by the id that Airflow knows them by: from the environment alone, and from Airflow itself."""

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from moat_connections import WINDOW, AirflowConnections
from sqlalchemy.exc import OperationalError

from moat.connections import Connection, Connections, EnvironmentConnections
from moat.errors import FatalError, LedgerError, SettingsError, SourceUnavailable
from moat.ledger import Ledger
from moat.settings import PROJECT

FORMS = {
    "JSON with an extra": (
        '{"conn_type": "aws", "login": "moat", "password": "p@ss/word", "extra": {"region_name": "eu-west-1"}}',
        Connection(
            conn_id="t", conn_type="aws", login="moat", password="p@ss/word", extra={"region_name": "eu-west-1"}
        ),
    ),
    "JSON with an extra that is a text": (
        ' {"conn_type": "http", "host": "h", "port": "7070", "schema": "https", "extra": "{\\"deep\\": {\\"a\\": 1}}"}',
        Connection(conn_id="t", conn_type="http", host="h", port=7070, schema="https", extra={"deep": {"a": 1}}),
    ),
    "JSON with a type in words": (
        '{"conn_type": "google-cloud-platform", "port": null, "extra": null}',
        Connection(conn_id="t", conn_type="google_cloud_platform"),
    ),
    "a URI with everything": (
        "postgresql://a%2Fnn:p%40ss%3A@Db.example.com:5432/ware%20house?sslmode=require&note=",
        Connection(
            conn_id="t",
            conn_type="postgres",
            host="db.example.com",
            port=5432,
            login="a/nn",
            password="p@ss:",
            schema="ware house",
            extra={"sslmode": "require", "note": ""},
        ),
    ),
    "a URI with a nested extra": (
        "aws://?__extra__=%7B%22a%22%3A+%7B%22b%22%3A+1%7D%7D",
        Connection(conn_id="t", conn_type="aws", extra={"a": {"b": 1}}),
    ),
    "a URI whose host is an address": (
        "http://https://:key@api.example.com:8443/v1?model=m",
        Connection(
            conn_id="t",
            conn_type="http",
            host="https://api.example.com",
            port=8443,
            password="key",
            schema="v1",
            extra={"model": "m"},
        ),
    ),
    "a URI whose host is an address, quoted": (
        "http://https%3A%2F%2Fapi.example.com:8443",
        Connection(conn_id="t", conn_type="http", host="https://api.example.com", port=8443),
    ),
    "a URI of a type in words": (
        "moat-embedder://[::1]:80",
        Connection(conn_id="t", conn_type="moat_embedder", host="::1", port=80),
    ),
    "a URI with a path of a file": (
        "sqlite:////var/x.db",
        Connection(conn_id="t", conn_type="sqlite", schema="/var/x.db"),
    ),
    "a URI with a plus": (
        "http://a+b:c+d@h/?q=x+y",
        Connection(conn_id="t", conn_type="http", host="h", port=None, login="a+b", password="c+d", extra={"q": "x y"}),
    ),
}


@pytest.fixture(params=["environment", "airflow"])
def connections(request: pytest.FixtureRequest) -> Connections:
    return EnvironmentConnections() if request.param == "environment" else AirflowConnections()


@pytest.mark.parametrize("form", FORMS)
def test_both_read_what_airflow_takes_and_read_the_same(
    connections: Connections, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, wanted = FORMS[form]
    monkeypatch.setenv("AIRFLOW_CONN_T", text)
    assert connections.get("t") == wanted


def test_both_read_what_airflow_writes(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import Connection as AirflowConnection

    given = AirflowConnection(
        conn_id="t",
        conn_type="http",
        host="https://api.example.com",
        login="ann",
        password="p:@/ ?",
        schema="v 1/x",
        port=8443,
        extra='{"model": "m", "dimensions": 384}',
    )
    for text in (given.get_uri(), given.as_json()):
        monkeypatch.setenv("AIRFLOW_CONN_T", text)
        found = connections.get("t")
        assert (found.conn_type, found.host, found.port) == ("http", "https://api.example.com", 8443)
        assert (found.login, found.password, found.schema) == ("ann", "p:@/ ?", "v 1/x")
        assert found.extra == {"model": "m", "dimensions": 384}


@pytest.mark.parametrize("environment", [{}, {"AIRFLOW_CONN_LAKE": ""}, {"AIRFLOW_CONN_LAKES": "aws://"}])
def test_a_missing_connection_says_what_to_set(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"connection 'lake' is not defined: set AIRFLOW_CONN_LAKE, as JSON or"):
        EnvironmentConnections(environment).get("lake")


def test_an_id_in_small_letters_is_found_in_large_ones() -> None:
    assert EnvironmentConnections({"AIRFLOW_CONN_MY_LAKE": "aws://"}).get("my_lake").conn_type == "aws"


def test_a_given_environment_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", "aws://")
    with pytest.raises(SettingsError):
        EnvironmentConnections({}).get("lake")


@pytest.mark.parametrize(
    "text",
    [
        '{"conn_type": "aws", "password": "hush"',
        '{"conn_type": "aws", "password": "hush", "port": "eighty"}',
        '{"conn_type": "aws", "extra": "hush"}',
        '{"conn_type": "aws", "extra": "[1]"}',
        '{"conn_type": "aws", "extra": ["hush"]}',
        "http://hush@h:eighty",
        "aws://?__extra__=hush",
        "hush",
    ],
)
def test_a_malformed_connection_names_its_variable_and_shows_no_secret(text: str) -> None:
    with pytest.raises(SettingsError) as error:
        EnvironmentConnections({"AIRFLOW_CONN_LAKE": text}).get("lake")
    assert str(error.value).startswith("AIRFLOW_CONN_LAKE cannot be read as a connection: ")
    assert "hush" not in str(error.value)
    assert error.value.__cause__ is None, "a cause would print what was given"


def test_secrets_are_not_shown() -> None:
    shown = repr(EnvironmentConnections({"AIRFLOW_CONN_T": 'aws://a:hush@/?__extra__={"token":"hush"}'}).get("t"))
    assert "conn_type='aws'" in shown
    assert "hush" not in shown


def test_rows_need_airflows_hooks() -> None:
    with pytest.raises(SettingsError, match=r"connection 'warehouse': rows are read through Airflow's hooks"):
        EnvironmentConnections({"AIRFLOW_CONN_WAREHOUSE": "duckdb://"}).sql("warehouse")


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "w.duckdb"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": str(file)}))
    return file


def test_a_hook_streams_windows_with_the_names_of_columns(warehouse: Path) -> None:
    sql = AirflowConnections().sql("warehouse")
    found = list(
        sql.stream(f"SELECT i AS id, 'x' AS name FROM range({WINDOW + 5}) r(i) WHERE i <> {sql.placeholder}", [3])
    )
    assert [columns for columns, _ in found] == [("id", "name")] * 2
    assert [len(rows) for _, rows in found] == [WINDOW, 4]
    assert [row for _, rows in found for row in rows] == [(i, "x") for i in range(WINDOW + 5) if i != 3]


def test_a_query_without_rows_still_tells_its_columns(warehouse: Path) -> None:
    assert list(AirflowConnections().sql("warehouse").stream("SELECT 1 AS id WHERE false")) == [(("id",), [])]


def test_a_hook_names_what_happens_next(warehouse: Path) -> None:
    with pytest.raises(FatalError, match="connection warehouse: the database refuses the query"):
        list(AirflowConnections().sql("warehouse").stream("SELECT nothing FROM nowhere"))
    value = f"ann earns {4_700 + 11}"
    with pytest.raises(FatalError, match=r"ConversionException: could not convert; ") as refused:
        list(AirflowConnections().sql("warehouse").stream("SELECT CAST(? AS integer)", [value]))
    assert value not in "".join(traceback.format_exception(refused.value)), "nor in the error behind it"
    warehouse.unlink(missing_ok=True)
    warehouse.mkdir()
    with pytest.raises(SourceUnavailable, match="connection warehouse: the database did not answer"):
        list(AirflowConnections().sql("warehouse").stream("SELECT 1"))


def test_a_database_that_cannot_be_reached_only_needs_time(warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of a missing socket, and of a database that is being restored, are those of a wrong query too."""
    sql = AirflowConnections().sql("warehouse")
    for words in ("connection to server on socket failed: No such file or directory", 'database "w" does not exist'):

        def down(words: str = words) -> None:
            raise duckdb.OperationalError(words)

        monkeypatch.setattr(sql._hook, "get_conn", down)
        with pytest.raises(SourceUnavailable, match="did not answer: OperationalError"):
            list(sql.stream("SELECT 1"))


@pytest.mark.parametrize("conn_type", ["http", "generic", "no_such_type", ""])
def test_a_connection_to_no_database_needs_a_person(conn_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SITE", json.dumps({"conn_type": conn_type, "host": "h"}))
    with pytest.raises(SettingsError, match=rf"connection 'site' is of type {conn_type or 'none'}: it has no SQL hook"):
        AirflowConnections().sql("site")


def test_the_stages_read_with_the_connections_of_one_door() -> None:
    """Whoever runs a stage hands in one of the two; both keep the protocol."""
    for connections in (EnvironmentConnections({}), AirflowConnections()):
        for ask in (connections.get, connections.sql):
            with pytest.raises(SettingsError, match="nowhere"):
                ask("nowhere")


IN_THE_DATABASE = """
import json, os, sys
import sqlalchemy as sa
from airflow.configuration import conf
from airflow.models.connection import Connection
sys.path.insert(0, sys.argv[1])
from moat_connections import AirflowConnections
from moat.errors import MoatError

def said(conn_id, outside=True):
    try:
        return AirflowConnections(outside).get(conn_id).password
    except MoatError as error:
        return f"{type(error).__name__}: {error}"

file = conf.get("database", "sql_alchemy_conn")
answers = {"no database": said("ui")}
answers["not made"] = os.path.exists(sa.engine.make_url(file).database)
engine = sa.create_engine(file)
engine.connect().close()
answers["empty database"] = said("ui")
Connection.__table__.create(engine)
with sa.orm.Session(engine) as session:
    session.add(Connection(conn_id="ui", conn_type="postgres", host="h", password="made in the UI"))
    session.commit()
os.environ.pop("_AIRFLOW_PROCESS_CONTEXT", None)
answers["a task"] = said("ui", False)
answers["ui"] = said("ui")
answers["unknown"] = said("nobody")
print("ANSWER" + json.dumps(answers))
"""


def test_what_was_made_in_the_ui_is_seen_by_the_command_line_or_it_says_why_not(
    asked_of_airflow: Callable[..., Any], tmp_path: Path
) -> None:
    said = asked_of_airflow(IN_THE_DATABASE, tmp_path, str(PROJECT / "plugins"))
    assert said["ui"] == "made in the UI"
    assert "What is defined in Airflow's UI is not seen here: there is no /" in said["no database"]
    assert "set AIRFLOW_HOME, or AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in said["no database"]
    assert not said["not made"], "looking makes no database"
    assert "no such table" in said["empty database"]
    assert said["unknown"].endswith("set AIRFLOW_CONN_NOBODY"), "it was looked for everywhere"
    assert "is not defined" in said["a task"], "which asks Airflow's API server instead"


def test_a_wrong_password_is_no_outage_and_a_missing_provider_has_a_name(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = AirflowConnections().sql("warehouse")
    for words in (
        'FATAL:  password authentication failed for user "moat"',
        "Access denied for user 'moat'@'h' (using password: YES)",
        "Incorrect username or password was specified.",
    ):

        def refused(words: str = words) -> None:
            raise duckdb.OperationalError(words)

        monkeypatch.setattr(sql._hook, "get_conn", refused)
        with pytest.raises(FatalError, match="connection warehouse: the database refuses its login or password"):
            list(sql.stream("SELECT 1"))
        with pytest.raises(LedgerError, match="refuses its user or password"), Ledger("sqlite://", "t")._mapped():
            raise OperationalError("SELECT 1", {}, duckdb.OperationalError(words))
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "snowflake", "host": "h"}))
    with pytest.raises(SettingsError, match=r"type snowflake, .* install apache-airflow-providers-snowflake"):
        AirflowConnections().sql("lake")
