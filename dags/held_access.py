"""Asks a person about a change of access that waits: a widening beyond its limits, a directory that shrank. (Airflow DAG)"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param
from moat_tasks import RETRY, DecideHold

with DAG(
    "held_access",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    is_paused_upon_creation=False,  # a question in a paused DAG would reach nobody
    tags=["moat", "maintenance"],
    description="Asks a person about a held change of access",
    doc_md="""A run for each hold, started by `sync_access` or `sync_directory`. Under **Required Actions** stands what
waits and why: release it or reject it. What narrows access never waits here. `moat access held` lists the same.""",
    params={
        "hold": Param(1, type="integer", minimum=1, title="Hold", description="Its number, from `moat access held`.")
    },
    catchup=False,
    default_args={"owner": "moat", "retries": 2, "retry_delay": timedelta(seconds=20), "retry_policy": RETRY},
):
    DecideHold(task_id="decide", task_display_name="release or reject?", hold="{{ params.hold }}")
