"""A Celery worker imports, before it forks, what its tasks need; whoever else loads the plugin imports nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from moat.settings import PROJECT

ASK = """
import json, sys
from airflow.configuration import conf
import airflow.settings
before = set(sys.modules)
import moat_celery
cheap = {name.partition(".")[0] for name in set(sys.modules) - before}
config = conf.getimport("celery", "celery_config_options")
from celery.signals import worker_init
worker_init.send(None)
print("ANSWER" + json.dumps({
    "cheap": sorted(cheap),
    "broker": config["broker_url"],
    "missing": [name for name in moat_celery.MODULES if name not in sys.modules],
    "threads": __import__("threading").active_count(),
}))
"""


def test_a_worker_has_imported_what_tasks_need_before_the_first_one(
    asked_of_airflow: Callable[..., Any], tmp_path: Path
) -> None:
    given = {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": "moat_celery.CONFIG",
        "AIRFLOW__CELERY__BROKER_URL": "redis://127.0.0.1:1/0",
    }
    found = asked_of_airflow(ASK, tmp_path, str(PROJECT / "dags"), **given)
    assert found["cheap"] == ["moat_celery"]
    assert found["broker"] == "redis://127.0.0.1:1/0"
    assert found["missing"] == []
    assert found["threads"] == 1, "a fork has none of the threads that an import may have started"
