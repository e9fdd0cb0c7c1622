"""Writes the audit's newest hash outside of the ledger, every hour. (Airflow DAG)"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task
from moat_notifiers import WATCHED
from moat_tasks import RETRY, open_runtime

with DAG(
    "anchor_audit",
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,  # while it is paused, a chain that is written anew is not found
    tags=["moat", "maintenance"],
    description="Writes the audit's head outside of the ledger",
    doc_md="""Writes number and hash of the audit's newest row as an object that is never overwritten (`MOAT_AUDIT_URI`),
and returns it, so that it stands in Airflow's database too. Fails if the audit does not fit the anchor before: then rows
were removed or written anew. `moat audit verify` compares the whole chain with every anchor.""",
    default_args={
        "owner": "moat",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "retry_policy": RETRY,
        "execution_timeout": timedelta(minutes=15),
        **WATCHED,
    },
):

    @task
    def anchor() -> dict[str, Any]:
        """Fails if the audit no longer fits its newest anchor."""
        from dataclasses import asdict

        from moat.maintenance.anchors import anchor as stage

        with open_runtime() as runtime:
            made = stage(runtime)
            runtime.progress(f"anchor {made.number}: {made.rows:,} rows, hash {made.head}" if made else "no row yet")
        return asdict(made) if made else {}

    anchor()
