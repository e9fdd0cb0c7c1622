"""The DAG that syncs the directories declared in a DAG file."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException
from moat_notifiers import WATCHED
from moat_tasks import RETRY, ask_about, open_runtime, run_of

if TYPE_CHECKING:
    from moat.directories.directory import Directory

DOC = """Group memberships from every directory that `dags/sync_directory.py` declares, one task per directory.

A task reads its directory **completely**, counts what would be **removed**, and **replaces** all of its groups in one
transaction. If more would be removed than the declaration allows, the groups stay unchanged, the task fails and names the
hold, and the DAG `held_access` asks a person under Required Actions; `moat access release ID` and `moat access reject ID`
do the same. A release reads the directory again and applies the change if it is still the same.

A directory that could not be read for longer than its `max_age_hours` makes **every search refuse**, because removals
from its groups are no longer known. See docs/access.md.
"""


def sync_directories(*directories: Directory, schedule: Any = timedelta(minutes=30)) -> DAG:
    """Create the DAG `sync_directory`, one task per directory. Takes any Airflow schedule."""
    with DAG(
        "sync_directory",
        schedule=schedule,
        start_date=datetime(2026, 1, 1),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,  # an outdated directory makes every search refuse
        tags=["moat", "maintenance"],
        description="Keeps directories of people and groups in step",
        doc_md=DOC,
        default_args={
            "owner": "moat",
            "retries": 3,
            "retry_delay": timedelta(seconds=20),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=5),
            "retry_policy": RETRY,
            "execution_timeout": timedelta(hours=1),
            **WATCHED,
        },
    ) as dag:
        for directory in directories:
            task(
                task_id=directory.name,
                owner=directory.owner,
                task_display_name=f"people and groups of {directory.name}",
                doc_md=directory.description or None,
            )(_sync)(directory.name)
    return dag


def _sync(name: str) -> dict[str, Any]:
    """Read a directory and replace its groups; fails if held."""
    from moat.dagfile import directory_named
    from moat.maintenance.swaps import sync_directory

    with open_runtime() as runtime:
        synced = sync_directory(runtime, directory_named(name), run_of(get_current_context()))
    if synced.outcome == "held" and synced.hold is not None:
        ask_about(synced.hold)
    if not synced.passed:
        raise AirflowFailException(
            f"directory {name} is {synced.outcome} and its groups stay as they were: {synced.reason}. If that is right, "
            f"`moat access release {synced.hold}`, which reads it again; else mend the directory"
        )
    return synced.to_dict()
