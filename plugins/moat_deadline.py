"""The moment from which a run's deadline is counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk.definitions.deadline import BaseDeadlineReference


class RunCreated(BaseDeadlineReference):
    """When a run was created.

    Unlike DAGRUN_QUEUED_AT it is not computed again when a run is cleared, which fails in Airflow 3.3
    (https://github.com/apache/airflow/issues/70368): nobody could clear a failed run before its deadline.
    """

    required_kwargs: set[str] = set()  # noqa: RUF012  as Airflow's own have it

    def _evaluate_with(self, **_: Any) -> datetime:
        """The time of now: Airflow asks when it creates the run."""
        return datetime.now(UTC)


class MoatDeadline(AirflowPlugin):
    name = "moat_deadline"
    deadline_references = [RunCreated]  # noqa: RUF012  as the base class has it
