"""Erasure: a document is gone from index, ledger and staging, stays gone, and its receipt can be looked at again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import select, text

from moat.checks import FAMILIES
from moat.errors import ErasureRefused, IndexUnavailable
from moat.ids import document_id
from moat.index.store import WeaviateStore
from moat.ledger import Ledger, audit, documents, erasure, loads, quarantine, receipts
from moat.ledger.erasure import Request
from moat.ledger.receipts import Receipt
from moat.ledger.tables import document, embedding
from moat.local import servers
from moat.local.binaries import WEAVIATE, program
from moat.local.servers import WeaviateKeys, free_ports
from moat.maintenance.erase import Remnant, erase, verify
from moat.maintenance.reconcile import reconcile
from moat.runtime import Options, Runtime, raw_path
from moat.settings import Settings
from moat.source import Limits
from moat.stages.embed import embed
from moat.stages.gate import check, decide
from moat.stages.load import load
from moat.stages.prepare import prepare
from moat.stages.promote import promote
from moat.stages.read import read
from tests.company import ANN, HUGO, LEAVE, PAY, TRIPS, Company, open_runtime

EARNS = "What does a crane driver earn?"
SAYS = "A crane driver earns four thousand a month."
KEY = "people/pay.md"


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    made = Company(runtime, tmp_path / "docs")
    made.run()
    return made


def asked(*keys: str, **given: Any) -> Request:
    return Request(source="docs", keys=keys or (KEY,), by="test", because="she asked for it", **given)


def remains(home: Path, *sentences: str) -> list[str]:
    """Files below a folder that hold one of the sentences: as bytes, and inside of Parquet, which is compressed."""
    found = []
    for file in (f for f in home.rglob("*") if f.is_file()):
        body = file.read_bytes()
        if file.suffix == ".parquet":
            body += b"\n".join(
                v if isinstance(v, bytes) else str(v).encode()
                for column in pq.read_table(file).columns
                for v in column.to_pylist()
            )
        found += [file.name for s in sentences if s.encode() in body]
    return found


def held(company: Company) -> int:
    """A load that waits for a person, with a change of the document in it."""
    company.write(KEY, PAY.replace("four", "five"))
    company.remove("trips.md")
    result = company.run(company.declared(limits=Limits(max_vanished_ratio=0.0)))
    assert result.load.state == "held"
    return result.load.id


def test_an_erased_document_is_gone_from_everything_and_its_receipt_says_what_went(
    company: Company, index: WeaviateStore
) -> None:
    home, others = company.runtime.settings.home, len(list(index.every()))
    assert remains(home, SAYS), "else nothing is proved below"
    receipt = erase(company.runtime, index, asked())
    assert remains(home, SAYS, "crane") == []
    assert company.search(EARNS, HUGO, mode="keyword") == []
    assert company.keys("How long is parental leave?", ANN)[0] == "leave.md"
    assert (receipt.keys, receipt.documents) == ((KEY,), (document_id("default", "docs", KEY),))
    assert (len(receipt.chunks), len(receipt.text_hashes)) == (1, 1)
    assert receipt.removed["objects"] == receipt.removed["chunks"] == receipt.removed["embeddings"] == 1
    assert len(list(index.every())) == others - 1
    assert verify(company.runtime, index, receipt) == []
    assert receipts.get(company.runtime.ledger, receipt.id) == receipt
    assert Receipt.of(json.loads(receipt.text())) == receipt


def test_the_next_run_does_not_bring_it_back_however_it_is_asked(company: Company, index: WeaviateStore) -> None:
    receipt = erase(company.runtime, index, asked())
    assert company.run().verdict is None, "nothing is new"
    company.write(KEY, PAY.replace("four", "six"))
    for options in ({}, {"full": True}, {"only": (KEY,)}):
        company.run(**options)
        assert verify(company.runtime, index, receipt) == [], options
    assert company.search(EARNS, HUGO, mode="keyword") == []
    company.remove(KEY)
    company.run()
    company.write(KEY, PAY)
    company.run()
    assert verify(company.runtime, index, receipt) == []
    assert remains(company.runtime.settings.home, SAYS) == []


def test_a_rollback_does_not_bring_it_back(company: Company, index: WeaviateStore) -> None:
    company.write(KEY, PAY.replace("four", "nine"))
    company.write("leave.md", LEAVE.replace("twenty", "thirty"))
    promoted = company.run().load
    receipt = erase(company.runtime, index, asked())
    assert len(receipt.chunks) == 2, "what a rollback could have shown is known and gone, too"
    loads.rollback(company.runtime.ledger, promoted.id, "test")
    assert verify(company.runtime, index, receipt) == []
    assert company.search(EARNS, HUGO, mode="keyword") == []
    assert "twenty" in company.search("How long is parental leave?", ANN)[0].text
    assert remains(company.runtime.settings.home, "crane driver earns") == []


def test_a_repair_of_the_index_does_not_bring_it_back(company: Company, index: WeaviateStore) -> None:
    stray = next(o for o in index.every() if o.id in _chunks(company, KEY))
    receipt = erase(company.runtime, index, asked())
    assert reconcile(company.runtime, index, company.model(), company.pending(), repair=True)[0].agrees
    assert verify(company.runtime, index, receipt) == []
    from tests.contracts.store import an_object

    index.write([an_object(id=stray.id, source="docs", document=receipt.documents[0], key=KEY)])
    index.write([an_object(source="docs", document=receipt.documents[0], key=KEY)])
    assert {f.where for f in verify(company.runtime, index, receipt)} == {"index"}
    reconcile(company.runtime, index, company.model(), company.pending(), repair=True)
    assert verify(company.runtime, index, receipt) == []


def _chunks(company: Company, key: str) -> list[str]:
    from moat.ledger import projection

    identity = document_id("default", "docs", key)
    return projection.chunks_of(company.runtime.ledger, [identity])[identity]


def test_a_load_under_way_is_waited_for_and_nobody_sees_the_document_meanwhile(
    company: Company, index: WeaviateStore
) -> None:
    number = held(company)
    with pytest.raises(ErasureRefused, match=f"nobody sees .* Load {number} of docs is held .*moat reject {number}"):
        erase(company.runtime, index, asked())
    assert company.search(EARNS, HUGO, mode="keyword") == []
    begun = receipts.get(company.runtime.ledger, 1)
    assert Remnant("audit", "it was begun and is not done: give the command that began it again") in verify(
        company.runtime, index, begun
    )
    loads.reject(company.runtime.ledger, number, "test")
    receipt = erase(company.runtime, index, asked())
    assert (receipt.id, receipt.audit) == (begun.id, begun.audit), "it goes on where it stopped"
    assert verify(company.runtime, index, receipt) == []
    assert remains(company.runtime.settings.home, SAYS, "five thousand") == []
    assert len(receipt.text_hashes) == 2, "of the text that never became visible, too"
    with company.runtime.ledger.read() as connection:
        assert connection.execute(select(embedding).where(embedding.c.text_hash.in_(receipt.text_hashes))).all() == []


def test_a_run_that_had_read_it_before_leaves_it_out_and_what_it_staged_goes_after(
    company: Company, index: WeaviateStore
) -> None:
    runtime, source = company.runtime, company.source
    company.write(KEY, PAY.replace("four", "seven"))
    company.write("leave.md", LEAVE.replace("twenty", "forty"))
    found = read(runtime, source, "test", Options())
    for batch in found.batches:
        prepare(runtime, source, found.load, batch.number)
        embed(runtime, source, found.load, batch.number)
    with pytest.raises(ErasureRefused):
        erase(runtime, index, asked())
    for family in FAMILIES:
        check(runtime, source, found.load, family.name)
    assert decide(runtime, source, found.load).outcome == "pass"
    load(runtime, source, found.load)
    promote(runtime, source, found.load, "test")
    assert company.search(EARNS, HUGO, mode="keyword") == []
    assert "forty" in company.search("How long is parental leave?", ANN)[0].text
    receipt = erase(runtime, index, asked())
    assert verify(runtime, index, receipt) == []
    assert remains(runtime.settings.home, SAYS, "seven thousand") == []
    loads.rollback(runtime.ledger, found.load, "test")
    company.run()
    assert verify(runtime, index, receipt) == []


def test_all_that_a_run_had_read_may_be_erased(company: Company, index: WeaviateStore) -> None:
    runtime, source = company.runtime, company.source
    company.write(KEY, PAY.replace("four", "eight"))
    found = read(runtime, source, "test", Options())
    prepare(runtime, source, found.load, 0)
    embed(runtime, source, found.load, 0)
    erasure.begin(runtime.ledger, asked())
    for family in FAMILIES:
        check(runtime, source, found.load, family.name)
    decide(runtime, source, found.load)
    load(runtime, source, found.load)
    promote(runtime, source, found.load, "test")
    assert verify(runtime, index, erase(runtime, index, asked())) == []


def test_a_quarantined_document_goes_with_its_bytes(company: Company, index: WeaviateStore) -> None:
    company.write("bad.md", b"\x7fELF the broken crane of the night shift")
    company.run()
    home = company.runtime.settings.home
    assert [q.key for q in quarantine.listing(company.runtime.ledger)] == ["bad.md"]
    assert remains(home, "the broken crane")
    receipt = erase(company.runtime, index, asked("bad.md"))
    assert receipt.removed["quarantine rows"] == 1
    assert quarantine.listing(company.runtime.ledger, resolved=True) == []
    assert remains(home, "the broken crane") == []
    company.run()
    quarantine.replay(company.runtime.ledger)
    company.run()
    assert verify(company.runtime, index, receipt) == []


def test_a_key_that_was_never_seen_is_refused_unless_it_is_meant(company: Company, index: WeaviateStore) -> None:
    with pytest.raises(ErasureRefused, match=r"never saw 1 of 2 keys of docs, 'later\.md' among them; nothing was"):
        erase(company.runtime, index, asked("leave.md", "later.md"))
    assert company.keys("How long is parental leave?", ANN)[0] == "leave.md"
    receipt = erase(company.runtime, index, asked("later.md", unknown="tombstone"))
    company.write("later.md", "# Later\n\nThe lighthouse is painted in spring.\n")
    company.run()
    assert verify(company.runtime, index, receipt) == []
    assert "later.md" not in company.keys("When is the lighthouse painted?", ANN)


def test_a_text_that_another_document_has_too_keeps_its_vector(company: Company, index: WeaviateStore) -> None:
    company.write("copy.md", PAY)
    company.run(company.declared(limits=Limits(max_duplicate_ratio=1.0, max_vanished_ratio=1.0)))
    receipt = erase(company.runtime, index, asked())
    assert receipt.removed["embeddings"] == 0
    assert company.keys(EARNS, ANN)[0] == "copy.md"
    assert verify(company.runtime, index, receipt) == []
    assert reconcile(company.runtime, index, company.model(), {}, repair=True)[0].agrees


def test_documents_of_one_person_alone_are_found_and_those_of_others_stay(
    company: Company, index: WeaviateStore
) -> None:
    company.write("hugo/.access.yaml", f"allow: ['{HUGO}']")
    company.write("hugo/note.md", "# Note\n\nHugo keeps bees on the roof.\n")
    company.write("hugo/deeper/.access.yaml", "inherit: true\nallow: [group:everyone]")
    company.write("hugo/deeper/more.md", "# More\n\nThe honey is sold in June.\n")
    company.write("two/.access.yaml", f"allow: ['{HUGO}', '{ANN}']")
    company.write("two/plan.md", "# Plan\n\nAnn and Hugo plan the summer party.\n")
    company.run()
    keys, others = erasure.alone(company.runtime.ledger, "docs", "user:Hugo@Example.com")
    assert (keys, others) == (["hugo/deeper/more.md", "hugo/note.md"], 1)
    number = held(company)
    with pytest.raises(ErasureRefused):
        erase(company.runtime, index, asked(*keys, principal=HUGO))
    assert erasure.alone(company.runtime.ledger, "docs", HUGO) == ([], 1)
    assert erasure.open_of(company.runtime.ledger, "docs", HUGO) == keys, "so that the same command goes on"
    loads.reject(company.runtime.ledger, number, "test")
    receipt = erase(
        company.runtime, index, asked(*erasure.open_of(company.runtime.ledger, "docs", HUGO), principal=HUGO)
    )
    assert verify(company.runtime, index, receipt) == []
    assert remains(company.runtime.settings.home, "bees on the roof", "honey") == []
    assert company.keys("Who plans the summer party?", HUGO)[0] == "two/plan.md"


def test_what_is_there_again_is_told_wherever_it_is(company: Company, index: WeaviateStore) -> None:
    runtime = company.runtime
    receipt = erase(runtime, index, asked())
    with runtime.ledger.write() as connection:
        connection.execute(document.update().where(document.c.key == KEY).values(erased_at=None))
        connection.execute(text("DROP TRIGGER audit_no_delete"))
        connection.execute(text("DELETE FROM audit WHERE action = 'erase'"))
    company.run()
    runtime.staging.write_bytes(raw_path(runtime, "docs", KEY), b"x")
    found = verify(runtime, index, receipt)
    assert {f.where for f in found} == {"ledger", "index", "staging", "audit"}
    said = " ".join(f.what for f in found)
    for words in (
        "no tombstone of 1 documents",
        "rows of chunk",
        "rows of revision",
        "rows of presence",
        "/quarantine/",
    ):
        assert words in said
    assert "names one of the documents" in said
    again = erase(runtime, index, asked())
    assert again.id == receipt.id + 1
    assert verify(runtime, index, again) == []


def test_a_receipt_that_was_changed_is_known(company: Company, index: WeaviateStore) -> None:
    receipt = erase(company.runtime, index, asked())
    changed = replace(receipt, chunks=())
    assert verify(company.runtime, index, changed) == [Remnant("audit", "this is not the receipt that was given")]
    with pytest.raises(ErasureRefused, match="MOAT_TENANT"):
        verify(company.runtime, index, replace(receipt, tenant="other"))
    with pytest.raises(ErasureRefused, match="no receipt"):
        Receipt.of({"id": 1})


def test_an_erasure_that_broke_off_at_the_index_goes_on(company: Company, index: WeaviateStore) -> None:
    class Down:
        def exists(self) -> bool:
            raise IndexUnavailable("down")

    with pytest.raises(IndexUnavailable):
        erase(company.runtime, Down(), asked())  # type: ignore[arg-type]
    assert company.search(EARNS, HUGO, mode="keyword") == []
    receipt = erase(company.runtime, index, asked())
    assert (receipt.id, verify(company.runtime, index, receipt)) == (1, [])


def test_the_audit_and_the_log_files_hold_no_text_of_any_document(company: Company, index: WeaviateStore) -> None:
    company.search(EARNS, HUGO)
    company.search(EARNS, "user:stranger@example.com")
    company.search(SAYS, None)
    company.write("bad.md", b"\x7fELF never readable words")
    company.run()
    number = held(company)
    loads.reject(company.runtime.ledger, number, "test", "wrong")
    promoted = company.run().load
    loads.rollback(company.runtime.ledger, promoted.id, "test")
    erase(company.runtime, index, asked())
    lines = "\n".join(audit.exported(entry) for entry in audit.rows(company.runtime.ledger))
    actions = {entry.action for entry in audit.rows(company.runtime.ledger)}
    assert {"promote", "reject", "rollback", "erase", "erased", "query denied"} <= actions
    texts = [line for body in (LEAVE, PAY, TRIPS, "never readable words", EARNS) for line in body.splitlines()]
    assert [line for line in texts if line.strip() and line.strip("# ") in lines] == []
    assert KEY not in lines, "a key may be somebody's name, and the audit stays"
    assert audit.verify(company.runtime.ledger).rows == lines.count("\n") + 1


def test_after_a_restart_of_weaviate_the_receipt_still_holds(
    company: Company, binaries: Path, tmp_path: Path, make_runtime: Any
) -> None:
    keys = WeaviateKeys.new()
    folder, opened = tmp_path / "weaviate", list[Company]()
    receipt: Receipt | None = None
    port, grpc_port = free_ports(2)  # the same after the restart: a node is known by its port
    for start in ("first", "second"):
        server = servers.weaviate(program(WEAVIATE, binaries, print), folder, port, grpc_port, keys)
        changed = {"weaviate_port": port, "weaviate_grpc_port": grpc_port, "home": tmp_path / "own"}
        settings = company.runtime.settings.model_copy(update=changed)
        settings = Settings.model_validate(
            settings.model_dump() | {f"weaviate_{r}_key": getattr(keys, r) for r in ("operator", "writer", "reader")}
        )
        with servers.running(server):
            if start == "first":
                opened.append(Company(make_runtime(settings), tmp_path / "others"))
                opened[0].run()
            else:
                opened[0].runtime = open_runtime(settings)
            index = opened[0].index()
            receipt = receipt or erase(opened[0].runtime, index, asked())
            assert verify(opened[0].runtime, index, receipt) == []
            assert opened[0].keys("How long is parental leave?", ANN)[0] == "leave.md"
            assert opened[0].search(EARNS, HUGO, mode="keyword") == []
            index.close()
    opened[0].runtime.close()


def test_what_was_deleted_under_an_older_schema_goes_from_the_file_with_the_upgrade(settings: Settings) -> None:
    import sqlite3

    from alembic import command

    from moat.ledger import _alembic

    ledger = Ledger(settings.ledger, "default")
    settings.home.mkdir()
    with ledger.engine.begin() as connection:
        config = _alembic()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    ledger.close()
    old = sqlite3.connect(settings.home / "ledger.db", isolation_level=None)
    old.execute("PRAGMA secure_delete=OFF")
    old.execute("INSERT INTO audit_head VALUES ('other', 'the old secret')")
    old.execute("DELETE FROM audit_head")
    old.close()
    ledger.migrate()
    assert ledger.scrub()
    ledger.close()
    assert remains(settings.home, "the old secret") == []


def test_counts_of_visible_documents_know_of_it(company: Company, index: WeaviateStore) -> None:
    erase(company.runtime, index, asked())
    assert documents.count_visible(company.runtime.ledger, "docs") == 2
