"""The DAGs as Airflow itself reads them, and one of them run by Airflow from end to end."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from moat.checks import FAMILIES
from moat.index.store import WeaviateStore
from moat.ledger import loads
from moat.settings import PROJECT, Settings
from moat.source import OWN_DAGS
from tests.company import ANN, LEAVE, Company, environment_of
from tests.dagbag import HEAD, LIMITED

SOURCES = ("contracts", "handbook", "tickets")
MAINTENANCE = ("anchor_audit", "held_access", "reconcile", "replay_quarantine", "sync_access", "sync_directory")
STAGES = ("read", "parse", "clean", "chunk", "embed", "gate", "load", "promote")
HEAVY = (
    "boto3",
    "duckdb",
    "langchain_text_splitters",
    "numpy",
    "pandas",
    "pyarrow",
    "sentence_transformers",
    "torch",
    "transformers",
    "unstructured",
    "weaviate",
)


@pytest.fixture(scope="module")
def bag(dag_bags: Any) -> Any:
    return dag_bags["shipped"]


@pytest.fixture(scope="module")
def dags(bag: Any) -> dict[str, Any]:
    return dict(bag["dags"])


def test_every_dag_file_imports_and_serialises(bag: Any) -> None:
    assert bag["errors"] == {}
    assert set(bag["dags"]) == {*SOURCES, *MAINTENANCE}
    declared = {file.name for file in (PROJECT / "dags").glob("*.py")} - {"ingest.py"}
    assert {dag["file"] for dag in bag["dags"].values()} == declared
    assert set(MAINTENANCE) == set(OWN_DAGS), "no source may take the name of one of Moat's DAGs"


def test_parsing_imports_nothing_heavy_because_every_task_pays_for_it(bag: Any) -> None:
    assert {"include", "moat"} <= set(bag["loaded"]), "what was loaded was looked at"
    assert sorted(set(bag["loaded"]) & set(HEAVY)) == []


def test_every_dag_says_whose_it_is_and_what_it_does(dags: dict[str, Any]) -> None:
    for name, dag in dags.items():
        assert dag["owner"] == "moat", name
        assert dag["tags"] == sorted(["moat", "source" if name in SOURCES else "maintenance"]), name
        assert len(dag["doc"].split()) > 8, name
        assert dag["about"], name
        assert dag["catchup"] is False, name
        # Each held change of access is asked about by a run of its own, however long another waits.
        assert (dag["at_once"] == 1) == (name not in ("held_access", "sync_access")), name
    for name in SOURCES:
        for stage in STAGES:
            assert stage in dags[name]["doc"], name
    undocumented = {(name, t) for name, dag in dags.items() for t, task in dag["tasks"].items() if not task["doc"]}
    assert undocumented == set()


def test_every_task_fails_at_once_where_a_person_is_needed_and_backs_off_else(dags: dict[str, Any]) -> None:
    policy = [["moat.errors.FatalError", "fail"], ["moat.errors.RetriableError", "retry"]]
    for name, dag in dags.items():
        for task_id, task in dag["tasks"].items():
            assert task["policy"] == policy, (name, task_id)
            if name in SOURCES:
                assert task["retries"] == 3, (name, task_id)
                assert task["backs_off"], (name, task_id)
                assert (task["retry_delay_s"], task["longest_s"]) == (20, 600), (name, task_id)


def test_every_source_says_when_its_load_is_late(dags: dict[str, Any]) -> None:
    for name in SOURCES:
        assert dags[name]["schedule"], name
        (deadline,) = dags[name]["deadlines"]
        assert deadline == [
            "load is late",
            6 * 3600,
            "RunCreated",
            "moat_tasks.late",
            {"source": name, "hours": 6.0},
        ]


@pytest.mark.parametrize("name", SOURCES)
def test_the_way_is_read_parse_clean_chunk_embed_gate_load_promote(name: str, dags: dict[str, Any]) -> None:
    tasks = dags[name]["tasks"]
    above = {task_id: set(task["above"]) for task_id, task in tasks.items()}
    order = [
        "read",
        "anything",
        "batch.prepare",
        "batch.embed",
        f"gate.{FAMILIES[0].name}",
        "decide",
        "load",
        "promote",
    ]
    for before, after in pairwise(order):
        assert before in above[after], f"{after} does not wait for {before}"
    assert [t for t, up in above.items() if not up] == ["read"]
    shown = [part for t in order for part in (t.partition(".")[0], tasks[t]["name"].removeprefix("batch."))]
    words = [word for part in shown for word in part.split(" → ")]
    assert [word for word in dict.fromkeys(words) if word in STAGES] == list(STAGES)
    assert tasks["batch.prepare"]["group_name"] == "parse → clean → chunk → embed"


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_is_loaded_that_the_gate_has_not_decided(name: str, dags: dict[str, Any]) -> None:
    tasks = dags[name]["tasks"]
    gate = {f"gate.{family.name}" for family in FAMILIES}
    assert {t for t, task in tasks.items() if task["group"] == "gate"} == gate
    assert {t: task["name"].removeprefix("gate.") for t, task in tasks.items() if t in gate} == {
        f"gate.{family.name}": family.title for family in FAMILIES
    }
    assert set(tasks["decide"]["up"]) == gate
    assert tasks["decide"]["rule"] == "all_done", "a check that failed still has to be decided on"
    assert tasks["load"]["up"] == ["decide"]
    assert tasks["promote"]["up"] == ["load"]
    assert {tasks[t]["rule"] for t in ("load", "promote")} == {"all_success"}
    for task_id in ("load", "promote"):
        assert {*gate, "decide"} <= set(tasks[task_id]["above"])


@pytest.mark.parametrize("name", SOURCES)
def test_only_embed_asks_for_the_gpu(name: str, dags: dict[str, Any]) -> None:
    asking = {t for t, task in dags[name]["tasks"].items() if "gpu" in (task["pool"], task["queue"])}
    assert asking == {"batch.embed"}
    assert (dags[name]["tasks"]["batch.embed"]["pool"], dags[name]["tasks"]["batch.embed"]["queue"]) == ("gpu", "gpu")
    assert {t for t, task in dags[name]["tasks"].items() if task["mapped"]} == {"batch.prepare", "batch.embed"}


@pytest.mark.parametrize("name", SOURCES)
def test_promote_alone_produces_the_sources_asset(name: str, dags: dict[str, Any]) -> None:
    assert {t: task["outlets"] for t, task in dags[name]["tasks"].items() if task["outlets"]} == {"promote": [name]}


@pytest.mark.parametrize("name", SOURCES)
def test_whoever_holds_the_lease_gives_it_up_when_it_fails(name: str, dags: dict[str, Any]) -> None:
    giving = {t for t, task in dags[name]["tasks"].items() if task["gives_up"]}
    assert giving == {"read", "batch.prepare", "batch.embed", "decide", "load", "promote"}
    silent = {t for t, task in dags[name]["tasks"].items() if not task["told"]}
    assert silent == {"anything"}, "every other task that fails is an incident, or part of one"


def test_the_trigger_form_asks_by_type_and_in_words(dags: dict[str, Any]) -> None:
    types = {name: dags[name]["params"] for name in dags}
    for name in SOURCES:
        shown = {n: (p["type"], p["value"]) for n, p in types[name].items()}
        assert shown == {
            "full": (["null", "boolean"], False),
            "only": (["null", "array"], []),
            "limit": (["null", "integer"], None),
            "expected": (["null", "string"], None),
            "dry_run": (["null", "boolean"], False),
        }
        assert types[name]["limit"]["minimum"] == 1
        assert types[name]["only"]["items"] == {"type": "string"}
    assert {n: p["type"] for n, p in types["reconcile"].items()} == {"repair": ["null", "boolean"]}
    texts = ("source", "key", "stage", "reason", "since", "until")
    assert {n: p["type"] for n, p in types["replay_quarantine"].items()} == {
        **{n: ["null", "string"] for n in texts},
        "again": ["null", "boolean"],
    }
    # What may stay empty bears no star: its type has null. Only the number of a hold has to be given.
    starred = {(name, n) for name, params in types.items() for n, p in params.items() if "null" not in p["type"]}
    assert starred == {("held_access", "hold")}
    assert types["sync_access"]["sources"]["examples"] == list(SOURCES), "they are chosen from a list"
    assert types["replay_quarantine"]["source"]["examples"] == list(SOURCES)
    assert {"ParseFailed", "AccessUnknown", "TooLarge"} <= set(types["replay_quarantine"]["reason"]["examples"])
    stage = types["replay_quarantine"]["stage"]
    assert (stage["enum"], stage["values_display"]) == ([None, "read", "parse", "clean"], {"null": "all"})
    for name, params in types.items():
        for param, schema in params.items():
            assert schema["title"], (name, param)
            told = schema["about"] or schema["description_md"]  # Airflow's form shows the second if there is no first
            assert told.endswith("."), (name, param)


def docs_dag(folder: Path, source: str) -> Path:
    """A DAGs folder with `ingest` and one source's file."""
    dags = folder / "dags"
    dags.mkdir()
    (dags / "ingest.py").write_text((PROJECT / "dags" / "ingest.py").read_text())
    (dags / "docs.py").write_text(HEAD + source)
    return dags


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (
            "misspelt_field.py",
            ["source 'docs'", "acess: Source has no such field", "Did you mean access?", "It takes name, reader"],
        ),
        (
            "misspelt_limit.py",
            ["source 'docs'", "limits.min_document", "Did you mean min_documents?", "It takes min_documents"],
        ),
        (
            "rule_that_does_not_fit.py",
            ["source 'docs'", "access=ObjectTags needs tags", "it takes Groups, Public, AccessFiles"],
        ),
        ("twice_again.py", ["twice_again.py and twice.py both declare source 'twice'", "another name"]),
    ],
)
def test_a_wrong_field_is_an_import_error_that_names_the_source_and_what_is_allowed(
    file: str, words: list[str], dag_bags: Any
) -> None:
    last = dag_bags["made"]["errors"][file].strip().splitlines()[-1]
    for word in words:
        assert word in last


def test_one_bad_file_takes_no_other_down(dag_bags: Any) -> None:
    assert len(dag_bags["made"]["errors"]) == 4
    assert set(dag_bags["made"]["dags"]) == {"right", "dear", "free", "twice"}


def test_hundreds_of_sources_in_one_file_cost_airflow_little_more_than_bare_tasks_do(dag_bags: Any) -> None:
    many = dag_bags["many"]
    # Airflow gives up a file after 50 s, and drops its DAGs without a word. What one DAG costs does not depend on the
    # others, so function calls of a few of them, beside those of bare DAGs of as many tasks, say it on any machine:
    # 1.8 times as many are 47 ms of a busy CPU, and 24 s for 500 sources; 12 times as many were 230 ms.
    assert many["moats"] < 2.5 * many["plain"]
    assert many["listed"] <= 2, "the folder is read once, not once for each source"


def test_a_task_builds_no_other_sources_dag(dag_bags: Any) -> None:
    assert (dag_bags["many"]["errors"], dag_bags["many"]["started"]) == ([], {"docs_007": 18})


TRY = """
import json, sys
from pathlib import Path
folder = sys.argv[1]
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.dagbag import BundleDagBag
bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
assert not bag.import_errors, bag.import_errors
runs = []
for dag_id, conf in json.loads(sys.argv[2]):
    dag = bag.dags[dag_id]
    dag.deadline = None  # dag.test() of 3.3.2 cannot store one
    run = dag.test(run_conf=conf)
    tis = run.get_task_instances()
    runs.append({
        "state": run.state.value, "tasks": {ti.task_id: str(ti.state) for ti in tis if ti.map_index in (-1, 0)},
        "labels": [ti.rendered_map_index for ti in tis if ti.map_index >= 0],
        "read": next(ti for ti in tis if ti.task_id == "read").xcom_pull(task_ids="read"),
        "promoted": next(ti for ti in tis if ti.task_id == "promote").xcom_pull(task_ids="promote"),
    })
print("ANSWER" + json.dumps(runs))
"""


def test_airflow_takes_a_source_the_whole_way_and_stops_what_a_check_could_not_see(
    served: Settings, make_runtime: Any, asked_of_airflow: Any, tmp_path: Path
) -> None:
    company = Company(make_runtime(served), tmp_path / "docs")
    declared = "ingest(Source(name={!r}, reader=LocalFiles(path={!r}), access=AccessFiles(){}), schedule=None)\n"
    dags = docs_dag(
        tmp_path,
        declared.format("docs", str(company.folder), "")
        + declared.format("blind", str(company.folder), ", golden=Golden(file='no-such-file.yaml')"),
    )
    env = environment_of(served)
    # The dry run comes last: within one process Airflow remembers what an earlier run was given.
    runs = [("docs", {}), ("docs", {}), ("blind", {}), ("docs", {"full": True, "dry_run": True})]
    first, again, blind, dry = asked_of_airflow(TRY, tmp_path, str(dags), json.dumps(runs), **env)

    later = {"batch.prepare", "batch.embed", "decide", "load", "promote", *(f"gate.{f.name}" for f in FAMILIES)}
    for run in (dry, again):
        assert run["state"] == "success"
        assert {t for t, state in run["tasks"].items() if state == "success"} == {"read", "anything"}
        assert {"decide", "load", "promote"} <= {t for t, state in run["tasks"].items() if state == "skipped"} <= later
    assert dry["read"] == again["read"] == []

    assert first["state"] == "success"
    assert set(first["tasks"]) == {"read", "anything", *later}
    assert {t: s for t, s in first["tasks"].items() if s != "success"} == {}
    assert first["read"] == [{"number": 0, "documents": 3}]
    assert sorted(first["labels"]) == ["batch 0", "batch 0: 3 documents"]
    assert first["promoted"] == 1

    assert blind["state"] == "failed"
    assert {t for t, state in blind["tasks"].items() if state == "failed"} == {"gate.golden", "decide"}
    assert {blind["tasks"][t] for t in ("load", "promote")} == {"upstream_failed"}
    states = [(load.source, load.state) for load in reversed(loads.recent(company.runtime.ledger))]
    assert states == [("docs", "promoted"), ("docs", "unchanged"), ("blind", "rejected")]
    hits = company.search("How long is parental leave?", ANN)
    assert {hit.source for hit in hits} == {"docs"}
    assert hits[0].text in LEAVE
    index = WeaviateStore.open(served, "writer")
    assert {o.source for o in index.every()} == {"docs"}, "what was blocked is not even written"
    index.close()


def test_a_source_with_a_budget_asks_between_all_of_its_chunks_and_the_first_vector(dag_bags: Any) -> None:
    found = dag_bags["made"]["dags"]
    free, dear = found["free"]["tasks"], found["dear"]["tasks"]
    assert set(dear) - set(free) == {"batch.budget"}
    assert dear["batch.budget"]["up"] == ["batch.prepare"]
    assert "batch.budget" in dear["batch.embed"]["up"]
    assert "batch.budget" in dear[f"gate.{FAMILIES[0].name}"]["above"]
    assert dear["batch.budget"]["gives_up"]
    assert {dear[t]["rule"] for t in ("batch.budget", "batch.embed")} == {"all_success"}
    assert (dear["batch.embed"]["pool"], dear["batch.embed"]["queue"]) == ("gpu", "gpu")
    assert dear["batch.budget"]["group_name"] == "parse → clean → chunk → budget → embed"
    assert "**budget**" in found["dear"]["doc"]
    assert free["batch.embed"]["up"] == ["batch.prepare"], "without a budget a batch embeds while the next is prepared"
    assert "budget" not in found["free"]["doc"]
    assert all(task["doc"] for task in dear.values())
    assert {t for t, task in free.items() if task["mapped"]} == {"batch.prepare", "batch.embed"}


ANSWER = """
import json, sys, threading, time
from pathlib import Path
folder, answers = sys.argv[1], json.loads(sys.argv[2])
from airflow.utils.db import initdb
initdb()
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.models import TaskInstance
from airflow.models.hitl import HITLDetail
from airflow.models.trigger import handle_event_submit
from airflow.triggers.base import TriggerEvent
from airflow.utils.session import create_session
from airflow._shared.timezones import timezone
from moat_connections import AirflowConnections
from moat.ledger import loads
from moat.ledger.tables import embedding
from moat.runtime import Runtime
from sqlalchemy import func, select

seen, runtime = [], Runtime.open(AirflowConnections())

def look():
    with runtime.ledger.read() as connection:
        n = connection.scalar(select(func.count()).select_from(embedding))
    load = loads.recent(runtime.ledger, "docs", 1)[0]
    return {"state": load.state, "for": load.held_for, "reason": load.reason, "embedded": n, "budget_by": load.budget_by}

def answer():  # what the API server does when a person has answered under Required Actions
    for option in answers:
        for _ in range(1_200):
            time.sleep(0.1)
            with create_session() as session:
                ti = session.scalar(select(TaskInstance).where(TaskInstance.state == "awaiting_input"))
                if ti is None:
                    continue
                detail = session.scalar(select(HITLDetail).where(HITLDetail.ti_id == ti.id))
                states = {t.task_id: str(t.state) for t in session.scalars(select(TaskInstance).where(TaskInstance.run_id == ti.run_id))}
                seen.append({"task": ti.task_id, "body": detail.body, "subject": detail.subject, "tasks": states, **look()})
                detail.chosen_options, detail.params_input = [option], {"reason": "it was asked for"}
                detail.responded_at, detail.responded_by = timezone.utcnow(), {"id": "1", "name": "ann"}
                session.flush()
                handle_event_submit(TriggerEvent(detail.as_resume_event_payload()), task_instance=ti, session=session)
            break

threading.Thread(target=answer, daemon=True).start()
bag = BundleDagBag(folder, bundle_path=Path(folder), bundle_name="dags-folder")
assert not bag.import_errors, bag.import_errors
dag = bag.dags["docs"]
dag.deadline = None
runs = []
for option in answers:
    run = dag.test()
    tasks = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    runs.append({"state": run.state.value, "tasks": tasks, "asked": seen[len(runs):], "end": look()})
print("ANSWER" + json.dumps(runs))
"""


def test_a_load_over_its_budget_waits_in_airflow_and_nothing_is_embedded_before_a_person_says_so(
    served: Settings, make_runtime: Any, asked_of_airflow: Any, tmp_path: Path
) -> None:
    company = Company(make_runtime(served), tmp_path / "docs")
    dags = docs_dag(tmp_path, LIMITED.format("docs", str(company.folder)))
    env = {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'include'}:{PROJECT / 'plugins'}", **environment_of(served)}
    rejected, released = asked_of_airflow(ANSWER, tmp_path, str(dags), json.dumps(["Reject", "Release"]), **env)
    for run in (rejected, released):
        (asked,) = run["asked"]  # once: by the budget, and not by the gate
        assert (asked["task"], asked["state"], asked["for"], asked["embedded"]) == ("batch.budget", "held", "budget", 0)
        assert asked["subject"].endswith("is over its budget")
        assert "**Release** embeds" in asked["body"]
        assert "tokens for the model, allowed: 10" in asked["body"]
        assert asked["tasks"]["batch.prepare"] == "success"
        assert asked["tasks"]["batch.embed"] in ("None", "scheduled"), "it has not begun"
    end = rejected["end"]
    assert (rejected["state"], end["state"], end["embedded"]) == ("failed", "rejected", 0)
    assert rejected["tasks"]["batch.embed"] == "upstream_failed"
    end = released["end"]
    assert (released["state"], end["state"], end["budget_by"]) == ("success", "promoted", "airflow:ann")
    assert {released["tasks"][t] for t in ("batch.budget", "batch.embed", "decide", "promote")} == {"success"}
    assert company.keys("How long is parental leave?", ANN)[0] == "leave.md"
