"""`moat doctor` looks at every source as a dry run would: one row each, with what is wrong and how to mend it."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from moat import dagfile
from moat.connections import Connection, EnvironmentConnections, Sql
from moat.ledger import Ledger
from moat.ledger.members import replace_members
from moat.maintenance import examine_sources as examined
from moat.maintenance.examine_sources import Surroundings, examine_sources
from moat.maintenance.examined import Examined
from moat.settings import Settings

HEAD = """# A DAG of Airflow.
from ingest import ingest
from include.source import *
"""
FOLDER = "ingest(Source(name={name!r}, reader=LocalFiles({path!r}{patterns}), access=Groups(({group!r},)){more}){schedule})\n"
ROWS = "ingest(Source(name={name!r}, reader=WarehouseRows(conn_id={conn!r}, sql='q.sql', key='id', text='{{body}}'), access=Public()))\n"


class _Lite:
    """A warehouse; `slow` never answers."""

    placeholder = "?"

    def __init__(self, slow: bool) -> None:
        self._slow = slow

    def stream(
        self, sql: str, values: Sequence[object] = ()
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[object, ...]]]]:
        time.sleep(30 if self._slow else 0)
        found = sqlite3.connect(":memory:").execute(sql, values)
        yield tuple(column[0] for column in found.description), found.fetchall()


class _Connections(EnvironmentConnections):
    def get(self, conn_id: str) -> Connection:
        return super().get(conn_id) if conn_id == "nowhere" else Connection(conn_id=conn_id, conn_type="sqlite")

    def sql(self, conn_id: str) -> Sql:
        return _Lite(conn_id == "slow")


@pytest.fixture
def rows(
    tmp_path: Path, settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Examined]]:
    """A function that writes one DAG file for each source and gives doctor's rows by name."""
    dags, docs = tmp_path / "dags", tmp_path / "docs"
    (dags / "sql").mkdir(parents=True)
    (dags / "sql" / "q.sql").write_text("SELECT 1 AS id, 'x' AS text")
    docs.mkdir()
    (docs / "a.md").write_text("# A\n\nOne.\n")
    monkeypatch.setattr(examined, "PROJECT", tmp_path)

    def look(files: dict[str, str], **changed: Any) -> dict[str, Examined]:
        for name, text in files.items():
            (dags / f"{name}.py").write_text(text)
        given: dict[str, Any] = {
            "settings": settings,
            "connections": _Connections({}),
            "found": dagfile.declared(dags),
            "directories": frozenset({"okta"}),
            "loaded": frozenset(),
            "ledger": ledger,
            "max_tokens": 256,
        }
        return {row.what: row for row in examine_sources(Surroundings(**{**given, **changed}), 5.0, dags)}

    return look


def of_folder(name: str, path: str, head: str = HEAD, group: str = "staff", **given: str) -> str:
    told = {"patterns": "", "more": "", "schedule": ", schedule='@daily'", **given}
    return head + FOLDER.format(name=name, path=path, group=group, **told)


def test_each_source_is_well_or_says_what_is_wrong(
    rows: Callable[..., dict[str, Examined]], tmp_path: Path, ledger: Ledger
) -> None:
    docs = str(tmp_path / "docs")
    (tmp_path / "bad.yaml").write_text("questions: none\n")
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / ".access.yaml").write_text("alow: [group:staff]")
    (tmp_path / "locked" / "a.md").write_text("# A\n")
    for name, rule in {
        "open": "allow: [group:staff]",
        "other": "allow: [group:staff]",
        "odd": "alow: [group:staff]",
    }.items():
        (tmp_path / "mixed" / name).mkdir(parents=True)
        (tmp_path / "mixed" / name / ".access.yaml").write_text(rule)
        (tmp_path / "mixed" / name / "a.md").write_text("# A\n")
    files = {
        "well": of_folder("well", docs),
        "unseen": of_folder("unseen", docs, head=HEAD.replace("# A DAG of Airflow.\n", "# Nothing\n")),
        "cron": of_folder("cron", docs, schedule=", schedule='@dayly'"),
        "path": of_folder("path", f"{docs}/nowhere"),
        "pattern": of_folder("pattern", docs, patterns=", patterns=('*.pdf',)"),
        "golden": of_folder("golden", docs, more=", golden=Golden('bad.yaml')"),
        "missing": of_folder("missing", docs, more=", golden=Golden('none.yaml')"),
        "directory": of_folder("directory", docs, more=", directory='octa'"),
        "chunks": of_folder("chunks", docs, more=", chunking=Chunking(target_tokens=900)"),
        "access": HEAD + f"ingest(Source(name='access', reader=LocalFiles({str(tmp_path / 'locked')!r}), access=AccessFiles()))\n",
        "mixed": HEAD + f"ingest(Source(name='mixed', reader=LocalFiles({str(tmp_path / 'mixed')!r}), access=AccessFiles()))\n",
        "rows": HEAD + ROWS.format(name="rows", conn="lite"),
        "slow": HEAD + ROWS.format(name="slow", conn="slow"),
        "nowhere": HEAD + ROWS.format(name="nowhere", conn="nowhere"),
        "broken": HEAD + "import nothing_there\n",
    }  # fmt: skip
    found = rows(files)
    assert found["source well"] == Examined("source well", True, "schedule @daily; 1 documents, a.md can be read")
    assert found["source chunks"].found.endswith("chunking.target_tokens=900 is cut to the model's 256; 1 documents, a.md can be read")  # fmt: skip
    few = "who may read 1 of the first 3 documents is unknown, so nobody would see them: odd/a.md: "
    assert found["source mixed"].ok
    assert few in found["source mixed"].found
    words = {
        "source unseen": 'Airflow passes over unseen.py: it holds not both words "airflow" and "dag"',
        "source cron": "schedule='@dayly' is neither cron nor one of",
        "source path": "is not a folder that can be read (No such file or directory); is it mounted?",
        "source pattern": "nothing is listed by LocalFiles(",
        "source golden": "must be a list of {question",
        "source missing": "none.yaml cannot be read",
        "source directory": "directory='octa' is not declared; there are okta",
        "source access": "who may read 1 of the first 1 documents is unknown, so nobody would see them: a.md: ",
        "source rows": "q.sql does not return body; it returns id, text",
        "source slow": "it gave no document within 5 s",
        "source nowhere": "connection 'nowhere' is not defined",
        "DAG file broken.py": "No module named 'nothing_there'",
    }
    assert {name for name, row in found.items() if not row.ok} == set(words)
    for name, said in words.items():
        assert said in found[name].found, name
    assert [name for name, row in found.items() if not row.needed] == ["source nowhere"], "it was never set up"


def test_groups_are_known_once_there_are_any_and_a_loaded_source_must_have_its_connection(
    rows: Callable[..., dict[str, Examined]], tmp_path: Path, ledger: Ledger
) -> None:
    files = {
        "docs": of_folder("docs", str(tmp_path / "docs"), group="staf"),
        "nowhere": HEAD + ROWS.format(name="nowhere", conn="nowhere"),
    }
    assert rows(files)["source docs"].ok, "a fresh installation knows of no group yet"
    replace_members(ledger, "okta", {"group:staff": ["user:ann@example.com"]}, "test")
    found = rows({}, loaded=frozenset({"nowhere"}))
    assert found["source docs"].found.startswith("no directory has a member of group:staf (did you mean group:staff?)")
    assert (found["source nowhere"].ok, found["source nowhere"].needed) == (False, True)
    assert rows({}, ledger=None)["source docs"].ok
