"""What a person on duty does with a load: take it up, take it back, release a deletion, meet a rejected one again."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import typer

from moat import airflow_api
from moat.cli import decide as commands
from moat.errors import LoadRefused, SourceUnavailable
from moat.ledger import checks, documents, loads, quarantine, rolled_back
from moat.records import Embedded
from moat.runtime import Options, batch_path
from moat.source import Limits
from moat.stages import listed_again
from moat.stages.gate import report_path
from moat.stages.listed_again import keep_listed
from moat.stages.prepare import prepare
from moat.stages.read import read
from moat.stages.run import finish, resume
from tests.company import LEAVE, Company

STRICT = Limits(max_vanished_ratio=0.3, max_failed_ratio=1.0)
RUN = "airflow:docs:scheduled__2026-01-01T00:00:00+00:00"


def visible(company: Company) -> set[str]:
    return set(documents.visible_keys(company.runtime.ledger, "docs"))


def test_a_load_whose_run_has_ended_is_taken_up_behind_a_new_fence(company: Company) -> None:
    ledger = company.runtime.ledger
    number = company.to_the_load(RUN)
    before = loads.get(ledger, number)
    with pytest.raises(LoadRefused, match=rf"is being made by {RUN.replace('+', '.')}, and its lease ends at 2\d\d\d-"):
        resume(company.runtime, company.source, number, "ann", ended=False)
    result = resume(company.runtime, company.source, number, "ann", ended=True)
    assert (result.load.state, result.load.fence) == ("promoted", before.fence + 1)
    assert f":{os.getpid()}:" in result.load.run, "a next run can see that it is gone"
    assert "embed" not in result.seconds, "what was done is not done again"
    with pytest.raises(LoadRefused, match="is promoted: nothing is left to go on with"):
        resume(company.runtime, company.source, number, "ann", ended=True)

    begun = loads.open_load(ledger, "docs", RUN, {}, 0)
    with pytest.raises(LoadRefused, match="ended while its source was read: run the source again"):
        resume(company.runtime, company.source, begun.id, "ann", ended=False)
    loads.hold(ledger, begun, "much")
    with pytest.raises(LoadRefused, match=f"waits for a person: `moat release {begun.id}` or"):
        resume(company.runtime, company.source, begun.id, "ann", ended=True)


def test_a_load_taken_up_loses_no_document_and_makes_a_damaged_file_anew(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.write("bad.md", b"\x7fELF")
    found = read(company.runtime, company.source, RUN, Options())
    with monkeypatch.context() as patch:
        patch.setattr("moat.stages.prepare.put", _killed)
        with pytest.raises(SystemExit):
            prepare(company.runtime, company.source, found.load, 0)
    staging, settings = company.runtime.staging, company.runtime.settings
    staging.write(batch_path("docs", found.load, "embed", 0), Embedded, [])
    with (settings.home / "staging" / batch_path("docs", found.load, "embed", 0)).open("r+b") as file:
        file.truncate(7)
    result = resume(company.runtime, company.source, found.load, "ann", ended=True)
    assert result.load.state == "promoted"
    assert visible(company) == {"leave.md", "trips.md", "people/pay.md"}
    assert [q.key for q in quarantine.listing(company.runtime.ledger)] == ["bad.md"]


def _killed(*_: object) -> None:
    raise SystemExit("killed")


def test_what_was_rolled_back_is_held_until_a_person_releases_it(company: Company) -> None:
    ledger = company.runtime.ledger
    company.run()
    company.write("leave.md", LEAVE.replace("twenty", "ten"))
    company.write("new.md", "# New\n\nA wrong draft.\n")
    company.remove("trips.md")
    number = company.run().load.id
    plan = rolled_back.planned(ledger, number)
    assert (plan.leave.keys, plan.come_back.keys, plan.earlier.keys) == (("new.md",), ("trips.md",), ("leave.md",))
    loads.rollback(ledger, number, "ann", "wrong quarter", holding=True)
    assert visible(company) == {"leave.md", "trips.md", "people/pay.md"}

    some = company.run(only=("leave.md",))
    assert some.load.state == "held"
    loads.release(ledger, some.load.id, "ann")
    assert finish(company.runtime, company.source, some.load.id, "ann").load.state == "promoted"
    held = company.run()
    assert held.load.state == "held", "a part of the source does not end it"
    assert "rolled back before: ann took load 2 back: wrong quarter" in (held.load.reason or "")
    (result,) = [r for r in checks.of_load(ledger, held.load.id) if r.name == "rolled back before"]
    assert result.severity == "hold"
    loads.release(ledger, held.load.id, "ann")
    assert finish(company.runtime, company.source, held.load.id, "ann").load.state == "promoted"
    assert visible(company) == {"leave.md", "new.md", "people/pay.md"}
    company.write("new.md", "# New\n\nThe right draft.\n")
    assert company.run().load.state == "promoted", "it was released"


def test_what_came_back_as_it_was_is_named(company: Company) -> None:
    company.run()
    company.write("new.md", "# New\n\nA wrong draft.\n")
    company.write("other.md", "# Other\n\nA wrong draft, too.\n")
    number = company.run().load.id
    loads.rollback(company.runtime.ledger, number, "ann", holding=True)
    company.write("other.md", "# Other\n\nIt is right by now.\n")
    held = company.run().load
    (result,) = [r for r in checks.of_load(company.runtime.ledger, held.id) if r.name == "rolled back before"]
    assert "1 documents bring the content that it brought" in result.seen
    assert result.documents == ("new.md",)


def test_a_deletion_that_is_released_leaves_what_is_listed_again(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, strict = company.runtime, company.declared(limits=STRICT)
    company.run(strict)
    trips = (company.folder / "trips.md").read_text()
    for name in ("leave.md", "trips.md"):
        company.remove(name)
    held = company.run(strict).load
    assert held.state == "held"
    company.write("trips.md", trips)

    def broken(*_: Any) -> Any:
        raise SourceUnavailable("the server hung up")

    with monkeypatch.context() as away:
        away.setattr(type(strict.reader), "open", broken)
        found = keep_listed(runtime, strict, held.id)
    assert found is not None
    assert "listed again is not known: the server hung up" in found.told
    with monkeypatch.context() as slow:
        slow.setattr(listed_again, "MOST_S", 0.0)
        slow.setattr(listed_again, "LOOK_EVERY", 1)
        cut = keep_listed(runtime, company.declared(limits=STRICT), held.id)
    assert cut is not None
    assert "its listing was not at its end" in cut.told
    found = keep_listed(runtime, strict, held.id)
    told = [each.keys for each in (cut, found) if each is not None]
    assert {key for keys in told for key in keys} == {"trips.md"}
    loads.release(runtime.ledger, held.id, "ann")
    ended = finish(runtime, strict, held.id, "ann").load
    assert (ended.state, ended.counts["vanished"], ended.counts["relisted"]) == ("promoted", 1, 1)
    assert visible(company) == {"trips.md", "people/pay.md"}
    assert keep_listed(runtime, strict, held.id) is None


def test_a_load_that_was_rejected_already_says_by_whom_and_why(company: Company) -> None:
    runtime, strict = company.runtime, company.declared(limits=STRICT)
    company.run(strict)
    for name in ("leave.md", "trips.md"):
        company.remove(name)
    first = company.run(strict).load
    loads.reject(runtime.ledger, first.id, "airflow:ann", "the export was cut off")
    again = company.run(strict).load
    said = f"it brings the same as load {first.id}, which airflow:ann rejected: the export was cut off"
    assert said in (again.reason or "")
    assert f"**Rejected before:** {said}" in runtime.staging.read_bytes(report_path(again)).decode()
    loads.reject(runtime.ledger, again.id, "airflow:ann")
    company.write("new.md", "# New\n\nIt is another load.\n")
    assert "brings the same" not in (company.run(strict).load.reason or "")


STANDING = [  # of the run and its task; whether the task is answered, and what is said
    ("running", "deferred", True, "is released; its Airflow run goes on"),
    ("failed", "failed", False, f"nothing goes on by itself: its Airflow run {RUN[13:]} of docs is failed"),
    ("running", "upstream_failed", False, "its task decide is upstream_failed\n`moat resume"),
    ("", "", False, "Airflow does not know its run"),
]


def test_a_release_asks_airflow_before_it_says_that_a_run_goes_on(
    company: Company, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = company.runtime.ledger

    @contextmanager
    def opened(quiet: bool = False) -> Iterator[Any]:
        yield company.runtime

    monkeypatch.setattr(commands, "open_runtime", opened)
    monkeypatch.setattr(commands, "source_of", lambda *_: company.source)
    for run, task, answered, words in STANDING:
        begun = loads.open_load(ledger, "docs", f"{RUN}", {}, 3_600)
        loads.hold(ledger, begun, "many documents vanish")
        asked = list[str]()
        airflow(monkeypatch, asked, {"dagRuns": run, "taskInstances": task})
        capsys.readouterr()
        end = _code(partial(commands.release, begun.id))
        assert words in capsys.readouterr().out
        assert (loads.get(ledger, begun.id).state, "PATCH" in asked) == ("open", answered)
        assert end == (0 if answered else 3)
        if answered:
            with pytest.raises(LoadRefused, match="is running, its task decide is deferred, and goes on there"):
                commands.resume(begun.id)
        loads.reject(ledger, begun.id, "ann")


def _code(work: Callable[[], None]) -> int:
    try:
        work()
    except typer.Exit as end:
        return int(end.exit_code)
    return 0


def airflow(monkeypatch: pytest.MonkeyPatch, asked: list[str], states: dict[str, str]) -> None:
    """Airflow with a run and a task in these states; a state that is empty is not there."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        kind = "taskInstances" if "taskInstances" in request.url.path else "dagRuns"
        return httpx.Response(200 if states[kind] else 404, json={"state": states[kind]})

    @contextmanager
    def client(settings: Any) -> Iterator[httpx.Client]:
        with httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(answer)) as http:
            yield http

    monkeypatch.setattr(airflow_api, "client", client)
