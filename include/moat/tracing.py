"""OpenTelemetry spans for the stages of a load; without a provider they do nothing.

Airflow with `[traces] otel_on` sets the provider and opens a span for the task: a stage's span is its child.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode


@contextmanager
def span(stage: str, source: str, load: int, batch: int | None = None) -> Iterator[Span]:
    """Open the span of a stage.

    An error sets its class only, because its message may quote a document.
    """
    attributes: dict[str, str | int] = {"moat.stage": stage, "moat.source": source, "moat.load": load}
    if batch is not None:
        attributes["moat.batch"] = batch
    tracer = trace.get_tracer("moat")
    with tracer.start_as_current_span(
        f"moat.{stage}", attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as made:
        try:
            yield made
        except BaseException as error:
            made.set_attribute("error.type", type(error).__name__)
            made.set_status(Status(StatusCode.ERROR))
            raise


def counted(made: Span, counts: object) -> None:
    """Set a stage's counts as attributes of its span; other results are left out."""
    if not made.is_recording() or not isinstance(counts, Mapping):
        return
    for name, value in counts.items():
        if isinstance(value, int | float):
            made.set_attribute(f"moat.n_{str(name).replace(' ', '_')}", value)
