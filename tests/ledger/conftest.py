"""Every test of the ledger runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest

from moat.ledger import Ledger
from moat.settings import Settings
from tests.fresh_ledger import migrated


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Ledger]:
    url = settings.ledger if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    made = migrated(url, "default")
    yield made
    made.close()
