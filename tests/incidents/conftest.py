"""A ledger with an incident, and channels that lead to real servers on this machine."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from moat.connections import Connection, EnvironmentConnections
from moat.errors import SettingsError
from moat.ledger import Ledger, incidents
from moat.ledger.incidents import Happening, Incident
from moat.runtime import Runtime
from moat.settings import Settings
from moat.staging import Staging
from tests.company import Company
from tests.incidents.servers import Hook, Mailbox, mail_server, web_server

CAUSE = {
    "name": "column_renamed",
    "title": "The column `body` is called `text` now",
    "score": 0.93,
    "evidence": ["412 of 412 rows have no body", "a column `text` came with this load"],
}
DETAIL = {"causes": [CAUSE], "reach": {"documents": 412, "chunks": 0, "people": 12}, "commands": ["moat load show 7"]}
RUN = "airflow:tickets:scheduled__2026-05-04T02:00:00+00:00"


class Known(EnvironmentConnections):
    """Connections that a test names."""

    def __init__(self, *known: Connection) -> None:
        super().__init__({})
        self._of = {one.conn_id: one for one in known}

    def get(self, conn_id: str) -> Connection:
        if conn_id not in self._of:
            raise SettingsError(f"connection {conn_id!r} is not defined")
        return self._of[conn_id]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def hook() -> Iterator[Hook]:
    with web_server() as made:
        yield made


@pytest.fixture
def mail(mailbox: Mailbox) -> Connection:
    extra = {"from_email": "moat@example.com", "disable_ssl": True, "disable_tls": "true"}
    return Connection(
        conn_id="mail",
        conn_type="smtp",
        host="127.0.0.1",
        port=mailbox.port,
        login="moat",
        password="hush-mail-key",
        extra=extra,
    )


@pytest.fixture
def pager(hook: Hook) -> Connection:
    return Connection(
        conn_id="pager", conn_type="http", host=hook.url, password="hush-pager-key", extra={"path": "/in"}
    )


@pytest.fixture
def chat(hook: Hook) -> Connection:
    return Connection(
        conn_id="chat", conn_type="slackwebhook", host=f"{hook.url}/services", password="T0/B0/hush-chat-key"
    )


@pytest.fixture
def telling(settings: Settings, ledger: Ledger) -> Callable[..., tuple[Runtime, list[str]]]:
    """A function that makes a way whose settings name channels, with the lines that it logs."""

    def make(channels: str, *known: Connection, **changed: Any) -> tuple[Runtime, list[str]]:
        lines: list[str] = []
        chosen = {**settings.model_dump(), "tell": channels, "tell_to": "ann@example.com, hugo@example.com"}
        made = Settings.model_validate({**chosen, "airflow_url": "http://airflow.example.com:8080", **changed})
        return Runtime(
            settings=made,
            ledger=ledger,
            staging=Staging(made.staging),
            connections=Known(*known),
            progress=lines.append,
        ), lines

    return make


@pytest.fixture
def incident(ledger: Ledger) -> Incident:
    return opened(ledger)


def opened(
    ledger: Ledger,
    severity: Literal["warn", "hold", "block"] = "block",
    causes: Sequence[Any] = (CAUSE,),
    **detail: Any,
) -> Incident:
    """An incident of tickets at the gate, or what has become of the one that is there."""
    found = Happening.now("check", "gate", ("rows without text", "412 of 412"), severity, None)
    joined = incidents.join(ledger, "tickets", RUN, datetime(2026, 5, 4, 2, tzinfo=UTC), [found])
    body = {**DETAIL, "causes": list(causes), **detail}
    return incidents.explained(ledger, joined.incident.id, "Rows have lost their text", body)


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    """Documents that go the whole way on real servers."""
    return Company(runtime, tmp_path / "docs")
