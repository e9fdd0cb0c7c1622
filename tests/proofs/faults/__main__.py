"""Seeded runs under faults, with a table of what came of them: python -m tests.proofs.faults [--seeds N | --seed K …]"""

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tests.proofs.faults.seeds import Runner, Verdict, deck
from tests.proofs.faults.world import World


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=60, help="Run the seeds from --from on, so many.")
    parser.add_argument("--from", type=int, default=0, dest="first", help="The first seed.")
    parser.add_argument("--seed", type=int, action="append", default=[], help="Run this seed; may be given again.")
    parser.add_argument("--kind", default="", help="Only seeds whose kind has this in its name.")
    parser.add_argument("--within", type=float, default=float("inf"), help="Begin no seed after so many seconds.")
    given = parser.parse_args(arguments)
    cards = deck()
    seeds = given.seed or range(given.first, given.first + given.seeds)
    chosen = [seed for seed in seeds if given.kind in cards[seed % len(cards)].name]
    world = World(lambda line: print(line, flush=True))
    started, verdicts = time.monotonic(), list[Verdict]()
    try:
        runner = Runner(world)
        for seed in chosen:
            if time.monotonic() - started > given.within:
                break
            verdicts.append(runner.run(seed))
            print(line_of(verdicts[-1]), flush=True)
    finally:
        world.close()
    print(table(verdicts))
    print(f"{len(verdicts)} of {len(chosen)} seeds were run in {time.monotonic() - started:,.0f} s")
    return 1 if any(v.problems for v in verdicts) or not verdicts else 0


def line_of(v: Verdict) -> str:
    """One seed in a line, and its problems below it with the command that repeats it."""
    how = "FAILS" if v.problems else "holds"
    line = f"{how} seed {v.seed}: {v.kind}; {v.ledger}, {v.where}, {v.mode}: {v.tries} tries, {v.seconds:.1f} s"
    line += f", {' '.join(v.errors)}" if v.errors else ""
    if v.problems:
        line += "".join(f"\n    {problem}" for problem in v.problems)
        line += "".join(f"\n    said: {said}" for said in v.said) + f"\n    {v.command}"
    return line


def table(verdicts: Iterable[Verdict]) -> str:
    """The kinds with their numbers, as Markdown."""
    by = defaultdict[str, list[Verdict]](list)
    for v in verdicts:
        by[v.kind].append(v)
    rows = [
        "| fault | runs | at once | after more tries | failed | seconds each | errors |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for kind, of_it in sorted(by.items()):
        failed = sum(bool(v.problems) for v in of_it)
        at_once = sum(not v.problems and not v.errors for v in of_it)
        errors = Counter(error for v in of_it for error in v.errors)
        rows.append(
            f"| {kind} | {len(of_it)} | {at_once} | {len(of_it) - failed - at_once} | {failed} "
            f"| {sum(v.seconds for v in of_it) / len(of_it):.1f} "
            f"| {', '.join(f'{name} {n}' for name, n in errors.most_common())} |"
        )
    whole = [v for of_it in by.values() for v in of_it]
    rows.append(
        f"| all | {len(whole)} | {sum(not v.problems and not v.errors for v in whole)} "
        f"| {sum(not v.problems and bool(v.errors) for v in whole)} | {sum(bool(v.problems) for v in whole)} "
        f"| {sum(v.seconds for v in whole) / max(len(whole), 1):.1f} | {sum(v.searches for v in whole):,} searches meanwhile |"
    )
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
