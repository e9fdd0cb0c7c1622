"""What vectors are of, by which model, and where they lie: each departure is found, and what is sound passes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from moat.checks import geometry, vectors
from moat.checks.candidate import Candidate
from moat.checks.sample import Lowest
from moat.ids import text_hash
from moat.ledger import loads
from moat.ledger.checks import CheckResult
from moat.ledger.tables import embedding, load
from moat.records import Embedded
from moat.runtime import Runtime, path
from moat.settings import Settings
from tests.company import Company

LONG = "It waits there until the harbour master has signed the paper, and nobody moves it before that is done. " * 3
TOPICS = ("crane", "ferry", "customs form", "pallet", "night shift", "canteen", "invoice", "lighthouse")


@pytest.fixture
def company(served: Settings, make_runtime: Callable[[Settings], Runtime], tmp_path: Path) -> Company:
    """A company whose documents come in several batches."""
    company = Company(make_runtime(served.model_copy(update={"batch_mb": 0.002})), tmp_path / "docs")
    for n in range(24):
        company.write(
            f"notes/{n}.md", f"# The {TOPICS[n % 8]}\n\nNumber {n} of the {TOPICS[n * 5 % 8]} is at pier {n}. {LONG}\n"
        )
    return company


def judged(company: Company, number: int) -> tuple[dict[str, CheckResult], Candidate]:
    candidate = Candidate(runtime=company.runtime, source=company.source, load=company.runtime.load(number))
    return {r.name: r for r in vectors.run(candidate) if r.failed}, candidate


def swap(company: Company, number: int, batch: int, *, in_ledger: bool) -> None:
    """Give each text of a batch the vector of the next one, in staging and, if asked, where the ledger keeps it."""
    file = path("docs", number, "embed", f"{batch:04}.parquet")
    rows = list(company.runtime.staging.read(file, Embedded))
    swapped = [replace(e, vector=o.vector) for e, o in zip(rows, rows[1:] + rows[:1], strict=True)]
    company.runtime.staging.write(file, Embedded, swapped)
    if in_ledger:
        keep(company, {e.text_hash: e.vector for e in swapped})


def keep(company: Company, made: dict[str, bytes]) -> None:
    with company.runtime.ledger.write() as connection:
        for h, vector in made.items():
            connection.execute(update(embedding).where(embedding.c.text_hash == h).values(vector=vector))


def test_a_sound_load_passes_and_measures_itself(company: Company) -> None:
    number = company.to_the_gate()
    found, candidate = judged(company, number)
    assert found == {}
    assert len(candidate.batches) > 2
    assert candidate.measured["vectors.texts"] == candidate.measured["vectors.sampled"] == 28
    assert candidate.measured["vectors.norm"] == pytest.approx(1.0, abs=1e-5)
    assert 0 < candidate.measured["vectors.cosine"] < 0.9
    assert "vectors.shift" not in candidate.measured, "nothing is visible yet"


def test_vectors_of_other_texts_block_whichever_batch_they_are_in(company: Company) -> None:
    number = company.to_the_gate()
    last = company.runtime.load(number).counts["batches"] - 1
    # The embedder itself answered in another order: what the ledger keeps is wrong too, and only a canary tells.
    swap(company, number, last, in_ledger=True)
    found, _ = judged(company, number)
    assert {name: r.severity for name, r in found.items()} == {"canaries": "block", "order of the embedder": "block"}
    assert found["canaries"].documents
    loads.reject(company.runtime.ledger, number, "test")
    assert company.run().load.state == "promoted", "the wrong vectors are not used again"


def test_staged_vectors_that_the_embedder_did_not_give_block_however_few(company: Company) -> None:
    number = company.to_the_gate()
    file = path("docs", number, "embed", "0000.parquet")
    rows = list(company.runtime.staging.read(file, Embedded))
    company.runtime.staging.write(file, Embedded, [replace(rows[0], vector=rows[1].vector), *rows[1:]])
    found, _ = judged(company, number)
    assert found["as embedded"].severity == "block"
    assert found["as embedded"].seen == "1 of 28 vectors are not what the embedder gave for their texts"


def test_a_model_that_became_another_under_its_name_blocks(company: Company) -> None:
    company.run()
    with company.runtime.ledger.read() as connection:
        kept = {row.text_hash: row.vector for row in connection.execute(embedding.select())}
    turned = {h: np.roll(np.frombuffer(v, "<f4"), 1).astype("<f4").tobytes() for h, v in kept.items()}
    keep(company, turned)  # as another model of the same name and size would have made them
    company.write("new.md", "# New\n\nA word of today.\n")
    found, _ = judged(company, company.to_the_gate())
    assert {name: r.severity for name, r in found.items()} == {"drift of the embedder": "block"}
    assert found["drift of the embedder"].seen == "8 of 8 visible texts embedded again give another vector"


def test_a_load_by_another_model_holds_unless_it_brings_everything(company: Company) -> None:
    company.run()
    with company.runtime.ledger.write() as connection:
        connection.execute(update(load).values(model="another-model@1/384"))
    company.write("new.md", "# New\n\nA word of today.\n")
    number = company.to_the_gate()
    found, _ = judged(company, number)
    assert {name: r.severity for name, r in found.items()} == {"one model": "hold"}
    now = company.runtime.load(number).model
    assert found["one model"].seen == (
        f"model changed from another-model@1/384 to {now}: search mixes two spaces until 27 visible documents are embedded again"
    )
    company.runtime.staging.remove(f"docs/{number}")
    found, _ = judged(company, company.to_the_gate(full=True))
    assert found == {}


def test_an_embedder_that_serves_another_model_than_the_load_was_embedded_by_blocks(company: Company) -> None:
    number = company.to_the_gate()
    with company.runtime.ledger.write() as connection:
        connection.execute(update(load).values(model="gone@1/384"))
    found, _ = judged(company, number)
    assert "the load was embedded by gone@1/384, the embedder serves " in found["drift of the embedder"].seen


def test_new_texts_are_measured_against_the_visible_ones(company: Company) -> None:
    company.run()
    for n in range(24):
        company.write(
            f"more/{n}.md", f"# The {TOPICS[n * 3 % 8]}\n\nMore of the {TOPICS[n % 8]} number {n} at gate {n}.\n"
        )
    found, like = judged(company, company.to_the_gate())
    assert found == {}
    for n in range(24):
        company.write(f"more/{n}.md", f"Σημείωση {n}: η γραμμή {n * 7} του ποιήματος μιλά για τη θάλασσα {n}.\n")
    found, unlike = judged(company, company.to_the_gate())
    assert found == {}
    assert unlike.measured["vectors.shift"] > like.measured["vectors.shift"] + 0.3
    assert unlike.behind["vectors.shift"][0].startswith("more/")


def test_a_load_with_no_documents_needs_no_embedder(company: Company) -> None:
    company.run()
    company.remove("notes/1.md")
    number = company.to_the_gate()
    company.runtime = replace(
        company.runtime, settings=company.runtime.settings.model_copy(update={"model": "none-such"})
    )
    found, candidate = judged(company, number)
    assert (found, candidate.measured) == ({}, {})


# --- the measures by themselves


def rows(n: int, seed: int, towards: float = 0.0, dimensions: int = 48) -> np.ndarray:
    """Unit vectors around one direction, the closer to it the more `towards`."""
    made = np.random.default_rng(seed).normal(size=(n, dimensions))
    made[:, 0] += towards
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def test_mean_cosine_is_that_of_all_pairs() -> None:
    some = rows(40, 1, towards=4)
    pairs = (some @ some.T)[np.triu_indices(40, 1)]
    assert geometry.pairwise_cosine(some) == pytest.approx(float(pairs.mean()), abs=1e-5)
    assert geometry.pairwise_cosine(rows(40, 1, towards=40)) > 0.9


def test_a_shift_of_the_centroid_does_not_depend_on_how_many_rows_there_are() -> None:
    still = [geometry.centroid_shift(rows(n, n, towards=6), rows(800, 7, towards=6)) for n in (20, 60, 400)]
    assert max(still) < 0.08
    turned = rows(60, 3, towards=6)[:, ::-1]
    assert geometry.centroid_shift(turned, rows(800, 7, towards=6)) > 0.8


def test_a_classifier_tells_two_kinds_apart_and_one_kind_by_chance_alone() -> None:
    assert geometry.separability(rows(200, 1, 2), rows(200, 2, 2)) < 0.65
    assert geometry.separability(rows(200, 1, 2), rows(200, 2, -2)) > 0.95
    assert geometry.separability(rows(60, 1, 2), rows(400, 2, -2)) > 0.9


def test_hubs_are_told_by_their_skewness() -> None:
    even, few = rows(300, 1, towards=3), rows(300, 1, towards=3)
    few[:5] = few.mean(axis=0) / np.linalg.norm(few.mean(axis=0))  # nearer to every row than any other row is
    assert geometry.hubness(few) > geometry.hubness(even) + 2


def test_a_sample_is_the_same_in_any_order_and_holds_each_text_once() -> None:
    hashes = [text_hash(str(n)) for n in range(500)]
    orders = [hashes, hashes[::-1], sorted(hashes), sorted(hashes, reverse=True), hashes + hashes]
    samples = []
    for order in orders:
        lowest = Lowest[str](20)
        for h in order:
            lowest.add(h, h)
        samples.append(lowest.values())
    assert all(list(sample) == sorted(hashes)[:20] for sample in samples)
    assert Lowest[str](0).values() == {}
