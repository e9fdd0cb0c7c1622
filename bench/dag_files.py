"""What Airflow's DAG processor spends on the DAG files of many sources, beside bare DAGs of as many tasks.

    .venv/bin/python -m bench.dag_files [--sources 500] [--files 200]

Each shape is parsed and serialised whole in a process of its own, as the DAG processor does with a file, after what
Airflow imports anyway. Airflow gives a file up after `dag_processor.dag_file_processor_timeout` seconds (50), and drops
its DAGs: the share is of these.
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from bench.results import put, ran_on
from moat.settings import PROJECT
from tests.dagbag import HEAD, MANY_SOURCES, PLAIN, asked_of_airflow

TITLE = "DAG files of many sources"
LIMIT_S = 50
ONE = "ingest(Source(name='docs_{0}', reader=LocalFiles(path='x{0}'), access=AccessFiles()), schedule='@daily')\n"
YAML = """# DAGs of Airflow: the sources of a YAML file
from ingest import ingest
from include.source import sources_in_yaml
for source, schedule in sources_in_yaml({!r}):
    ingest(source, schedule=schedule)
"""
MEASURE = """
import json, os, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
import airflow.sdk
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.serialization.serialized_objects import DagSerialization
BundleDagBag(str(folder / "warm.py"), bundle_path=folder, bundle_name="dags-folder")  # the first one imports
began, parsed, written, dags, tasks = time.process_time(), 0.0, 0.0, 0, 0
for file in sorted(folder.glob("many*.py")):
    began = time.process_time()
    bag = BundleDagBag(str(file), bundle_path=folder, bundle_name="dags-folder")
    assert not bag.import_errors, bag.import_errors
    parsed += time.process_time() - began
    began = time.process_time()
    for dag in bag.dags.values():
        DagSerialization.to_dict(dag)
        tasks += len(dag.tasks)
    written += time.process_time() - began
    dags += len(bag.dags)
print("ANSWER" + json.dumps([dags, tasks, parsed, written]))
"""


def main(sources: int, files: int) -> str:
    """Measure each shape; returns the section's text."""
    rows = ["| shape | DAGs | tasks | parse, CPU s | serialise, CPU s | CPU ms a DAG | of the limit for its file |", "|---|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    listed = "sources:\n" + "".join(
        f"  docs_{i}: {{reader: {{LocalFiles: {{path: x{i}}}}}, access: {{AccessFiles: {{}}}}, schedule: '@daily'}}\n"
        for i in range(sources)
    )
    with tempfile.TemporaryDirectory(prefix="moat-bench-") as home:
        (Path(home) / "sources.yaml").write_text(listed)
        shapes = {
            f"{sources} sources in a loop": {"many.py": HEAD + MANY_SOURCES},
            f"{sources} sources of a YAML file": {"many.py": YAML.format(f"{home}/sources.yaml")},
            f"{sources} bare DAGs of as many tasks in a loop": {"many.py": PLAIN},
            f"{files} files of one source": {f"many_{i}.py": HEAD + ONE.format(i) for i in range(files)},
        }
        for name, texts in shapes.items():
            dags, tasks, parsed, written = _measured(Path(home) / "dags", texts, sources)
            share = f"{(parsed + written) / len(texts) / LIMIT_S:.1%}"
            rows.append(f"| {name} | {dags} | {tasks:,} | {parsed:.1f} | {written:.1f} | {1000 * (parsed + written) / dags:.0f} | {share} |")  # fmt: skip
            print(rows[-1], flush=True)
    return "\n".join([*rows, "", ran_on("apache-airflow")])


def _measured(folder: Path, texts: dict[str, str], sources: int) -> tuple[int, int, float, float]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(PROJECT / "dags" / "ingest.py", folder)
    for name, text in {**texts, "warm.py": HEAD + ONE.format("warm")}.items():
        (folder / name).write_text(text)
    dags, tasks, parsed, written = asked_of_airflow(
        MEASURE,
        folder.parent,
        str(folder),
        MANY=str(sources),
        MOAT_HOME=str(folder.parent / "moat"),
        AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR",
        PYTHONPATH=os.pathsep.join(str(PROJECT / p) for p in ("", "include", "plugins")),
    )
    return dags, tasks, parsed, written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sources", type=int, default=500)
    parser.add_argument("--files", type=int, default=200)
    given = parser.parse_args()
    report = main(given.sources, given.files)
    put(TITLE, report)
    print(report)
