"""Results of the gate's checks, one row each."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from sqlalchemy import delete, insert, select

from moat.ledger import Ledger
from moat.ledger.loads import Load, fenced
from moat.ledger.tables import check_result

Severity = Literal["warn", "hold", "block"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The result of one check: what was seen and what is allowed.

    Args:
        name: Name of the check, unique within its family.
        family: Name of the family that ran it.
        severity: Effect of a failure: `warn` only reports, `hold` waits for a person, `block` rejects the load.
        passed: Whether something was judged, and is within what is allowed.
        seen: What was found, in words with numbers.
        allowed: The limit, in words, with the name of the setting that sets it.
        documents: Keys of a few documents behind a failure.
        measure: Name of the measure that a learned bound is about; empty for a fixed bound.
        judged: Whether there was anything to judge; what was not judged has neither passed nor failed.
    """

    name: str
    family: str
    severity: Severity
    passed: bool
    seen: str
    allowed: str
    documents: tuple[str, ...] = ()  # keys of a few behind a failure
    measure: str = ""  # of a learned bound; empty: a fixed bound
    judged: bool = True

    @property
    def failed(self) -> bool:
        """Whether the load is beyond what is allowed."""
        return self.judged and not self.passed

    @property
    def state(self) -> str:
        """`ok`, `not judged`, or the severity of a failure in capitals."""
        return "ok" if self.passed else self.severity.upper() if self.failed else "not judged"


def unjudged(result: CheckResult, why: str) -> CheckResult:
    """The result of a check that had nothing to judge."""
    return replace(result, passed=False, judged=False, seen=why)


def one_over(n: int, things: str, result: CheckResult) -> CheckResult:
    """The result of a check over some things: without any, one that found nothing wrong has judged nothing."""
    return result if n or not result.passed else unjudged(result, f"not judged (0 {things})")


def over(n: int, things: str, results: Sequence[CheckResult]) -> list[CheckResult]:
    """The same of several checks over the same things."""
    return [one_over(n, things, result) for result in results]


def keep(ledger: Ledger, current: Load, family: str, results: Sequence[CheckResult]) -> None:
    """Write the results of one family; replaces those of an earlier try."""
    with ledger.write() as connection:
        fenced(connection, ledger, current)
        connection.execute(
            delete(check_result).where(check_result.c.load_id == current.id, check_result.c.family == family)
        )
        rows = [{"load_id": current.id, **asdict(r), "documents": list(r.documents)} for r in results]
        if rows:
            connection.execute(insert(check_result), rows)


def of_load(ledger: Ledger, number: int) -> list[CheckResult]:
    """All results of a load, ordered by family and name."""
    columns = [check_result.c[name] for name in CheckResult.__dataclass_fields__]
    query = (
        select(*columns).where(check_result.c.load_id == number).order_by(check_result.c.family, check_result.c.name)
    )
    with ledger.read() as connection:
        return [CheckResult(**{**row._mapping, "documents": tuple(row.documents)}) for row in connection.execute(query)]
