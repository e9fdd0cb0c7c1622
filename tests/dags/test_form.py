"""What an answer in Airflow's form does to a load: it needs a reason, and it looks at the source before it deletes."""

import json
from pathlib import Path
from typing import Any

from moat.ledger import Ledger, loads
from moat.records import Planned
from moat.runtime import path
from moat.settings import PROJECT, Settings
from moat.staging import Staging

ANSWER = """
import json, sys
from datetime import UTC, datetime
from types import SimpleNamespace
from moat_tasks import Decide
from moat.source import Groups, LocalFiles, Source

notes = []
import moat.airflow_api
def note(settings, dag, run, text):
    notes.append(text)
moat.airflow_api.note = note
Decide.ask_again = lambda self, context, why: (_ for _ in ()).throw(KeyboardInterrupt(why))

source = Source(name="docs", reader=LocalFiles(path=sys.argv[1]), access=Groups(allow=("staff",)))
context = {"dag": SimpleNamespace(dag_id="docs"), "run_id": "r1"}
ends = []
for load, option, reason in json.loads(sys.argv[2]):
    operator = Decide(task_id="decide", source=source, load=str(load))
    event = {
        "chosen_options": [option], "params_input": {"reason": reason}, "responded_at": datetime.now(UTC),
        "responded_by_user": {"id": "1", "name": "ann"},
    }
    try:
        operator.execute_complete(context, event)
        ends.append("goes on")
    except (Exception, KeyboardInterrupt) as end:
        ends.append(f"{type(end).__name__}: {end}")
shown = Decide(task_id="shown", source=source, load="1").serialized_params["reason"]
print("ANSWER" + json.dumps([ends, notes, shown["schema"] | {"value": shown["value"]}]))
"""


def planned(key: str) -> Planned:
    return Planned(
        key=key,
        uri="",
        fingerprint="",
        size=0,
        policy=None,
        what="vanished",
        why="not listed",
        access_version=0,
        known_hash="",
    )


def test_an_answer_needs_its_reason_and_a_release_leaves_what_is_listed_again(
    ledger: Ledger, settings: Settings, asked_of_airflow: Any, tmp_path: Path
) -> None:
    docs, staging = tmp_path / "docs", Staging(settings.staging)
    docs.mkdir()
    (docs / "back.md").write_text("# It is there again\n")
    held = loads.open_load(ledger, "docs", "airflow:docs:r1", {}, 600)
    loads.note(ledger, held, {"listed": 1, "visible": 3, "vanished": 2})
    plan = path("docs", held.id, "read", "plan.parquet")
    staging.write(plan, Planned, [planned("back.md"), planned("gone.md")])
    loads.hold(ledger, held, "mass deletion")
    other = loads.open_load(ledger, "mails", "airflow:mails:r1", {}, 600)
    loads.hold(ledger, other, "mass deletion")
    answers = [
        [held.id, "Release", "  "],
        [held.id, "Release", None],
        [held.id, "Release", "the share was moved"],
        [other.id, "Reject", "the table is empty"],
    ]
    paths = (PROJECT, PROJECT / "include", PROJECT / "plugins")
    environment = {"MOAT_HOME": str(settings.home), "PYTHONPATH": ":".join(map(str, paths))}
    ends, notes, shown = asked_of_airflow(ANSWER, tmp_path, str(docs), json.dumps(answers), **environment)

    assert ends[:2] == ["KeyboardInterrupt: an answer needs its reason"] * 2, "it waits for another one"
    assert ends[2] == "goes on"
    assert "rejected by airflow:ann, because: the table is empty; nothing of it is visible, and 0 documents" in ends[3]
    assert notes == [
        f"load {held.id} was released by airflow:ann: the share was moved",
        f"load {other.id} was rejected by airflow:ann: the table is empty",
    ]
    assert (shown["type"], shown["value"]) == ("string", ""), "a text that may not be null: the form demands it"
    released = loads.get(ledger, held.id)
    assert (released.state, released.counts["vanished"], released.counts["relisted"]) == ("open", 1, 1)
    assert [one.key for one in staging.read(plan, Planned)] == ["gone.md"]
