"""What the gate makes of a company that nothing was tuned on: a sample here, all of it by `make trust`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from moat.settings import Settings
from tests.company import collection_of_its_own
from tests.proofs.trust.harness import Kept
from tests.proofs.trust.parts import Parts
from tests.proofs.trust.third.honest import office, shop
from tests.proofs.trust.third.kinds_convert import convert
from tests.proofs.trust.third.kinds_meaning import meaning
from tests.proofs.trust.third.kinds_reach import circles, reach
from tests.proofs.trust.third.kinds_works import works
from tests.proofs.trust.third.nights import Third, third
from tests.proofs.trust.third.unseen import UNSEEN
from tests.proofs.trust.trial import Study, Trial, is_made_alone

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
    ("parts_of_others", "a tenth"),
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


STUDY = Study(
    harms=(*convert.found, *meaning.found, *works.found, *reach.found, *circles.found),
    honest=(*office.found, *shop.found),
    few=FEW,
    unseen=UNSEEN,
    file="TRUST_THIRD.md",
    opening=OPENING,
    packages=("python-pptx", "reportlab", "duckdb"),
)


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
    trial = Trial(STUDY, company, nights, Kept(company, tmp_path / "kept"), parts)
    trial.run(full)
    trial.judge(full)


def test_kinds_have_names_of_their_own_and_causes_that_triage_knows() -> None:
    STUDY.hold_together()


def test_the_third_company_is_made_by_code_of_its_own() -> None:
    """Neither Moat nor another company is imported by what makes it and what harms it."""
    is_made_alone(Path(__file__).parent, GENERATOR)
