"""Try quarantined documents again: marks them, then runs their sources for just those keys. (Airflow DAG)"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, task
from moat_tasks import RETRY, opened

TEXT = {"type": ["null", "string"]}
with DAG(
    "replay_quarantine",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,  # it has no schedule, and who triggers it should not wait for a switch
    tags=["moat", "maintenance"],
    description="Tries quarantined documents again",
    doc_md=__doc__,
    params={
        "source": Param(None, **TEXT, title="Source", description="Empty: every source."),
        "key": Param(None, **TEXT, title="Key", description="One document; empty: all that match."),
        "stage": Param(None, **TEXT, title="Stage", description="read or parse; empty: both."),
        "reason": Param(
            None, **TEXT, title="Error", description="Such as ParseFailed, AccessUnknown, TooLarge; empty: any."
        ),
    },
    default_args={"owner": "moat", "retries": 2, "retry_delay": timedelta(seconds=20), "retry_policy": RETRY},
):

    @task
    def mark(*, params: Any = None) -> list[dict[str, Any]]:
        """Mark what matches; one run a source, for those keys."""
        from include.quarantine import replay

        with opened() as way:
            marked = replay(way.ledger, params["source"], params["key"], params["stage"], params["reason"])
            for source, keys in marked.items():
                way.progress(f"{source}: {len(keys):,} documents are tried again: {', '.join(keys[:10])}")
        return [{"trigger_dag_id": source, "conf": {"only": keys}} for source, keys in marked.items()]

    TriggerDagRunOperator.partial(task_id="run", retries=0).expand_kwargs(mark())
