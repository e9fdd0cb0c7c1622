"""Revocations that come at the worst moment. What was recorded as revoked is never readable again.

Each case is one that others got wrong: an index write that brings back an older access
(onyx#7384), a listing that is older than what it overwrites (onyx#14975), a filter that the
indexer's own change blinds, two writers of one object.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from moat.errors import IndexUnavailable
from moat.ledger import loads
from moat.local import servers
from moat.local.binaries import WEAVIATE, program
from moat.local.servers import WeaviateKeys, free_ports
from moat.settings import Settings
from tests.proofs.access.company import (
    ALL,
    ANN,
    HR,
    HUGO,
    INA,
    ONLY_HR,
    ONLY_HUGO,
    PAY,
    Heard,
    at_end_of_listing,
    company,
    index_lets_in,
    reads,
    says,
    settled_without,
    text_of,
)
from tests.proofs.access.harness import Moat, place

STAGES = ("read", "prepare", "embed", "gate", "load", "promote")
SECOND = "cranes pay second"


@pytest.fixture
def twin(moat: Moat) -> Iterator[Callable[[], Moat]]:
    """A function that opens another process on the same source, ledger and index."""
    made = list[Moat]()

    def another() -> Moat:
        made.append(Moat(moat.settings, moat.shelf))
        return made[-1]

    yield another
    for one in made:
        one.close()


@pytest.fixture
def moat(weaviate_server: Settings, tmp_path: Path) -> Iterator[Moat]:
    """The company, loaded; Ina and Hugo read what people earn."""
    with place(weaviate_server, tmp_path) as settings:
        made = company(settings)
        made.run()
        yield made
        made.close()


def said_and_synced(moat: Moat, text: str, other: Moat) -> Callable[[], None]:
    """The source says something else, and another access sync runs."""

    def do() -> None:
        says(moat, text)
        other.sync()

    return do


def revoked(moat: Moat) -> Callable[[], None]:
    """The source lets Ina out and access sync runs; from then on she reads nothing."""

    def do() -> None:
        says(moat, ONLY_HUGO)
        moat.sync()
        assert not reads(moat, INA)

    return do


def after(stage: str, do: Callable[[], object]) -> list[Callable[[], object]]:
    return [*[lambda: None] * STAGES.index(stage), do]


@pytest.mark.parametrize("stage", STAGES)
def test_a_revocation_between_two_stages_of_a_load_holds_for_its_new_text(moat: Moat, stage: str) -> None:
    assert reads(moat, INA)
    moat.shelf.texts[PAY] = SECOND
    moat.run(*after(stage, revoked(moat)))
    assert text_of(moat, HUGO) == [SECOND]
    settled_without(moat, INA)


@pytest.mark.parametrize("stage", STAGES)
def test_a_revocation_between_two_stages_holds_for_a_document_that_nobody_saw_before(moat: Moat, stage: str) -> None:
    moat.shelf.texts["hr/new.txt"] = "cranes new"
    moat.run(*after(stage, revoked(moat)))
    assert reads(moat, HUGO, "hr/new.txt")
    settled_without(moat, INA, "hr/new.txt")


@pytest.mark.parametrize("stage", STAGES[:-1])
def test_who_a_load_was_going_to_let_in_stays_out_when_the_source_thinks_again(moat: Moat, stage: str) -> None:
    says(moat, ALL)
    moat.shelf.texts[PAY] = SECOND

    def think_again() -> None:
        says(moat, ONLY_HR)
        moat.sync()
        assert not reads(moat, ANN)

    moat.run(*after(stage, think_again))
    assert text_of(moat, INA) == [SECOND]
    settled_without(moat, ANN)


@pytest.mark.parametrize("stage", STAGES[:-1])
def test_unknown_access_in_the_middle_of_a_load_masks_its_new_text_too(moat: Moat, stage: str) -> None:
    moat.shelf.texts[PAY] = SECOND

    def unreadable() -> None:
        says(moat, "allow: nobody can tell")
        moat.sync()

    moat.run(*after(stage, unreadable))
    for who in (ANN, INA, HUGO):
        settled_without(moat, who)


@pytest.mark.parametrize("method", ["write", "read_back", "vectors"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_revocation_in_the_middle_of_an_index_write_is_not_overwritten(
    moat: Moat, twin: Callable[[], Moat], method: str, when: str
) -> None:
    """onyx#7384: the object that is being written carries the access of before."""
    moat.shelf.texts[PAY] = SECOND
    other = twin()
    found = moat.read()
    for stage in (moat.prepare, moat.embed, moat.gate):
        stage(found)
    store = Heard(moat.store, **{when: {method: revoked(other)}})
    try:
        moat.load(found, store)  # type: ignore[arg-type]
    except IndexUnavailable:
        moat.load(found)  # the index held another access than was written; Airflow tries the task again
    assert not reads(moat, INA)
    moat.promote(found)
    assert text_of(moat, HUGO) == [SECOND]
    settled_without(moat, INA)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_revocation_while_a_load_patches_access_is_not_overwritten(
    moat: Moat, twin: Callable[[], Moat], when: str
) -> None:
    says(moat, ALL)  # access alone: the load patches, and writes nothing
    other = twin()
    found = moat.read()
    for stage in (moat.prepare, moat.embed, moat.gate):
        stage(found)
    store = Heard(moat.store, **{when: {"set_allow": revoked(other)}})
    try:
        moat.load(found, store)  # type: ignore[arg-type]
    except IndexUnavailable:
        moat.load(found)
    moat.promote(found)
    for who in (ANN, INA):
        settled_without(moat, who)


@pytest.mark.parametrize("method", ["check", "delete"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_revocation_in_the_middle_of_a_promotion_holds(
    moat: Moat, twin: Callable[[], Moat], method: str, when: str
) -> None:
    for text in ("cranes pay third", SECOND):  # the second promotion has something to clear away
        moat.shelf.texts[PAY] = text
        if text != SECOND:
            moat.run()
    other, found = twin(), moat.read()
    for stage in (moat.prepare, moat.embed, moat.gate, moat.load):
        stage(found)
    moat.promote(found, Heard(moat.store, **{when: {method: revoked(other)}}))  # type: ignore[arg-type]
    assert text_of(moat, HUGO) == [SECOND]
    settled_without(moat, INA)


def test_a_rollback_brings_back_the_text_and_not_the_access(moat: Moat) -> None:
    moat.shelf.texts[PAY] = SECOND
    moat.run()
    revoked(moat)()
    assert moat.rollback()
    assert not reads(moat, INA)
    assert {hit.text for hit in moat.door.search("cranes", HUGO, 50, "keyword")} >= {"cranes pay first"}
    moat.shelf.texts[PAY] = "cranes pay first"
    settled_without(moat, INA)


@pytest.mark.parametrize("first", ["rollback", "revocation"])
def test_a_revocation_and_a_rollback_at_once_come_to_the_same_in_either_order(
    moat: Moat, twin: Callable[[], Moat], first: str
) -> None:
    moat.shelf.texts[PAY] = SECOND
    moat.run()
    moat.shelf.texts[PAY] = "cranes pay first"
    says(moat, ONLY_HUGO)
    other = twin()
    if first == "rollback":  # access sync has read everything, and content comes back before it records
        at_end_of_listing(moat, moat.rollback)
        other.sync()
    else:  # access sync has recorded and is about to write to the index
        other.sync(Heard(other.store, before={"set_allow": moat.rollback}))  # type: ignore[arg-type]
    assert text_of(moat, HUGO) == ["cranes pay first"]
    settled_without(moat, INA)


def test_a_listing_that_is_older_than_a_revocation_does_not_take_it_back(moat: Moat, twin: Callable[[], Moat]) -> None:
    """onyx#14975: a slow reading of the source ends after a newer one."""
    says(moat, ALL)
    moat.sync()
    assert reads(moat, ANN)
    other = twin()
    at_end_of_listing(moat, said_and_synced(moat, ONLY_HR, other))
    moat.sync()  # has listed everyone
    assert not reads(moat, ANN)
    settled_without(moat, ANN)


def test_a_load_whose_listing_is_older_than_a_revocation_does_not_take_it_back(
    moat: Moat, twin: Callable[[], Moat]
) -> None:
    says(moat, ALL)
    moat.sync()
    moat.shelf.texts[PAY] = SECOND
    other = twin()
    at_end_of_listing(moat, said_and_synced(moat, ONLY_HR, other))
    moat.run()
    assert text_of(moat, INA) == [SECOND]
    assert not reads(moat, ANN)
    settled_without(moat, ANN)


def test_a_widening_that_was_listed_before_a_revocation_is_not_recorded_after_it(
    moat: Moat, twin: Callable[[], Moat]
) -> None:
    other = twin()
    says(moat, ALL)
    at_end_of_listing(moat, said_and_synced(moat, ONLY_HUGO, other))
    moat.sync()  # has listed everyone, which is more than the ledger ever had
    for who in (ANN, INA):
        settled_without(moat, who)


@pytest.mark.parametrize(
    "brought", [ONLY_HR, f"allow: ['{HUGO}', '{INA}']"]
)  # the ledger narrows, or has nothing to narrow
def test_a_listing_that_is_older_than_a_promotion_does_not_widen_what_the_load_brought(
    moat: Moat, twin: Callable[[], Moat], brought: str
) -> None:
    """The load saw the source later than access sync did, so its access is the newer one."""
    says(moat, ONLY_HUGO)
    moat.sync()
    says(moat, ALL)
    other = twin()

    def promoted() -> None:
        says(moat, brought)  # Ann is out again, Ina is in
        other.run()

    at_end_of_listing(moat, promoted)
    moat.sync()
    assert reads(moat, INA)
    assert not reads(moat, ANN)
    settled_without(moat, ANN)


def test_what_a_listing_that_was_too_early_did_not_see_is_not_taken_for_deleted(moat: Moat) -> None:
    """onyx#14975: a document that comes while the source is listed."""
    at_end_of_listing(moat, lambda: moat.shelf.texts.update({"zz.txt": "cranes zz"}))
    moat.run()
    moat.run()
    assert reads(moat, ANN, "zz.txt")
    at_end_of_listing(moat, lambda: moat.shelf.texts.update({"zzz.txt": "cranes zzz"}))
    moat.sync()
    assert reads(moat, ANN, "zz.txt")


def test_an_index_that_fails_under_the_lane_loses_no_revocation(moat: Moat) -> None:
    def down() -> None:
        raise IndexUnavailable("no route")

    says(moat, ONLY_HUGO)
    with pytest.raises(IndexUnavailable):
        moat.sync(Heard(moat.store, before={"set_allow": down}))  # type: ignore[arg-type]
    assert index_lets_in(moat, INA)  # the index still would
    settled_without(moat, INA)


def test_a_load_that_is_rejected_takes_nothing_of_a_revocation_with_it(moat: Moat) -> None:
    says(moat, ONLY_HUGO)
    moat.shelf.texts[PAY] = SECOND
    found = moat.read()
    assert not reads(moat, INA)
    loads.reject(moat.ledger, found.load, "proof")
    assert text_of(moat, HUGO) == ["cranes pay first"]
    moat.shelf.texts[PAY] = "cranes pay first"
    settled_without(moat, INA)


def at_once(*work: Callable[[], object]) -> None:
    """Everything in threads that begin at the same moment; the first error is raised."""
    barrier, errors = threading.Barrier(len(work)), list[BaseException]()

    def run(one: Callable[[], object]) -> None:
        barrier.wait()
        try:
            one()
        except BaseException as error:  # noqa: BLE001  raised where somebody sees it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class Watch:
    """Asks again and again while other things go on; once somebody is out, they must stay out."""

    def __init__(self, moat: Moat, who: str) -> None:
        self.seen, self._over, self._moat, self._who = list[bool](), threading.Event(), moat, who
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        ids = list(self._moat.ids([(PAY, "cranes pay first"), (PAY, SECOND)]))
        while not self._over.is_set():
            found = {hit.document_key for hit in self._moat.door.search("cranes", self._who, 50, "keyword")}
            self.seen += [PAY in found, bool(self._moat.door.get(ids, self._who))]

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()
        first = self.seen.index(False) if False in self.seen else len(self.seen)
        assert True not in self.seen[first:]


def until_done(step: Callable[[], object]) -> Callable[[], None]:
    """As Airflow does: a task that the index refused is tried again."""

    def run() -> None:
        for last in (False, False, True):
            try:
                step()
                return
            except IndexUnavailable:
                if last:
                    raise

    return run


@pytest.mark.parametrize("nth", range(4))
def test_a_lane_and_a_load_at_once_leave_nobody_in_who_was_let_out(
    moat: Moat, twin: Callable[[], Moat], nth: int
) -> None:
    other, third = twin(), twin()
    moat.shelf.texts[PAY] = SECOND
    found = moat.read()
    for stage in (moat.prepare, moat.embed, moat.gate):
        stage(found)
    says(moat, ONLY_HUGO)
    with Watch(third, INA):
        at_once(until_done(lambda: moat.load(found)), until_done(other.sync))
        moat.promote(found)
    assert text_of(moat, HUGO) == [SECOND]
    settled_without(moat, INA)


@pytest.mark.parametrize("nth", range(4))
def test_a_lane_and_a_whole_run_at_once_leave_nobody_in_who_was_let_out(
    moat: Moat, twin: Callable[[], Moat], nth: int
) -> None:
    other, third = twin(), twin()
    moat.shelf.texts[PAY] = SECOND
    says(moat, ONLY_HUGO)
    says(moat, f"allow: ['{HR}']", "")
    with Watch(third, INA):
        at_once(moat.run, until_done(other.sync), until_done(third.sync))
    assert text_of(moat, HUGO) == [SECOND]
    settled_without(moat, INA)
    settled_without(moat, ANN, "leave.txt")


@pytest.mark.parametrize("nth", range(4))
def test_two_lanes_at_once_come_to_what_one_would(moat: Moat, twin: Callable[[], Moat], nth: int) -> None:
    other, third = twin(), twin()
    says(moat, ONLY_HUGO)
    says(moat, f"allow: ['{ANN}', '{INA}']", "")
    with Watch(third, INA):
        at_once(until_done(moat.sync), until_done(other.sync))
    assert reads(moat, INA, "leave.txt")
    settled_without(moat, INA)
    settled_without(moat, HUGO, "leave.txt")


def test_a_revocation_outlives_an_index_that_is_killed_before_it_hears_of_it(binaries: Path, tmp_path: Path) -> None:
    (port, grpc_port), keys = free_ports(2), WeaviateKeys.new()
    given = {"weaviate_port": port, "weaviate_grpc_port": grpc_port, "weaviate_operator_key": keys.operator}
    server = Settings.model_validate({**given, "weaviate_writer_key": keys.writer, "weaviate_reader_key": keys.reader})

    def started() -> servers.Server:
        return servers.weaviate(program(WEAVIATE, binaries, print), tmp_path / "index", port, grpc_port, keys).wait()

    def killed() -> None:
        running.process.kill()
        running.process.wait()

    running = started()
    try:
        with place(server, tmp_path / "home") as settings:
            moat = company(settings)
            moat.run()
            assert reads(moat, INA)
            says(moat, ONLY_HUGO)
            with pytest.raises(IndexUnavailable):
                moat.sync(Heard(moat.store, before={"set_allow": killed}))  # type: ignore[arg-type]
            running.stop()
            running = started()
            moat.reopen()
            assert text_of(moat, HUGO) == ["cranes pay first"]
            settled_without(moat, INA)
            moat.close()
    finally:
        running.stop()
