"""Combines the recorded results of a load: pass, hold for a person, or block."""

from dataclasses import dataclass
from typing import Literal

from moat.checks import FAMILIES
from moat.ledger import checks as results
from moat.ledger.checks import CheckResult
from moat.ledger.loads import Load
from moat.runtime import Runtime

Outcome = Literal["pass", "hold", "block"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's decision and the results behind it."""

    outcome: Outcome
    results: tuple[CheckResult, ...]
    unjudged: tuple[str, ...] = ()  # families without a result: their tasks failed, or never ran

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        return tuple(r for r in self.results if r.failed)

    @property
    def reason(self) -> str:
        return "; ".join(f"{r.name}: {r.seen}, allowed: {r.allowed}" for r in self.failed if r.severity != "warn")


def verdict(runtime: Runtime, number: int) -> Verdict:
    """Combines recorded results into a verdict. A family without results blocks."""
    found = results.of_load(runtime.ledger, number)
    there = {r.family for r in found}
    missing = [
        CheckResult(
            name=f"{f.name} did not run",
            family=f.name,
            severity="block",
            passed=False,
            seen="no result",
            allowed="a check that runs",
        )
        for f in FAMILIES
        if f.name not in there
    ]
    every = (*found, *missing)
    failed = {r.severity for r in every if r.failed}
    return Verdict(
        "block" if "block" in failed else "hold" if "hold" in failed else "pass",
        every,
        tuple(r.family for r in missing),
    )


def released(load: Load, found: Verdict) -> bool:
    """Whether the load passed the gate, or was held and then released."""
    return found.outcome == "pass" or (found.outcome == "hold" and load.state != "held" and bool(load.decided_by))
