"""Loads of a real company beside two months of loads like them: what departs is held, and says from what."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import insert

from moat.checks import FAMILIES
from moat.ledger import Ledger, checks, loads, measures
from moat.ledger.checks import CheckResult
from moat.ledger.tables import load as load_table
from moat.ledger.tables import measure as measure_table
from moat.runtime import Options, Runtime, path
from moat.source import Columns, Limits, Source, WarehouseRows
from moat.stages.gate import check, decide
from moat.stages.prepare import prepare
from moat.stages.read import read
from tests.company import Company

NIGHTS = 60
TEXT = "The crane at pier {n} lifts containers of up to forty tons, and the harbour master signs for each of them.\n\n"


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    company = Company(runtime, tmp_path / "docs")
    for n in range(14):
        company.write(f"piers/{n}.md", f"# Pier {n}\n\n" + TEXT.format(n=n) * 3)
    return company


def to_the_checks(company: Company, **options: Any) -> int:
    """A load that is read and prepared; nothing is embedded, which these checks do not look at."""
    found = read(company.runtime, company.source, "test", Options(**options))
    for batch in found.batches:
        prepare(company.runtime, company.source, found.load, batch.number)
    return found.load


def judged(company: Company, number: int, *families: str) -> list[CheckResult]:
    return [r for family in families for r in check(company.runtime, company.source, number, family)]


def failed(results: list[CheckResult]) -> dict[str, CheckResult]:
    return {r.name: r for r in results if r.failed}


def after_nights_like(company: Company, number: int, **changed: Any) -> None:
    """Write into the ledger that as many nights before went as this load does."""
    runtime, current = company.runtime, company.runtime.load(number)
    values = measures.of_load(runtime.ledger, number)
    with runtime.ledger.read() as connection:
        families = dict(connection.execute(measure_table.select().with_only_columns(
            measure_table.c.name, measure_table.c.family).where(measure_table.c.load_id == number)).all())  # fmt: skip
    with runtime.ledger.write() as connection:
        for night in range(NIGHTS):
            row = {
                "id": night - NIGHTS, "tenant": runtime.ledger.tenant, "source": current.source, "state": "promoted",
                "fence": 0, "run": "test", "options": {}, "counts": {"new": 1},
                "opened_at": current.opened_at - timedelta(days=NIGHTS - night),
            }  # fmt: skip
            connection.execute(insert(load_table).values(**{**row, **changed}))
            connection.execute(
                insert(measure_table),
                [{"load_id": row["id"], "name": n, "family": families[n], "value": v} for n, v in values.items()],
            )


LOOKED_AT = ("volume", "shape", "parsing", "chunks")


def usual(company: Company) -> None:
    """Sixty nights, each with all of these documents, and none of it promoted for real."""
    number = to_the_checks(company)
    assert failed(judged(company, number, *LOOKED_AT)) == {}
    after_nights_like(company, number)
    loads.reject(company.runtime.ledger, number, "test")


def test_a_load_like_those_before_passes_and_says_how_many_measures_it_kept_to(company: Company) -> None:
    usual(company)
    found = judged(company, to_the_checks(company), *LOOKED_AT)
    assert failed(found) == {}
    told = {r.name: r.seen for r in found}
    for family in LOOKED_AT:
        assert "measures within their usual range over" in told[f"learned bounds, {family}"]


def test_what_is_measured_stands_in_the_ledger_once_however_often_the_family_ran(company: Company) -> None:
    number = to_the_checks(company)
    judged(company, number, *LOOKED_AT)
    before = measures.of_load(company.runtime.ledger, number)
    judged(company, number, *LOOKED_AT)
    assert measures.of_load(company.runtime.ledger, number) == before
    assert (before["volume.listed"], before["type:text/markdown"], before["suffix:.md"]) == (17, 1.0, 1.0)
    assert before["chunks.headings"] == 1.0


def ruined(company: Company, how: Callable[[str], str | bytes]) -> None:
    for n in range(14):
        company.write(f"piers/{n}.md", how(f"# Pier {n}\n\n" + TEXT.format(n=n) * 3))


RUIN: dict[str, tuple[Callable[[str], str | bytes], str]] = {
    "read in the wrong encoding": (
        lambda text: text.replace("harbour", "Häfen für Übersee").encode().decode("cp1252", "replace"),
        "share of documents with mojibake",
    ),
    "bytes that were lost": (
        lambda text: text.replace("crane", "cr\ufffdne").replace("pier", "p\ufffder"),
        "share of documents with characters lost",
    ),
    "nearly emptied": (lambda text: text[:12], "characters per document"),
    "another language": (
        lambda text: text.split("\n")[0] + "\n\n" + "Der Kran hebt die Container und der Hafenmeister quittiert sie. " * 4,
        "share of documents in language de",
    ),
    "spaces that were lost": (
        lambda text: text.split("\n")[0] + "\n\n" + text.split("\n", 1)[1].replace(" ", ""),
        "share of documents whose words run together",
    ),
    "another kind of file": (lambda text: f"<html><body><p>{text}</p></body></html>", "share of documents of type text/html"),
    "one table": (
        lambda text: "| pier | crane |\n| --- | --- |\n" + "| seven | nine |\n" * 30,
        "share of chunks that are tables",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RUIN)
def test_documents_that_are_not_what_they_were_hold(company: Company, name: str) -> None:
    usual(company)
    how, check_name = RUIN[name]
    ruined(company, how)
    found = failed(judged(company, to_the_checks(company), *LOOKED_AT))
    assert check_name in found, found.keys()
    # Every document here is new: new ones in a further language are told, and hold nothing.
    assert found[check_name].severity == ("warn" if name == "another language" else "hold")
    assert "usually" in found[check_name].seen
    assert "as learned" in found[check_name].allowed


def test_half_a_listing_holds_though_no_fixed_limit_is_broken(company: Company) -> None:
    usual(company)
    for n in range(8):
        company.remove(f"piers/{n}.md")
    found = failed(judged(company, to_the_checks(company), "volume"))
    assert found["documents listed"].severity == "hold"
    assert found["documents listed"].seen.startswith("9, usually 17 to 17 over ")


def test_a_run_that_was_declared_out_of_the_ordinary_only_warns_and_the_report_says_so(company: Company) -> None:
    usual(company)
    for n in range(8):
        company.remove(f"piers/{n}.md")
    number = company.to_the_gate(expected="the old piers are closed")
    for family in FAMILIES:
        check(company.runtime, company.source, number, family.name)
    found = decide(company.runtime, company.source, number)
    assert found.outcome == "pass"
    assert {r.severity for r in found.failed} == {"warn"}
    report = company.runtime.staging.read_bytes(path("docs", number, "gate", "report.md")).decode()
    assert "Expected change, by test: the old piers are closed." in report
    assert "Documents: 9 listed, 9 new." in report


@pytest.mark.parametrize("asked", [{"limit": 10**9}, {"limit": 18}, {"limit": 17}, {"full": True}])
def test_what_a_run_asks_for_does_not_switch_learned_bounds_off(company: Company, asked: dict[str, Any]) -> None:
    usual(company)
    ruined(company, RUIN["nearly emptied"][0])
    found = failed(judged(company, to_the_checks(company, **asked), *LOOKED_AT))
    assert found["characters per document"].severity == "hold"


def test_naming_every_key_is_the_whole_source_for_learned_bounds(company: Company) -> None:
    usual(company)
    ruined(company, RUIN["nearly emptied"][0])
    keys = ("leave.md", "trips.md", "people/pay.md", *(f"piers/{n}.md" for n in range(14)))
    found = failed(judged(company, to_the_checks(company, only=keys), *LOOKED_AT))
    assert found["characters per document"].severity == "hold"


def test_a_run_that_was_cut_and_still_is_as_large_as_usual_is_compared(company: Company) -> None:
    usual(company)
    ruined(company, RUIN["nearly emptied"][0])
    for n in range(14, 24):
        company.write(f"piers/{n}.md", "# Pier")
    number = to_the_checks(company, limit=20)
    assert company.runtime.load(number).counts["waiting"] == 7
    assert failed(judged(company, number, *LOOKED_AT))["characters per document"].severity == "hold"


def test_a_run_that_its_limit_really_cut_is_beside_nothing(company: Company) -> None:
    usual(company)
    ruined(company, RUIN["nearly emptied"][0])
    found = judged(company, to_the_checks(company, limit=2), *LOOKED_AT)
    assert not [r for r in found if r.measure or r.name.startswith("learned bounds")]


def test_naming_the_keys_that_vanish_does_not_switch_off_the_limit_of_deletions(company: Company) -> None:
    assert company.run().load.state == "promoted"
    company.source = company.declared(limits=Limits())
    for n in range(14):
        company.remove(f"piers/{n}.md")
    found = failed(judged(company, to_the_checks(company, only=tuple(f"piers/{n}.md" for n in range(14))), "volume"))
    assert found["mass deletion"].severity == "hold"


def test_a_run_for_some_documents_is_beside_nothing(company: Company) -> None:
    usual(company)
    found = judged(company, to_the_checks(company, only=("piers/1.md",)), *LOOKED_AT)
    assert not [r for r in found if r.measure or r.name.startswith("learned bounds")]


def test_a_declared_event_begins_anew(company: Company) -> None:
    usual(company)
    measures.declare(company.runtime.ledger, "docs", "ann", "the archive has moved")
    for n in range(8):
        company.remove(f"piers/{n}.md")
    found = judged(company, to_the_checks(company), "volume")
    assert failed(found) == {}
    assert "not learned yet (0 of 14 loads)" in {r.seen for r in found}


def test_a_measure_that_cannot_be_learned_from_blocks(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    number = to_the_checks(company)

    def crash(*given: object) -> list[CheckResult]:
        raise ZeroDivisionError("no spread")

    monkeypatch.setattr("moat.checks.baselines.judge", crash)
    found = failed(judged(company, number, "chunks"))
    assert (found["chunks crashed"].severity, found["chunks crashed"].seen) == ("block", "ZeroDivisionError")


# --- what is an example


def promoted(ledger: Ledger, value: float, options: dict[str, Any] | None = None, **changed: Any) -> int:
    """A load that measured something and was promoted; its number."""
    current = loads.open_load(ledger, "s", f"run {value}", {**(options or {})}, 60)
    measures.keep(ledger, current, "volume", {"m": value})
    with ledger.write() as connection:
        connection.execute(
            load_table.update().where(load_table.c.id == current.id).values(**{"state": "promoted", **changed})
        )
        connection.exec_driver_sql("UPDATE source SET lease_load = NULL")
    return current.id


def test_history_is_of_loads_that_were_let_through_and_are_as_people_expect_them(ledger: Ledger) -> None:
    promoted(ledger, 1)
    promoted(ledger, 2, state="rolled back")
    promoted(ledger, 3, {"only": ["a"]})
    promoted(ledger, 4, {"limit": 9})
    promoted(ledger, 4.5, {"limit": 9}, counts={"listed": 20, "new": 9, "waiting": 11})
    promoted(ledger, 4.6, {"only": ["a"]}, counts={"listed": 20, "new": 1, "unasked": 19})
    promoted(ledger, 5, decided_by="ann")
    promoted(ledger, 5.5, {"limit": 10**9}, counts={"listed": 20, "new": 9})
    promoted(ledger, 6, {"full": True})
    promoted(ledger, 7, {"expected": "a backfill"})
    promoted(ledger, 8, counts={"again": 3})
    current = loads.open_load(ledger, "s", "now", {}, 60)
    found = [(p.value, p.how) for p in measures.history(ledger, current)["m"]]
    strange = [(v, "extraordinary") for v in (6, 7, 8)]
    assert found == [(1, "usual"), (5, "released"), (5.5, "usual"), *strange]
    for value in range(10, 20):
        loads.reject(ledger, current.id, "test")
        promoted(ledger, value)
        current = loads.open_load(ledger, "s", "now", {}, 60)
    assert {p.how for p in measures.history(ledger, current)["m"]} == {"usual", "released"}


# --- rows


@pytest.fixture
def warehouse(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Warehouse":
    monkeypatch.setattr("moat.runtime.PROJECT", tmp_path)
    return Warehouse(runtime, tmp_path, monkeypatch)


class Warehouse(Company):
    """A table of tickets in a real DuckDB, read by a source."""

    def __init__(self, runtime: Runtime, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runtime, self.file = runtime, folder / "w.duckdb"
        monkeypatch.setenv("AIRFLOW_CONN_W", json.dumps({"conn_type": "duckdb", "host": str(self.file)}))
        (folder / "dags" / "sql").mkdir(parents=True)
        (folder / "dags" / "sql" / "tickets.sql").write_text("SELECT * FROM tickets")
        reader = WarehouseRows(
            conn_id="w", sql="tickets.sql", key="id", text="# {subject}\n\n{body}", metadata=("price", "moved")
        )
        self.source = Source(name="docs", reader=reader, access=Columns(allow="team"))
        self.fill("price DOUBLE", "n * 1.5 + 10", "'2026-03-02 09:00:00'::TIMESTAMP + INTERVAL (n % 9) HOUR")

    def fill(
        self, price: str, value: str, moved: str, body: str = "'The crane of pier ' || n || ' is out of order'"
    ) -> None:
        with duckdb.connect(str(self.file)) as connection:
            connection.execute("DROP TABLE IF EXISTS tickets")
            connection.execute(
                f"CREATE TABLE tickets (id INTEGER, subject TEXT, body TEXT, team TEXT, moved TIMESTAMP, extra TEXT, {price})"
            )
            connection.execute(
                f"INSERT INTO tickets SELECT n, 'Ticket ' || n, {body}, 'all', {moved}, 'x', {value} FROM range(40) r(n)"
            )


def shapes(warehouse: Warehouse) -> dict[str, CheckResult]:
    return failed(judged(warehouse, to_the_checks(warehouse), "shape"))


NINE = "'2026-03-02 09:00:00'::TIMESTAMP + INTERVAL (n % 9) HOUR"
BROKEN: dict[str, tuple[tuple[str, ...], str, str]] = {
    "retyped": (("price TEXT", "n || ' euros'", NINE), "columns", "hold"),
    "half NULL": (("price DOUBLE", "CASE WHEN n % 2 = 0 THEN n END", NINE), "share of NULL in price", "hold"),
    "another unit": (("price DOUBLE", "(n * 1.5 + 10) * 100", NINE), "median of price", "hold"),
    "one value for all": (("price DOUBLE", "39.25", NINE), "share of the most common value of price", "hold"),
    "another time zone": (("price DOUBLE", "n * 1.5 + 10", f"{NINE} - INTERVAL 5 HOUR"), "time of day of moved", "hold"),
    "bodies cut": (("price DOUBLE", "n * 1.5 + 10", NINE, "'The'"), "characters in body", "hold"),
    "a new column": (("price DOUBLE, discount INTEGER", "n * 1.5 + 10, 3", NINE), "new columns", "warn"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_rows_of_another_shape_are_found(warehouse: Warehouse, name: str) -> None:
    number = to_the_checks(warehouse)
    judged(warehouse, number, "volume", "shape")
    after_nights_like(warehouse, number)
    loads.reject(warehouse.runtime.ledger, number, "test")
    assert shapes(warehouse) == {}
    loads.reject(warehouse.runtime.ledger, number + 1, "test")
    filled, check_name, severity = BROKEN[name]
    warehouse.fill(*filled)
    found = shapes(warehouse)
    assert check_name in found, found
    assert found[check_name].severity == severity


def test_a_column_that_is_gone_holds_at_the_second_load_already(warehouse: Warehouse) -> None:
    number = to_the_checks(warehouse)
    judged(warehouse, number, "volume", "shape")
    after_nights_like(warehouse, number)
    loads.reject(warehouse.runtime.ledger, number, "test")
    with duckdb.connect(str(warehouse.file)) as connection:
        connection.execute("ALTER TABLE tickets DROP COLUMN extra")
    found = shapes(warehouse)["columns"]
    assert found.severity == "hold"
    assert found.seen == "1 of 7 columns are gone (extra); 0 are of another type"
    assert found.allowed == "the columns of load -1, with their types"


def test_the_shape_of_rows_holds_no_value_of_any(warehouse: Warehouse) -> None:
    number = to_the_checks(warehouse)
    text = warehouse.runtime.staging.read_bytes(path("docs", number, "read", "shape.json")).decode()
    assert "crane" not in text
    assert "Ticket" not in text
    columns = {c["name"]: c for c in json.loads(text)["columns"]}
    assert (columns["price"]["type"], columns["price"]["n"], columns["price"]["nulls"]) == ("number", 40, 0)
    assert columns["extra"] == {**columns["extra"], "type": "", "n": 0}
    assert (columns["moved"]["type"], columns["id"]["type"], columns["id"]["distinct"]) == ("time", "integer", 1.0)
    assert columns["team"]["top"] == 1.0
    # Rows that were fetched are counted by value where there are few, under a digest.
    assert columns["body"]["moved"] == {}
    assert list(columns["team"]["moved"].values()) == [40]


def test_checks_of_every_family_are_recorded_under_names_of_their_own(company: Company) -> None:
    number = company.to_the_gate()
    found = [r.name for family in FAMILIES for r in check(company.runtime, company.source, number, family.name)]
    assert len(found) == len(set(found)) == len(checks.of_load(company.runtime.ledger, number))
    assert datetime.now(UTC) >= company.runtime.load(number).opened_at
