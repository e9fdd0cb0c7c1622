"""What Airflow makes of DAG files: those that are shipped, and some that are made up, in one process for all tests."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from moat.ledger import Ledger
from moat.ledger.sources import own
from moat.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
HEAD = '"""Documents. (Airflow DAG)"""\nfrom ingest import ingest\nfrom include.source import *\n'
LIMITED = "ingest(Source(name={!r}, reader=LocalFiles(path={!r}), access=AccessFiles(), limits=Limits(max_tokens=10)), schedule=None)\n"
READER = "reader=LocalFiles(path='x')"
MADE = {
    "misspelt_field.py": f"ingest(Source(name='docs', {READER}, acess=AccessFiles()))",
    "misspelt_limit.py": f"ingest(Source(name='docs', {READER}, access=AccessFiles(), limits=Limits(min_document=1)))",
    "rule_that_does_not_fit.py": f"ingest(Source(name='docs', {READER}, access=ObjectTags(allow='readers')))",
    "twice.py": f"ingest(Source(name='twice', {READER}, access=AccessFiles()))",
    "twice_again.py": f"ingest(Source(name='twice', {READER}, access=AccessFiles()))",
    "right.py": f"ingest(Source(name='right', {READER}, access=AccessFiles()))",
    "budget.py": LIMITED.format("dear", "x") + LIMITED.format("free", "x").replace("Limits(max_tokens=10)", "Limits()"),
}
PARSED = 20  # of the many, that are parsed and serialised whole: what one costs does not depend on the others
MANY_SOURCES = """
import os
for i in range(int(os.environ.get("MANY", 500))):
    ingest(Source(name=f"docs_{i:03}", reader=LocalFiles(path=f"x{i}"), access=AccessFiles()), schedule="@daily")
"""
PLAIN = '''"""As many DAGs of as many tasks that do nothing. (Airflow DAG)"""
import os
from datetime import datetime
from airflow.sdk import DAG, task
for i in range(int(os.environ.get("MANY", 500))):
    with DAG(f"plain_{i:03}", schedule="@daily", start_date=datetime(2026, 1, 1)):
        for t in range(18):
            @task(task_id=f"t{t}")
            def nothing(): ...
            nothing()
'''
DESCRIBE = """
import cProfile, json, os, pstats, sys
from pathlib import Path
import airflow.sdk, airflow.dag_processing.dagbag  # what every task has anyway
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
before = set(sys.modules)

def bag_of(folder):
    sys.modules.pop("ingest", None)  # each folder has its own, as in an Airflow of its own
    sys.path.insert(0, folder)
    bag = airflow.dag_processing.dagbag.BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
    loaded = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
    return bag, loaded

bags = {name: bag_of(folder) for name, folder in zip(("shipped", "made"), sys.argv[1:3])}
from airflow.serialization.serialized_objects import DagSerialization

def failing(t):  # a mapped task has its callback as it was given
    found = t.on_failure_callback or ()
    return [c.__name__ for c in (found if isinstance(found, (list, tuple)) else (found,))]

def task(t):
    return {
        "group": t.task_group.group_id, "group_name": t.task_group.group_display_name, "name": t.task_display_name,
        "up": sorted(t.upstream_task_ids), "above": sorted(u.task_id for u in t.get_flat_relatives(upstream=True)),
        "pool": t.pool, "queue": t.queue, "retries": t.retries, "retry_delay_s": t.retry_delay.total_seconds(),
        "backs_off": bool(t.retry_exponential_backoff), "longest_s": t.max_retry_delay and t.max_retry_delay.total_seconds(),
        "policy": t.retry_policy and [[r.exception_path, r.action.value] for r in t.retry_policy.rules],
        "owner": t.owner, "rule": t.trigger_rule.value, "gives_up": "give_up" in failing(t), "told": bool(failing(t)), "mapped": t.get_closest_mapped_task_group() is not None,
        "outlets": [o.name for o in t.outlets], "doc": getattr(t, "doc_md", None),
    }

def dag(d):
    DagSerialization.to_dict(d)
    return {
        "owner": d.owner, "tags": sorted(d.tags), "doc": d.doc_md, "about": d.description, "schedule": d.schedule is not None,
        "catchup": d.catchup, "at_once": d.max_active_runs, "tasks": {t.task_id: task(t) for t in d.tasks},
        "deadlines": [[a.name, a.interval.total_seconds(), type(a.reference).__name__, a.callback.path, a.callback.kwargs] for a in d.deadline or ()],
        "params": {n: {"value": p.value, "about": p.description, **p.schema} for n, p in ((n, d.params.get_param(n)) for n in d.params)},
        "file": Path(d.fileloc).name,
    }

listed, calls = [], {}
sys.addaudithook(lambda event, args: listed.append(str(args[0])) if event in ("os.scandir", "os.listdir") else None)

def counted(folder, file, n):  # function calls that Airflow needs to read n DAGs of a file and to write them down
    os.environ["MANY"] = str(n)
    bag_of(folder)  # what is imported once is not counted
    listed.clear()
    profile = cProfile.Profile()
    profile.enable()
    bag = airflow.dag_processing.dagbag.BundleDagBag(str(Path(folder, file)), bundle_path=Path(folder), bundle_name="dags-folder")
    for d in bag.dags.values():
        DagSerialization.to_dict(d)
    profile.disable()
    assert len(bag.dags) == n, bag.import_errors
    return pstats.Stats(profile).total_calls

from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager
folder, n = sys.argv[3], int(sys.argv[4])
plain = counted(folder, "plain.py", n)
moats, of_moats = counted(folder, "many.py", n), [path for path in listed if Path(path) == Path(folder)]
os.environ.pop("MANY")
with _airflow_parsing_context_manager(dag_id="docs_007", task_id="read"):  # as the start of a task does
    started = airflow.dag_processing.dagbag.BundleDagBag(str(Path(folder, "many.py")), bundle_path=Path(folder), bundle_name="dags-folder")

print("ANSWER" + json.dumps({
    "many": {
        "plain": plain, "moats": moats, "listed": len(of_moats), "errors": [str(e) for e in started.import_errors.values()],
        "started": {i: len(d.tasks) for i, d in started.dags.items()},
    },
} | {
    name: {
        "errors": {Path(file).name: error for file, error in bag.import_errors.items()},
        "loaded": loaded, "dags": {i: dag(d) for i, d in bag.dags.items()},
    }
    for name, (bag, loaded) in bags.items()
}))
"""


def asked_of_airflow(code: str, home: Path, *arguments: str, **env: str) -> Any:
    """What some Python answers in a fresh process with Airflow's paths, as a task has them."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=home,
        env={
            **os.environ,
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__CORE__DAGS_FOLDER": arguments[0],
            "PYTHONPATH": f"{PROJECT}:{PROJECT / 'include'}",
            **env,
        },
        check=False,
    )
    answers = [line.removeprefix("ANSWER") for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    assert len(answers) == 1, f"{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    return json.loads(answers[0])


def described(home: Path) -> Any:
    """What Airflow has read of the shipped DAG files, and of those in MADE: import errors, DAGs with their tasks.

    The ledger knows `twice` from twice.py.
    """
    url = f"sqlite:///{home}/ledger.db"
    ledger = Ledger(url, Settings.load().tenant)
    ledger.migrate()
    own(ledger, "twice", "twice.py")
    ledger.close()
    made = home / "dags"
    made.mkdir(parents=True)
    (made / "ingest.py").write_text((PROJECT / "dags" / "ingest.py").read_text())
    for name, source in MADE.items():
        (made / name).write_text(HEAD + source)
    many = home / "many"
    many.mkdir()
    (many / "ingest.py").write_text((PROJECT / "dags" / "ingest.py").read_text())
    (many / "many.py").write_text(HEAD + MANY_SOURCES)
    (many / "plain.py").write_text(PLAIN)
    return asked_of_airflow(DESCRIBE, home, *map(str, (PROJECT / "dags", made, many, PARSED)), MOAT_LEDGER_URL=url)
