"""What the gate makes of a company that nothing was tuned on: a sample here, all of it by `make trust`."""

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
from tests.proofs.trust.third.honest import office, shop
from tests.proofs.trust.third.kinds_convert import convert
from tests.proofs.trust.third.kinds_meaning import meaning
from tests.proofs.trust.third.kinds_reach import circles, reach
from tests.proofs.trust.third.kinds_works import works
from tests.proofs.trust.third.nights import Third, third
from tests.proofs.trust.third.unseen import UNSEEN
from tests.proofs.trust.trial import Trial, in_order

HARMS = (*convert.found, *meaning.found, *works.found, *reach.found, *circles.found)
HONEST = (*office.found, *shop.found)
GENERATOR = (
    "honest", "kinds_convert", "kinds_meaning", "kinds_reach", "kinds_works", "papers", "railway", "speech", "tools",
)  # fmt: skip
FULL_DAYS, FEW_DAYS = 40, 8
FULL_SEED, FEW_SEED = 5, 17
FEW = (  # of each class one or two, in a size that takes seconds and needs no learned bound
    ("chat_refusal", "three"),
    ("digits_as_letters", "three"),
    ("trial_words", "three"),
    ("supplier_account", "a tenth"),
    ("parts_of_others", "three"),
    ("password_in_french", "three"),
    ("told_in_german", "three"),
    ("restricted_pasted", "three"),
    ("circles_joined", "a tenth"),
    ("patterns_lost", "whole"),
    ("contractors_within", "whole"),
    ("denied_group_empty", "whole"),
)
OPENING = (
    "# Trust, measured on a third company",
    "",
    "By `make trust`. A regional railway in English, German and French, made by code of its own: a folder of 116 papers",
    "(PDF, Word, slides, HTML, text, RTF, Excel) in ten folders with access files, patterns and a deny; nested groups in CSV;",
    "and a table of 240 works orders with lists of who may read and who may not. The company, its kinds of harm and the",
    "causes that count as right were written and committed before the first run, and before the checks were read.",
    "Each night reads the groups, the access, and then goes the whole way on a real Weaviate; a plain embedder of words",
    "stands in for the model. Then each kind on the next night, from the same state, in all of its papers or orders, a",
    "tenth of them, and three.",
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
) -> Iterator[Third]:
    home = tmp_path_factory.mktemp("third")
    with (
        collection_of_its_own(weaviate_server, 1, home / "home") as settings,
        third(settings, home, parts.seed or (FULL_SEED if full else FEW_SEED)) as made,
    ):
        yield made


@pytest.mark.timeout(86_400)
def test_the_gate_keeps_its_promises_to_a_third_company(
    company: Third, full: bool, parts: Parts, tmp_path: Path
) -> None:
    nights = company.live(parts.days or (FULL_DAYS if full else FEW_DAYS))
    print(*(n for n in nights if n.flagged), sep="\n", flush=True)
    trial = Trial(company, Kept(company, tmp_path / "kept"), parts)

    def written() -> None:  # a whole run takes hours: what has run stays if the rest does not
        if full:
            _written(nights, trial)

    by_name = {harm.name: harm for harm in HARMS}
    trial.harm(in_order(HARMS) if full else [(by_name[name], size) for name, size in FEW], written)
    trial.change(HONEST if full else HONEST[:1])
    written()
    stopped = [n for n in nights if n.stopped]
    assert len(stopped) <= max(1, len(nights) // NIGHTS_PER_FALSE_HOLD), stopped
    largest = [o for o in trial.found if o.size in ("whole", "all") or not full]
    unseen = [f"{o.kind} {o.size}" for o in largest if o.verdict in ("silent", "live") and o.kind not in UNSEEN]
    assert unseen == []
    assert [h.kind for h in trial.changed if not h.released] == []


def _written(nights: list[Night], trial: Trial) -> None:
    text = page(
        nights, trial.found, trial.changed, HARMS, UNSEEN, OPENING, ran_on("python-pptx", "reportlab", "duckdb")
    )
    (PROJECT / "bench" / "TRUST_THIRD.md").write_text(text, "utf-8")


def test_kinds_have_names_of_their_own_and_causes_that_triage_knows() -> None:
    assert len({h.name for h in (*HARMS, *HONEST)}) == len(HARMS) + len(HONEST)
    known = {signature.name for signature in SIGNATURES}
    assert {cause for h in (*HARMS, *HONEST) for cause in h.right} <= known
    assert {name for name, _ in FEW} | UNSEEN.keys() <= {h.name for h in HARMS}


def test_the_third_company_is_made_by_code_of_its_own() -> None:
    """Neither Moat nor another company is imported by what makes it and what harms it."""
    for name in GENERATOR:
        tree = ast.parse(Path(__file__).with_name(f"{name}.py").read_text("utf-8"))
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not any(m.split(".")[0] in ("moat", "include", "dags", "plugins") for m in modules), name
        ours = {m for m in modules if m.startswith("tests.")} - {"tests.proofs.trust.kind"}
        assert {m.removeprefix("tests.proofs.trust.third.") for m in ours} <= set(GENERATOR), name
