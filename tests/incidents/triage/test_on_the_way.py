"""Incidents of real loads, from the failure to the promotion that ends them, on real servers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from moat.connections import EnvironmentConnections
from moat.errors import AskedWrongly, IndexUnavailable, LedgerUnavailable, SourceUnavailable
from moat.incidents import lifecycle as noticed
from moat.ledger import Ledger, checks, incidents, loads, quarantine
from moat.ledger.checks import CheckResult
from moat.ledger.incidents import Incident
from moat.ledger.quarantine import Which
from moat.runtime import Runtime
from moat.settings import Settings
from moat.source import Groups, Limits, LocalFiles
from moat.stages import gate as gates
from moat.stages.run import finish
from moat.staging import Staging
from tests.company import Company


@pytest.fixture
def company(runtime: Runtime, tmp_path: Path) -> Company:
    return Company(runtime, tmp_path / "documents")


def only(runtime: Runtime, resolved: bool = False) -> Incident:
    (one,) = incidents.listing(runtime.ledger, resolved=resolved)
    return one


def test_a_held_load_is_an_incident_with_its_cause_reach_and_commands_until_it_is_promoted(
    runtime: Runtime, company: Company
) -> None:
    strict = company.declared(limits=Limits(max_vanished_ratio=0.3, max_failed_ratio=1.0))
    company.run(strict)
    assert incidents.listing(runtime.ledger) == []
    for name in ("leave.md", "trips.md"):
        company.remove(name)
    held = company.run(strict).load
    one = only(runtime)
    assert (one.source, one.stage, one.severity, one.load_id) == ("docs", "read", "hold", held.id)
    assert (one.happened_at, one.title) == (held.opened_at, "Very many documents are gone")
    assert one.detail["causes"][0]["name"] == "mass_deletion"
    assert "2 of 3 visible documents vanish" in " ".join(one.detail["causes"][0]["evidence"])
    assert one.detail["reach"] == {"documents": 2, "chunks": 3, "people": 2, "public": 0, "loads": 1}
    assert f"moat load show {held.id}" in one.detail["commands"]
    assert any(c.startswith(f"moat release {held.id} ") for c in one.detail["commands"])
    assert any(c.startswith(f"moat reject {held.id} ") for c in one.detail["commands"])
    report = runtime.staging.read_bytes(gates.report_path(held)).decode()
    assert "**Likely:** Very many documents are gone" in report
    assert f"`moat incident show {one.id}`" in report
    assert report.index("mass deletion") < report.index("What passed") < report.index("- access: access known")
    loads.release(runtime.ledger, held.id, "test")
    finish(runtime, strict, held.id, "test")
    over = only(runtime, resolved=True)
    assert (over.state, over.because) == ("resolved", f"load {held.id} was promoted")
    assert over.to_mend is not None


def test_a_rejected_load_leaves_its_incident_until_the_next_promotion(runtime: Runtime, company: Company) -> None:
    strict = company.declared(limits=Limits(min_documents=3, max_vanished_ratio=0.9, max_failed_ratio=1.0))
    company.run(strict)
    company.remove("trips.md")
    held = company.run(strict).load
    loads.reject(runtime.ledger, held.id, "test")
    assert only(runtime).state == "open"
    again = company.run(strict).load
    assert only(runtime).load_id == again.id, "the same trouble the next night is the same incident"
    assert only(runtime).detail["reach"]["loads"] == 2
    loads.reject(runtime.ledger, again.id, "test")
    company.write("more.md", "# More\n\nThere is more to read.\n")
    fine = company.run(strict).load
    assert fine.state == "promoted"
    assert only(runtime, resolved=True).because == f"load {fine.id} was promoted"


def test_a_server_that_is_down_is_an_incident_and_the_error_stays_what_it_was(
    served: Settings, company: Company, make_runtime: Callable[[Settings], Runtime]
) -> None:
    away = make_runtime(served.model_copy(update={"weaviate_port": 1, "weaviate_grpc_port": 2}))
    broken = Company(away, company.folder)
    for _ in range(2):
        with pytest.raises(IndexUnavailable):
            broken.run()
    one = only(away)
    assert (one.stage, one.severity, one.detail["causes"][0]["name"]) == ("load", "block", "endpoint_down")
    assert "# clear the failed task of docs in Airflow" in one.detail["commands"], "no DAG file declares it"
    (said,) = incidents.happenings(away.ledger, one.id)
    assert (said.kind, said.subject, said.n) == ("task", "load", 2)
    assert company.run().load.state == "promoted"
    assert only(away, resolved=True).state == "resolved"


def test_a_source_that_cannot_be_read_is_mended_by_a_run_that_finds_everything_in_step(
    runtime: Runtime, company: Company
) -> None:
    company.run()
    gone = company.declared(reader=LocalFiles(path=str(company.folder / "nowhere")))
    with pytest.raises(SourceUnavailable):
        company.run(gone)
    one = only(runtime)
    assert (one.stage, one.detail["causes"][0]["name"]) == ("read", "endpoint_down")
    assert one.detail["reach"]["documents"] == 3, "all that is visible grows old meanwhile"
    same = company.run().load
    assert same.state == "unchanged"
    assert only(runtime, resolved=True).because == f"load {same.id} found everything in step"


def test_tasks_of_airflow_join_what_the_gate_has_opened_and_open_nothing_by_design(
    runtime: Runtime, company: Company
) -> None:
    run = "airflow:docs:monday"
    number = company.to_the_gate(run)
    red = ("docs", "gate", "gate.volume", "GateBlocked: listing (hold): 0", None, run)
    assert noticed.task_failed(runtime, *red) is None
    busy = ("docs", "read", "read", "LoadInProgress: load 1 is being made", None, run)
    assert noticed.task_failed(runtime, *busy) is None
    assert incidents.listing(runtime.ledger) == []
    noticed.task_failed(
        runtime, "docs", "parse", "batch.prepare", "OSError: [Errno 28] No space left on device", None, run
    )
    for _ in range(5):
        noticed.task_failed(runtime, "docs", "embed", "batch.embed", "StagingError: a file is missing", None, run)
    one = only(runtime)
    assert (one.stage, one.load_id, one.detail["causes"][0]["name"]) == ("parse", number, "disk_full")
    assert noticed.task_failed(runtime, "docs", "gate", "gate.volume", "GateBlocked: x", number, run) == one
    assert [(h.subject, h.n) for h in incidents.happenings(runtime.ledger, one.id)] == [
        ("batch.prepare", 1),
        ("batch.embed", 5),
    ]


def test_what_a_load_only_warns_of_stays_until_a_load_comes_without_it(
    runtime: Runtime, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = checks.of_load

    def warned(ledger: Ledger, number: int) -> list[CheckResult]:
        return [
            replace(r, passed=False, severity="warn") if r.name == "listing" else r for r in results(ledger, number)
        ]

    with monkeypatch.context() as patch:
        patch.setattr("moat.ledger.checks.of_load", warned)
        load = company.run().load
        assert load.state == "promoted"
        one = only(runtime)
        assert (one.severity, one.state) == ("warn", "open")
        assert not any(c.startswith(("moat release", "moat reject")) for c in one.detail["commands"])
    company.write("more.md", "# More\n\nThere is more to read.\n")
    company.run()
    assert only(runtime, resolved=True).state == "resolved"


def test_a_load_of_single_documents_ends_no_other_incident(runtime: Runtime, company: Company) -> None:
    company.run()
    gone = company.declared(reader=LocalFiles(path=str(company.folder / "nowhere")))
    with pytest.raises(SourceUnavailable):
        company.run(gone)
    company.write("leave.md", "# Leave\n\nParental leave lasts thirty weeks.\n")
    assert company.run(only=("leave.md",)).load.state == "promoted"
    assert only(runtime).state == "open"


def test_what_changed_since_the_last_promoted_load_is_told(runtime: Runtime, company: Company) -> None:
    company.run()
    other = company.declared(access=Groups(("everyone",)), limits=Limits(min_documents=5, max_failed_ratio=1.0))
    held = company.run(other).load
    assert held.state == "held"
    told = {c["name"]: c["evidence"] for c in only(runtime).detail["causes"]}
    assert told["settings_changed"] == ["declared access: changed", "declared limits: changed"]
    assert "user" not in repr(runtime.load(held.id).context)


def test_a_failure_to_record_neither_hides_the_error_nor_stops_a_promotion(
    runtime: Runtime, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    runtime = replace(runtime, progress=lines.append)
    company = Company(runtime, company.folder)

    def refused(*given: object) -> object:
        raise LedgerUnavailable("the ledger did not answer")

    monkeypatch.setattr("moat.ledger.incidents.join", refused)
    monkeypatch.setattr("moat.ledger.incidents.listing", refused)
    gone = company.declared(reader=LocalFiles(path=str(company.folder / "nowhere")))
    with pytest.raises(SourceUnavailable):
        company.run(gone)
    assert company.run().load.state == "promoted"
    assert "the incident is not recorded: LedgerUnavailable: the ledger did not answer" in lines


def test_a_fault_that_triage_stumbles_over_is_an_incident_all_the_same(
    runtime: Runtime, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumbles(*given: object) -> object:
        raise KeyError("what nobody thought of")

    monkeypatch.setattr("moat.incidents.triage.gathered", stumbles)
    held = company.run(company.declared(limits=Limits(min_documents=99))).load
    assert held.state == "held"
    one = only(runtime)
    assert (one.title, one.load_id) == ("Something failed, and triage could not say why", held.id)
    assert one.detail["causes"][0]["evidence"] == ["triage ended with KeyError: the log has where"]
    assert one.detail["commands"] == [f"moat load show {held.id}"]


def test_what_is_late_says_so_once(runtime: Runtime, company: Company) -> None:
    company.run()
    first = noticed.late(runtime, "docs", "its load is not promoted 6 hours after it was queued")
    again = noticed.late(runtime, "docs", "its load is not promoted 6 hours after it was queued")
    assert first is not None
    assert again is not None
    assert (first.id, first.severity, first.detail["causes"][0]["name"]) == (again.id, "warn", "late_load")
    quiet = noticed.late(runtime, "docs", "nothing new for 9.0 days, usually something every 1.0 days")
    assert quiet is not None
    assert (quiet.stage, quiet.detail["causes"][0]["name"]) == ("read", "stale_source")
    company.run()
    assert [i.id for i in incidents.listing(runtime.ledger)] == [quiet.id], "that nothing came again does not end it"


def test_what_a_person_typed_wrongly_is_no_incident(ledger: Ledger, settings: Settings, tmp_path: Path) -> None:
    runtime = Runtime(
        settings=settings,
        ledger=ledger,
        staging=Staging(str(tmp_path / "staging")),
        connections=EnvironmentConnections({}),
        progress=lambda line: None,
    )
    with pytest.raises(AskedWrongly) as error:
        quarantine.known_filter(ledger, None, Which(stage="pars"))
    typed = f"{type(error.value).__name__}: {error.value}"
    assert noticed.task_failed(runtime, "replay_quarantine", "read", "mark", typed, None, "airflow:x") is None
    assert incidents.listing(ledger) == []
    broken = "FatalError: directory company: /srv/groups.yaml cannot be read: [Errno 2] No such file or directory"
    noticed.task_failed(runtime, "sync_directory", "read", "sync", broken, None, "airflow:x")
    assert only(runtime).title == "A directory of people cannot be read"
