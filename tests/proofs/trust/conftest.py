"""Options by which a long run of trust is done in parts: `make trust` needs none of them."""

import pytest

from tests.proofs.trust.parts import Parts


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("trust")
    group.addoption("--days", type=int, help="Clean days before the kinds of harm, in place of the usual number.")
    group.addoption("--seed", type=int, help="Seed of the company, in place of the usual one.")
    group.addoption("--only", default="", help="Names of kinds, with commas between.")
    group.addoption("--sizes", default="", help="Sizes or strengths of harm, with commas between.")
    group.addoption(
        "--known", help="A file of results, one a line: what is in it is not run again, what runs is added."
    )


@pytest.fixture(scope="module")
def full(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--full"))


@pytest.fixture(scope="module")
def parts(request: pytest.FixtureRequest) -> Parts:
    return Parts(request.config)
