"""The DAG of one source, with every stage of the way (Airflow):

read → [ parse → clean → chunk → embed ] over batches → gate → decide → load → promote
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import (  # type: ignore[attr-defined]  # it exports some names lazily
    DAG,
    Asset,
    DeadlineAlert,
    Param,
    SyncCallback,
    get_current_context,
    get_parsing_context,
    task,
    task_group,
)
from airflow.sdk.definitions.param import ParamsDict
from moat_deadline import RunCreated
from moat_lineage import emits
from moat_tasks import (
    RETRY,
    Decide,
    DecideBudget,
    give_up,
    late,
    note_run,
    noticed,
    open_runtime,
    run_of,
    starter_of,
)

from moat.checks import FAMILIES
from moat.dagfile import known_as, parsed_file
from moat.links import page
from moat.source import Source

FOLDER = Path(__file__).parent
LOAD = "{{ ti.xcom_pull(task_ids='read', key='load') }}"
PARAMS = {
    "full": Param(
        False,
        type=["null", "boolean"],  # what may be null bears no star in the form
        title="Read everything again",
        description="Read unchanged documents too. Identical results are neither embedded nor written again.",
    ),
    "only": Param(
        [],
        type=["null", "array"],
        items={"type": "string"},
        title="Only these keys",
        description_md="One key per line; empty for the whole source. [Find a key](plugin/moat) by words of it or of its title.",
    ),
    "limit": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        title="Maximum documents",
        description="Limit of new and changed documents; the rest waits for the next run.",
    ),
    "expected": Param(
        None,
        type=["null", "string"],
        title="Expected change (reason)",
        description="Reason why this run will differ, such as a backfill. Learned bounds then only warn, and learn nothing from it.",
    ),
    "dry_run": Param(
        False,
        type=["null", "boolean"],
        title="Dry run",
        description="Show the plan and its cost in the run's note and in the log of the task `read`; write nothing.",
    ),
}


def ingest(
    source: Source, schedule: Any = None, deadline_hours: float = 6.0, start: datetime = datetime(2026, 1, 1)
) -> DAG:
    """Create the DAG of a source; its id and asset are the source's name.

    Args:
        source: The declared source.
        schedule: Anything that Airflow accepts as a schedule; None for manual runs only.
        deadline_hours: Hours from the creation of a run to promotion after which the run is reported as late.
        start: Start date of the DAG.

    Returns:
        The DAG, for the module that declares the source; an empty one in a task of another source.
    """
    wanted = get_parsing_context().dag_id  # of the task that is about to run; None: all DAGs are parsed
    if wanted not in (None, source.name):
        return DAG(source.name, auto_register=False)
    parsed = parsed_file(FOLDER)
    file = parsed.file if parsed else FOLDER / "ingest.py"
    if parsed and (others := parsed.elsewhere.get(source.name)):
        from moat.owners import refuse_second

        refuse_second(source.name, known_as(file, FOLDER), others)
    with DAG(
        source.name,
        schedule=schedule,
        start_date=start,
        catchup=False,
        max_active_runs=1,
        description=source.description or f"Keeps {source.name} in step",
        doc_md=_doc(source),
        tags=["moat", "source"],
        default_args={
            "owner": source.owner,
            "retries": 3,
            "retry_delay": timedelta(seconds=20),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=10),
            "retry_policy": RETRY,
        },
        deadline=DeadlineAlert(
            reference=RunCreated(),
            interval=timedelta(hours=deadline_hours),
            callback=SyncCallback(late, kwargs={"source": source.name, "hours": deadline_hours}),
            name="load is late",
        ),
    ) as dag:

        @task(on_failure_callback=give_up)
        def read(*, params: Any = None) -> list[dict[str, int]]:
            """Compare the source with the ledger, open a load, and stage what is new or changed in batches."""
            from moat.cli.render import estimate
            from moat.incidents import lifecycle
            from moat.incidents.freshness import stale
            from moat.ledger import approvals
            from moat.owners import claim
            from moat.runtime import Options
            from moat.stages.dry_run import dry_run
            from moat.stages.read import read as stage

            context = get_current_context()
            options = Options(
                bool(params["full"]), tuple(params["only"] or ()), params["limit"], params["expected"] or ""
            )
            with open_runtime() as runtime:
                claim(runtime.ledger, source.name, file, FOLDER, only_look=bool(params["dry_run"]))
                if params["dry_run"]:
                    told = estimate(source.name, dry_run(runtime, source, options))
                    runtime.progress(told)
                    note_run(runtime, context, told)
                    context["ti"].xcom_push(key="anything", value=False)
                    return []
                if options.expected:  # it lets through what else a person would have to release
                    approvals.require(
                        runtime.ledger, runtime.settings, starter_of(context), f"an expected change of {source.name}"
                    )
                found = stage(runtime, source, run_of(context), options)
                if found.unchanged and (quiet := stale(runtime, source.name)):
                    lifecycle.late(runtime, source.name, quiet)
            context["ti"].xcom_push(key="load", value=found.load)
            context["ti"].xcom_push(key="anything", value=not found.unchanged)
            return [{"number": b.number, "documents": b.n_documents} for b in found.batches]

        @task.short_circuit(task_display_name="anything to do?", ignore_downstream_trigger_rules=True)
        def anything() -> bool:
            """Skip all that follows where the source has nothing new, or in a dry run."""
            return bool(get_current_context()["ti"].xcom_pull(task_ids="read", key="anything"))

        # Mapped tasks do not take their documentation from the function.
        @task(
            task_display_name="parse → clean → chunk",
            map_index_template="{{ label }}",
            on_failure_callback=give_up,
            doc_md="Parse the documents of a batch, clean their text and cut it into chunks; set aside what cannot be read.",
        )
        def prepare(load: str, batch: dict[str, int]) -> dict[str, int]:
            from moat.stages.prepare import prepare as stage

            get_current_context()["label"] = f"batch {batch['number']}: {batch['documents']} documents"  # type: ignore[typeddict-unknown-key]
            with open_runtime() as runtime:
                stage(runtime, source, int(load), batch["number"])
            return batch

        @task(
            pool="gpu",
            queue="gpu",
            task_display_name="embed",
            map_index_template="{{ label }}",
            on_failure_callback=give_up,
            doc_md="Embed the chunks of a batch; a text that the model has embedded before costs nothing.",
        )
        def embed(load: str, batch: dict[str, int]) -> dict[str, int]:
            from moat.stages.embed import embed as stage

            get_current_context()["label"] = f"batch {batch['number']}"  # type: ignore[typeddict-unknown-key]
            with open_runtime() as runtime:
                return stage(runtime, source, int(load), batch["number"])

        @task_group(group_id="batch", group_display_name="parse → clean → chunk → embed")
        def batch(batch: dict[str, int]) -> None:
            embed(LOAD, prepare(LOAD, batch))  # type: ignore[arg-type]  # what a task returns, when it has run

        @task_group(group_id="batch", group_display_name="parse → clean → chunk → budget → embed")
        def budgeted(batches: Any) -> None:
            """Chunk every batch before embedding, because only then is the cost known."""
            budget = DecideBudget(
                task_id="budget",
                source=source,
                load=LOAD,
                task_display_name="budget",
                on_failure_callback=give_up,
                doc_md="Count the tokens that are to be embedded, and ask a person above the limit of one load.",
            )
            prepare.partial(load=LOAD).expand(batch=batches) >> budget
            budget >> embed.partial(load=LOAD).expand(batch=batches)

        @task_group(group_id="gate", group_display_name="gate")
        def gate() -> None:
            for family in FAMILIES:

                @task(
                    task_id=family.name,
                    task_display_name=family.title,
                    trigger_rule="none_failed",
                    on_failure_callback=noticed,
                    doc_md=f"Check the whole load: {family.title}. Red where a rule is broken that no person may release.",
                )
                def check(load: str, family: str) -> list[str]:
                    from moat.stages.gate import check as stage
                    from moat.stages.gate import refused

                    with open_runtime() as runtime:
                        return refused(stage(runtime, source, int(load), family))

                check(LOAD, family.name)

        @task(on_failure_callback=give_up)
        def load(load: str) -> dict[str, int]:
            """Write the load's objects to Weaviate, where nobody finds them yet, and read back each of them."""
            from moat.stages.load import load as stage

            with open_runtime() as runtime:
                return stage(runtime, source, int(load))

        @task(outlets=[Asset(name=source.name, uri=f"x-moat://{source.name}")], on_failure_callback=give_up)
        def promote(load: str, *, outlet_events: Any = None) -> int:
            """Make the whole load visible, and what it replaces invisible, in one transaction."""
            from moat.stages.promote import promote as stage

            with open_runtime() as runtime:
                promoted = stage(runtime, source, int(load), run_of(get_current_context()))
            outlet_events[Asset(name=source.name, uri=f"x-moat://{source.name}")].extra = {
                "load": promoted.id,
                **promoted.counts,
            }
            return promoted.id

        batches, worth = read(), anything()
        decide = Decide(
            task_id="decide",
            source=source,
            load=LOAD,
            trigger_rule="all_done",
            on_failure_callback=give_up,
            doc_md="Pass the load, wait for a person under Required Actions, or reject it, by what the checks found.",
        )
        gated = gate()
        each = budgeted(batches) if source.limits.budget else batch.expand(batch=batches)
        batches >> worth >> [each, gated]
        loaded, promoted = load(LOAD), promote(LOAD)
        each >> gated >> decide >> loaded >> promoted
        emits(batches, source, "read")
        emits(decide, source, "gate")
        emits(loaded, source, "load")
        emits(promoted, source, "promote")
    # Given last: a task has its DAG's parameters when it runs, and would else carry a copy of each, which Airflow
    # validates one by one when it serialises the DAG. That was nine tenths of the time.
    dag.params = ParamsDict(PARAMS)
    return dag


BUDGET = """

This source has a budget: after chunking, **budget** counts the tokens to embed and, above the limit of one load, waits for a
person under Required Actions. Nothing is embedded before."""


def _doc(source: Source) -> str:
    return f"""{source.description or source.name}

**read** compares `{type(source.reader).__name__}` with the ledger and stages new and changed documents; **parse → clean →
chunk → embed** runs per batch; each task of the **gate** is a family of checks, and one that failed names the broken rule;
**decide** passes the load, waits for a person under Required Actions, or blocks; **load** writes objects that are not yet
visible and verifies them by reading back; **promote** makes the whole load visible at once.{BUDGET if source.limits.budget else ""}

Access: `{type(source.access).__name__}`. If a load is held, failed or wrong: see docs/operations.md, or `moat loads`, `moat explain {source.name} KEY`.

[Knowledge base]({page("", "sources")}) · [in quarantine]({page("", "quarantine", source=source.name)}) · [incidents]({page("", "incidents")}) · [access]({page("", "access")})
"""
