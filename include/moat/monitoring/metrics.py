"""The ledger's numbers as Prometheus metrics: moat_<stage>_<noun>, by tenant and source.

No process counts anything in memory, because tasks end. Every scrape queries the ledger, so all
servers give the same numbers, also right after a crash.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from moat.ledger import Ledger
from moat.ledger.metrics import Numbered, Totals, in_sight, totals

STAGES = {
    "read": "read",
    "parse": "prepare",
    "embed": "embed",
    "gate": "gate",
    "load": "load",
    "promote": "promote",
}  # as spent
KINDS = ("new", "changed", "access", "vanished", "unchanged", "unknown")  # documents by planned action
SEVERITIES = ("warn", "hold", "block")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class LedgerMetrics(Collector):
    """Metrics of one tenant's ledger, collected anew at each scrape."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._seen: tuple[tuple[Numbered, ...], dict[str, tuple[int, int]]] | None = None

    def describe(self) -> Iterable[Metric]:
        return ()  # registering queries nothing

    def collect(self) -> Iterator[Metric]:
        now, found = datetime.now(UTC), totals(self._ledger)
        yield from self._read(found, now)
        yield from self._spent(found)
        yield from self._gate(found)
        yield from self._visible(found, now)
        yield self._gauge("moat_quarantine_documents", "Documents set aside.", ("stage", "error"), found.quarantined)
        yield self._gauge("moat_incidents_open", "Unresolved incidents.", ("severity", "state"), found.incidents)

    def _read(self, found: Totals, now: datetime) -> Iterator[Metric]:
        kinds = [Numbered(s, (k,), c.get(k, 0)) for s, c in sorted(found.newest.items()) for k in KINDS]
        yield self._gauge("moat_read_documents", "Documents of the newest load, by what it does.", ("kind",), kinds)
        listed = [Numbered(s, (), c["listed"]) for s, c in sorted(found.newest.items()) if "listed" in c]
        yield self._gauge("moat_read_listed_documents", "Documents that the source listed last.", (), listed)
        for name, words, moments in (
            ("moat_read_age_seconds", "Since the source was last read to its end.", found.read_at),
            ("moat_read_access_age_seconds", "Since the source's access was last read.", found.access_read_at),
        ):
            yield self._gauge(name, words, (), _ages(moments, now))

    def _spent(self, found: Totals) -> Iterator[Metric]:
        for stage, spent in STAGES.items():
            rows = [Numbered(n.source, (), n.value) for n in found.spent if n.by == (spent,)]
            yield self._counter(f"moat_{stage}_seconds", f"Seconds of {stage}, over all loads.", rows)
        tokens = [Numbered(n.source, (), n.value) for n in found.tokens if n.by == ("embed",)]
        yield self._counter("moat_embed_tokens", "Tokens given to the model, over all loads.", tokens)

    def _gate(self, found: Totals) -> Iterator[Metric]:
        failed = {(n.source, *n.by): n.value for n in found.failed}
        every = [Numbered(s, (k,), failed.get((s, k), 0)) for s in sorted(found.newest) for k in SEVERITIES]
        words = "Checks that failed in the newest load that was judged."
        yield self._gauge("moat_gate_failed_checks", words, ("severity",), every)
        waiting = {(n.source, *n.by): n.value for n in found.held}
        held = [Numbered(s, (k,), waiting.get((s, k), 0)) for s in sorted(found.newest) for k in ("gate", "budget")]
        yield self._gauge("moat_gate_held_loads", "Loads that wait for a person.", ("held_for",), held)

    def _visible(self, found: Totals, now: datetime) -> Iterator[Metric]:
        with self._lock:
            # Visibility depends only on which loads are promoted, so the expensive count runs once per such state.
            if self._seen is None or self._seen[0] != found.loads:
                self._seen = found.loads, in_sight(self._ledger)
            visible = sorted(self._seen[1].items())
        chunks = [Numbered(name, (), n) for name, (_, n) in visible]
        documents = [Numbered(name, (), n) for name, (n, _) in visible]
        yield self._gauge("moat_load_chunks", "Visible chunks.", (), chunks)
        yield self._gauge("moat_load_documents", "Visible documents.", (), documents)
        yield self._gauge("moat_promote_loads", "Loads by state.", ("state",), found.loads)
        words = "Since a load of the source was last promoted."
        yield self._gauge("moat_promote_age_seconds", words, (), _ages(found.promoted_at, now))

    def _gauge(self, name: str, words: str, by: Sequence[str], rows: Iterable[Numbered]) -> Metric:
        made = GaugeMetricFamily(name, words, labels=("tenant", "source", *by))
        for row in rows:
            made.add_metric((self._ledger.tenant, row.source, *row.by), row.value)
        return made

    def _counter(self, name: str, words: str, rows: Iterable[Numbered]) -> Metric:
        made = CounterMetricFamily(name, words, labels=("tenant", "source"))
        for row in rows:
            made.add_metric((self._ledger.tenant, row.source), row.value)
        return made


def registry_of(ledger: Ledger) -> CollectorRegistry:
    """A registry with this ledger's metrics only, none of the serving process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LedgerMetrics(ledger))
    return registry


def text(registry: CollectorRegistry) -> bytes:
    """The metrics in Prometheus' text format."""
    return generate_latest(registry)


def _ages(moments: Mapping[str, datetime], now: datetime) -> list[Numbered]:
    return [Numbered(name, (), max(0.0, (now - at).total_seconds())) for name, at in sorted(moments.items())]
