"""A source gets another name: nothing is embedded or written again, nothing of its past is lost, nobody sees other things."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from moat.dagfile import DAGS
from moat.errors import RenameRefused, StagingError
from moat.ledger import access, audit, loads, quarantine, receipts, renaming, sources
from moat.ledger.erasure import Request
from moat.ledger.every_table import metadata
from moat.ledger.former_names import document_ids, names_now
from moat.ledger.tables import source
from moat.maintenance.access_sync import sync_access
from moat.maintenance.erase import erase, verify
from moat.maintenance.rebuild import rebuild
from moat.maintenance.reconcile import reconcile
from moat.maintenance.rename import check_new_name, rename
from moat.owners import claim
from moat.search.explain_document import explain
from moat.source import Limits
from moat.staging import Staging
from tests.cli.test_cli import Place, fresh, moat  # noqa: F401
from tests.company import ANN, HUGO, PAY, Company, stored

LEAVE_TAKES = "How long is parental leave?"
KEY = "people/pay.md"


def test_a_renamed_source_keeps_everything(company_on_either_ledger: Company) -> None:
    company = company_on_either_ledger
    runtime, index = company.runtime, company.index()
    ledger = runtime.ledger
    receipt = erase(runtime, index, Request(source="docs", keys=("trips.md",), by="test"))
    company.write("broken.md", b"\x7fELF")
    company.run(company.declared(limits=Limits(max_failed_ratio=1.0)))
    company.write("more.md", "# More\n\nThere is more.\n")
    rejected = company.to_the_gate("rejected")
    assert loads.get(ledger, rejected).source == "docs"
    with pytest.raises(RenameRefused, match=f"load {rejected} of docs is not finished"):
        rename(runtime, "docs", "papers", "ann")
    loads.reject(ledger, rejected, "ann", "no")
    company.remove("more.md")
    before, ids = stored(index), document_ids(ledger, "docs", [KEY, "new.md"])
    history = [one.id for one in loads.recent(ledger, "docs", 10)]

    assert rename(runtime, "docs", "papers", "ann") == 2
    assert rename(runtime, "docs", "papers", "ann") == 2, "given again, it has nothing left to do"
    assert stored(index) == before, "the index is left alone"
    assert document_ids(ledger, "papers", [KEY, "new.md"]) == ids
    assert [one.id for one in loads.recent(ledger, "papers", 10)] == history
    assert (runtime.staging.files("docs"), names_now(ledger)) == ([], {"docs": "papers"})
    (aside,) = quarantine.listing(ledger)
    assert (aside.source, aside.key, aside.raw_uri) == (
        "papers",
        "broken.md",
        runtime.staging.at(f"papers/quarantine/{document_ids(ledger, 'papers', ['broken.md'])[0]}"),
    )
    assert runtime.staging.read_bytes(str(aside.raw_uri).removeprefix(f"{runtime.staging.uri}/")) == b"\x7fELF"
    assert verify(runtime, index, receipts.get(ledger, receipt.id)) == [], "a receipt of before holds"
    assert [(one.action, one.subject) for one in audit.tail(ledger, 1)] == [("rename", "source papers")]

    # People find the same by the new name, and nothing by the old one.
    (hit, *_) = company.search(LEAVE_TAKES, ANN, filters={"source": "papers"})
    assert (hit.source, hit.document_key) == ("papers", "leave.md")
    assert (company.shows_pay_to(HUGO), company.shows_pay_to(ANN)) == (True, False)

    # The next run knows all of it.
    renamed = company.declared(name="papers", limits=Limits(max_failed_ratio=1.0))
    assert company.run(renamed).load.state == "unchanged"
    company.write(KEY, PAY.replace("four", "five"))
    company.write("new.md", "# Bikes\n\nBikes stand in the yard.\n")
    changed = company.run(renamed)
    assert (changed.load.state, changed.load.counts["new"], changed.load.counts["changed"]) == ("promoted", 1, 1)
    assert company.keys("Where do bikes stand?", HUGO)[0] == "new.md"
    story = explain(ledger, "papers", KEY)
    assert story is not None
    assert len(story.revisions) == 2
    drifts = reconcile(runtime, index, company.model(), {})
    assert [(one.source, one.agrees) for one in drifts] == [("papers", True)]
    held = stored(index)
    assert rebuild(runtime, "ann").chunks == len(held)
    assert company.keys("Where do bikes stand?", HUGO)[0] == "new.md", "a rebuilt index is known by the same name"
    index.close()


def test_every_table_with_a_sources_name_is_renamed() -> None:
    named = {table for table in metadata.sorted_tables if "source" in table.c}
    assert named == set(renaming.OF_A_SOURCE)


def test_access_sync_masks_and_reads_a_renamed_source(company: Company) -> None:
    company.run()
    rename(company.runtime, "docs", "papers", "ann")
    renamed = company.declared(name="papers")
    (company.folder / "people" / ".access.yaml").write_text("allow: [people]\n")
    assert company.shows_pay_to(HUGO)
    (company.folder / "people" / ".access.yaml").write_text("allow: ['user:nobody@corp.com']\n")
    sync_access(company.runtime, renamed, "test")
    assert not company.shows_pay_to(HUGO)
    # A mask by the new name hides it, although the index knows the old one.
    ledger = company.runtime.ledger
    assert company.keys(LEAVE_TAKES, ANN) != []
    with ledger.write() as connection:
        connection.execute(update(source).where(source.c.name == "papers").values(access_until=datetime.now(UTC)))
    assert company.keys(LEAVE_TAKES, ANN) == []


def test_a_name_of_before_is_no_other_source(company: Company) -> None:
    company.run()
    runtime, ledger = company.runtime, company.runtime.ledger
    rename(runtime, "docs", "papers", "ann")
    rename(runtime, "papers", "files", "ann")
    assert names_now(ledger) == {"docs": "files", "papers": "files"}
    for refused in (
        lambda: company.run(),
        lambda: sync_access(runtime, company.source, "test"),
        lambda: claim(ledger, "docs", DAGS / "x.py", only_look=True),
        lambda: sources.own(ledger, "papers", "x.py"),
        lambda: access.begin(ledger, "papers"),
        lambda: renaming.rename(ledger, "docs", "others", "ann"),
        lambda: renaming.rename(ledger, "files", "docs", "ann"),
    ):
        with pytest.raises(RenameRefused, match="was renamed and is called files now"):
            refused()
    with pytest.raises(RenameRefused, match=r"no source 'fils'; there are files\. Nothing"):
        renaming.rename(ledger, "fils", "others", "ann")
    for name, why in (("Files", "small letters"), ("list", "is a command"), ("sync_access", "a DAG of Moat")):
        with pytest.raises(RenameRefused, match=why):
            check_new_name(ledger, "files", name)
    sources.own(ledger, "seen", "seen.py")  # declared, never loaded: its file gave it the new name first
    renaming.rename(ledger, "files", "seen", "ann")
    assert sources.owners(ledger)["seen"] == "seen.py"
    company.run(company.declared(name="other"))
    with pytest.raises(RenameRefused, match="other has loads of its own"):
        renaming.rename(ledger, "seen", "other", "ann")


def test_a_rename_goes_on_where_staging_failed(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    company.write("broken.md", b"\x7fELF")
    company.run(company.declared(limits=Limits(max_failed_ratio=1.0)))
    runtime = company.runtime

    def cut(*_: Any) -> None:
        raise OSError("the disk went away")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="went away"):
        patch.setattr(Staging, "copy_from", cut)
        rename(runtime, "docs", "papers", "ann")
    assert runtime.staging.files("docs") != []
    assert rename(runtime, "docs", "papers", "ann") == 3
    assert runtime.staging.files("docs") == []


def test_a_file_that_cannot_be_moved_stays_where_it_is(company: Company) -> None:
    company.write("broken.md", b"\x7fELF")
    company.run(company.declared(limits=Limits(max_failed_ratio=1.0)))
    staging = company.runtime.staging
    (bad,) = (path for path in staging.files("docs/quarantine") if not path.endswith(".sha256"))
    Path(staging.at(bad)).write_bytes(b"another content")
    for _ in range(2):
        with pytest.raises(StagingError, match=r"is called papers now, but 1 of its files.*is damaged"):
            rename(company.runtime, "docs", "papers", "ann")
    assert [path for path in staging.files("docs") if not path.endswith(".sha256")] == [bad]
    staging.remove("docs")
    assert rename(company.runtime, "docs", "papers", "ann") == 3


def test_the_command_says_what_is_left_to_do(fresh: Place, moat: Any) -> None:  # noqa: F811
    assert fresh.typed("run", fresh.dag).code == 0
    refused = moat(fresh, "source", "rename", "docs", "papers", MOAT_APPROVERS="cli:somebody")
    assert refused.err.startswith("DecisionRefused")
    done = moat(fresh, "source", "rename", "docs", "papers", MOAT_APPROVERS="")
    assert (done.code, done.err) == (0, "")
    assert (done.code, "3 documents keep their ids, vectors and history" in done.out) == (0, True)
    refused = moat(fresh, "run", fresh.dag)
    assert (refused.code, "docs was renamed and is called papers now" in refused.err) == (1, True)
    assert "is called papers now" in moat(fresh, "explain", "docs", KEY).err
    listed = fresh.typed("source", "list")
    assert [line.split()[0] for line in listed.out.splitlines()[1:]] == ["papers"]
    assert "its DAG file is broken" in listed.out
    health = fresh.typed("health")
    assert "docs.py: source docs was renamed and is called papers now: write this name there" in health.err
    assert "moat source retire" not in health.out, "its DAG file is there, and declares it by the name of before"
