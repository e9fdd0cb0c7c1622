"""Every hostile file in one batch: each ends as its manifest expects, and the good ones beside it all load."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from moat.ledger import documents, projection
from moat.ledger.members import replace_members
from moat.ledger.quarantine import listing
from moat.runtime import Options, Runtime
from moat.source import Groups, Limits, LocalFiles, Source
from moat.stages.run import run
from tests.company import ANN

pytestmark = pytest.mark.timeout(1_800)  # a whole corpus is embedded, beside whatever else the machine does

READ_BY_OCR = {"real/pypdf__encrypted_doc_no_id.pdf"}  # a scan, whose words no reader of text sees


def test_every_hostile_file_has_the_outcome_that_is_expected_of_it(runtime: Runtime, shared: Path) -> None:
    replace_members(runtime.ledger, "test", {"group:everyone": [ANN]}, "test")
    manifest = [json.loads(line) for line in (shared / "hostile" / "manifest.jsonl").read_text().splitlines()]
    source = Source(
        name="hostile",
        reader=LocalFiles(path=str(shared / "hostile"), patterns=("real/**", "generated/**")),
        access=Groups(allow=("everyone",)),
        limits=Limits(max_failed_ratio=1.0, max_duplicate_ratio=1.0, max_identical_vectors_ratio=1.0),
    )
    result = run(runtime, source, Options(), "test")
    assert result.load.state == "promoted", result.load.reason
    assert result.load.counts["listed"] == len(manifest)
    aside = {entry.key: entry.reason for entry in listing(runtime.ledger)}
    assert len(aside) + documents.count_visible(runtime.ledger, "hostile") == len(manifest)

    texts: dict[str, str] = defaultdict(str)
    for o in projection.visible_objects(runtime.ledger, "hostile"):
        texts[o.key] += f"{o.heading} {o.text}\n"
    wrong = {}
    for row in manifest:
        key, loaded = row["file"], row["file"] not in aside
        if row["expect"] != "either" and key not in READ_BY_OCR and (row["expect"] == "load") != loaded:
            wrong[key] = f"{row['expect']} was expected, it {'loaded' if loaded else aside[key]}"
        if not loaded:
            if not aside[key]:
                wrong[key] = "no reason"
            continue
        text = texts[key]
        if (wanted := row.get("must_contain")) and wanted not in text:
            wrong[key] = f"{wanted!r} is missing"
        if (forbidden := row.get("must_not_contain")) and forbidden in text:
            wrong[key] = f"{forbidden!r} is in it"
        if len(text) < row.get("min_chars", 0):
            wrong[key] = f"{len(text)} characters, {row['min_chars']} were expected"
    assert wrong == {}
