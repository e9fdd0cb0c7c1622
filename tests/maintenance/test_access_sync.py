"""Access sync of a source that is broken, silent or slow: it is masked in time, and holds up no other."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moat.errors import SourceUnavailable
from moat.ledger import access
from moat.ledger.access import AccessState
from moat.maintenance import access_sync
from moat.maintenance.access_sync import sync_access
from moat.records import Listed
from moat.runtime import Runtime
from moat.settings import PROJECT, Settings
from moat.source import Groups, Limits, Source
from tests.company import ANN, HUGO, Company
from tests.odd import Odd


@pytest.fixture
def alone(settings: Settings, make_runtime: Callable[..., Runtime]) -> Runtime:
    """A runtime that reaches no server, because nothing of these sources is in the index."""
    return make_runtime(settings)


def source_of(listing: Callable[[], Iterator[Listed]], name: str = "odd") -> Source:
    return Source(
        name=name, reader=Odd(listing), access=Groups(allow=("all",)), limits=Limits(max_access_age_hours=2.0)
    )


def state(alone: Runtime, name: str = "odd") -> AccessState:
    return next(one for one in access.states(alone.ledger) if one.source == name)


def raising(error: BaseException) -> Callable[[], Iterator[Listed]]:
    def listing() -> Iterator[Listed]:
        raise error
        yield

    return listing


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), RecursionError("deep"), OSError(5, "Input/output error"), MemoryError(), KeyError("x"),
              UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")], ids=lambda e: type(e).__name__
)  # fmt: skip
def test_whatever_ends_a_listing_is_recorded_so_that_the_source_is_masked_in_time(
    alone: Runtime, error: Exception
) -> None:
    before = datetime.now(UTC)
    with pytest.raises(SourceUnavailable, match=type(error).__name__) as raised:
        sync_access(alone, source_of(raising(error)), "test")
    assert raised.value.__cause__ is error
    found = state(alone)
    assert found.failed_at is not None
    assert type(error).__name__ in (found.error or "")
    assert found.until is not None
    assert timedelta(hours=1.9) < found.until - before < timedelta(hours=2.1)


class Timeout(BaseException):
    """As Airflow raises where a task takes too long."""


def test_a_time_out_of_the_task_is_recorded_and_goes_on(alone: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: object) -> None:
        raise Timeout("45 minutes")

    monkeypatch.setattr(access_sync, "in_time", ended)
    with pytest.raises(Timeout):
        sync_access(alone, source_of(lambda: iter(())), "test")
    assert "Timeout: 45 minutes" in (state(alone).error or "")


def test_what_fails_while_it_is_recorded_counts_as_not_read(alone: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise ValueError("the ledger refuses a value")

    monkeypatch.setattr("moat.ledger.access_sync.revoke", failing)
    with pytest.raises(SourceUnavailable):
        sync_access(alone, source_of(lambda: iter(())), "test")
    assert "refuses a value" in (state(alone).error or "")


def test_a_source_that_says_nothing_is_left_and_the_next_one_read(
    alone: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_sync, "QUIET_S", 0.5)
    silent, over = threading.Event(), threading.Event()

    def listing() -> Iterator[Listed]:
        silent.wait()
        over.set()
        yield from ()

    with pytest.raises(SourceUnavailable, match=r"odd.*nothing was heard of it"):
        sync_access(alone, source_of(listing), "test")
    assert state(alone).until is not None
    assert sync_access(alone, source_of(lambda: iter(()), "other"), "test").listed == 0
    assert state(alone, "other").read_at is not None
    silent.set()
    assert over.wait(60), "what was left behind ends by itself, and writes nothing"


def test_a_slow_source_is_no_silent_one(alone: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_sync, "QUIET_S", 5.0)

    def listing() -> Iterator[Listed]:
        for n in range(12):
            time.sleep(0.5)
            yield Listed(key=f"{n}", uri="u", fingerprint="f", size=1, policy=None, reason="none")

    assert sync_access(alone, source_of(listing), "test").listed == 12


def test_a_sync_that_is_killed_leaves_the_time_of_masking_behind(
    alone: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[datetime | None]()

    def listing() -> Iterator[Listed]:
        seen.append(state(alone).until)
        yield from ()

    sync_access(alone, source_of(listing), "test")
    assert seen[0] is not None
    assert timedelta(hours=1.9) < seen[0] - datetime.now(UTC) < timedelta(hours=2.1)
    assert state(alone).until is None, "it was read whole"
    monkeypatch.setattr(access_sync, "ABANDONED_S", 9_000.0)
    sync_access(alone, source_of(listing), "test")
    assert seen[1] is not None
    assert seen[1] - datetime.now(UTC) > timedelta(hours=2.4), "not while it is being read, however old the last one is"


def test_a_failure_that_goes_on_does_not_move_the_time_of_masking(alone: Runtime) -> None:
    sync_access(alone, source_of(lambda: iter(())), "test")
    read_at = state(alone).read_at
    assert read_at is not None
    for _ in range(3):
        with pytest.raises(SourceUnavailable):
            sync_access(alone, source_of(raising(ValueError("x"))), "test")
        assert state(alone).until == read_at + timedelta(hours=2)


@pytest.mark.parametrize(
    "odd", [b"allow: [0x" + b"f" * 5_000 + b"]", b"allow: [group:people]\nreviewed: 2026-02-30", None]
)
def test_one_bad_access_file_keeps_no_revocation_waiting(company: Company, odd: bytes | None) -> None:
    company.run()
    company.write(".access.yaml", "allow: [group:people]")
    if odd is None:
        company.remove("people/.access.yaml")
        os.mkfifo(company.folder / "people" / ".access.yaml")
    else:
        company.write("people/.access.yaml", odd)
    synced = sync_access(company.runtime, company.source, "test")
    assert (synced.narrowed, synced.masked) == (3, 1)
    assert company.keys("train", ANN) == []
    assert company.keys("train", HUGO)[0] == "trips.md"
    assert "people/pay.md" not in company.keys("crane", HUGO)


TIME_OUTS = """
import json, sys
from pathlib import Path
from airflow.dag_processing.dagbag import BundleDagBag
bag = BundleDagBag(sys.argv[1], bundle_path=Path(sys.argv[1]), bundle_name="dags-folder")
print("ANSWER" + json.dumps({
    d.dag_id: [d.max_active_runs, {t.task_id: t.execution_timeout and t.execution_timeout.total_seconds() for t in d.tasks}]
    for d in bag.dags.values() if "maintenance" in d.tags
}))
"""


def test_every_task_of_maintenance_has_an_end_and_no_source_waits_for_another(
    asked_of_airflow: Callable[..., Any], tmp_path: Path
) -> None:
    found = asked_of_airflow(TIME_OUTS, tmp_path, str(PROJECT / "dags"))
    assert set(found) >= {"sync_access", "reconcile", "replay_quarantine", "sync_directory"}
    found.pop("held_access")  # it waits for a person; the time-out of its operator would be theirs
    for name, (_, tasks) in found.items():
        assert all(tasks.values()), name
    at_once, tasks = found["sync_access"]
    tries = 2
    assert at_once * 300 > tries * tasks["access"], "runs of five minutes go on while one hangs as long as it may"
