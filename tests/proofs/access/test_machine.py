"""Any order of changes, loads, lanes, decisions and restarts: after every step, who reads what is what was promised."""

import itertools
import json
import posixpath
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from moat.errors import AskedWrongly
from moat.ledger import holds, loads
from moat.runtime import ReadResult
from moat.search.identity import Asker, Service
from moat.settings import Settings
from tests.proofs.access.harness import Moat, Shelf, migrated, place
from tests.proofs.access.oracle import Oracle
from tests.proofs.access.organisation import EVERYONE
from tests.proofs.access.promise import Promise, Terms, Waiting

EXAMPLES, STEPS, FEWEST_STEPS = 48, 50, 2_000
MOST_WIDENED = 3
PEOPLE = tuple(f"user:{name}@moat.example" for name in ("ann", "bob", "cid", "dee"))
GROUPS = ("group:red", "group:blue", "group:okta/red")
ALL = "group:all"  # everyone in this company, so that everyone is known
ASKERS: dict[tuple[str, ...], Asker] = {
    **{(person,): person for person in PEOPLE},
    (PEOPLE[0], PEOPLE[3]): Service("bot", (PEOPLE[0], PEOPLE[3])),
}
FOLDERS = ("", "hr", "hr/pay", "legal")
NAMES = ("a.txt", "b.txt", "c.txt")
principals = st.sampled_from((*PEOPLE, *GROUPS, ALL))
folders, names = st.sampled_from(FOLDERS), st.sampled_from(NAMES)


class Machine(RuleBasedStateMachine):
    """A source whose folders, groups and texts change while its loads and its access sync run."""

    settings: Settings
    fresh: Path
    numbers = itertools.count()
    steps: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        number = next(Machine.numbers)
        self.word = f"example{number}"
        home = Machine.settings.home / str(number)
        home.mkdir()
        (home / "ledger.db").write_bytes(Machine.fresh.read_bytes())
        settings = Machine.settings.model_copy(update={"home": home})
        self.shelf = Shelf()
        self.moat = Moat(settings, self.shelf, self.word, max_widened_documents=MOST_WIDENED)
        self.promise, self.stage = Promise(MOST_WIDENED), ""
        self.found: ReadResult | None = None
        self.access: dict[str, dict[str, Any] | None] = {"": {"allow": [ALL], "deny": []}}  # None: cannot be read
        self.members = {"group:red": [PEOPLE[0]], "group:blue": [PEOPLE[1]], "group:okta/red": [PEOPLE[2]]}
        self.ever = set[tuple[str, str]]()
        self.behind = False  # the index may show less than it could, until the next run or pass
        self.versions = itertools.count()
        self.moat.groups({ALL: PEOPLE}, "base")
        self._regroup()
        self._declare()
        for name in NAMES[:2]:
            for folder in ("", "hr"):
                self.put(folder, name)

    # What people do at the source

    @rule(folder=folders, principal=principals)
    def grant(self, folder: str, principal: str) -> None:
        says = self.access.get(folder) or {"allow": [], "deny": []}
        allow = [*dict.fromkeys([*says["allow"], principal])]
        self._say(folder, {**says, "allow": allow, "deny": [p for p in says["deny"] if p != principal]})

    @rule(folder=folders, principal=principals)
    def revoke(self, folder: str, principal: str) -> None:
        if says := self.access.get(folder):
            self._say(folder, {**says, "allow": [p for p in says["allow"] if p != principal]})

    @rule(folder=folders, principal=principals)
    def deny(self, folder: str, principal: str) -> None:
        if says := self.access.get(folder):
            self._say(folder, {**says, "deny": [*dict.fromkeys([*says["deny"], principal])]})

    @rule(folder=folders)
    def make_public(self, folder: str) -> None:
        self._say(folder, {"allow": [], "deny": [], "public": True})

    @rule(folder=folders.filter(bool))
    def inherit(self, folder: str) -> None:
        says = self.access.get(folder) or {"allow": ["group:red", "group:blue"], "deny": []}
        self._say(folder, {**says, "inherit": not says.get("inherit", False)})

    @rule(folder=folders)
    def break_access(self, folder: str) -> None:
        self._say(folder, None)

    @rule(folder=folders.filter(bool))
    def take_access_file_away(self, folder: str) -> None:
        self.access.pop(folder, None)
        self._declare()

    @rule(group=st.sampled_from(GROUPS), members=st.lists(st.sampled_from((*PEOPLE, *GROUPS)), max_size=3, unique=True))
    def regroup(self, group: str, members: list[str]) -> None:
        self.members[group] = members
        self._regroup()

    @rule(folder=folders, name=names)
    def put(self, folder: str, name: str) -> None:
        """A new document, or a new text of an old one."""
        key = posixpath.join(folder, name)
        self.shelf.texts[key] = f"{self.word} version{next(self.versions)}"
        self.ever.add((key, self.shelf.texts[key]))

    @rule(name=names, here=folders, there=folders)
    def move(self, name: str, here: str, there: str) -> None:
        if (text := self.shelf.texts.pop(posixpath.join(here, name), None)) is not None:
            key = posixpath.join(there, name)
            self.shelf.texts[key] = text
            self.ever.add((key, text))

    @rule(folder=folders, name=names)
    def remove(self, folder: str, name: str) -> None:
        self.shelf.texts.pop(posixpath.join(folder, name), None)

    # What Moat does

    @precondition(lambda self: self.found is None)
    @rule()
    def read(self) -> None:
        """A load begins."""
        self._read("")

    @precondition(lambda self: self.found is not None)
    @rule()
    def read_again(self) -> None:
        """The task is tried again, from the start of its load."""
        assert self.found is not None
        self._read(self.moat.runtime.load(self.found.load).run)

    @precondition(lambda self: self.found is not None)
    @rule()
    def go_on(self) -> None:
        """The load takes its next step, up to promotion."""
        self._step()

    @rule()
    def promote(self) -> None:
        """The load is brought to its end; where there is none, a whole one."""
        if self.found is None:
            self._read("")
        while self.found is not None:
            self._step()

    @precondition(lambda self: self.stage == "load")
    @rule()
    def load_again(self) -> None:
        assert self.found is not None
        self.moat.load(self.found)

    @precondition(lambda self: self.found is not None)
    @rule()
    def reject(self) -> None:
        assert self.found is not None
        loads.reject(self.moat.ledger, self.found.load, "proof")
        self._no_load()

    @precondition(lambda self: self.found is not None)
    @rule()
    def another_run_takes_over(self) -> None:
        assert self.found is not None
        loads.give_up(self.moat.ledger, self.moat.runtime.load(self.found.load), "killed")
        self._no_load()
        self._read("")

    @rule()
    def rollback(self) -> None:
        done = self.promise.rollback()
        assert self.moat.rollback() == done
        self.behind |= done

    @rule()
    def sync(self) -> None:
        """Access sync runs."""
        narrowed, widened, waiting = self.promise.sync(self._said(), self.shelf.texts)
        synced = self.moat.sync()
        assert (synced.narrowed, synced.widened, synced.held) == (narrowed, widened, len(waiting))
        if waiting:
            of = frozenset(waiting)
            newest = next(h for h in reversed(self.promise.holds) if h.pairs == of and h.state != "over")
            assert synced.hold == (newest.number or synced.hold), "the same was asked for twice"
            newest.number = synced.hold or 0
        assert {h.id for h in self.moat.waiting()} == {h.number for h in self.promise.holds if h.state == "waiting"}
        self.behind = False
        if self.found is None:
            assert self.moat.disagreements() == []

    @rule()
    def release_hold(self) -> None:
        for hold in self._undecided("waiting", "rejected"):
            holds.release(self.moat.ledger, hold.number, "proof")
            hold.state = "released"

    @rule()
    def reject_hold(self) -> None:
        for hold in self._undecided("waiting"):
            holds.reject(self.moat.ledger, hold.number, "proof")
            hold.state = "rejected"

    @rule()
    def restart(self) -> None:
        self.moat.reopen()

    # What must hold

    @invariant()
    def everyone_reads_what_was_promised_and_nothing_else(self) -> None:
        oracle, readable = Oracle({"all": {ALL: PEOPLE, **self.members}}, []), self.promise.readable()
        judged = {key: terms.rule() for key, terms in readable.items()}
        texts = self.moat.ids(self.ever)
        with suppress(AskedWrongly):  # where they can read nothing of it
            assert self.moat.door.count(PEOPLE[0], {"source": self.word}).refused is None
        for names, asker in ASKERS.items():
            who = oracle.stands_for(*names)
            mine = {(key, self.promise.shown[key]) for key, rule in judged.items() if oracle.reads(who, rule)}
            got = [texts[hit.chunk_id] for hit in self.moat.door.get(list(texts), asker)]
            assert sorted(got) == sorted(mine), f"{names} by id"
            assert self.moat.door.count(asker).documents == len(mine), f"{names} counted"
            found = [texts[hit.chunk_id] for hit in self.moat.door.search(self.word, asker, 100, "keyword")]
            assert len(found) == len(set(found))
            assert set(found) <= mine, f"{names} were shown {set(found) - mine}"
            if not self.behind:
                assert set(found) == mine, f"{names} were not shown {mine - set(found)}"

    def check_invariants(self, settings: Any, output: Any, runtimes: Any) -> None:
        super().check_invariants(settings, output, runtimes)
        Machine.steps["all"] += 1

    def teardown(self) -> None:
        self.moat.store.delete(list(self.moat.ids(self.ever)))
        self.moat.close()

    # How

    def _say(self, folder: str, says: dict[str, Any] | None) -> None:
        self.access[folder] = says
        self._declare()

    def _declare(self) -> None:
        """Access files as people would write them; JSON is YAML too."""
        self.shelf.files = {
            posixpath.join(folder, ".access.yaml"): "allow: everybody!" if says is None else json.dumps(says)
            for folder, says in self.access.items()
        }

    def _said(self) -> dict[str, Terms | None]:
        return {key: self._terms(posixpath.dirname(key)) for key in self.shelf.texts}

    def _terms(self, folder: str) -> Terms | None:
        """What the nearest access file upward says; with `inherit`, what the next one says as well."""
        while folder not in self.access:
            folder = posixpath.dirname(folder)
        says = self.access[folder]
        if says is None:
            return None
        own = Terms.of([[*says["allow"], *([EVERYONE] if says.get("public") else [])]], says["deny"])
        if not says.get("inherit"):
            return own
        above = self._terms(posixpath.dirname(folder))
        return own.both(above) if above is not None else None

    def _regroup(self) -> None:
        self.moat.groups({g: m for g, m in self.members.items() if "okta" not in g})
        self.moat.groups({g: m for g, m in self.members.items() if "okta" in g}, "okta")

    def _read(self, run: str) -> None:
        busy = self.promise.read(self._said(), self.shelf.texts)
        found = self.moat.read(run)
        assert not (busy and found.unchanged), found  # with less to do, it may have the index to bring up to date
        self.found, self.stage = found, "read"
        if found.unchanged:
            self._no_load()

    def _step(self) -> None:
        assert self.found is not None
        if self.stage == "read":
            self.moat.prepare(self.found)
            self.moat.embed(self.found)
            self.moat.gate(self.found)
            self.stage = "gate"
        elif self.stage == "gate":
            self.moat.load(self.found)
            self.stage = "load"
        else:
            self.moat.promote(self.found)
            self.promise.promote()
            self.found, self.stage, self.behind = None, "", False

    def _no_load(self) -> None:
        self.promise.under_way, self.found, self.stage = None, None, ""

    def _undecided(self, *states: str) -> list[Waiting]:
        return [hold for hold in self.promise.holds if hold.state in states]


@pytest.fixture
def machine(weaviate_server: Settings, tmp_path: Path) -> Iterator[type[Machine]]:
    with place(weaviate_server, tmp_path) as settings:
        Machine.settings, Machine.fresh = settings, tmp_path / "ledger.db"
        migrated(settings)
        yield Machine


@pytest.mark.timeout(1_200)  # finding the shortest example takes minutes
def test_after_any_steps_everyone_reads_what_was_promised(
    machine: type[Machine], request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    Machine.steps.clear()
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            verbosity=Verbosity.normal,
            phases=[Phase.generate] if request.config.getoption("--no-shrink") else [Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )
    with capfd.disabled():
        print(f"\nstate machine: {Machine.steps['all']:,} steps")
    assert Machine.steps["all"] >= FEWEST_STEPS
