"""Every test of the ledger runs on SQLite and on PostgreSQL."""

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from include.ledger import Ledger
from include.settings import Settings


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Ledger]:
    if request.param == "sqlite":
        made = Ledger(settings.ledger, "default")
    else:
        uri = request.getfixturevalue("postgres_server").replace("postgresql://", "postgresql+psycopg2://")
        name = f"l{uuid.uuid4().hex}"
        admin = create_engine(uri, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        made = Ledger(uri.replace("/postgres?", f"/{name}?"), "default")
    made.migrate()
    yield made
    made.close()
