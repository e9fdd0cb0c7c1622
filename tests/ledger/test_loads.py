"""Loads: one lease a source with a fence, one row changing makes visible, and one takes it back."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from moat.errors import LoadInProgress, LoadRefused, MoatError, Superseded
from moat.ledger import Ledger, loads
from moat.ledger.loads import Load
from moat.ledger.tables import audit

LEASE = 3_600.0


def opened(ledger: Ledger, run: str = "run 1", source: str = "tickets", lease_s: float = LEASE) -> Load:
    return loads.open_load(ledger, source, run, {}, lease_s)


def staged(ledger: Ledger, run: str = "run 1") -> Load:
    load = opened(ledger, run)
    loads.staged(ledger, load)
    return load


def test_the_second_run_ends_with_a_clear_word_while_the_first_is_at_it(ledger: Ledger) -> None:
    first = opened(ledger)
    with pytest.raises(LoadInProgress) as error:
        opened(ledger, "run 2")
    for words in ("tickets", f"load {first.id}", "run 1", f"moat reject {first.id}"):
        assert words in str(error.value)


def test_sources_do_not_wait_for_each_other(ledger: Ledger) -> None:
    assert opened(ledger).id != opened(ledger, "run 2", "handbook").id


def test_a_retry_of_the_same_run_goes_on_with_its_load(ledger: Ledger) -> None:
    assert opened(ledger).id == opened(ledger).id


def test_a_run_that_has_not_reported_for_long_is_taken_over(ledger: Ledger) -> None:
    first = opened(ledger, lease_s=-1)
    second = opened(ledger, "run 2")
    assert second.fence == first.fence + 1
    assert loads.get(ledger, first.id).state == "abandoned"


def test_a_process_of_this_machine_that_is_gone_is_taken_over_at_once(ledger: Ledger) -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    host = socket.gethostname()
    for name, run in (("a", f"cli:{host}:{os.getpid()}:1"), ("b", f"cli:elsewhere:{done.pid}:1"), ("c", "airflow:c:1")):
        opened(ledger, run, name)
        with pytest.raises(LoadInProgress, match=r"its lease ends at \d{4}-\d\d-\d\d \d\d:\d\d UTC"):
            opened(ledger, "run 2", name)
    first = opened(ledger, f"cli:{host}:{done.pid}:1")
    assert opened(ledger, "run 2").fence == first.fence + 1
    assert loads.get(ledger, first.id).state == "abandoned"


STEPS: list[Callable[[Ledger, Load], Any]] = [
    lambda ledger, load: loads.renew(ledger, load, LEASE),
    lambda ledger, load: loads.note(ledger, load, {"new": 1}),
    loads.unchanged,
    lambda ledger, load: loads.hold(ledger, load, "why"),
    loads.staged,
    lambda ledger, load: loads.promote(ledger, load, "zombie"),
    lambda ledger, load: loads.give_up(ledger, load, "why"),
]


@pytest.mark.parametrize("step", STEPS)
def test_a_zombie_of_an_earlier_run_can_change_nothing(ledger: Ledger, step: Callable[[Ledger, Load], Any]) -> None:
    zombie = opened(ledger, lease_s=-1)
    loads.staged(ledger, zombie)
    opened(ledger, "run 2")
    with pytest.raises(Superseded, match="this run stops"):
        step(ledger, zombie)
    assert loads.get(ledger, zombie.id).state == "abandoned"


def test_a_run_that_gave_up_may_go_on_until_another_took_over(ledger: Ledger) -> None:
    load = opened(ledger)
    loads.give_up(ledger, load, "the embedder is down")
    loads.renew(ledger, load, LEASE)
    loads.give_up(ledger, load, "again")
    opened(ledger, "run 2")
    with pytest.raises(Superseded):
        loads.renew(ledger, load, LEASE)


def test_a_held_load_keeps_its_lease_for_as_long_as_it_takes(ledger: Ledger) -> None:
    load = opened(ledger, lease_s=-1)
    loads.hold(ledger, load, "mass deletion")
    with pytest.raises(LoadInProgress, match=r"waits for a person.*mass deletion"):
        opened(ledger, "run 2")


def test_a_person_releases_or_rejects_and_it_is_in_the_audit(ledger: Ledger) -> None:
    load = opened(ledger)
    loads.hold(ledger, load, "mass deletion")
    assert loads.release(ledger, load.id, "ann", "planned").state == "open"
    assert loads.release(ledger, load.id, "ann").decided_by == "ann"
    assert loads.reject(ledger, load.id, "bob", "no").state == "rejected"
    assert loads.reject(ledger, load.id, "bob").state == "rejected"
    with ledger.read() as connection:
        rows = connection.execute(select(audit.c.actor, audit.c.action).order_by(audit.c.id)).all()
    assert [tuple(r) for r in rows] == [("ann", "release"), ("bob", "reject")]
    assert opened(ledger, "run 2")


@pytest.mark.parametrize("step", ["release", "reject", "rollback"])
def test_a_step_that_does_not_fit_the_state_is_refused_with_the_way_out(ledger: Ledger, step: str) -> None:
    load = staged(ledger)
    if step != "rollback":
        loads.promote(ledger, load, "me")
    with pytest.raises(LoadRefused) as error:
        getattr(loads, step)(ledger, load.id, "ann")
    assert f"load {load.id}" in str(error.value)


def test_there_is_no_load_999(ledger: Ledger) -> None:
    with pytest.raises(LoadRefused, match="moat loads"):
        loads.get(ledger, 999)


def test_only_a_proved_load_is_promoted_and_twice_is_once(ledger: Ledger) -> None:
    load = opened(ledger)
    with pytest.raises(LoadRefused, match="must be staged"):
        loads.promote(ledger, load, "me")
    loads.staged(ledger, load)
    assert loads.promote(ledger, load, "me").state == "promoted"
    assert loads.promote(ledger, load, "me").state == "promoted"
    assert opened(ledger, "run 2").id != load.id


def test_a_rollback_takes_back_the_newest_load_only_and_not_under_another(ledger: Ledger) -> None:
    first, second = staged(ledger), None
    loads.promote(ledger, first, "me")
    second = staged(ledger, "run 2")
    with pytest.raises(LoadRefused, match=f"load {second.id} of tickets is under way"):
        loads.rollback(ledger, first.id, "ann")
    loads.promote(ledger, second, "me")
    with pytest.raises(LoadRefused, match=f"followed by load {second.id}"):
        loads.rollback(ledger, first.id, "ann")
    assert loads.rollback(ledger, second.id, "ann").state == "rolled back"
    assert loads.rollback(ledger, second.id, "ann").state == "rolled back"
    assert loads.rollback(ledger, first.id, "ann").state == "rolled back"


def test_what_was_replaced_and_removed_cannot_be_brought_back(ledger: Ledger) -> None:
    load = staged(ledger)
    loads.promote(ledger, load, "me")
    loads.removed(ledger, [load.id])
    with pytest.raises(LoadRefused, match="removed already"):
        loads.rollback(ledger, load.id, "ann")


def test_of_many_runs_that_open_at_once_one_gets_the_lease(ledger: Ledger) -> None:
    won: list[int] = []
    lost: list[MoatError] = []

    def begin(i: int) -> None:
        try:
            won.append(opened(ledger, f"run {i}").id)
        except LoadInProgress as error:
            lost.append(error)

    threads = [threading.Thread(target=begin, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)


def test_the_audit_is_a_chain(ledger: Ledger) -> None:
    for i in range(3):
        load = staged(ledger, f"run {i}")
        loads.promote(ledger, load, "me")
    with ledger.read() as connection:
        rows = connection.execute(select(audit.c.previous, audit.c.hash).order_by(audit.c.id)).all()
    assert [r.previous for r in rows] == ["", rows[0].hash, rows[1].hash]
    assert len({r.hash for r in rows}) == 3


def test_loads_are_told_newest_first(ledger: Ledger) -> None:
    for i in range(3):
        loads.unchanged(ledger, opened(ledger, f"run {i}"))
    assert [load.run for load in loads.recent(ledger, "tickets", 2)] == ["run 2", "run 1"]
    assert loads.recent(ledger, "handbook") == []
