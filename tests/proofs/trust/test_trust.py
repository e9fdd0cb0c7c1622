"""What the gate and its incidents promise, on a simulated company: a sample here, all of it by `make trust`."""

import ast
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from bench.results import ran_on
from moat.incidents.lifecycle import task_failed
from moat.ledger import incidents
from moat.settings import PROJECT, Settings
from tests.company import collection_of_its_own
from tests.proofs.trust.broken_files import files
from tests.proofs.trust.broken_rows import cases
from tests.proofs.trust.broken_world import around
from tests.proofs.trust.company import Size
from tests.proofs.trust.expected import CAUSES
from tests.proofs.trust.harness import Found, Kept, Night, Simulation, simulated
from tests.proofs.trust.parts import Parts
from tests.proofs.trust.scores import MEDIUM, SEVERE, Scores, page

DEFECTS = (*files.found, *cases.found, *around.found)
GENERATOR = ("words", "company", "defect", "broken_files", "broken_rows", "broken_world", "endpoint")
# Days end on a Monday, so that the defects come on a Tuesday, an ordinary working day.
FULL_DAYS, FEW_DAYS = 183, 29
SIZE = Size(papers=160, rows=160, new=1.2, edited=3.0, new_rows=2.0, edited_rows=4.0)
FEW_KINDS = 48
# The rules of triage were mended on other companies; the whole is measured on one that they had not seen.
FULL_SEED, FEW_SEED = 23, 5
SLOW = {"embedder_down", "budget_exceeded", "chunk_explosion"}  # seconds of waiting, or of cutting up long texts


@pytest.fixture(scope="module")
def simulation(
    weaviate_server: Settings, embedder_server: int, tmp_path_factory: pytest.TempPathFactory, full: bool, parts: Parts
) -> Iterator[Simulation]:
    home = tmp_path_factory.mktemp("trust")
    with (
        collection_of_its_own(weaviate_server, embedder_server, home / "home") as settings,
        simulated(settings, home, embedder_server, SIZE, parts.seed or (FULL_SEED if full else FEW_SEED)) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def nights(simulation: Simulation, full: bool, parts: Parts) -> list[Night]:
    """The clean nights."""
    return simulation.live(parts.days or (FULL_DAYS if full else FEW_DAYS))


@pytest.fixture(scope="module")
def kept(simulation: Simulation, nights: list[Night], tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return simulation.keep(tmp_path_factory.mktemp("kept") / "kept")


def sample() -> list[tuple[str, int]]:
    """Kinds drawn by fixed dice, each in one strength: severe and medium more often than a trace."""
    dice = Random(FEW_SEED)
    kinds = dice.sample([d.name for d in DEFECTS if d.name not in SLOW], FEW_KINDS)
    return [(name, dice.choice([1, 2, MEDIUM, MEDIUM, 4, SEVERE])) for name in kinds]


@pytest.mark.timeout(86_400)
def test_the_gate_keeps_its_promises(
    simulation: Simulation, nights: list[Night], kept: Kept, full: bool, parts: Parts
) -> None:
    by_name = {d.name: d for d in DEFECTS}
    pairs = [(d.name, s) for d in DEFECTS for s in range(1, 6)] if full else sample()
    found = []
    print(*(n for n in nights if n.flagged), sep="\n", flush=True)
    for name, strength in pairs:
        if not parts.asks_for(name, strength):
            continue

        def run(name: str = name, strength: int = strength) -> Found:
            return simulation.try_out(by_name[name], strength, kept)

        found.append(parts.once(f"{name} {strength}", Found, run))
        if full:
            print(name, strength, found[-1].night.outcome, found[-1].causes[:3], flush=True)
    scores = Scores(nights, found, DEFECTS)
    if full:
        words = ran_on("scikit-learn", "datasketch", "presidio-analyzer", "sentence-transformers")
        (PROJECT / "bench" / "TRUST.md").write_text(page(scores, words), "utf-8")
    assert scores.broken() == []


def test_five_hundred_failing_tasks_are_one_message(simulation: Simulation, kept: Kept) -> None:
    before, known = len(simulation.post), {i.id for i in incidents.listing(simulation.runtime.ledger)}
    try:
        for n in range(500):
            error = f"EmbedderUnavailable: the embedder did not answer in 6 tries: 503 (batch {n})"
            task_failed(
                simulation.runtime, "papers", "batch.embed", f"embed {n}", error, None, "airflow:papers:one-run"
            )
        assert len([i for i in incidents.listing(simulation.runtime.ledger) if i.id not in known]) == 1
        assert len(simulation.post) - before == 1
    finally:
        kept.back()


def test_there_are_kinds_enough_and_each_has_its_cause() -> None:
    assert len(DEFECTS) >= 40
    assert len({d.name for d in DEFECTS}) == len(DEFECTS)
    assert CAUSES.keys() == {d.name for d in DEFECTS}


def test_every_expected_cause_is_one_that_triage_knows() -> None:
    from moat.incidents.triage.rank import SIGNATURES

    assert {cause for causes in CAUSES.values() for cause in causes} <= {s.name for s in SIGNATURES}


def test_the_generator_shares_no_code_with_what_it_tests() -> None:
    """Files, rows, servers and disks are all that a defect reaches: nothing of Moat is imported."""
    for name in GENERATOR:
        tree = ast.parse((Path(__file__).with_name(f"{name}.py")).read_text("utf-8"))
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not any(m.split(".")[0] in ("moat", "include", "dags", "plugins") for m in modules), name
        ours = {m.rpartition(".")[2] for m in modules if m.startswith("tests.")}
        assert ours <= set(GENERATOR), name
