"""The sample company's systems: contracts bucket, ticket warehouse, group directory."""

import csv
import hashlib
from pathlib import Path

import yaml

from moat.connections import Connections
from moat.dagfile import all_directories
from moat.directories.sync import sync
from moat.ledger import Ledger
from moat.readers.s3_objects import client_of
from moat.settings import PROJECT

SAMPLES = PROJECT / "include" / "samples"


def bring(home: Path, connections: Connections, ledger: Ledger) -> None:
    """Fill the sample systems; existing data stays unchanged."""
    _bucket(connections)
    _warehouse(home / "warehouse.duckdb")
    directory = all_directories().directories.get("samples")
    if directory is not None:  # without the sample company its groups are not needed
        sync(ledger, connections, directory, "make run", progress=lambda line: None)


def _bucket(connections: Connections) -> None:
    from urllib.parse import urlencode

    s3 = client_of(connections.get("contracts_s3"))
    if "contracts" not in {b["Name"] for b in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket="contracts")
    there = {o["Key"]: o["ETag"].strip('"') for o in s3.list_objects_v2(Bucket="contracts").get("Contents", ())}
    for name, readers in yaml.safe_load((SAMPLES / "contracts" / "tags.yaml").read_text("utf-8")).items():
        content = (SAMPLES / "contracts" / name).read_bytes()
        if there.get(name) != hashlib.md5(content, usedforsecurity=False).hexdigest():
            s3.put_object(Bucket="contracts", Key=name, Body=content, Tagging=urlencode({"readers": readers}))
    s3.close()


def _warehouse(file: Path) -> None:
    import duckdb

    if file.exists():
        return
    with (SAMPLES / "tickets.csv").open(encoding="utf-8", newline="") as source:
        rows = [[value or None for value in row.values()] for row in csv.DictReader(source)]
    draft = file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with duckdb.connect(str(draft)) as warehouse:
        warehouse.execute(
            "CREATE TABLE tickets (id INTEGER, subject TEXT, body TEXT, team TEXT, status TEXT, priority TEXT, updated_at TIMESTAMP)"
        )
        warehouse.executemany("INSERT INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    draft.rename(file)
