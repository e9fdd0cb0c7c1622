"""A real Airflow on real servers, as `make run` starts it.

The tests run in their order and go on from each other's state: one company, one day.
"""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from prometheus_client.parser import text_string_to_metric_families

from moat.local.airflow import asked
from tests.proofs.e2e.installation import Installation, newest, running

pytestmark = pytest.mark.timeout(1_200)  # the first test waits for everything to start, the last for four tries
METRICS_KEY = "who-watches"
ALICE, BOB = "user:alice.martins@example.com", "user:bob.keller@example.com"


@pytest.fixture(scope="module")
def moat(tmp_path_factory: pytest.TempPathFactory, binaries: Path, weaviate_server: object, s3_server: str) -> Iterator[Installation]:  # fmt: skip
    made = Installation(tmp_path_factory.mktemp("installation") / "mo at ü#1", binaries)
    made.environment["MOAT_METRICS_KEY"] = METRICS_KEY
    with running(made):
        yield made


def test_three_sources_load_and_two_people_get_two_answers(moat: Installation) -> None:
    assert {newest(moat, source)["state"] for source in ("handbook", "contracts", "tickets")} == {"promoted"}
    question = "What does a team lead earn in Poland?"
    alice, bob = moat.found(question, ALICE), moat.found(question, BOB)
    assert alice[0] != bob[0]
    assert moat.log.read_text().count("done") >= 3
    imported = asked(moat.http, "GET", "/importErrors")
    assert imported["import_errors"] == []


def test_airflow_serves_the_numbers_to_who_has_the_key(moat: Installation) -> None:
    wrong = moat.http.get("/moat/metrics", headers={"authorization": "Bearer who-knows"})
    assert (wrong.status_code, "moat_" in wrong.text) == (401, False)
    served = moat.http.get("/moat/metrics", headers={"authorization": f"Bearer {METRICS_KEY}"})
    assert served.status_code == 200, served.text
    samples = [sample for family in text_string_to_metric_families(served.text) for sample in family.samples]
    promoted = {s.labels["source"]: s.value for s in samples if s.labels.get("state") == "promoted"}
    assert promoted == {"handbook": 1, "contracts": 1, "tickets": 1}


def test_a_run_without_changes_ends_at_once(moat: Installation) -> None:
    run = moat.trigger("contracts")
    assert moat.ended(run) == "success"
    load = newest(moat, "contracts")
    assert (load["state"], load["counts"]["unchanged"]) == ("unchanged", load["counts"]["listed"])
    assert moat.tasks(run)["promote"] == "skipped"


def test_a_changed_a_deleted_and_a_moved_document_arrive_and_a_file_that_is_too_large_waits(moat: Installation) -> None:
    handbook = moat.folder / "include" / "samples" / "handbook"
    assert "equipment.md" in moat.found("equipment", BOB, "--limit", "50")
    page = handbook / "parental-leave.md"
    page.write_text(page.read_text() + "\n## Zanzibar office\n\nThe Zanzibar office adds three more weeks.\n")
    (handbook / "equipment.md").unlink()
    (handbook / "people-team" / ".access.yaml").write_text(f"allow: [{BOB}]\n")
    (handbook / "large.md").write_text("# Large\n\nA page about dromedaries.\n\n" + "<!-- filler -->\n" * 80_000)
    with (moat.home / "env").open("a") as settings:
        settings.write("MOAT_MAX_DOCUMENT_MB=1\n")

    assert moat.ended(moat.trigger("handbook")) == "success"
    counts = newest(moat, "handbook")["counts"]
    assert (counts["changed"], counts["vanished"], counts["aside"]) == (1, 1, 1)
    assert counts["access"] >= 1
    assert moat.found("How many weeks does the Zanzibar office add?", BOB)[0] == "parental-leave.md"
    assert "equipment.md" not in moat.found("equipment", BOB, "--limit", "50")
    assert [key for key in moat.found("salary", BOB, "--limit", "50") if key.startswith("people-team/")]
    assert not [key for key in moat.found("salary", ALICE, "--limit", "50") if key.startswith("people-team/")]
    waiting = moat.moat("quarantine", "list", "--source", "handbook")
    assert [(entry["key"], entry["error"]) for entry in waiting] == [("large.md", "TooLarge")]


def test_a_quarantined_file_is_replayed(moat: Installation) -> None:
    settings = moat.home / "env"
    settings.write_text(settings.read_text().replace("MOAT_MAX_DOCUMENT_MB=1\n", ""))
    assert moat.ended(moat.trigger("replay_quarantine", source="handbook")) == "success"

    def state() -> str:
        newest_run = asked(moat.http, "GET", "/dags/handbook/dagRuns", params={"order_by": "-id", "limit": 1})
        return str(newest_run["dag_runs"][0]["state"])

    assert moat.until(state, {"success", "failed"}, "/dags/handbook/dagRuns/~") == "success"
    assert moat.found("dromedaries", ALICE)[0] == "large.md"
    assert moat.moat("quarantine", "list", "--source", "handbook") == []


def test_a_load_that_would_delete_most_of_a_source_waits_and_is_released(moat: Installation) -> None:
    with duckdb.connect(moat.home / "warehouse.duckdb") as warehouse:
        warehouse.execute("delete from tickets where id not in (select id from tickets order by id limit 25)")
    run = moat.trigger("tickets")

    def decide() -> str:
        return str(moat.tasks(run).get("decide"))

    assert moat.until(decide, {"awaiting_input", "deferred", "failed", "success"}, run) in (
        "awaiting_input",
        "deferred",
    )
    load = newest(moat, "tickets")
    assert load["state"] == "held"
    detail = asked(moat.http, "GET", f"{run}/taskInstances/decide/-1/hitlDetails")
    assert "mass deletion" in detail["body"]
    assert detail["options"] == ["Release", "Reject"]
    assert detail["subject"].startswith(f"Load {load['id']} of tickets is held: ")
    assert "visible documents vanish" in detail["subject"]
    assert (
        f"removes {load['counts']['vanished']} documents from every answer: 25 documents will be visible"
        in detail["body"]
    )
    # The grid tells a held run from a broken one, and the list of runs says why it waits.
    assert {state for task, state in moat.tasks(run).items() if task.startswith("gate.")} == {"success"}
    assert asked(moat.http, "GET", run)["note"].startswith(
        f"Moat: waits for a person. Load {load['id']} of tickets is held"
    )
    log = moat.log_of(run, "decide")
    assert not [line for line in log if "Traceback" in line or "alembic" in line]
    assert log[-1].startswith("what to do: answer under Required Actions")
    before = moat.moat("loads", "tickets")[1]
    assert before["state"] == "promoted"

    moat.moat("release", str(load["id"]), "--because", "the warehouse was archived")
    assert moat.ended(run) == "success"
    released = newest(moat, "tickets")
    assert (released["state"], released["counts"]["vanished"]) == ("promoted", before["counts"]["new"] - 25)
    assert "was released by cli:" in asked(moat.http, "GET", run)["note"]


def test_a_load_that_is_rejected_in_airflow_ends_and_changes_nothing(moat: Installation) -> None:
    with duckdb.connect(moat.home / "warehouse.duckdb") as warehouse:
        warehouse.execute("delete from tickets where id > (select min(id) + 3 from tickets)")
    run = moat.trigger("tickets")
    assert moat.answered(run, "Reject", "somebody emptied the table") == "failed"
    load = newest(moat, "tickets")
    assert (load["state"], load["decided_by"]) == ("rejected", "airflow:admin")
    assert moat.tasks(run)["load"] in ("upstream_failed", "failed")
    assert asked(moat.http, "GET", run)["note"].endswith("was rejected by airflow:admin: somebody emptied the table")


def test_what_a_dry_run_finds_stands_in_its_note(moat: Installation) -> None:
    run = moat.trigger("tickets", dry_run=True)
    assert moat.ended(run) == "success"
    note = asked(moat.http, "GET", run)["note"]
    assert note.startswith("Moat: dry run of tickets: 4 listed")
    assert note.endswith("nothing was written")


def test_the_permission_lane_takes_away_at_once_and_asks_before_it_makes_public(moat: Installation) -> None:
    def pay(asker: str) -> list[str]:
        return [key for key in moat.found("salary", asker, "--limit", "50") if key.startswith("people-team/")]

    def state() -> str:
        answer = moat.http.get("/api/v2/dags/held_access/dagRuns/hold-1/taskInstances")
        return str([ti["state"] for ti in answer.json().get("task_instances", ())][:1])

    access, loaded = moat.folder / "include/samples/handbook/people-team/.access.yaml", newest(moat, "handbook")["id"]
    as_it_was = access.read_text()
    assert pay(BOB)
    asked(moat.http, "PATCH", "/dags/sync_access", json={"is_paused": False})
    access.write_text(f"allow: [{ALICE}]\n")
    assert moat.ended(moat.trigger("sync_access", sources=["handbook"])) == "success"
    assert (pay(BOB), bool(pay(ALICE))) == ([], True)

    access.write_text("public: true\n")
    assert moat.ended(moat.trigger("sync_access", sources=["handbook"])) == "success"
    assert moat.until(state, {"['awaiting_input']", "['deferred']"}, "/dags/held_access/dagRuns/hold-1")
    assert pay(BOB) == []
    hold = "/dags/held_access/dagRuns/hold-1"
    detail = asked(moat.http, "GET", f"{hold}/taskInstances/decide/-1/hitlDetails")
    assert "would become public" in detail["body"]
    assert "people-team/salary-bands.md" in detail["body"]
    assert moat.answered(hold, "Release", "the bands are published") == "success"
    assert pay(BOB)
    assert moat.moat("access", "held") == []
    assert newest(moat, "handbook")["id"] == loaded, "no load was needed"
    released = moat.moat("audit", "tail", "--action", "release")[-1]
    assert (released["actor"], released["detail"]["because"]) == ("airflow:admin", "the bands are published")
    assert moat.moat("audit", "verify")["rows"] > 10
    access.write_text(as_it_was)  # a golden question of the handbook says who must never read it


def test_tasks_that_are_killed_and_tried_again_come_to_the_same_state_chunk_for_chunk(moat: Installation) -> None:
    handbook = moat.folder / "include" / "samples" / "handbook"
    for i in range(40):
        lines = "\n\n".join(f"Rule {i}.{j} says that crane {j} lifts {i + j} tonnes at noon." for j in range(12))
        (handbook / f"rule-{i:02}.md").write_text(f"# Rule {i}\n\n{lines}\n")
    run = moat.trigger("handbook")
    for task in ("batch.prepare", "batch.embed", "load", "promote"):
        moat.kill_once(run, task)
    assert moat.ended(run) == "success"
    promoted = newest(moat, "handbook")
    assert promoted["state"] == "promoted"

    # From the source once more: every chunk that comes of it stands there already, and nothing beside.
    assert moat.ended(moat.trigger("handbook", full=True)) == "success"
    again = newest(moat, "handbook")["counts"]
    assert (again["written"], again["retired"], again["repaired"]) == (0, 0, 0)
    assert again["kept"] == again["proved"] > 40
    drifts = {drift["source"]: drift for drift in moat.moat("reconcile")}
    assert [drifts["handbook"][name] for name in ("missing", "text", "access", "orphans")] == [0, 0, 0, 0]
    assert drifts["handbook"]["visible_chunks"] == again["proved"]
