"""Ledger and staging are copied while loads go on, and come back whole into an empty place."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moat.errors import FatalError
from moat.ledger import Ledger, audit
from moat.ledger.loads import recent, sources
from moat.ledger.quarantine import listing
from moat.maintenance.backup import LEDGER, MANIFEST, backup, restore
from moat.maintenance.fingerprint import fingerprints
from moat.staging import Staging
from tests.company import LEAVE, Company


@pytest.fixture
def company(company_on_either_ledger: Company) -> Company:
    return company_on_either_ledger


@pytest.fixture
def empty(company: Company, tmp_path: Path, request: pytest.FixtureRequest) -> Ledger:
    """A ledger without tables, on the other kind of database than the company's."""
    if company.runtime.ledger.engine.dialect.name == "postgresql":
        return Ledger(f"sqlite:///{tmp_path}/new/ledger.db", company.runtime.ledger.tenant)
    return Ledger(request.getfixturevalue("another_postgres_database"), company.runtime.ledger.tenant)


def test_what_is_restored_is_what_was_copied(company: Company, empty: Ledger, tmp_path: Path) -> None:
    company.write("broken.docx", b"no archive at all")
    company.run()
    ledger, staging, lines = company.runtime.ledger, company.runtime.staging, list[str]()
    target = Staging(str(tmp_path / "copy #1 ü"))
    made = backup(ledger, staging, target, lines.append)
    assert made.fingerprints == {f.source: f.hash for f in fingerprints(ledger)}
    assert made.files >= 1, "the bytes of what is in quarantine"

    again = Staging(str(tmp_path / "again"))
    assert restore(empty, again, target, "cli:ann", lines.append) == made
    assert fingerprints(empty) == fingerprints(ledger)
    assert [q.key for q in listing(empty)] == [q.key for q in listing(ledger)] == ["broken.docx"]
    kept = [path for path in staging.files("") if not path.endswith(".sha256")]
    assert {path: again.read_bytes(path) for path in kept} == {path: staging.read_bytes(path) for path in kept}
    assert [(e.actor, e.action) for e in audit.tail(empty, 1)] == [("cli:ann", "restore")]
    audit.verify(empty)
    assert sources(empty) == sources(ledger)

    # The way goes on from there: numbers of loads are counted on.
    went_on = Company(replace(company.runtime, ledger=empty, staging=again), company.folder)
    went_on.write("leave.md", LEAVE.replace("twenty", "thirty"))
    last = max(load.id for load in recent(ledger))
    found = went_on.run().load
    assert (found.state, found.id > last) == ("promoted", True)
    empty.close()


def test_a_copy_that_was_changed_is_refused(company: Company, empty: Ledger, tmp_path: Path) -> None:
    target = Staging(str(tmp_path / "copy"))
    backup(company.runtime.ledger, company.runtime.staging, target, print)
    with target.local_copy(LEDGER) as file:
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE chunk SET text = 'other words'")
        connection.close()
        target.copy(file, LEDGER)  # with a checksum that fits
    with pytest.raises(FatalError, match="what was restored is not what was copied: docs"):
        restore(empty, Staging(str(tmp_path / "again")), target, "cli:ann", print)
    empty.close()


def test_a_place_that_holds_something_is_refused_on_both_ways(company: Company, empty: Ledger, tmp_path: Path) -> None:
    runtime, target = company.runtime, Staging(str(tmp_path / "copy"))

    def restored(ledger: Ledger, to: str = "free") -> None:
        restore(ledger, Staging(str(tmp_path / to)), target, "cli:ann", print)

    with pytest.raises(FatalError, match="holds no whole backup"):
        restored(empty)
    backup(runtime.ledger, runtime.staging, target, print)
    with pytest.raises(FatalError, match="holds files already: name a new folder"):
        backup(runtime.ledger, runtime.staging, target, print)
    with pytest.raises(FatalError, match="holds a ledger already"):
        restored(runtime.ledger)
    with pytest.raises(FatalError, match="MOAT_TENANT is other"):
        restored(Ledger(empty.url, "other"))
    Staging(str(tmp_path / "used")).write_bytes("docs/1/raw", b"x")
    with pytest.raises(FatalError, match="holds files already: move them away"):
        restored(empty, "used")
    target.remove(MANIFEST)
    with pytest.raises(FatalError, match="holds no whole backup"):
        restored(empty)
    assert target.exists(LEDGER)
    empty.close()


def test_a_fingerprint_is_of_what_people_find_and_of_nothing_else(
    company: Company, make_runtime: Callable[..., Any], tmp_path: Path
) -> None:
    (before,) = fingerprints(company.runtime.ledger)
    company.run(full=True)
    assert fingerprints(company.runtime.ledger) == [before], "the same documents, read again"
    company.write("people/.access.yaml", "allow: [group:everyone]")
    company.run()
    (opened,) = fingerprints(company.runtime.ledger)
    assert (opened.chunks, opened.hash == before.hash) == (before.chunks, False)
    company.write("people/.access.yaml", "allow: [group:people]")
    company.write("leave.md", LEAVE.replace("twenty", "thirty"))
    company.run()
    assert fingerprints(company.runtime.ledger)[0].hash not in (before.hash, opened.hash)
