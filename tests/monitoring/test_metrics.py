"""The metrics are the ledger's numbers, in the form that Prometheus reads, and nobody gets them without the key."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from moat_metrics import Metrics, MoatMetrics
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, update

from moat.ledger import Ledger, checks, incidents, loads, spending
from moat.ledger.checks import CheckResult
from moat.ledger.tables import load, quarantine
from moat.monitoring.metrics import registry_of, text
from tests.incidents.conftest import opened

Samples = dict[tuple[str, ...], float]


def scraped(ledger: Ledger) -> dict[str, Samples]:
    """Samples by metric; each by its source and its other labels' values."""
    found: dict[str, Samples] = {}
    for family in text_string_to_metric_families(text(registry_of(ledger)).decode()):
        for sample in family.samples:
            assert sample.labels["tenant"] == ledger.tenant
            others = sorted(set(sample.labels) - {"tenant", "source"})
            labels = (sample.labels["source"], *(sample.labels[name] for name in others))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def judged(ledger: Ledger, run: str = "one") -> loads.Load:
    """A load of tickets that has read, was judged, and waits."""
    made = loads.open_load(ledger, "tickets", run, {}, 60)
    loads.note(ledger, made, {"listed": 40, "new": 12, "changed": 3, "unchanged": 25})
    results = [
        CheckResult(name="dimension", family="vectors", severity="block", passed=True, seen="384", allowed="384")
    ]
    results += [
        CheckResult(name=f"c{n}", family="volume", severity="hold", passed=False, seen="0", allowed="1")
        for n in range(2)
    ]
    checks.keep(ledger, made, "volume", results)
    loads.hold(ledger, made, "too few")
    return made


def test_the_numbers_are_the_ledgers(ledger: Ledger) -> None:
    made = judged(ledger)
    spending.spend(ledger, made.id, "read", 0, 1.5)
    spending.spend(ledger, made.id, "embed", 0, 2.0, 700)
    spending.spend(ledger, made.id, "embed", 1, 3.0, 300)
    with ledger.write() as connection:
        whole: dict[str, Any] = {
            "tenant": ledger.tenant,
            "source": "tickets",
            "uri": "u",
            "stage": "parse",
            "error": "ParseFailed",
        }
        whole |= {"reason": "r", "fingerprint": "f", "recipe": "r", "attempts": 1, "load_id": made.id}
        whole |= {"first_at": datetime.now(UTC), "last_at": datetime.now(UTC)}
        for n, state in enumerate(["set aside", "set aside", "resolved"]):
            connection.execute(insert(quarantine).values(**whole, key=f"k{n}", state=state))
    opened(ledger)
    found = scraped(ledger)
    assert found["moat_read_documents"][("tickets", "new")] == 12
    assert found["moat_read_listed_documents"][("tickets",)] == 40
    assert found["moat_read_seconds_total"] == {("tickets",): 1.5}
    assert found["moat_embed_seconds_total"] == {("tickets",): 5.0}
    assert found["moat_embed_tokens_total"] == {("tickets",): 1000}
    assert found["moat_gate_failed_checks"] == {
        ("tickets", "warn"): 0,
        ("tickets", "hold"): 2,
        ("tickets", "block"): 0,
    }
    assert found["moat_gate_held_loads"] == {("tickets", "gate"): 1, ("tickets", "budget"): 0}
    assert found["moat_promote_loads"] == {("tickets", "held"): 1}
    assert found["moat_quarantine_documents"] == {("tickets", "ParseFailed", "parse"): 2}
    assert found["moat_incidents_open"] == {("tickets", "block", "open"): 1}
    assert "moat_promote_age_seconds" not in found, "never promoted is no age"


def test_ages_run_from_the_last_load_that_saw_the_source_whole(ledger: Ledger) -> None:
    made = judged(ledger)
    before = datetime.now(UTC) - timedelta(hours=5)
    with ledger.write() as connection:
        values = {"state": "promoted", "opened_at": before, "ended_at": before + timedelta(hours=1)}
        connection.execute(update(load).where(load.c.id == made.id).values(**values))
    found = scraped(ledger)
    assert 5 * 3600 <= found["moat_read_age_seconds"][("tickets",)] < 6 * 3600
    assert 4 * 3600 <= found["moat_promote_age_seconds"][("tickets",)] < 5 * 3600


def test_another_tenants_numbers_stay_its_own(ledger: Ledger) -> None:
    judged(ledger)
    opened(ledger)
    other = Ledger(ledger.url, "beta")
    assert scraped(other) == {}
    other.close()


def test_what_is_visible_is_counted_anew_when_a_load_has_changed_it(company: Any) -> None:
    ledger = company.runtime.ledger
    registry = registry_of(ledger)

    def documents() -> tuple[float | None, float | None]:
        labels = {"tenant": "default", "source": "docs"}
        return tuple(registry.get_sample_value(f"moat_load_{what}", labels) for what in ("documents", "chunks"))  # type: ignore[return-value]

    assert documents() == (None, None)
    assert company.run().load.state == "promoted"
    n_documents, n_chunks = documents()
    assert n_documents == 3
    assert n_chunks is not None
    assert n_chunks >= 3
    company.remove("trips.md")
    assert company.run().load.state == "promoted"
    assert documents()[0] == 2
    seconds = {m.name for m in registry.collect() if m.name.endswith("_seconds") and m.samples}
    assert {f"moat_{stage}_seconds" for stage in ("read", "parse", "embed", "gate", "load", "promote")} <= seconds


def asked(app: Metrics, path: str = "/metrics", method: str = "GET", **headers: str) -> tuple[int, bytes]:
    """Status and body of a request, with the application mounted as Airflow's API server mounts it."""
    server = FastAPI()
    server.mount("/moat", app)

    async def request() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://airflow") as client:
            return await client.request(method, f"/moat{path}", headers=headers)

    answer = asyncio.run(request())
    return answer.status_code, answer.content


@pytest.fixture
def served_ledger(ledger: Ledger, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv("MOAT_HOME", str(settings.home))
    monkeypatch.setenv("MOAT_METRICS_KEY", "hush-metrics-key")
    judged(ledger)
    return ledger


def test_the_page_is_for_who_has_the_key(served_ledger: Ledger) -> None:
    app = Metrics()
    status, body = asked(app, authorization="Bearer hush-metrics-key")
    assert status == 200
    assert b'moat_read_documents{kind="new",source="tickets",tenant="default"} 12.0' in body
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "hush-metrics-key"}):
        status, body = asked(app, **headers)
        assert status == 401
        assert b"tickets" not in body
        assert b"hush" not in body
    assert asked(app, "/else", authorization="Bearer hush-metrics-key")[0] == 404
    assert asked(app, method="POST", authorization="Bearer hush-metrics-key")[0] == 404
    assert asked(app, method="HEAD", authorization="Bearer hush-metrics-key") == (200, b"")


def test_without_a_key_set_there_is_no_page(served_ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOAT_METRICS_KEY")
    assert asked(Metrics(), authorization="Bearer ")[0] == 404
    assert asked(Metrics())[0] == 404


def test_a_ledger_that_does_not_answer_is_said_without_its_address(
    served_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOAT_LEDGER_URL", "postgresql+psycopg2://moat:hush-db@127.0.0.1:1/moat")
    status, body = asked(Metrics(), authorization="Bearer hush-metrics-key")
    assert status == 503
    assert b"hush" not in body


def test_airflow_serves_it_below_moat() -> None:
    (app,) = MoatMetrics.fastapi_apps
    assert app["url_prefix"] == "/moat"
    assert incidents.STAGES  # the ledger is there without Airflow's own database
