"""Access sync: reads who may read what, often; fetches and embeds nothing. (Airflow DAG)"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException
from moat_notifiers import WATCHED
from moat_tasks import RETRY, ask_about, open_runtime, run_of, source_names

with DAG(
    "sync_access",
    schedule=timedelta(minutes=5),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=20,  # so that a source that hangs, twice for as long as it may, keeps no other one waiting
    is_paused_upon_creation=False,  # while it is paused, revocations wait for the next load
    tags=["moat", "maintenance"],
    description="Updates the access of every source, revocations first",
    doc_md="""Reads only who may read what, from every loaded source, one task per source.

A change that **narrows** access applies as soon as it is recorded, and the index is patched. Documents that would become
**public**, and more widened documents than `Limits.max_widened_documents`, are **held**: the DAG `held_access` asks a person
under Required Actions. A source that cannot be read, or does not answer for ten minutes, keeps its access and its task
fails; after `Limits.max_access_age_hours` its documents are masked. A run does not wait for the one before, so that one
source never holds up another. See docs/access.md.""",
    params={
        "sources": Param(
            [],
            type=["null", "array"],
            items={"type": "string"},
            examples=source_names(Path(__file__).parent),
            title="Only these sources",
            description="Choose from the list; empty for all.",
        )
    },
    default_args={
        "owner": "moat",
        "retries": 1,
        "execution_timeout": timedelta(minutes=45),
        "retry_delay": timedelta(seconds=20),
        "retry_policy": RETRY,
        **WATCHED,
    },
):

    @task
    def sources(*, params: Any = None) -> list[str]:
        """Loaded sources, and broken DAG files, whose tasks report the error."""
        from moat.ledger import projection
        from moat.maintenance.access_sync import undeclared
        from moat.owners import sources_of

        with open_runtime() as runtime:
            found = sources_of(runtime.ledger)
            loaded = set(projection.sources(runtime.ledger))
            undeclared(runtime, found.sources)
        if strange := set(params["sources"] or ()) - set(found.sources):
            raise AirflowFailException(f"no DAG file declares {', '.join(sorted(strange))}: correct the parameter")
        wanted = params["sources"] or [*sorted(found.sources), *sorted(found.broken)]
        return [name for name in wanted if name in loaded or name in found.broken]

    # A mapped task does not take its documentation from the function.
    @task(
        task_display_name="access",
        map_index_template="{{ label }}",
        doc_md="Read who may read what of one source. Fails if that cannot be read; what widens far waits in held_access.",
    )
    def access(name: str) -> dict[str, Any]:
        from moat.maintenance.access_sync import summary, sync_access
        from moat.owners import source_of

        context = get_current_context()
        context["label"] = name  # type: ignore[typeddict-unknown-key]
        with open_runtime() as runtime:
            synced = sync_access(runtime, source_of(runtime.ledger, name), run_of(context))
            runtime.progress(summary(synced))
        if synced.hold is not None:
            ask_about(synced.hold)
        return synced.to_dict()

    access.expand(name=sources())
