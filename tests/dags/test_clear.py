"""A person clears a failed run, before its deadline and after it."""

from pathlib import Path
from typing import Any

from tests.dags.test_dags import docs_dag

SOURCE = "ingest(Source(name='docs', reader=LocalFiles(path='x'), access=AccessFiles()), schedule=None)\n"
CLEAR = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from sqlalchemy import select
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.models import clear_task_instances
from airflow.models.dagbag import DBDagBag
from airflow.models.deadline import Deadline
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType

bag = BundleDagBag(sys.argv[1], bundle_path=Path(sys.argv[1]), bundle_name="dags-folder")
assert not bag.import_errors, bag.import_errors
with create_session() as session:
    DagBundlesManager().sync_bundles_to_db(session=session)
sync_bag_to_db(bag, "dags-folder", None)
with create_session() as session:
    dag = DBDagBag().get_latest_version_of_dag("docs", session=session)
    before = datetime.now(UTC)
    run = dag.create_dagrun(
        run_id="r1", logical_date=None, run_after=before, run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.TEST, state=DagRunState.QUEUED, session=session,
    )
    session.flush()
    for ti in run.get_task_instances(session=session):
        ti.state = TaskInstanceState.FAILED
    run.state = DagRunState.FAILED
    session.commit()
    (due,) = session.scalars(select(Deadline))
    hours = (due.deadline_time - before).total_seconds() / 3600
    clear_task_instances(run.get_task_instances(session=session), session)
    session.commit()
    states = {str(ti.state) for ti in run.get_task_instances(session=session)}
    print("ANSWER" + json.dumps([round(hours, 1), run.state, sorted(states)]))
"""


def test_a_failed_run_is_cleared_before_its_deadline(asked_of_airflow: Any, tmp_path: Path) -> None:
    hours, run, tasks = asked_of_airflow(CLEAR, tmp_path, str(docs_dag(tmp_path, SOURCE)))
    assert hours == 6.0
    assert (run, tasks) == ("queued", ["None"])
