"""PDF: headings from the outline, tables as rows, text in its order. On the samples that ship with Moat."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from moat.parse.sandbox import Sandbox
from moat.records import Document, RawDocument
from moat.settings import PROJECT, Settings

SAMPLES = PROJECT / "include" / "samples"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(Settings.model_validate({"home": tmp_path_factory.mktemp("home")})) as made:
        yield made


def parsed(sandbox: Sandbox, path: Path) -> Document:
    return sandbox.parse(
        RawDocument(
            key="k",
            uri="u",
            name=path.name,
            fingerprint="",
            content=path.read_bytes(),
            content_hash="",
            policy="",
            access_version=0,
        )
    )


def test_the_outline_gives_the_headings_with_their_levels(sandbox: Sandbox) -> None:
    document = parsed(sandbox, SAMPLES / "handbook" / "quality-manual.pdf")
    headings = [(b.level, b.text) for b in document.blocks if b.kind == "heading"]
    assert headings[:3] == [(1, "1. Scope and policy"), (2, "1.1 Scope"), (2, "1.2 Quality policy")]
    assert document.n_pages == 5
    assert "Quality" in document.title


def test_a_ruled_table_is_rows_with_its_own_header(sandbox: Sandbox) -> None:
    document = parsed(sandbox, SAMPLES / "contracts" / "cargo-insurance-summary.pdf")
    (table,) = [b.text for b in document.blocks if b.kind == "table"]
    lines = table.split("\n")
    assert lines[0] == "| Section | Limit for one event | Limit for the year | Deductible |"
    assert all(line.count("|") == 5 for line in lines)
    outside = " ".join(b.text for b in document.blocks if b.kind != "table")
    assert lines[2].split("|")[2].strip() not in outside


def test_tables_of_real_filings_keep_rows_together_under_their_periods(sandbox: Sandbox, shared: Path) -> None:
    document = parsed(sandbox, shared / "sec10q" / "docs" / "2023 Q3 AAPL.pdf")
    tables = [b.text for b in document.blocks if b.kind == "table"]
    sales = next(t for t in tables if "Total net sales" in t)
    assert "| Products | $ 60,584 | $ 63,355 | $ 230,901 | $ 245,241 |" in sales
    assert "Three Months Ended July 1, 2023" in sales.split("\n")[0]
    assert len(tables) > 20
