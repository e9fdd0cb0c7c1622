"""Compares source, ledger and Weaviate: counts, orphans, access. Repairs on request. (Airflow DAG)"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowFailException
from moat_notifiers import WATCHED
from moat_tasks import RETRY, open_runtime

with DAG(
    "reconcile",
    schedule="0 5 * * 0",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["moat", "maintenance"],
    description="Compares sources, ledger and index",
    doc_md=__doc__,
    params={
        "repair": Param(
            False,
            type=["null", "boolean"],
            title="Repair",
            description="Write objects missing from the index, and remove those that the ledger does not know.",
        )
    },
    default_args={
        "owner": "moat",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "retry_policy": RETRY,
        "execution_timeout": timedelta(hours=12),
        **WATCHED,
    },
):

    @task
    def compare(*, params: Any = None) -> list[dict[str, Any]]:
        """Fails if differences remain unrepaired."""
        from dataclasses import asdict

        from moat.cli.render import counted
        from moat.embedding.client import model_of
        from moat.index.write import open_writer as index_of
        from moat.maintenance.reconcile import reconcile
        from moat.owners import sources_of
        from moat.stages.compare import next_runs

        with open_runtime() as runtime:
            model, found = model_of(runtime.settings, runtime.connections), sources_of(runtime.ledger)
            index = index_of(runtime, model)
            try:
                drifts = reconcile(runtime, index, model, next_runs(runtime, found.sources), bool(params["repair"]))
            finally:
                index.close()
            for d in drifts:
                runtime.progress(
                    f"{d.source}: {d.visible_documents:,} documents, {d.visible_chunks:,} chunks; missing {d.missing}, text {d.text}, "
                    f"access {d.access}, orphans {d.orphans}; {d.unreadable or f'the source is ahead by {counted(d.ahead)}'}{''.join(f'; {one}' for one in d.examples)}"
                )
        if found.broken:
            raise AirflowFailException("; ".join(map(str, found.broken.values())))
        if wrong := [d.source for d in drifts if not d.agrees and not d.repaired]:
            raise AirflowFailException(
                f"{', '.join(wrong)} do not agree with the ledger: see above, then trigger this DAG with Repair"
            )
        return [asdict(d) for d in drifts]

    compare()
