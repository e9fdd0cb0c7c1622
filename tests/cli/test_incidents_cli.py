"""`moat incidents`, `moat incident`, `moat health` and `moat event` as a person types them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from time_machine import travel

from moat import dagfile
from moat.ledger import Ledger, loads
from moat.monitoring.health import BARS, health, sparkline
from tests.cli.test_cli import Place, fresh, moat  # noqa: F401


@pytest.fixture
def place(fresh: Place, moat: Any, monkeypatch: pytest.MonkeyPatch) -> Place:  # noqa: F811
    """A loaded place, whose own DAG files are those that the commands find."""
    dags = Path(fresh.dag).parent
    monkeypatch.setattr("moat.cli.health.sources_of", lambda ledger: dagfile.declared(dags))
    moat(fresh, "members", "load", str(fresh.folder / "../groups.yaml"))
    assert moat(fresh, "run", fresh.dag).code == 0
    return fresh


def test_trouble_is_listed_shown_taken_on_and_ended(place: Place, moat: Any) -> None:  # noqa: F811
    assert moat(place, "incidents").out == "no incident is open\n"
    assert moat(place, "health").code == 0
    for name in ("leave.md", "trips.md"):
        (place.folder / name).unlink()
    assert moat(place, "run", place.dag).code == 3
    (one,) = moat(place, "incidents", "--json").json
    assert (one["id"], one["source"], one["stage"], one["state"], one["load_id"]) == (1, "docs", "read", "open", 2)
    assert (one["detect_s"] > 0, one["mend_s"]) == (True, None)

    shown = moat(place, "incident", "show", "1").out
    for words in (
        "incident 1 of docs: open, hold: Very many documents are gone",
        "1. Very many documents are gone (mass_deletion, 82%)",
        "2 of 3 visible documents vanish",
        "reaches 2 documents, ",
        "moat release 2 --because",
        "moat load show 2",
        "check mass deletion",
    ):
        assert words in shown
    given = moat(place, "incident", "show", "1", "--json").json
    assert [h["subject"] for h in given["happenings"]] == ["mass deletion"]

    ill = moat(place, "health")
    assert ill.code == 1
    assert "docs: load 2 waits for a person; incident 1: Very many documents are gone" in ill.out
    assert max(len(line) for line in ill.out.splitlines()[:2]) <= 100
    (told,) = moat(place, "health", "--json").json["sources"]
    assert (told["source"], told["held"], told["incidents"], told["listed"], told["well"]) == ("docs", 2, [1], [3, 1], False)  # fmt: skip

    assert moat(place, "incident", "ack", "1", "--because", "on it").out == "incident 1 of docs is acknowledged\n"
    moat(place, "reject", "2")
    assert moat(place, "incident", "resolve", "1", "--because", "[old] plant").out == "incident 1 of docs is resolved\n"
    assert "because: [old] plant" in moat(place, "incident", "show", "1").out
    assert moat(place, "incidents", "--json").json == []
    assert [i["state"] for i in moat(place, "incidents", "--all", "--source", "docs", "--json").json] == ["resolved"]
    actions = [row["action"] for row in moat(place, "audit", "tail", "-n", "50", "--json").json]
    assert [a for a in actions if a in ("acknowledge", "resolve")] == ["acknowledge", "resolve"]
    assert "incident 1, resolved: Very many documents are gone" in moat(place, "load", "show", "2").out
    assert moat(place, "load", "show", "2", "--json").json["incidents"] == [1]


def test_a_load_tells_what_it_cost_and_what_changed_before_it(place: Place, moat: Any) -> None:  # noqa: F811
    place.write("more.md", "# More\n\nThere is more to read.\n")
    moat(place, "run", place.dag, MOAT_BATCH_MB="3")
    shown = moat(place, "load", "show", "2")
    assert "changed since load 1, promoted last: setting MOAT_BATCH_MB: set" in shown.out
    assert " tokens; " in shown.out
    given = moat(place, "load", "show", "2", "--json").json
    assert given["changes"] == ["setting MOAT_BATCH_MB: set"]
    assert given["spent"]["tokens"] > 0
    assert {"read", "embed"} <= given["spent"]["seconds"].keys()


def test_an_event_is_declared_and_listed(place: Place, moat: Any) -> None:  # noqa: F811
    assert moat(place, "event").out == "no event\n"
    said = moat(place, "event", "docs", "--because", "a second office")
    assert said.out.startswith("docs is another from now on: its bounds are learned from the loads after ")
    (made,) = moat(place, "event", "docs", "--json").json
    assert (made["source"], made["because"]) == ("docs", "a second office")
    assert "a second office" in moat(place, "event").out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("incident show 9", "IncidentRefused: there is no incident 9; `moat incidents --all` lists them"),
        ("incident ack 9", "IncidentRefused: there is no incident 9; `moat incidents --all` lists them"),
        ("incident resolve 9", "IncidentRefused: there is no incident 9; `moat incidents --all` lists them"),
        ("incidents --source dcos", "FatalError: there is no source 'dcos', neither in dags/ nor in the ledger; did you mean 'docs'?"),
        ("event dcos --because x", "FatalError: there is no source 'dcos', neither in dags/ nor in the ledger; did you mean 'docs'?"),
        ("event --because x", "FatalError: an event is about a source: `moat event SOURCE --because …`"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_one_clear_line(
    line: str,
    words: str,
    fresh: Place,  # noqa: F811
    moat: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("moat.cli.shared.sources_of", lambda ledger: dagfile.declared(Path(fresh.dag).parent))
    said = moat(fresh, *line.split())
    assert (said.code, said.out, said.err) == (1, "", f"{words}\n")


def test_bars_rise_with_the_numbers() -> None:
    assert sparkline([]) == ""
    assert sparkline([5, 5, 5]) == "▄▄▄"
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == BARS
    assert sparkline([100, 10, 100]) == "█▁█"


def test_a_source_is_fresh_until_it_is_quiet_for_longer_than_it_ever_was(ledger: Ledger) -> None:
    monday = datetime(2026, 1, 5, 2, tzinfo=UTC)
    for day in range(30):
        with travel(monday + timedelta(days=day), tick=False):
            load = loads.open_load(ledger, "docs", f"run {day}", {}, 60.0)
            loads.note(ledger, load, {"listed": 100 + day, "new": 1})
            loads.staged(ledger, load)
            loads.promote(ledger, load, "test")
    soon, much_later = monday + timedelta(days=30), monday + timedelta(days=40)
    (well,) = health(ledger, [], soon)
    assert (well.fresh, well.well, well.aged) == ("fresh", True, "24.0 hours")
    assert (len(well.trend), well.trend[0], well.trend[-1]) == (28, "▁", "█")
    declared, ill = health(ledger, ["another"], much_later)
    assert (declared.source, declared.fresh, declared.well) == ("another", "never loaded", True)
    assert (ill.fresh, ill.well) == ("not looked at", False)
    assert "usually one every 24.0 hours" in ill.why
