"""What a Celery worker imports once, so that each of its tasks does not: AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS=moat_celery.CONFIG

A task is a fork of a process of the worker's pool, and these are forks of the worker. What the worker has imported, a
task has. A module that cannot be imported here is imported by the task that needs it, which then says why.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

log = logging.getLogger(__name__)
MODULES = (
    "airflow.sdk.execution_time.task_runner",
    "airflow.dag_processing.dagbag",
    "airflow.providers.standard.decorators.python",
    "airflow.providers.standard.operators.hitl",
    "moat_connections",
    "moat_lineage",
    "moat_tasks",
    "moat.cli.render",
    "moat.index.write",
    "moat.stages.gate",
    "moat.stages.load",
    "moat.stages.prepare",
    "moat.stages.promote",
    "moat.stages.read",
    "boto3",
    "pyarrow.parquet",
    "psycopg2",
    "weaviate.classes.query",
)


def preload(**_: Any) -> None:
    """Import what tasks need."""
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            log.warning("%s is not imported before the first task: %s", name, error)
    from airflow.sdk.plugins_manager import _get_plugins

    _get_plugins()  # each task would look for them anew


def __getattr__(name: str) -> Any:
    """Make CONFIG when Celery asks for it: every part of Airflow imports this file as a plugin, most without Celery."""
    if name != "CONFIG":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG
    from celery.signals import worker_init  # type: ignore[import-untyped]

    worker_init.connect(preload, weak=False)
    return DEFAULT_CELERY_CONFIG
