"""What the gate makes of a company that it was not tuned on: a sample here, all of it by `make trust`."""

import ast
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from bench.results import ran_on
from moat.incidents.triage.rank import SIGNATURES
from moat.settings import PROJECT, Settings
from tests.company import collection_of_its_own
from tests.proofs.trust.harness import Kept, Night
from tests.proofs.trust.parts import Parts
from tests.proofs.trust.second.harm import Harm
from tests.proofs.trust.second.harms_forms import forms
from tests.proofs.trust.second.harms_orders import table
from tests.proofs.trust.second.harms_share import share
from tests.proofs.trust.second.harms_texts import texts
from tests.proofs.trust.second.honest import honest, honest_rows
from tests.proofs.trust.second.nights import Honest, Outcome, Second, picked, second
from tests.proofs.trust.second.page import NIGHTS_PER_FALSE_HOLD, page
from tests.proofs.trust.second.unseen import UNSEEN

HARMS = (*share.found, *texts.found, *forms.found, *table.found)
HONEST = (*honest.found, *honest_rows.found)
GENERATOR = ("firm", "formats", "prose", "harm", "harms_share", "harms_texts", "harms_forms", "harms_orders", "honest")
FULL_DAYS, FEW_DAYS = 60, 18
SIZES = ("whole", "all", "a tenth", "three")
FULL_SEED, FEW_SEED = 11, 29
FEW = (  # of each class some, in the size that a small run tries
    ("conversion_failed", "all"),
    ("half_translated", "all"),
    ("tables_lost", "all"),
    ("secret_in_prose", "all"),
    ("salaries_moved", "all"),
    ("readers_off_by_one", "all"),
    ("dose_halved", "all"),
    ("separator_changed", "all"),
    ("negation_lost", "a tenth"),
    ("spaces_lost", "a tenth"),
    ("bodies_shifted", "a tenth"),
    ("injection", "a tenth"),
)


@pytest.fixture(scope="module")
def full(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="module")
def parts(request: pytest.FixtureRequest) -> Parts:
    return Parts(request.config)


@pytest.fixture(scope="module")
def company(
    weaviate_server: Settings, tmp_path_factory: pytest.TempPathFactory, full: bool, parts: Parts
) -> Iterator[Second]:
    home = tmp_path_factory.mktemp("second")
    with (
        collection_of_its_own(weaviate_server, 1, home / "home") as settings,
        second(settings, home, parts.seed or (FULL_SEED if full else FEW_SEED)) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def nights(company: Second, full: bool, parts: Parts) -> list[Night]:
    """The clean nights."""
    return company.live(parts.days or (FULL_DAYS if full else FEW_DAYS))


@pytest.fixture(scope="module")
def kept(company: Second, nights: list[Night], tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return company.keep(tmp_path_factory.mktemp("kept") / "kept")


@pytest.mark.timeout(86_400)
def test_the_gate_keeps_its_promises_to_a_company_that_it_does_not_know(
    company: Second, nights: list[Night], kept: Kept, full: bool, parts: Parts
) -> None:
    by_name = {harm.name: harm for harm in HARMS}
    # What promotes what it brings goes last: the index is not brought back. Else the largest first: they are judged.
    in_order = sorted(
        ((h, size) for h in HARMS for size in h.sizes), key=lambda one: (one[0].days, SIZES.index(one[1]))
    )
    pairs = in_order if full else [(by_name[name], size) for name, size in FEW]
    print(*(n for n in nights if n.flagged), sep="\n", flush=True)
    found = list[Outcome]()
    for harm, size in pairs:
        if not parts.asks_for(harm.name, size):
            continue
        outcome = parts.once(f"{harm.name} {size}", Outcome, partial(_try, company, harm, size, kept))
        found.append(outcome)
        print(harm.name, size, outcome.verdict, outcome.causes[:3], outcome.night.failed, flush=True)
        if full:  # it takes hours: what has run stays if the rest does not
            _written(nights, found, [])
    changed = list[Honest]()
    for h in HONEST if full else HONEST[:1]:
        if parts.asks_for(h.name, "whole"):
            changed.append(parts.once(h.name, Honest, partial(_try_honest, company, h, kept)))
            print(h.name, changed[-1], flush=True)
    if full:
        _written(nights, found, changed)
    stopped = [n for n in nights if n.stopped]
    assert len(stopped) <= max(1, len(nights) // NIGHTS_PER_FALSE_HOLD), stopped
    largest = [o for o in found if o.size in ("whole", "all") or not full]
    assert [f"{o.kind} {o.size}" for o in largest if o.verdict in ("silent", "live") and o.kind not in UNSEEN] == []
    assert [h.kind for h in changed if not h.released] == []


def _try(company: Second, harm: Harm, size: str, kept: Kept) -> Outcome:
    return company.try_kind(harm.name, harm.source, _change(company, harm, size), kept, size, harm.days)


def _try_honest(company: Second, harm: Harm, kept: Kept) -> Honest:
    return company.try_honest(harm.name, harm.source, _change(company, harm, "whole"), kept)


def _written(nights: list[Night], found: list[Outcome], changed: list[Honest]) -> None:
    text = page(nights, found, changed, HARMS, UNSEEN, ran_on("python-docx", "duckdb"))
    (PROJECT / "bench" / "TRUST_SECOND.md").write_text(text, "utf-8")


def _change(company: Second, harm: Harm, size: str) -> Callable[[], int]:
    """What a kind does on each of its nights; it answers how many documents or rows it met."""
    dice = company.company.dice(f"{harm.name} {size}")

    def change() -> int:
        keys = picked(company.company, harm.of(company.company), size, dice)
        harm.act(company.company, keys, dice)
        return len(keys)

    return change


def test_kinds_have_names_of_their_own_and_causes_that_triage_knows() -> None:
    assert len({h.name for h in (*HARMS, *HONEST)}) == len(HARMS) + len(HONEST)
    known = {signature.name for signature in SIGNATURES}
    assert {cause for h in (*HARMS, *HONEST) for cause in h.right} <= known
    assert {name for name, _ in FEW} | UNSEEN.keys() <= {h.name for h in HARMS}


def test_the_second_company_is_made_by_code_of_its_own() -> None:
    """Neither Moat nor the first company is imported by what makes it and what harms it."""
    for name in GENERATOR:
        tree = ast.parse(Path(__file__).with_name(f"{name}.py").read_text("utf-8"))
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not any(m.split(".")[0] in ("moat", "include", "dags", "plugins") for m in modules), name
        ours = {m for m in modules if m.startswith("tests.")}
        assert all(m.startswith("tests.proofs.trust.second.") for m in ours), name
        assert {m.rpartition(".")[2] for m in ours} <= set(GENERATOR), name
