"""Each stage of a load is a span with its source, its load and what it counted; never with a document's words."""

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from moat.tracing import counted, span
from tests.company import Company


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is exported, with a provider as Airflow sets one where traces are on."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def test_a_run_is_a_span_for_each_stage_and_batch(company: Company, spans: InMemorySpanExporter) -> None:
    result = company.run()
    assert result.load.state == "promoted"
    found = {one.name: one for one in spans.get_finished_spans()}
    assert set(found) >= {"moat.read", "moat.prepare", "moat.embed", "moat.gate", "moat.load", "moat.promote"}
    for one in found.values():
        assert one.attributes is not None
        assert (one.attributes["moat.source"], one.attributes["moat.load"]) == ("docs", result.load.id)
    read, parse = found["moat.read"].attributes, found["moat.prepare"].attributes
    assert read is not None
    assert parse is not None
    assert (read["moat.n_listed"], read["moat.n_new"]) == (3, 3)
    assert (parse["moat.batch"], parse["moat.n_prepared"]) == (0, 3)
    assert "leave" not in "".join(str(one.attributes) for one in found.values())


def test_a_stage_that_fails_says_its_error_by_class_alone(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="hush"), span("parse", "docs", 1, 2):
        raise ValueError("hush: a document's own words")
    (one,) = spans.get_finished_spans()
    assert one.attributes is not None
    assert one.attributes["error.type"] == "ValueError"
    assert not one.status.is_ok
    assert "hush" not in one.to_json()


def test_where_no_provider_is_set_nothing_is_recorded() -> None:
    with span("read", "docs", 1) as made:
        assert not made.is_recording()
        counted(made, {"n": 1})
