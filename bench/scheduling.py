"""What Airflow spends on a task that does nothing, by part: scheduler, API server, worker.

    .venv/bin/python -m bench.scheduling [--tasks 100]

An Airflow of its own with a SQLite database and the local executor, two tasks at a time, with the settings of the
compose file. One DAG runs mapped tasks that return at once. CPU seconds of each part while they ran, less what it spent
in as long a time without a task.
"""

import argparse
import os
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import psutil

from bench.results import in_a_folder, put, ran_on
from moat.local import servers

TITLE = "scheduling: what Airflow spends on a task that does nothing"
IDLE_S, PATIENCE_S = 30.0, 900.0
DAG = """
from airflow.sdk import dag, task

@dag(schedule=None)
def nothing():
    @task
    def one(i):
        return None
    one.expand(i=list(range({tasks})))

nothing()
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tasks", type=int, default=100)
    given = options.parse_args()
    put(TITLE, in_a_folder(lambda home: measured(given.tasks, home)))


def measured(tasks: int, home: Path) -> str:
    (home / "dags").mkdir()
    (home / "dags" / "nothing.py").write_text(DAG.format(tasks=tasks), "utf-8")
    api, health = servers.free_ports(2)
    env = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{api}/execution/",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(48),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "True",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(health),
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    }
    airflow = str(Path(sys.executable).with_name("airflow"))
    run = [airflow, "db", "migrate"]
    subprocess.run(run, env={**os.environ, **env}, check=True, capture_output=True)

    def part(name: str, *arguments: str, url: str = "") -> servers.Server:
        ready = (lambda: servers.answers(url)) if url else (lambda: True)
        return servers.start(name, [airflow, name, *arguments], env, home / "logs", ready)

    with ExitStack() as stack:
        parts = {
            "API server": part("api-server", "--port", str(api), "--workers", "1", url=f"http://127.0.0.1:{api}/api/v2/version"),
            "scheduler": part("scheduler", url=f"http://127.0.0.1:{health}/health"),
            "dag-processor": part("dag-processor"),
        }  # fmt: skip
        stack.enter_context(servers.running(*parts.values()))
        database = home / "airflow.db"
        until(lambda: asked(database, "SELECT count(*) FROM serialized_dag") == 1, "the DAG is not parsed")
        run = [airflow, "dags", "trigger", "nothing"]
        subprocess.run(run, env={**os.environ, **env}, check=True, capture_output=True)  # warm
        done = "SELECT count(*) FROM task_instance WHERE state = 'success'"
        until(lambda: asked(database, done) >= tasks, "the first run does not end")
        time.sleep(5.0)
        start = spent(parts)
        time.sleep(IDLE_S)
        idle = {name: (now - start[name]) / IDLE_S for name, now in spent(parts).items()}
        subprocess.run(run, env={**os.environ, **env}, check=True, capture_output=True)
        start, began = spent(parts), time.monotonic()
        until(lambda: asked(database, done) >= 2 * tasks, "the second run does not end")
        took = time.monotonic() - began
        each = {name: (now - start[name] - idle[name] * took) / tasks for name, now in spent(parts).items()}
    rows = [
        f"| scheduler, its own process | {each['scheduler']:.3f} | {idle['scheduler']:.3f} |",
        f"| its executor's workers and the tasks in them | {each['tasks']:.3f} | {idle['tasks']:.3f} |",
        f"| API server | {each['API server']:.3f} | {idle['API server']:.3f} |",
    ]
    return "\n\n".join(
        [
            f"{tasks} mapped tasks of one run, two at a time, in {took:,.0f} s; SQLite and the local executor.",
            "\n".join(["| part | CPU s a task | CPU s a second without a task |", "|---|---:|---:|", *rows]),
            f"All: {sum(each[name] for name in ('scheduler', 'tasks', 'API server')):.2f} CPU s a task.",
            f"{ran_on('apache-airflow')} By `python -m bench.scheduling`.",
        ]
    )


def spent(parts: dict[str, servers.Server]) -> dict[str, float]:
    """CPU seconds of each part until now: the scheduler without its children, and those as the tasks."""
    found = dict[str, float]()
    for name, server in parts.items():
        process = psutil.Process(server.process.pid)
        own = process.cpu_times()
        children = sum(
            sum(child.cpu_times()[:4]) for child in process.children(recursive=False)
        )  # with those that each has waited for
        if name == "scheduler":
            found["scheduler"], found["tasks"] = (
                own.user + own.system,
                children + own.children_user + own.children_system,
            )
        else:
            found[name] = sum(own[:4]) + children
    return found


def asked(database: Path, query: str) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return int(connection.execute(query).fetchone()[0])


def until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(1.0)


if __name__ == "__main__":
    main()
