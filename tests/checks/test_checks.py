"""Each check of the gate on a real load in staging: passing as it is, failing after one thing was broken."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from moat.checks import FAMILIES
from moat.checks.verdict import verdict
from moat.errors import EmbedderUnavailable, GateBlocked, LoadRefused
from moat.ids import text_hash
from moat.ledger import checks as results
from moat.ledger import loads
from moat.ledger.checks import CheckResult
from moat.records import Chunk, Embedded, Prepared
from moat.runtime import Runtime, path
from moat.source import Golden, Limits
from moat.stages.gate import check, decide, refused, table
from moat.stages.load import load
from tests.company import Company

T = TypeVar("T")


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    company = Company(runtime, tmp_path / "docs")
    for i in range(4):
        company.write(
            f"notes/{i}.md", f"# Note {i}\n\n" + "".join(f"Pier {i} has {n} cranes today.\n\n" for n in (i, 9))
        )
    return company


def change(company: Company, number: int, stage: str, kind: type[T], how: Callable[[list[T]], Iterable[T]]) -> None:
    """Write the first batch's file of a stage anew."""
    file = path("docs", number, stage, "0000.parquet")
    company.runtime.staging.write(file, kind, how(list(company.runtime.staging.read(file, kind))))


def failed(company: Company, number: int, family: str) -> dict[str, CheckResult]:
    return {r.name: r for r in check(company.runtime, company.source, number, family) if r.failed}


def with_vector(embedded: Embedded, vector: np.ndarray) -> Embedded:
    return replace(embedded, vector=np.ascontiguousarray(vector, "<f4").tobytes())


def vector_of(embedded: Embedded) -> np.ndarray:
    return np.frombuffer(embedded.vector, "<f4")


def first(rows: list[T], how: Callable[[T], T]) -> Iterator[T]:
    yield how(rows[0])
    yield from rows[1:]


def test_a_sound_load_passes_every_family(company: Company) -> None:
    number = company.to_the_gate()
    for family in FAMILIES:
        assert failed(company, number, family.name) == {}, family
    assert decide(company.runtime, company.source, number).outcome == "pass"
    report = company.runtime.staging.read_bytes(path("docs", number, "gate", "report.md")).decode()
    assert "**Load 1 of docs: pass.** Documents: " in report
    assert "- vectors: as embedded, canaries, " in report


def unit(text: str) -> Callable[[Chunk], Chunk]:
    return lambda c: replace(c, text=text, heading="", text_hash=text_hash(text))


CHUNKS: dict[str, tuple[Callable[[list[Chunk]], Iterable[Chunk]], str]] = {
    "tokens": (lambda rows: first(rows, lambda c: replace(c, n_tokens=257)), "block"),
    "empty chunks": (lambda rows: first(rows, unit(" ")), "block"),
    "text hashes": (lambda rows: first(rows, lambda c: replace(c, text=c.text + "!")), "block"),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_a_chunk_that_is_wrong_is_found(company: Company, name: str) -> None:
    number = company.to_the_gate()
    how, severity = CHUNKS[name]
    change(company, number, "chunk", Chunk, how)
    found = failed(company, number, "chunks")
    assert list(found) == [name]
    assert found[name].severity == severity
    assert found[name].documents


PREPARED: dict[str, Callable[[list[Prepared]], Iterable[Prepared]]] = {
    "schema": lambda rows: first(rows, lambda p: replace(p, title="")),
    "empty text": lambda rows: first(rows, lambda p: replace(p, n_characters=0)),
    "one document a key": lambda rows: [*rows, rows[0]],
}


@pytest.mark.parametrize("name", PREPARED)
def test_a_document_that_is_wrong_blocks(company: Company, name: str) -> None:
    number = company.to_the_gate()
    change(company, number, "document", Prepared, PREPARED[name])
    found = failed(company, number, "parsing")
    assert (list(found), found[name].severity) == ([name], "block")
    assert found[name].documents


@pytest.mark.parametrize("policy", ["", "{}", "null", '{"all": [["someone"]]}', "public"])
def test_a_document_without_a_readable_policy_blocks_the_whole_load(company: Company, policy: str) -> None:
    number = company.to_the_gate()
    change(company, number, "document", Prepared, lambda rows: first(rows, lambda p: replace(p, policy=policy)))
    found = failed(company, number, "access")
    assert found["access known"].severity == "block"
    assert found["access known"].documents == ("leave.md",)


VECTORS: dict[str, tuple[Callable[[list[Embedded]], Iterable[Embedded]], set[str]]] = {
    "another size": (
        lambda rows: [with_vector(e, vector_of(e)[:300] / np.linalg.norm(vector_of(e)[:300])) for e in rows],
        {"dimensions", "canaries"},
    ),
    "NaN": (lambda rows: first(rows, lambda e: with_vector(e, vector_of(e) * np.nan)), {"finite", "canaries"}),
    "infinity": (lambda rows: first(rows, lambda e: with_vector(e, vector_of(e) * np.inf)), {"finite", "canaries"}),
    "zeros": (lambda rows: first(rows, lambda e: with_vector(e, vector_of(e) * 0)), {"length", "canaries"}),
    "not of length 1": (lambda rows: first(rows, lambda e: with_vector(e, vector_of(e) * 2)), {"length"}),
    "one vector for all": (
        lambda rows: [with_vector(e, vector_of(rows[0])) for e in rows],
        {"identical", "canaries", "as embedded"},
    ),
    "vectors of other texts": (
        lambda rows: [with_vector(e, vector_of(o)) for e, o in zip(rows, rows[1:] + rows[:1], strict=True)],
        {"canaries", "as embedded", "order of the embedder"},
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_that_is_wrong_is_found(company: Company, name: str) -> None:
    number = company.to_the_gate()
    how, expected = VECTORS[name]
    with np.errstate(invalid="ignore"):
        change(company, number, "embed", Embedded, how)
    found = set(failed(company, number, "vectors"))
    assert expected - {"canaries"} <= found <= expected
    assert "canaries" in found or name in ("NaN", "infinity", "zeros", "not of length 1")


def test_vectors_in_another_order_than_the_chunks_block_as_a_crash(company: Company) -> None:
    number = company.to_the_gate()
    change(company, number, "embed", Embedded, lambda rows: reversed(rows))
    found = failed(company, number, "vectors")["vectors crashed"]
    assert found.severity == "block"
    assert "is in the place of chunk" in found.seen


def test_more_documents_in_quarantine_than_allowed_hold(company: Company) -> None:
    company.source = company.declared(limits=Limits(max_failed_ratio=0.1))
    company.write("broken1.pdf", b"%PDF-1.7 not really")
    company.write("broken2.pdf", b"%PDF-1.7 nor this")
    found = failed(company, company.to_the_gate(), "parsing")["quarantined share"]
    assert (found.severity, set(found.documents)) == ("hold", {"broken1.pdf", "broken2.pdf"})


def test_text_that_was_decoded_wrongly_holds_the_very_first_load(company: Company) -> None:
    for i in range(5):
        company.write(
            f"garbled{i}.md", f"# Café {i}\n\nThe café’s terrace opens at noon.\n".encode().decode("cp1252", "replace")
        )
    found = failed(company, company.to_the_gate(), "parsing")["broken characters"]
    assert (found.severity, found.documents) == ("hold", tuple(f"garbled{i}.md" for i in range(5)))


def test_mass_deletion_holds_and_names_documents(company: Company) -> None:
    company.run()
    company.source = company.declared(limits=Limits(max_vanished_ratio=0.3))
    for i in range(3):
        company.remove(f"notes/{i}.md")
    found = failed(company, company.to_the_gate(), "volume")["mass deletion"]
    assert found.severity == "hold"
    assert found.seen == "3 of 7 visible documents vanish (43%)"
    assert found.documents == ("notes/0.md", "notes/1.md", "notes/2.md")


def test_a_listing_smaller_than_declared_holds_even_the_first_time(company: Company) -> None:
    company.source = company.declared(limits=Limits(min_documents=100))
    found = failed(company, company.to_the_gate(), "volume")
    assert found["fewest documents"].allowed == "at least 100 (Limits.min_documents)"


def golden(tmp_path: Path, documents: str) -> Golden:
    file = tmp_path / "golden.yaml"
    file.write_text(f"- question: How long is parental leave?\n  documents: [{documents}]\n", "utf-8")
    return Golden(file=str(file), k=2, min_recall=1.0)


def test_golden_questions_are_asked_of_the_whole_candidate(company: Company, tmp_path: Path) -> None:
    company.source = company.declared(golden=golden(tmp_path, "leave.md"))
    assert company.run().load.state == "promoted"
    company.write("notes/0.md", "# Note 0\n\nNothing new at the pier.\n")
    # Only a note is in the new load; what answers stands in the ledger.
    assert failed(company, company.to_the_gate(), "golden") == {}


def test_a_load_that_loses_an_answer_is_held_before_anyone_sees_it(company: Company, tmp_path: Path) -> None:
    company.source = company.declared(golden=golden(tmp_path, "leave.md"))
    company.run()
    company.write("leave.md", "# Canteen\n\nSoup is served at noon.\n")
    result = company.run()
    assert result.load.state == "held"
    said = "recall@2: 1 of 1 test questions no longer find their documents: How long is parental leave?; recall@2 0.000"
    assert said in (result.load.reason or "")
    assert company.search("How long is parental leave?", "user:ann@example.com")[0].document_key == "leave.md"


@pytest.mark.parametrize("body", ["[", "question: one", "- question: no documents\n", "- documents: [a]\n"])
def test_a_golden_file_that_cannot_be_used_blocks_and_says_what_it_must_be(
    company: Company, tmp_path: Path, body: str
) -> None:
    (tmp_path / "golden.yaml").write_text(body, "utf-8")
    company.source = company.declared(golden=Golden(file=str(tmp_path / "golden.yaml")))
    number = company.to_the_gate()
    for family in FAMILIES:
        check(company.runtime, company.source, number, family.name)
    found = decide(company.runtime, company.source, number)
    assert found.outcome == "block"
    assert "golden" in found.reason


def test_a_family_that_left_no_result_blocks_and_nothing_is_loaded(company: Company) -> None:
    number = company.to_the_gate()
    for family in FAMILIES[:-1]:
        check(company.runtime, company.source, number, family.name)
    found = verdict(company.runtime, number)
    assert found.outcome == "block"
    assert found.reason == "golden did not run: no result, allowed: a check that runs"
    with pytest.raises(LoadRefused, match="golden did not run"):
        load(company.runtime, company.source, number)


def test_a_check_that_crashes_blocks(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    number = company.to_the_gate()

    def crash(candidate: object) -> list[CheckResult]:
        raise ZeroDivisionError("no documents at all")

    monkeypatch.setattr("moat.checks.volume.run", crash)
    assert failed(company, number, "volume")["volume crashed"].seen == "ZeroDivisionError"


def test_a_server_that_is_down_is_no_verdict(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    number = company.to_the_gate()

    def down(candidate: object) -> list[CheckResult]:
        raise EmbedderUnavailable("not now")

    monkeypatch.setattr("moat.checks.vectors.run", down)
    with pytest.raises(EmbedderUnavailable):
        check(company.runtime, company.source, number, "vectors")
    assert not [r for r in results.of_load(company.runtime.ledger, number) if r.family == "vectors"]


def test_a_check_that_is_run_again_replaces_its_result(company: Company) -> None:
    number = company.to_the_gate()
    change(company, number, "chunk", Chunk, CHUNKS["tokens"][0])
    assert failed(company, number, "chunks")
    change(company, number, "chunk", Chunk, lambda rows: first(rows, lambda c: replace(c, n_tokens=20)))
    assert not failed(company, number, "chunks")
    assert not [r for r in results.of_load(company.runtime.ledger, number) if r.failed]


def test_a_red_task_names_the_broken_rules(company: Company) -> None:
    number = company.to_the_gate()
    change(company, number, "chunk", Chunk, CHUNKS["tokens"][0])
    with pytest.raises(GateBlocked, match=r"tokens \(block\): 1 of 8 chunks are longer"):
        refused(check(company.runtime, company.source, number, "chunks"))


def test_a_report_is_a_list_that_a_value_cannot_break(company: Company) -> None:
    wild = CheckResult(
        name="a|b",
        family="chunks",
        severity="hold",
        passed=False,
        seen="line\n# break",
        allowed="none",
        documents=("x`y",),
    )
    results.keep(company.runtime.ledger, company.runtime.load(company.to_the_gate()), "chunks", [wild])
    decide(company.runtime, company.source, 1)
    report = company.runtime.staging.read_bytes(path("docs", 1, "gate", "report.md")).decode()
    assert "- **hold: a|b** (chunks). line # break. Allowed: none.\n  Such as `x'y`" in report
    assert "HOLD" in table([wild])


def test_a_blocked_load_is_not_for_people_to_release(company: Company) -> None:
    number = company.to_the_gate()
    change(company, number, "chunk", Chunk, CHUNKS["tokens"][0])
    for family in FAMILIES:
        check(company.runtime, company.source, number, family.name)
    assert decide(company.runtime, company.source, number).outcome == "block"
    with pytest.raises(LoadRefused, match="nothing to release"):
        loads.release(company.runtime.ledger, number, "someone")
    with pytest.raises(LoadRefused, match="the gate says block"):
        load(company.runtime, company.source, number)


def test_what_becomes_public_or_is_widened_too_far_by_a_load_waits(company: Company) -> None:
    company.run()
    company.write("people/.access.yaml", "public: true")
    public = failed(company, company.to_the_gate(), "access")["access widened"]
    assert (public.severity, public.documents) == ("hold", ("people/pay.md",))
    assert "1 of them become public" in public.seen
    company.write("people/.access.yaml", "allow: [group:everyone]")
    assert failed(company, company.to_the_gate(), "access") == {}
    company.source = company.declared(limits=Limits(max_widened_documents=0))
    wide = failed(company, company.to_the_gate(), "access")["access widened"]
    assert (wide.severity, wide.documents) == ("hold", ("people/pay.md",))
