"""Asks a person about a held access change. (Airflow DAG)"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param
from moat_tasks import RETRY, DecideHold

with DAG(
    "held_access",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    is_paused_upon_creation=False,  # a paused DAG would never ask
    tags=["moat", "maintenance"],
    description="Asks a person about a held access change",
    doc_md="""One run per hold, started by `sync_access` or `sync_directory`. **Required Actions** shows what is held and
why: release or reject it. Changes that narrow access are never held. `moat access held` lists the same holds.""",
    params={
        "hold": Param(
            1, type="integer", minimum=1, title="Hold", description="Number of the hold, from `moat access held`."
        )
    },
    catchup=False,
    # No execution_timeout: to this operator it is the time that a person has to answer. What it then does ends by itself.
    default_args={"owner": "moat", "retries": 2, "retry_delay": timedelta(seconds=20), "retry_policy": RETRY},
):
    DecideHold(
        task_id="decide",
        task_display_name="release or reject",
        hold="{{ params.hold }}",
        doc_md="Ask a person whether a held change of access is let through, and apply it.",
    )
