"""The list of seeded bugs is in step with the code; `make mutants` tries each of them."""

import pytest

from tests.proofs.mutants.run import MUTANTS, PROJECT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_a_seeded_bug_fits_the_code_in_one_place(mutant: Mutant) -> None:
    assert (PROJECT / mutant.file).read_text("utf-8").count(mutant.old) == 1
    file, _, name = mutant.test.partition("::")
    text = (PROJECT / file).read_text("utf-8")
    name = name.rpartition("::")[2]
    contract = (PROJECT / "tests/contracts/store.py").read_text("utf-8")
    assert not name or f"def {name}(" in text + contract


def test_no_bug_is_listed_twice() -> None:
    assert len({m.name for m in MUTANTS}) == len({(m.file, m.old, m.new) for m in MUTANTS}) == len(MUTANTS) >= 14
