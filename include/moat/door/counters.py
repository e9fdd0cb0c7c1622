"""The door's own numbers, for Prometheus: requests by route, status and code, and how long they took."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


class Counters:
    """Numbers of this process since its start; no name of a source, document or person is in them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._requests = Counter(
            "moat_door_requests", "Requests answered.", ("route", "status", "code"), registry=self.registry
        )
        self._seconds = Histogram(
            "moat_door_seconds", "Seconds of a request.", ("route",), buckets=SECONDS, registry=self.registry
        )
        self.open = Gauge("moat_door_open_requests", "Requests under way.", registry=self.registry)

    def answered(self, route: str, status: int, code: str, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(route, str(status), code).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """The numbers in Prometheus' text format."""
        return generate_latest(self.registry)
