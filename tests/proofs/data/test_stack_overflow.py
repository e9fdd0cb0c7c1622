"""Stack Overflow rows in a real DuckDB file: loaded, and only what moved is read again."""

import json
from pathlib import Path

import duckdb
import pytest

from moat.ledger.members import replace_members
from moat.retrieve import Retriever
from moat.runtime import Options, Runtime
from moat.source import Columns, Limits, Source, WarehouseRows
from moat.stages.run import run

pytestmark = pytest.mark.timeout(1_800)  # a whole corpus is embedded, beside whatever else the machine does


def test_rows_load_and_only_what_moved_is_read_again(
    runtime: Runtime, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(file) as connection:
        rows = str(shared / "warehouse" / "so_airflow_v1.jsonl")
        connection.execute(
            "create table posts as select *, 'group:' || (if(score > 5, 'everyone', 'staff')) as readers "
            "from read_json(?, format='newline_delimited') where length(body) < 2000",  # the rest is logs, mostly
            [rows],
        )
        ((n,),) = connection.execute("select count(*) from posts").fetchall()
        assert n > 140
    monkeypatch.setenv("AIRFLOW_CONN_POSTS", json.dumps({"conn_type": "duckdb", "host": str(file)}))
    (tmp_path / "dags" / "sql").mkdir(parents=True)
    (tmp_path / "dags" / "sql" / "posts.sql").write_text("select * from posts;\n")
    monkeypatch.setattr("moat.runtime.PROJECT", tmp_path)
    groups = {"group:everyone": ["user:ann@example.com", "group:staff"], "group:staff": ["user:hugo@example.com"]}
    replace_members(runtime.ledger, "test", groups, "test")
    source = Source(
        name="posts",
        reader=WarehouseRows(
            conn_id="posts",
            sql="posts.sql",
            key="uuid",
            text="# {title}\n\n{body}",
            modified_at="updated_at",
            metadata=("owner", "url"),
        ),
        access=Columns(allow="readers"),
        limits=Limits(max_duplicate_ratio=1.0),
    )
    first = run(runtime, source, Options(), "test").load
    assert first.state == "promoted", first.reason
    assert (first.counts["listed"], first.counts["new"]) == (n, n)

    again = run(runtime, source, Options(), "test").load
    assert (again.state, again.counts["unchanged"]) == ("unchanged", n)

    with duckdb.connect(file) as connection:
        moved = "update posts set body = body || ' Solved by zanzibar.', updated_at = now()::timestamp::varchar "
        connection.execute(moved + "where uuid in (select uuid from posts order by uuid limit 3)")
        connection.execute("delete from posts where uuid = (select max(uuid) from posts)")
    third = run(runtime, source, Options(), "test").load
    assert third.state == "promoted", third.reason
    assert (third.counts["changed"], third.counts["vanished"], third.counts["unchanged"]) == (3, 1, n - 4)

    def of(owner: str) -> list[str]:
        with Retriever.from_settings(runtime.settings, runtime.connections) as door:
            hits = door.search("zanzibar", "user:hugo@example.com", mode="keyword", filters={"owner": owner})
        return sorted({hit.document_key for hit in hits})

    with duckdb.connect(file) as connection:
        uuid, owner = connection.execute(
            "select uuid, owner from posts where body like '%zanzibar.%' limit 1"
        ).fetchone()
        uuid = str(uuid)
        assert uuid in of(owner)
        connection.execute("update posts set owner = '42', updated_at = '2030-01-01' where uuid = ?", [uuid])
    fourth = run(runtime, source, Options(), "test").load
    assert (fourth.state, fourth.counts["changed"], fourth.counts["kept"]) == ("promoted", 1, 0)
    assert fourth.counts["written"] > 0
    assert of("42") == [uuid]
    assert uuid not in of(owner)
