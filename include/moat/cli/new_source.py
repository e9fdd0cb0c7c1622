"""moat source new: a commented DAG file to begin with."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from moat.cli import render
from moat.cli.shared import Json, connections, out
from moat.dagfile import DAGS, Declared, declared, file_declaring, known_as, sources_in
from moat.errors import DeclarationError, LedgerError, LedgerUnavailable
from moat.ledger import Ledger
from moat.maintenance.examine_sources import examine_sources, surroundings
from moat.maintenance.examined import Examined
from moat.settings import Settings
from moat.source import AccessFiles, LocalFiles, Source


class Kind(StrEnum):
    FOLDER = "folder"
    S3 = "s3"
    ROWS = "rows"


HEAD = '''"""{title}, {what}. (A DAG file of Airflow)"""

from ingest import ingest

from include.source import {names}

ingest(
    Source(
        name={name!r},
        description={title!r},
'''
TAIL = """        # A smaller listing holds the load: a share that is half there, a query that lost its rows.
        # limits=Limits(min_documents=10),        # import Limits, too
        # What is found in the text: personal data, secrets, text that addresses a model.
        # risks=Risks(personal="redact"),         # import Risks, too
    ),
    # Cron, a preset such as "@hourly", or None: it then runs when it is triggered.
    schedule="@daily",
)
"""
FOLDER = """        # A folder, absolute or relative to the project. Patterns are those of .gitignore: `!` leaves out.
        reader=LocalFiles(path={at!r}, patterns=("*.md", "*.docx", "*.pdf")),
        # Who may read: one group all of it. Per folder instead: access=AccessFiles(), with .access.yaml files there.
        access=Groups(allow=({group!r},)),
"""
S3 = """        # The connection has the keys; its extra takes endpoint_url and region_name. `prefix` narrows the bucket.
        reader=S3Objects(conn_id={conn!r}, bucket={bucket!r}, prefix={prefix!r}, patterns=("*.md", "*.docx", "*.pdf")),
        # Who may read: one group all of it. Per object instead: access=ObjectTags(allow="readers").
        access=Groups(allow=({group!r},)),
"""
ROWS = """        # The query stands in dags/sql/. `key` never changes for a row; `modified_at` moves with every change of it.
        reader=WarehouseRows(
            conn_id={conn!r},
            sql={sql!r},
            key="id",
            text="# {{title}}\\n\\n{{body}}",
            modified_at="updated_at",
            metadata=(),  # columns to filter searches by
        ),
        # Who may read: one group all of it. Per row instead: access=Columns(allow="team").
        access=Groups(allow=({group!r},)),
"""
QUERY = """-- One row a document. Name its columns: the text, the key, when it changed.
SELECT id, title, body, updated_at
FROM {at}
"""


def new(
    name: Annotated[str, typer.Argument(help="Name of the source and of its DAG, such as policies.")],
    kind: Annotated[Kind, typer.Option(help="What is read: files of a folder, objects in S3, rows of a database.")],
    at: Annotated[str, typer.Option("--at", help="Where it is: a folder, BUCKET/PREFIX, or a table.")],
    group: Annotated[str, typer.Option("--group", help="Group that may read all of it.")],
    conn: Annotated[
        str, typer.Option("--conn", help="Connection of S3 or of the database; NAME_s3 or warehouse without it.")
    ] = "",
    json: Json = False,
) -> None:
    """Write a commented DAG file, and look at its source as doctor does."""
    Source(
        name=name, reader=LocalFiles("x"), access=AccessFiles()
    )  # a wrong name is refused before anything is written
    file, query = DAGS / f"{name}.py", DAGS / "sql" / f"{name}.sql"
    there = [
        path
        for path in (file, query if kind is Kind.ROWS else None, file_declaring(name, DAGS))
        if path and path.exists()
    ]
    if there:
        raise DeclarationError(f"{known_as(there[0], DAGS)} is there already: choose another name, or change that file")
    text = text_of(name, kind, at, group, conn)
    _tried(text)
    if kind is Kind.ROWS:
        query.parent.mkdir(exist_ok=True)
        query.write_text(QUERY.format(at=at), "utf-8")
    file.write_text(text, "utf-8")
    found = _examined(name)
    if json:
        typer.echo(render.as_json({"file": str(file), "found": found}))
        return
    out.print(f"dags/{file.name} is written; `moat run dags/{file.name} --dry-run` shows what a run would load")
    for one in found:
        out.print(f"{'ok' if one.ok else 'to do'}: {one.what}: {one.found}")


def text_of(name: str, kind: Kind, at: str, group: str, conn: str) -> str:
    """The text of a DAG file that declares a source of a kind."""
    title = name.replace("_", " ").capitalize()
    bucket, _, prefix = at.removeprefix("s3://").partition("/")
    what, reader, part = {
        Kind.FOLDER: ("files of a folder", "LocalFiles", FOLDER.format(at=at, group=group)),
        Kind.S3: (
            "objects in S3",
            "S3Objects",
            S3.format(conn=conn or f"{name}_s3", bucket=bucket, prefix=prefix, group=group),
        ),
        Kind.ROWS: (
            "rows of a database",
            "WarehouseRows",
            ROWS.format(conn=conn or "warehouse", sql=f"{name}.sql", group=group),
        ),
    }[kind]
    names = ", ".join(sorted(["Groups", "Source", reader]))
    return HEAD.format(title=title, what=what, names=names, name=name) + part + TAIL


def _tried(text: str) -> None:
    """Raise what is wrong with a DAG file, such as a group that is no name, before it stands among the others."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "source.py")
        file.write_text(text, "utf-8")
        sources_in(file)


def _examined(name: str) -> list[Examined]:
    """The row of doctor about this source."""
    settings = Settings.load()
    try:
        ledger = Ledger.open(settings)
    except (LedgerError, LedgerUnavailable):  # before the first `make run` there is none: groups are not looked up
        ledger = None
    try:
        around, found = surroundings(settings, connections(), ledger), declared(DAGS)
        one = Declared({name: found.sources[name]}, {}, found.files, found.schedules)
        return examine_sources(replace(around, found=one), folder=DAGS)
    finally:
        if ledger is not None:
            ledger.close()
