"""How much the proofs of access do."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sweep", type=int, default=20_000, help="Checks that the leak sweep makes at the least.")
    parser.addoption(
        "--no-shrink", action="store_true", help="Tell the state machine's first failing example as it is."
    )
