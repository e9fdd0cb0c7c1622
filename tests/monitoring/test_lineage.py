"""A source goes the whole way in Airflow itself, and what OpenLineage is told of it is true."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from moat.connections import EnvironmentConnections
from moat.monitoring.lineage import _database, _parsed, facts_of
from moat.runtime import Options
from moat.settings import PROJECT, Settings
from moat.source import S3Objects
from moat.stages.read import read
from tests.company import Company, collection_of_its_own, environment_of, open_runtime

BODIES = (
    "The crane of quay {} stands still since the storm.",
    "Invoice {} was paid twice by the same forwarder.",
    "Container {} waits for its customs papers.",
    "The gate camera at lane {} shows a black picture.",
    "Driver {} asks when the night shift is paid.",
    "A reefer at slot {} reports minus four degrees.",
    "Pallet {} came with a torn foil and no label.",
    "The tablet of team {} does not charge any more.",
    "Customer {} wants the delivery on a Sunday.",
    "Route {} is closed by road works until May.",
)

RUN = """
import json, sys
from pathlib import Path
folder = sys.argv[1]
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.dagbag import BundleDagBag
bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
assert not bag.import_errors, bag.import_errors
dag = bag.dags["rows"]
dag.deadline = None  # dag.test() of 3.3.2 cannot store one
for task in dag.tasks:
    task.retries = 0
print("ANSWER" + json.dumps(dag.test().state.value))
"""
DAGS = '''"""A source. (Airflow DAG)"""
from ingest import ingest
from include.source import *
ingest(
    Source(
        name='rows',
        reader=WarehouseRows(conn_id='lineage', sql='tickets.sql', key='id', text='# {subject}, {body}',
                             metadata=('status',)),
        access=Columns(allow='team'),
        limits=Limits(max_duplicate_ratio=1.0, max_identical_vectors_ratio=1.0),
    ),
    schedule=None,
)
'''


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory,
    weaviate_server: Settings,
    embedder_server: int,
    asked_of_airflow: Any,
) -> Any:
    """Every event of a run of `rows`, from a table to the collection."""
    home = tmp_path_factory.mktemp("lineage")
    with collection_of_its_own(weaviate_server, embedder_server, home / "home") as settings:
        runtime = open_runtime(settings)
        dags = home / "dags"
        dags.mkdir()
        (dags / "ingest.py").write_text((PROJECT / "dags" / "ingest.py").read_text())
        (dags / "sources.py").write_text(DAGS)
        warehouse = home / "warehouse.duckdb"
        with duckdb.connect(str(warehouse)) as made:
            made.execute(
                "CREATE TABLE tickets (id INT, subject TEXT, body TEXT, team TEXT, status TEXT, priority TEXT, updated_at TIMESTAMP)"
            )
            made.executemany(
                "INSERT INTO tickets VALUES (?, ?, ?, ?, ?, 'low', now()::TIMESTAMP)",
                [
                    (n, f"Ticket {n}", BODIES[n % 10].format(n), "group:people", "open" if n % 3 else None)
                    for n in range(30)
                ],
            )
        log = home / "events.jsonl"
        env = {
            "AIRFLOW__OPENLINEAGE__DISABLED": "False",
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "moat-test",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "file", "log_file_path": str(log), "append": True}),
        }
        env["AIRFLOW_CONN_LINEAGE"] = json.dumps({"conn_type": "duckdb", "host": str(warehouse)})
        state = asked_of_airflow(RUN, home, str(dags), **environment_of(settings), **env)
        yield state, [json.loads(line) for line in log.read_text().splitlines()], settings, warehouse
        runtime.close()


def of(events: list[Any], job: str, state: str = "COMPLETE") -> Any:
    (found,) = [e for e in events if e["job"]["name"] == job and e["eventType"] == state]
    return found


def test_the_run_of_a_table_is_told_from_its_columns_to_the_collection(told: Any) -> None:
    state, events, settings, warehouse = told
    assert state == "success"
    table = ("duckdb", f"{warehouse}/tickets")
    staged = ("file", str(settings.home / "staging" / "rows"))
    made = (f"weaviate://127.0.0.1:{settings.weaviate_port}", settings.collection_name)

    def names(datasets: list[Any]) -> list[tuple[str, str]]:
        return [(one["namespace"], one["name"]) for one in datasets]

    wanted = {
        "rows.read": ([table], [staged]),
        "rows.decide": ([staged], []),
        "rows.load": ([table, staged], [made]),
        "rows.promote": ([table, staged], [made]),
    }
    for job, (inputs, outputs) in wanted.items():
        event = of(events, job)
        assert (names(event["inputs"]), names(event["outputs"])) == (inputs, outputs), job
        load = event["run"]["facets"]["moat_load"]
        assert (load["load"], load["source"], load["counts"]["listed"]) == (1, "rows", 30)
        assert event["run"]["facets"]["parent"]["job"]["name"] == "rows"
    assert "hush" not in json.dumps(events)


def test_what_was_read_is_counted_and_what_was_checked_is_asserted(told: Any) -> None:
    _, events, *_ = told
    (table,) = of(events, "rows.read")["inputs"]
    metrics = table["inputFacets"]["dataQualityMetrics"]
    assert metrics["rowCount"] == 30
    assert metrics["columnMetrics"]["status"]["nullCount"] == 10
    fields = {one["name"]: one["type"] for one in table["facets"]["schema"]["fields"]}
    assert set(fields) == {"id", "subject", "body", "status", "team"}
    assert fields["id"] == "integer"
    for job in ("rows.decide", "rows.promote"):
        staged = of(events, job)["inputs"][-1]
        asserted = {a["name"]: a for a in staged["inputFacets"]["dataQualityAssertions"]["assertions"]}
        assert asserted["access known"]["success"], job
        assert asserted["access known"]["expected"] == "100 %"
        assert asserted["access known"]["severity"] == "error"
        assert staged["facets"]["version"]["datasetVersion"] == "1"


def test_each_field_of_the_collection_leads_to_its_columns(told: Any) -> None:
    _, events, *_ = told
    (made,) = of(events, "rows.promote")["outputs"]
    followed = made["facets"]["columnLineage"]["fields"]
    assert {name: [one["field"] for one in field["inputFields"]] for name, field in followed.items()} == {
        "allow": ["team"],
        "key": ["id"],
        "metadata": ["status"],
        "text": ["subject", "body"],
    }
    assert made["facets"]["version"]["datasetVersion"] == "1"
    assert made["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "OVERWRITE"
    assert made["outputFacets"]["outputStatistics"]["rowCount"] == 30
    assert {one["name"] for one in made["facets"]["schema"]["fields"]} >= {"text", "allow", "metadata"}


def test_files_are_a_folder_and_buckets_a_prefix(settings: Settings, make_runtime: Any, tmp_path: Path) -> None:
    runtime = make_runtime(settings)
    company = Company(runtime, tmp_path / "docs")
    found = read(runtime, company.source, "airflow:docs:once", Options())
    facts = facts_of(runtime, company.source, "read", "airflow:docs:once")
    assert facts is not None
    assert facts.load.id == found.load
    (folder,), (staged,) = facts.inputs, facts.outputs
    assert (folder.namespace, folder.name, folder.n_rows) == ("file", str(tmp_path / "docs"), 3)
    assert staged.version == "1"
    assert facts_of(runtime, company.source, "read", "airflow:docs:another") is None
    bucket = company.declared(reader=S3Objects(conn_id="x", bucket="papers", prefix="legal/"))
    facts = facts_of(runtime, bucket, "load", "airflow:docs:once")
    assert facts is not None
    assert (facts.inputs[0].namespace, facts.inputs[0].name) == ("s3://papers", "legal")


@pytest.mark.parametrize(
    ("connection", "namespace", "name"),
    [
        (
            {"conn_type": "postgres", "host": "db", "schema": "sales", "password": "hush"},
            "postgres://db:5432",
            "sales.",
        ),
        ({"conn_type": "mysql", "host": "https://db", "port": 33, "login": "hush"}, "mysql://db:33", ""),
        ({"conn_type": "duckdb", "host": "/data/w.duckdb"}, "duckdb", "/data/w.duckdb/"),
        (None, "connection://lineage", ""),
    ],
)
def test_a_database_is_named_without_its_keys(connection: dict[str, Any] | None, namespace: str, name: str) -> None:
    known = {} if connection is None else {"AIRFLOW_CONN_LINEAGE": json.dumps(connection)}
    assert _database(EnvironmentConnections(known), "lineage") == (namespace, name)


def test_a_join_leads_each_column_to_its_own_table() -> None:
    known = {"AIRFLOW_CONN_LINEAGE": '{"conn_type": "postgres", "host": "db"}'}
    query = "SELECT t.id, b.body AS words FROM sales.tickets t JOIN bodies b ON b.id = t.id -- FROM nowhere"
    tables, origin = _parsed(query, EnvironmentConnections(known), "lineage")
    assert tables == ("bodies", "sales.tickets")
    assert origin == {"id": [("sales.tickets", "id")], "words": [("bodies", "body")]}


OFF = """
import sys
sys.path[:0] = sys.argv[1:]
from moat_lineage import emits
class Task: pass
emits(Task(), None, "read")
print("ANSWER", [name for name in sys.modules if name.startswith(("openlineage", "moat.monitoring.lineage", "moat.runtime"))])
"""


def test_where_openlineage_is_off_nothing_of_it_is_loaded() -> None:
    paths = [str(PROJECT), str(PROJECT / "plugins")]
    done = subprocess.run([sys.executable, "-c", OFF, *paths], capture_output=True, text=True, check=True)
    assert done.stdout == "ANSWER []\n"
