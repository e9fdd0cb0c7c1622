"""One company and one door for the tests of the door; none of them changes the company's documents."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest

from moat.access.rules import Groups
from moat.retrieve import Retriever
from moat.settings import Settings
from moat.source import LocalFiles
from tests.company import Company, collection_of_its_own, open_runtime
from tests.door_server import CHAT, OPERATOR, door_at
from tests.issuer import Issuer

CRANE = "# Crane {n}\n\nThe crane of the harbour costs {n} euros.\n\n## Fees\n\nA crane of the harbour has a fee of {n} euros.\n"


@pytest.fixture(scope="session")
def company(
    weaviate_server: Settings, embedder_server: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Company]:
    """Ten documents of everyone's, three of the people team's, and a source that only these may read."""
    folder = tmp_path_factory.mktemp("door")
    with collection_of_its_own(weaviate_server, embedder_server, folder / "home") as settings:
        made = Company(open_runtime(settings), folder / "docs")
        made.source = made.declared(link="https://wiki.example.com/{key}")
        for n in range(8):
            made.write(f"cranes/{n:02} a.md", CRANE.format(n=n))
        for n in range(2):
            made.write(f"people/{n:02}.md", CRANE.format(n=100 + n))
        made.run()
        (folder / "payroll").mkdir()
        (folder / "payroll" / "pay.md").write_text("# Payroll\n\nEverybody is paid on the last day.\n")
        made.run(replace(made.source, name="payroll", reader=LocalFiles(str(folder / "payroll")), access=Groups(("people",))))  # fmt: skip
        yield made
        made.runtime.close()


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="session")
def door_settings(company: Company, issuer: Issuer) -> Settings:
    given: dict[str, Any] = {"door_operators": OPERATOR, "door_services": CHAT, "door_rate_per_minute": 1e6}
    return issuer.trusted(company.runtime.settings, **given, metrics_key="scrape")


@pytest.fixture(scope="session")
def opened(company: Company, door_settings: Settings) -> Iterator[Callable[..., str]]:
    """A function that opens a door with some settings changed."""
    with ExitStack() as stack:

        def opened(person: str = "", **changed: Any) -> str:
            settings = Settings.model_validate({**door_settings.model_dump(), **changed})
            retriever = Retriever.from_settings(settings, company.runtime.connections)
            return stack.enter_context(door_at(settings, retriever, person))

        yield opened


@pytest.fixture(scope="session")
def url(opened: Callable[..., str]) -> str:
    """The door that most tests ask."""
    return opened()


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client
