"""One seeded run: a fault at a random moment, tries until it converges, and the comparison with an undisturbed one."""

import json
import random
import time
from dataclasses import dataclass, field

from tests.proofs.faults import corpus
from tests.proofs.faults.forks import Fork, Outcome
from tests.proofs.faults.kinds import KINDS, Armed, Clean, Kind
from tests.proofs.faults.points import Points
from tests.proofs.faults.runs import (
    LIMIT_S,
    Answers,
    Mode,
    Seen,
    State,
    answers_of,
    begin,
    errors_that_name_their_cause,
    lease_ends,
    one_run,
    state_of,
    watching,
)
from tests.proofs.faults.world import SECRET, LedgerKind, Place, Where, World

TRIES = 6
MODES: tuple[Mode, ...] = ("run", "resume", "tasks")


@dataclass(frozen=True, kw_only=True)
class Calm:
    """An undisturbed run: what people found before it and after it, and what it came to."""

    clean: Clean
    before: dict[str, Seen]
    after: dict[str, Seen]
    state: State


@dataclass(kw_only=True)
class Verdict:
    """What came of a seed; it holds if there is no problem."""

    seed: int
    kind: str
    ledger: LedgerKind
    where: Where
    mode: Mode
    tries: int = 0
    errors: list[str] = field(default_factory=list)  # by which tries ended, in order
    said: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    searches: int = 0
    seconds: float = 0.0

    @property
    def command(self) -> str:
        return f"python -m tests.proofs.faults --seed {self.seed}"


def deck() -> list[Kind]:
    """The kinds in the order of seeds: first each once, then each as often as its weight says."""
    rest = [kind for kind in KINDS for _ in range(kind.weight - 1)]
    random.Random(15).shuffle(rest)
    return [*KINDS, *rest]


class Runner:
    """Runs seeds in one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._calm: dict[tuple[LedgerKind, Where, Mode], Calm] = {}
        self._named = errors_that_name_their_cause()

    def run(self, seed: int) -> Verdict:
        """Run one seed. A seed does the same each time, but for what the machine's load moves."""
        cards = deck()
        kind, dice = cards[seed % len(cards)], random.Random(seed)
        ledger, where, mode = dice.choice(kind.ledgers), dice.choice(kind.wheres), dice.choice(MODES)
        if where == "s3":
            ledger = "sqlite"
        calm = self._of(ledger, where, mode)
        verdict = Verdict(seed=seed, kind=kind.name, ledger=ledger, where=where, mode=mode)
        started, place = time.monotonic(), self._world.place(ledger, where)
        try:
            self._strike(verdict, place, kind, calm, dice)
        except RuntimeError as error:  # of a fork that looked at the world: nobody can say that it holds
            verdict.problems.append(str(error))
        finally:
            for line in self._world.proxy.ports:
                self._world.proxy.set(line)
            self._world.embedder.set("", 0)
            self._world.weaviate_again()
            self._world.drop_collection(place)
            place.drop()
        verdict.seconds = time.monotonic() - started
        return verdict

    def _of(self, ledger: LedgerKind, where: Where, mode: Mode) -> Calm:
        if (ledger, where, mode) not in self._calm:
            self._calm[ledger, where, mode] = self._undisturbed(ledger, where, mode)
        return self._calm[ledger, where, mode]

    def _undisturbed(self, ledger: LedgerKind, where: Where, mode: Mode) -> Calm:
        world, place = self._world, self._world.place(ledger, where)
        before = answers_of(world, place)
        for line in world.proxy.ports:
            world.proxy.set(line)
        outcome = begin(world, place, mode, Points()).wait(LIMIT_S)
        if outcome.end != "done":
            raise RuntimeError(f"an undisturbed run ends with {outcome.error}: {outcome.said}\n{outcome.trace}")
        answered = {line: world.proxy.set(line) for line in world.proxy.ports}
        seen, _ = outcome.result
        state = state_of(world, place)
        if state.problems or state.load != "promoted":
            raise RuntimeError(f"an undisturbed run comes to {state.load}, {state.problems}")
        clean = Clean(seen=tuple(seen), answered=answered)
        made = Calm(clean=clean, before=before, after=answers_of(world, place), state=state)
        world.drop_collection(place)
        place.drop()
        return made

    def _strike(self, verdict: Verdict, place: Place, kind: Kind, calm: Calm, dice: random.Random) -> None:
        armed = kind.arm(self._world, place, calm.clean, dice)
        watch = watching(self._world, place)
        try:
            outcome = self._first(verdict, place, armed)
            armed.heal()
            self._until_it_converges(verdict, place, armed, outcome)
        finally:
            answers = watch.end(60.0)
        if armed.loose or armed.zombie or armed.twin:  # one more run, of a source that stands still
            self._try(verdict, begin(self._world, place, "run", Points()))
        found = state_of(self._world, place)
        self._judge(verdict, armed, calm, found)
        self._judge_words(verdict, place, found)
        self._judge_answers(verdict, armed, calm, answers)

    def _first(self, verdict: Verdict, place: Place, armed: Armed) -> Outcome:
        """The try that is struck."""
        if armed.twin:
            verdict.mode = "tasks"
            for n in range(2):
                (place.home / f"tasks{n}.json").write_text(json.dumps(_SAME_RUN))
            both = [begin(self._world, place, "tasks", Points(), second=n == 1) for n in range(2)]
            ends = [self._try(verdict, one) for one in both]
            return ends[0]
        fork = begin(self._world, place, verdict.mode, armed.points, more=armed.inside)
        outcome = self._try(verdict, fork)
        if outcome.end == "stopped":
            outcome = self._overtaken(verdict, place, fork)
        return outcome

    def _overtaken(self, verdict: Verdict, place: Place, asleep: Fork) -> Outcome:
        lease_ends(self._world, place)
        other = self._try(verdict, begin(self._world, place, "run", Points(), second=True))
        asleep.go_on()
        woken = self._try(verdict, asleep)
        done_before = other.end == "done" and other.result[1] == "unchanged"
        if woken.error != "Superseded" and not (done_before and woken.end == "done"):
            verdict.problems.append(f"the zombie ended with {woken.end} {woken.error} {woken.said}, not Superseded")
        (place.home / "tasks0.json").unlink(missing_ok=True)
        return other

    def _try(self, verdict: Verdict, fork: Fork) -> Outcome:
        outcome = fork.wait(LIMIT_S)
        if outcome.end == "stopped":
            return outcome
        verdict.tries += 1
        if outcome.end != "done":
            verdict.errors.append(outcome.error)
            verdict.said.append(f"{outcome.error}: {outcome.said}")
        if outcome.end == "hung":
            verdict.problems.append(outcome.said)
            self._world.fresh_parsers()
        if outcome.end == "raised" and outcome.error not in self._named:
            verdict.problems.append(f"a raw error: {outcome.error}: {outcome.said}\n{outcome.trace}")
        return outcome

    def _until_it_converges(self, verdict: Verdict, place: Place, armed: Armed, outcome: Outcome) -> None:
        while not (outcome.end == "done" and outcome.result[1] in ("promoted", "unchanged")):
            if verdict.tries >= TRIES:
                verdict.problems.append(f"it does not converge: {'; '.join(verdict.said)}")
                return
            outcome = self._try(verdict, begin(self._world, place, verdict.mode, Points()))

    def _judge_words(self, verdict: Verdict, place: Place, found: State) -> None:
        """Nothing that is said holds a text, a reader's name or a credential."""
        lines = place.home / "lines.txt"
        said = "\n".join((lines.read_text() if lines.exists() else "", *verdict.said, found.shown))
        kept = [getattr(self._world.keys, role) for role in ("operator", "writer", "reader")]
        for secret in (*corpus.CANARIES, *kept, SECRET):
            if secret in said:
                verdict.problems.append(f"{secret[:12]}… is told in lines, errors, incidents or metrics")

    def _judge(self, verdict: Verdict, armed: Armed, calm: Calm, found: State) -> None:
        verdict.problems += found.problems
        if found.load not in ("promoted", "unchanged"):
            verdict.problems.append(f"the newest load is {found.load}")
        for name in ("fingerprint", "index", "vectors"):
            if getattr(found, name) != getattr(calm.state, name):
                verdict.problems.append(f"its {name} is another than that of an undisturbed run")

    def _judge_answers(self, verdict: Verdict, armed: Armed, calm: Calm, ended: Outcome) -> None:
        """People found all that is the same before and after, and nothing that is in neither."""
        if ended.end != "done":
            verdict.problems.append(f"searches ended with {ended.error}: {ended.said}\n{ended.trace}")
            return
        answers: Answers = ended.result
        verdict.searches = answers.n
        if not armed.blind and answers.refused:
            verdict.problems.append(f"searches were refused: {dict(answers.refused)}")
        for asker in (corpus.ANN, corpus.HUGO):
            must, may = calm.before[asker] & calm.after[asker], calm.before[asker] | calm.after[asker]
            for seen in answers.by.get(asker, set()):
                if not must <= seen and not armed.blind and not armed.loose:
                    verdict.problems.append(f"{asker} did not find {sorted(must - seen)}")
                if not seen <= may and not armed.loose:
                    verdict.problems.append(f"{asker} found {sorted(seen - may)}")


_SAME_RUN = one_run()
