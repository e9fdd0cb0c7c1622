"""What the gate makes of a company that it was not tuned on: a sample here, all of it by `make trust`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from moat.settings import Settings
from tests.company import collection_of_its_own
from tests.proofs.trust.harness import Kept, Night
from tests.proofs.trust.parts import Parts
from tests.proofs.trust.second.harms_forms import forms
from tests.proofs.trust.second.harms_orders import table
from tests.proofs.trust.second.harms_share import share
from tests.proofs.trust.second.harms_texts import texts
from tests.proofs.trust.second.honest import honest, honest_rows
from tests.proofs.trust.second.nights import Second, second
from tests.proofs.trust.second.unseen import UNSEEN
from tests.proofs.trust.trial import Study, Trial, is_made_alone

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


STUDY = Study(
    harms=(*share.found, *texts.found, *forms.found, *table.found),
    honest=(*honest.found, *honest_rows.found),
    few=FEW,
    unseen=UNSEEN,
    file="TRUST_SECOND.md",
    opening=OPENING,
    packages=("python-docx", "duckdb"),
)


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
    trial = Trial(STUDY, company, nights, kept, parts)
    trial.run(full)
    trial.judge(full)


def test_kinds_have_names_of_their_own_and_causes_that_triage_knows() -> None:
    STUDY.hold_together()


def test_the_second_company_is_made_by_code_of_its_own() -> None:
    """Neither Moat nor another company is imported by what makes it and what harms it."""
    is_made_alone(Path(__file__).parent, GENERATOR)
