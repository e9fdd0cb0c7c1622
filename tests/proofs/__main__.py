"""Runs the long proofs one after the other, with a line for each: python -m tests.proofs [--within SECONDS] [NAME…]"""

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
TWO = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped)\b")
SEEDED = re.compile(r"^(\d+) of (\d+) seeded bugs", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """One proof: what runs, and the minutes that it takes on two cores, more or less."""

    name: str
    minutes: float
    arguments: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        if self.arguments[0].endswith("run.py"):
            return [sys.executable, *self.arguments]
        if self.arguments[0].startswith("bench."):
            return [sys.executable, "-m", *self.arguments]
        return [sys.executable, "-m", "pytest", "-q", "--durations", "5", *self.arguments]


PARTS = (
    Part("access", 6, ("tests/proofs/access", *TWO, "--ignore-glob", "*machine*", "--ignore-glob", "*sweep*")),
    Part("pages", 3, ("tests/proofs/pages",)),
    Part("wheel", 3, ("tests/proofs/wheel",)),
    Part("data", 10, ("tests/proofs/data", *TWO)),
    Part("e2e", 15, ("tests/proofs/e2e", *TWO, "--ignore-glob", "*parts*")),
    Part("machine", 6, ("tests/proofs/access/test_machine.py",)),
    Part("sweep", 5, ("tests/proofs/access/test_sweep.py",)),
    Part("door", 5, ("tests/proofs/door",)),
    Part("trust", 12, ("tests/proofs/trust",)),
    Part("faults", 21, ("tests/proofs/faults",)),
    Part("parts", 15, ("tests/proofs/e2e/test_parts.py",)),
    Part("cluster", 12, ("tests/proofs/cluster", "-s")),
    Part("hostile", 15, ("tests/proofs/hostile", "-s")),
    Part("quality", 4, ("tests/proofs/quality",)),
    Part("image", 15, ("tests/proofs/image",)),
    Part("fidelity", 12, ("bench.fidelity", "--check")),
    Part("mutants", 40, ("tests/proofs/mutants/run.py",)),
)


def run(part: Part) -> tuple[bool, str]:
    """Whether a proof holds, and what was counted."""
    print(f"\n== {part.name}: {' '.join(part.command[1:])}", flush=True)
    process = subprocess.Popen(part.command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        said = (said + line)[-4_000:]
    code = process.wait()
    if seeded := SEEDED.search(said):
        return code == 0, f"{seeded[1]} of {seeded[2]} mutants killed"
    counts = {what.rstrip("s"): int(n) for n, what in COUNT.findall(said.strip().rpartition("\n")[2])}
    return code == 0, ", ".join(f"{n} {what}" for what, n in counts.items()) or f"ended with {code}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--within", type=float, default=float("inf"), help="Seconds; a part that would not fit is left."
    )
    parser.add_argument("names", nargs="*", help=f"Of {', '.join(part.name for part in PARTS)}; all without one.")
    given = parser.parse_args()
    if unknown := set(given.names) - {part.name for part in PARTS}:
        parser.error(f"no proof is called {', '.join(sorted(unknown))}: {', '.join(part.name for part in PARTS)}")
    began, lines, held = time.monotonic(), list[str](), True
    for part in (part for part in PARTS if not given.names or part.name in given.names):
        left = given.within - (time.monotonic() - began)
        if left < part.minutes * 60:
            lines.append(
                f"{part.name:<10} NOT RUN: it takes about {part.minutes:g} min, {max(left, 0) / 60:.0f} are left"
            )
            continue
        started = time.monotonic()
        right, counted = run(part)
        held &= right
        lines.append(f"{part.name:<10} {'holds' if right else 'FAILS'}  {counted}  {time.monotonic() - started:.0f} s")
    print("\nProofs:")
    print("\n".join(lines))
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
