"""A source is retired: hidden at once, removed, refused while a DAG file declares it, and free to come back."""

from pathlib import Path
from typing import Any

import pytest

from moat import dagfile
from moat.errors import DeclarationError, ErasureRefused, IndexUnavailable, LoadRefused
from moat.index.store import WeaviateStore
from moat.ledger import audit, erasure, incidents, loads, quarantine, retiring, sources
from moat.ledger.erasure import Request
from moat.ledger.metrics import totals
from moat.maintenance import retire
from moat.maintenance.erase import erase, verify
from moat.maintenance.sources import listing, orphans
from moat.monitoring.health import health
from moat.search.explain_document import explain
from moat.source import Limits
from tests.cli.test_cli import Place, fresh, moat  # noqa: F401
from tests.company import ANN, HUGO, PAY, Company

LEAVE_TAKES = "How long is parental leave?"
KEY = "people/pay.md"


class _Down:
    """An index that does not answer."""

    def exists(self) -> bool:
        raise IndexUnavailable("Weaviate did not answer")


def test_a_source_is_hidden_first_then_removed_and_may_come_back(company_on_either_ledger: Company) -> None:
    company = company_on_either_ledger
    runtime, index = company.runtime, company.index()
    ledger = runtime.ledger
    erase(runtime, index, Request(source="docs", keys=("trips.md",), by="test"))
    company.write("broken.md", b"\x7fELF")
    company.write(KEY, PAY.replace("four", "five"))
    company.remove("leave.md")
    held = company.run(company.declared(limits=Limits(max_vanished_ratio=0.0, max_failed_ratio=1.0))).load
    assert held.state == "held"
    assert incidents.listing(ledger, "docs") != []
    with pytest.raises(ErasureRefused, match=r"no source 'dcos'; there are docs"):
        retiring.begin(ledger, "dcos", "ann", "")

    retiring.begin(ledger, "docs", "ann", "the wiki is gone")
    assert [company.keys(LEAVE_TAKES, who) for who in (ANN, HUGO)] == [[], []], "before the index is asked"
    assert loads.get(ledger, held.id).state == "rejected"
    assert incidents.listing(ledger, "docs") == []
    with pytest.raises(IndexUnavailable):
        retire.remove(runtime, _Down(), "docs")  # type: ignore[arg-type]
    with pytest.raises(LoadRefused, match="`moat source retire docs` finishes it"):
        company.run()
    retiring.begin(ledger, "docs", "ann", "again")  # goes on
    (done,) = retire.remove(runtime, index, "docs")
    assert (sorted(done.keys), done.done_at != "") == (["broken.md", "leave.md", KEY], True)
    assert verify(runtime, index, done) == []
    assert (list(index.every()), quarantine.listing(ledger)) == ([], [])
    assert retire.remove(runtime, index, "docs") == [], "all is done"

    found = {name: explain(ledger, "docs", name) for name in (KEY, "trips.md")}
    assert [story.state.partition(" at ")[0] for story in found.values() if story] == [
        "retired with its source",
        "erased",
    ]
    said = [(entry.action, entry.subject) for entry in audit.tail(ledger, 50)]
    assert [action for action, subject in said if subject == "source docs" and action == "retire"] == ["retire"], "once"
    assert ("promote", "load 1 of docs") in said
    assert health(ledger, []) == []
    assert totals(ledger).read_at == totals(ledger).access_read_at == {}
    (row,) = listing(ledger, dagfile.Declared({}, {}))
    assert (row.file, row.documents, row.last_load, row.state.startswith("retired at")) == ("", 0, held.id, True)

    erasure.begin(ledger, Request(source="docs", keys=("leave.md",), by="ann"))  # for good, whatever comes back
    company.write("leave.md", "# Leave\n\nParental leave lasts twenty weeks.\n")
    assert company.run().load.state == "promoted"
    assert sources.retired(ledger) == {}
    assert company.shows_pay_to(HUGO)
    assert company.keys(LEAVE_TAKES, ANN) == [], "what was erased by itself stays erased"
    index.close()


def test_a_declared_source_is_refused_and_one_without_its_file_is_named(
    company: Company, index: WeaviateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.run()
    ledger, dags = company.runtime.ledger, tmp_path / "dags"
    dags.mkdir()
    text = "from ingest import ingest\nfrom include.source import *\n{}\ningest(Source(name={!r}, reader=LocalFiles(path='/x'), access=Public()), schedule=None)\n"
    monkeypatch.setattr(retire, "DAGS", dags)
    monkeypatch.setattr(retire, "sources_of", lambda ledger: dagfile.declared(dags, sources.owners(ledger)))

    def found() -> dagfile.Declared:
        return dagfile.declared(dags, sources.owners(ledger))

    for name in ("docs", "other"):
        (dags / f"{name}.py").write_text(text.format("", name))
    sources.own(ledger, "docs", "docs.py")
    with pytest.raises(DeclarationError, match=r"take it out of dags/docs\.py first"):
        retire.refuse_declared(ledger, "docs")
    assert orphans(ledger, found()) == {}
    (dags / "docs.py").write_text(text.format("import nothing_there", "docs"))
    with pytest.raises(DeclarationError, match=r"docs\.py is broken and may declare"):
        retire.refuse_declared(ledger, "docs")
    assert orphans(ledger, found()) == {}
    assert (listing(ledger, found())[0].file, listing(ledger, found())[0].state) == (
        "dags/docs.py",
        "its DAG file is broken",
    )
    (dags / "docs.py").unlink()
    retire.refuse_declared(ledger, "docs")
    assert orphans(ledger, found()) == {"docs": 3}
    assert [(r.source, r.state) for r in listing(ledger, found())] == [
        ("docs", "no DAG file"),
        ("other", "never loaded"),
    ]
    assert orphans(ledger, dagfile.Declared({}, {})) == {"docs": 3}, "no DAG file declares anything any more"
    assert orphans(ledger, dagfile.Declared({}, {}), dags) == {}, "a machine without DAG files knows of no orphan"


def test_retiring_asks_and_prints_a_receipt(fresh: Place, moat: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    moat(fresh, "members", "load", str(fresh.folder / "../groups.yaml"))
    assert moat(fresh, "run", fresh.dag).code == 0
    refused = moat(fresh, "source", "retire", "docs", MOAT_APPROVERS="cli:somebody")
    assert refused.err.startswith("DecisionRefused")
    asked = moat(fresh, "source", "retire", "docs", MOAT_APPROVERS="")
    assert "with --yes to remove 3 documents of docs" in asked.err
    assert moat(fresh, "source", "list", "--json").json[1]["state"] == "no DAG file"
    done = moat(fresh, "source", "retire", "docs", "--yes", "--because", "moved")
    assert (done.code, "docs is retired: 3 documents are gone; 4 objects" in done.out) == (0, True)
    assert "holds" in moat(fresh, "erase", "verify", "1").out
    assert moat(fresh, "source", "retire", "docs", "--yes").out == "docs is retired: nothing of it is left\n"
