"""Access sync: reads who may read what, often; fetches and embeds nothing. (Airflow DAG)"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException
from moat_notifiers import WATCHED, access_ended
from moat_tasks import RETRY, ask_about, open_runtime, run_of, source_names

with DAG(
    "sync_access",
    schedule=timedelta(minutes=5),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=20,  # so that runs go on while a task hangs, twice for as long as it may
    is_paused_upon_creation=False,  # while it is paused, revocations wait for the next load
    tags=["moat", "maintenance"],
    description="Updates the access of every source, revocations first",
    doc_md="""Reads only who may read what, from every loaded source, one task per kind of source.

A change that **narrows** access applies as soon as it is recorded, and the index is patched. Documents that would become
**public**, and more widened documents than `Limits.max_widened_documents`, are **held**: the DAG `held_access` asks a person
under Required Actions. A source that cannot be read, or does not answer for ten minutes, keeps its access; its task reads
the others and fails, and in the next run it comes last. After `Limits.max_access_age_hours` its documents are masked. A run
does not wait for the one before, so that a source that hangs holds up others once at most. See docs/access.md.""",
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
    def sources(*, params: Any = None) -> list[dict[str, Any]]:
        """Loaded sources by kind, and broken DAG files, whose task reports the errors."""
        from moat.ledger import projection
        from moat.maintenance.access_sync import undeclared
        from moat.maintenance.sync_together import by_kind
        from moat.owners import sources_of

        with open_runtime() as runtime:
            found = sources_of(runtime.ledger)
            loaded = set(projection.sources(runtime.ledger))
            undeclared(runtime, found.sources)
        if strange := set(params["sources"] or ()) - set(found.sources):
            raise AirflowFailException(f"no DAG file declares {', '.join(sorted(strange))}: correct the parameter")
        wanted = params["sources"] or [*sorted(found.sources), *sorted(found.broken)]
        due = [name for name in wanted if name in loaded or name in found.broken]
        return [{"kind": kind, "names": names} for kind, names in by_kind(found.sources, due).items()]

    # A mapped task does not take its documentation from the function.
    @task(
        task_display_name="access",
        map_index_template="{{ label }}",
        doc_md="Read who may read what of sources of one kind. Fails if that cannot be read; what widens far waits in held_access.",
    )
    def access(kind: str, names: list[str]) -> dict[str, Any]:
        from moat.errors import AccessNotRead, DeclarationError, MoatError
        from moat.maintenance.access_sync import SyncedAccess, summary
        from moat.maintenance.sync_together import sync_together, unread
        from moat.owners import sources_of

        context = get_current_context()
        context["label"] = f"{kind}: {len(names)}"  # type: ignore[typeddict-unknown-key]
        synced, failed = dict[str, Any](), dict[str, MoatError]()
        with open_runtime() as runtime:
            found = sources_of(runtime.ledger)

            def ended(source: Any, result: SyncedAccess | MoatError) -> None:
                if isinstance(result, MoatError):
                    failed[source.name] = result
                    access_ended(runtime, context, source.name, result)
                    return
                runtime.progress(summary(result))
                synced[source.name] = result.to_dict()
                access_ended(runtime, context, source.name, None)
                if result.hold is not None:
                    ask_about(result.hold)

            for name in set(names) - set(found.sources):
                failed[name] = found.broken.get(name) or DeclarationError(f"no DAG file declares {name} any more")
                access_ended(runtime, context, name, failed[name])
            declared = [found.sources[name] for name in names if name in found.sources]
            sync_together(runtime, declared, run_of(context), context["dag_run"].start_date or datetime.now(UTC), ended)
        if said := unread(failed, len(names)):
            raise AccessNotRead(said)
        return synced

    access.expand_kwargs(sources())
