"""What the gate makes of a company that it was not tuned on: a sample here, all of it by `make trust`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.results import ran_on
from moat.incidents.triage.rank import SIGNATURES
from moat.settings import PROJECT, Settings
from tests.company import collection_of_its_own
from tests.proofs.trust.harness import Kept, Night
from tests.proofs.trust.page import NIGHTS_PER_FALSE_HOLD, page
from tests.proofs.trust.parts import Parts
from tests.proofs.trust.second.harms_forms import forms
from tests.proofs.trust.second.harms_orders import table
from tests.proofs.trust.second.harms_share import share
from tests.proofs.trust.second.harms_texts import texts
from tests.proofs.trust.second.honest import honest, honest_rows
from tests.proofs.trust.second.nights import Second, second
from tests.proofs.trust.second.unseen import UNSEEN
from tests.proofs.trust.trial import Trial, in_order

HARMS = (*share.found, *texts.found, *forms.found, *table.found)
HONEST = (*honest.found, *honest_rows.found)
GENERATOR = ("firm", "formats", "prose", "harm", "harms_share", "harms_texts", "harms_forms", "harms_orders", "honest")
FULL_DAYS, FEW_DAYS = 60, 18
FULL_SEED, FEW_SEED = 11, 29
OPENING = (
    "# Trust, measured on a second company",
    "",
    "By `make trust`. Another invented company, made by other code: a maker of veterinary remedies with a folder of",
    "90 documents (Markdown, HTML, Word, Excel, CSV, mails) in seven folders with access files, a groups file, and a table of",
    "200 orders with a column of readers. No bound was chosen on it; kinds of it led to rules. Each night reads the groups, the access,",
    "and then goes the whole way on a real Weaviate; a plain embedder of words stands in for the model. Then each kind of",
    "harm on the next night, from the same state, in all of its documents or rows, a tenth of them, and three. The causes",
    "that count as right stand beside each kind in tests/proofs/trust/second, written before the first run.",
)
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
    print(*(n for n in nights if n.flagged), sep="\n", flush=True)
    trial = Trial(company, kept, parts)

    def written() -> None:  # a whole run takes hours: what has run stays if the rest does not
        if full:
            _written(nights, trial)

    trial.harm(in_order(HARMS) if full else [(by_name[name], size) for name, size in FEW], written)
    trial.change(HONEST if full else HONEST[:1])
    written()
    stopped = [n for n in nights if n.stopped]
    assert len(stopped) <= max(1, len(nights) // NIGHTS_PER_FALSE_HOLD), stopped
    largest = [o for o in trial.found if o.size in ("whole", "all") or not full]
    assert [f"{o.kind} {o.size}" for o in largest if o.verdict in ("silent", "live") and o.kind not in UNSEEN] == []
    assert [h.kind for h in trial.changed if not h.released] == []


def _written(nights: list[Night], trial: Trial) -> None:
    text = page(nights, trial.found, trial.changed, HARMS, UNSEEN, OPENING, ran_on("python-docx", "duckdb"))
    (PROJECT / "bench" / "TRUST_SECOND.md").write_text(text, "utf-8")


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
        ours.discard("tests.proofs.trust.kind")  # what a kind is, and nothing of what one does
        assert all(m.startswith("tests.proofs.trust.second.") for m in ours), name
        assert {m.rpartition(".")[2] for m in ours} <= set(GENERATOR), name
