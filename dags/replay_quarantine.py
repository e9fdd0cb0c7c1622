"""Marks quarantined documents and runs their sources for these keys. (Airflow DAG)"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, task
from moat_notifiers import WATCHED
from moat_tasks import RETRY, open_runtime, source_names

from moat.errors import document_errors

TEXT: dict[str, Any] = {"type": ["null", "string"]}
with DAG(
    "replay_quarantine",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,  # it has no schedule, so a trigger should run at once
    tags=["moat", "maintenance"],
    description="Tries quarantined documents again",
    doc_md=__doc__,
    params={
        "source": Param(
            None,
            **TEXT,
            examples=source_names(Path(__file__).parent),
            title="Source",
            description="Choose from the list; empty for all sources.",
        ),
        "key": Param(
            None, **TEXT, title="Key", description="One document, however often it failed; empty for all that match."
        ),
        "stage": Param(
            None,
            **TEXT,
            enum=[None, "read", "parse", "clean"],
            values_display={"null": "all"},
            title="Stage",
            description="Where it failed.",
        ),
        "reason": Param(
            None,
            **TEXT,
            examples=document_errors(),
            title="Error",
            description="Choose from the list; empty for any.",
        ),
        "since": Param(
            None,
            **TEXT,
            title="Failed since",
            description="UTC time such as 2026-07-05 or 2026-07-05T14:30, or an age such as 24h or 7d.",
        ),
        "until": Param(None, **TEXT, title="Failed before", description="Same format; empty for now."),
        "again": Param(
            False,
            type=["null", "boolean"],
            title="Include documents that failed three times",
            description="Otherwise they are skipped, because the same bytes would most likely fail again.",
        ),
    },
    default_args={
        "owner": "moat",
        "retries": 2,
        "retry_delay": timedelta(seconds=20),
        "retry_policy": RETRY,
        "execution_timeout": timedelta(minutes=30),
        **WATCHED,
    },
):

    @task
    def mark(*, params: Any = None) -> list[dict[str, Any]]:
        """Mark matching documents; returns one run per source, with its keys."""
        from moat.ledger.quarantine import Which, known_filter, known_source, left_resting, replay
        from moat.timeparse import moment

        now = datetime.now(UTC)
        since, until = (moment(params[name], now) if params[name] else None for name in ("since", "until"))
        which = Which(
            key=params["key"] or None,
            stage=params["stage"] or None,
            error=params["reason"] or None,
            since=since,
            until=until,
        )
        with open_runtime() as runtime:
            source = known_source(runtime.ledger, params["source"] or None)
            which = known_filter(runtime.ledger, source, which)
            found = replay(runtime.ledger, source, which, "taken" if params["again"] else "left")
            for name, keys in found.marked.items():
                runtime.progress(f"{name}: {len(keys):,} documents are tried again: {', '.join(keys[:10])}")
            for name, n in found.resting.items():
                runtime.progress(left_resting(name, n))
        return [{"trigger_dag_id": name, "conf": {"only": keys}} for name, keys in found.marked.items()]

    TriggerDagRunOperator.partial(
        task_id="run", doc_md="Run each source for its documents that are tried again.", retries=0
    ).expand_kwargs(mark())
