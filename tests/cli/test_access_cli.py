"""`moat access` as a person types it: read access now, look at what waits, decide it."""

from pathlib import Path
from typing import Any

import pytest

from moat import owners
from tests.cli.test_cli import Place, fresh, moat  # noqa: F401
from tests.company import ANN, HUGO


@pytest.fixture
def loaded(fresh: Place, moat: Any, monkeypatch: pytest.MonkeyPatch) -> Place:  # noqa: F811
    """A loaded place, whose own DAG files are those that the commands find."""
    dags = Path(fresh.dag).parent
    monkeypatch.setattr("moat.cli.access.sources_of", lambda ledger: owners.sources_of(ledger, dags))
    for module in ("moat.cli.access", "moat.maintenance.access_sync"):
        monkeypatch.setattr(f"{module}.source_of", lambda ledger, name: owners.source_of(ledger, name, dags))
    moat(fresh, "members", "load", str(fresh.folder / "../groups.yaml"))
    assert moat(fresh, "run", fresh.dag).code == 0
    return fresh


def pay(place: Place, moat: Any, asker: str) -> bool:  # noqa: F811
    said = moat(place, "search", "What does a crane driver earn?", "--as", asker, "--json")
    return "people/pay.md" in [hit["document_key"] for hit in said.json["hits"]]


def test_what_narrows_holds_and_what_becomes_public_waits_until_somebody_decides(
    loaded: Place,
    moat: Any,  # noqa: F811
) -> None:
    loaded.write("people/.access.yaml", f"allow: ['{ANN}']")
    assert "1 narrowed, 1 widened" in moat(loaded, "access", "sync", "docs").out
    assert (pay(loaded, moat, ANN), pay(loaded, moat, HUGO)) == (True, False)

    assert "nothing waits" in moat(loaded, "access", "held").out
    loaded.write("people/.access.yaml", "public: true")
    assert "`moat access release 1` lets it through" in moat(loaded, "access", "sync").out
    assert [hold["id"] for hold in moat(loaded, "access", "held", "--json").json] == [1]
    shown = moat(loaded, "access", "held", "1").out
    assert "1 documents would become public" in shown
    assert f"`people/pay.md`: any of {ANN} → everyone who is known" in shown
    assert "is rejected" in moat(loaded, "access", "reject", "1", "--because", "pay is not for all").out
    assert "1 rejected" in moat(loaded, "access", "sync").out
    assert not pay(loaded, moat, HUGO)
    assert "is released" in moat(loaded, "access", "release", "1", "--because", "it is, by now").out
    assert pay(loaded, moat, HUGO)
    actions = [row["action"] for row in moat(loaded, "audit", "tail", "-n", "100", "--json").json]
    assert [a for a in actions if a in ("hold", "reject", "release")] == ["hold", "reject", "release"]
    assert moat(loaded, "access", "release", "7").err.startswith("HoldRefused: there is no hold 7")


def test_a_pass_is_listed_looked_at_and_taken_back(loaded: Place, moat: Any) -> None:  # noqa: F811
    assert "no pass has let anybody in" in moat(loaded, "access", "passes").out
    loaded.write("people/.access.yaml", "allow: [group:everyone]")
    said = moat(loaded, "access", "sync", "docs").out
    assert "1 widened by pass 1" in said
    assert "`moat access revert 1` takes back what it let in" in said
    assert [one["documents"] for one in moat(loaded, "access", "passes", "docs", "--json").json] == [1]
    listed = moat(loaded, "access", "revert", "1", "--dry-run").out
    assert "1 documents would be taken back, from 1 people who read them since" in listed
    assert "people/pay.md  any of group:everyone  any of group:everyone and any of group:people" in listed
    assert pay(loaded, moat, ANN), "nothing has happened yet"
    said = moat(loaded, "access", "revert", "1", "--because", "the wrong folder").out
    assert "1 documents are taken back" in said
    assert "`moat access held 1` shows it, `moat access release 1` lets it in" in said
    assert (pay(loaded, moat, ANN), pay(loaded, moat, HUGO)) == (False, True)
    assert "was taken back by the revert of pass 1" in moat(loaded, "access", "held", "1").out
    again = moat(loaded, "access", "revert", "1").out
    assert "0 documents are taken back" in again
    assert "it was taken back already" in again
    assert "is released" in moat(loaded, "access", "release", "1").out
    assert pay(loaded, moat, ANN)
    assert moat(loaded, "access", "revert", "9").err.startswith("PassRefused: there is no pass 9")

    loaded.write("../groups.yaml", f"group:everyone: ['{ANN}', 'group:people']\ngroup:people: ['{HUGO}', '{ANN}']\n")
    said = moat(loaded, "members", "load", str(loaded.folder / "../groups.yaml")).out
    number = said.partition("`moat access revert ")[2].partition("`")[0]
    assert f"{number}     directory file" in moat(loaded, "access", "passes").out
    assert "1 memberships would be taken back, of 1 people" in moat(loaded, "access", "revert", number, "--dry-run").out
    said = moat(loaded, "access", "revert", number).out
    assert f"{ANN} in group:people" in said
    assert "MOAT_RECORD_ANSWERS=1 keeps who was answered from what" in said
    assert "The groups of file are kept by hand: whoever loads them again lets it in" in said


@pytest.mark.parametrize(
    ("environment", "claims"),
    [
        ({}, ""),
        ({"LOGNAME": "ann", "USER": "ann"}, " (claims ann)"),
        ({"SUDO_USER": "bob", "LOGNAME": "root"}, " (claims bob)"),
        ({"USER": "root) cli:ann\x00\n"}, " (claims root??cli?ann??)"),
        ({"LNAME": "ann", "USERNAME": "ann"}, ""),
    ],
)
def test_the_account_is_who_acts_and_the_environment_only_claims(
    environment: dict[str, str], claims: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moat.cli.shared import me
    from moat.ledger.approvals import person

    monkeypatch.setattr("moat.cli.shared.os", Machine(environment))
    monkeypatch.setattr("moat.cli.shared.pwd", Machine.accounts(1000, "carl"))
    assert me() == f"cli:carl{claims}"
    assert person(me()) == "carl"


class Machine:
    """Account 1000 with an environment of somebody's choice."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ

    def geteuid(self) -> int:
        return 1000

    @staticmethod
    def accounts(number: int, name: str) -> Any:
        return type(
            "pwd", (), {"getpwuid": staticmethod(lambda uid: type("entry", (), {"pw_name": {number: name}[uid]}))}
        )


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    from moat.cli.shared import me

    monkeypatch.setattr("moat.cli.shared.os", Machine({"USER": "root"}))
    monkeypatch.setattr("moat.cli.shared.pwd", Machine.accounts(0, "root"))
    assert me() == "cli:uid-1000 (claims root)"


def test_only_approvers_decide_by_command_and_a_second_person_is_waited_for(
    loaded: Place,
    moat: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded.write("people/.access.yaml", "public: true")
    moat(loaded, "access", "sync", "docs")
    monkeypatch.setenv("LOGNAME", "boss")  # a name that the environment claims
    monkeypatch.setenv("MOAT_APPROVERS", "cli:boss,airflow:ann")
    for command in (("access", "release", "1"), ("access", "reject", "1"), ("release", "1"), ("reject", "1"), ("rollback", "1"),
                    ("erase", "docs", "people/pay.md"), ("event", "docs", "--because", "x"), ("run", loaded.dag, "--expected", "x")):  # fmt: skip
        said = moat(loaded, *command)
        assert said.err.startswith("DecisionRefused: cli:"), (command, said.err)
        assert "may not decide" in said.err
    refused = [
        row for row in moat(loaded, "audit", "tail", "-n", "100", "--json").json if row["action"] == "decision refused"
    ]
    assert len(refused) == 8
    assert {row["actor"].endswith("(claims boss)") for row in refused} == {True}
    monkeypatch.setenv("MOAT_APPROVERS", "")
    monkeypatch.setenv("MOAT_FOUR_EYES", "true")
    for _ in range(2):
        said = moat(loaded, "access", "release", "1")
        assert "is waiting: a second person has to release it too" in said.out
        monkeypatch.setenv("LOGNAME", "somebody-else")
    assert not pay(loaded, moat, ANN)


def test_access_that_cannot_be_read_is_told_and_changes_nothing(loaded: Place, moat: Any) -> None:  # noqa: F811
    assert moat(loaded, "access", "state", "--json").json[0]["failed_at"] is None
    away = loaded.folder.rename(loaded.folder.with_name("away"))
    said = moat(loaded, "access", "sync", "docs")
    assert (said.code, "is not a folder that can be read" in said.err) == (75, True)
    (state,) = moat(loaded, "access", "state", "--json").json
    assert state["failed_at"]
    assert "is it mounted?" in state["error"]
    assert pay(loaded, moat, HUGO), "for a day nothing changes"
    away.rename(loaded.folder)
    assert moat(loaded, "access", "sync", "docs").code == 0
    assert moat(loaded, "access", "state", "--json").json[0]["until"] is None


def test_a_broken_dag_file_is_told_and_the_other_sources_are_read(loaded: Place, moat: Any) -> None:  # noqa: F811
    Path(loaded.dag).with_name("later.py").write_text("from ingest import ingest\ningest(nightly)\n")
    said = moat(loaded, "access", "sync")
    assert "docs: " in said.out
    assert "DeclarationError: " in said.err
    assert "later.py cannot be read as a DAG file: NameError" in said.err
