"""A source checks itself when its file is parsed, and says what is wrong in words."""

import subprocess
import sys
from typing import Any

import pytest

from moat.errors import DeclarationError
from moat.source import (  # fmt: skip
    AccessFiles,
    Chunking,
    Columns,
    Golden,
    Groups,
    Limits,
    LocalFiles,
    ObjectTags,
    Public,
    S3Objects,
    Source,
    WarehouseRows,
)

ROWS = WarehouseRows(conn_id="w", sql="t.sql", key="id", text="# {subject}")


def source(**changed: Any) -> Source:
    return Source(**{"name": "tickets", "reader": ROWS, "access": Columns(allow="team"), **changed})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"chuncking": 1}, ["chuncking", "Did you mean chunking?", "It takes name"]),
        ({"limits": Limits(min_document=1)}, ["limits.min_document", "Did you mean min_documents?"]),  # type: ignore[call-arg]
        ({"limits": Limits(min_documents="many")}, ["limits.min_documents", "many"]),  # type: ignore[arg-type]
        ({"limits": Limits(max_vanished_ratio=30)}, ["limits.max_vanished_ratio=30", "from 0 to 1"]),
        ({"chunking": Chunking(target_tokens=8)}, ["chunking.target_tokens=8", "at least 32"]),
        ({"chunking": Chunking(overlap_tokens=-1)}, ["chunking.overlap_tokens=-1", "0 or more"]),
        ({"golden": Golden(file="", k=0)}, ["golden.file is empty", "golden.k=0"]),
        ({"name": "Tickets!"}, ["name='Tickets!'", "small letters"]),
        ({"name": "tickets\n"}, [r"name='tickets\n'", "small letters"]),
        ({"name": "sync_access"}, ["a DAG of Moat has this id", "sync_access_docs"]),
        ({"reader": 3}, ["reader", "got 3"]),
        ({"access": None}, ["access"]),
        ({"reader": LocalFiles(path="x")}, ["access=Columns needs columns", "LocalFiles", "AccessFiles"]),
        ({"access": ObjectTags(allow="readers")}, ["needs tags"]),
        ({"access": Groups(allow=("a b",))}, ["access.Groups", "display name"]),
        ({"access": Groups(allow=())}, ["allow is empty", "Public()"]),
        ({"reader": WarehouseRows(conn_id="w", sql="../t.sql", key="id", text="{a}")}, ["dags/sql"]),
        (
            {"reader": WarehouseRows(conn_id="w", sql="t.sql", key="i d", text="{a.b}")},
            ["'i d' is not a column's name", "{a.b}"],
        ),
        ({"reader": WarehouseRows(conn_id="w", sql="t.sql", key="id", text="no field")}, ["same document"]),
        ({"reader": WarehouseRows(conn_id="w", sql="t.sql", key="id", text="{a")}, ["write {{ for a brace"]),
        ({"reader": S3Objects(conn_id="", bucket="b"), "access": Public()}, ["reader.conn_id is empty"]),
    ],
)
def test_a_wrong_field_names_the_source_the_field_and_what_is_allowed(
    changed: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(DeclarationError) as error:
        source(**changed)
    for word in [*words, repr(changed.get("name", "tickets"))]:
        assert word in str(error.value)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(DeclarationError) as error:
        source(limits=Limits(min_document=1), chunking=Chunking(target=2))  # type: ignore[call-arg]
    assert "limits.min_document" in str(error.value)
    assert "chunking.target" in str(error.value)


def test_a_declaration_is_frozen_and_compares_by_value() -> None:
    assert source() == source()
    with pytest.raises(AttributeError):
        source().name = "other"  # type: ignore[misc]


def test_access_files_work_for_files_and_objects() -> None:
    assert Source(name="a", reader=LocalFiles(path="x"), access=AccessFiles())
    assert Source(name="a", reader=S3Objects(conn_id="c", bucket="b"), access=AccessFiles(".readers.yaml"))


def test_declaring_a_source_imports_nothing_heavy_because_every_task_pays_for_it() -> None:
    heavy = [
        "torch",
        "weaviate",
        "unstructured",
        "numpy",
        "pyarrow",
        "boto3",
        "sqlalchemy",
        "langchain_text_splitters",
        "airflow",
    ]
    code = f"import include.source, sys; print([m for m in {heavy!r} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_the_faces_and_the_package_give_the_same_names() -> None:
    import include.retrieve as asking
    import include.source as declaring
    import moat

    assert sorted(moat.__all__) == dir(moat) == sorted({*asking.__all__, *declaring.__all__})
    for face in (asking, declaring):
        assert all(getattr(face, name) is getattr(moat, name) for name in face.__all__)
