"""Who may decide, and the second person that a widening to public may need.

A person is named by the door through which they came: `airflow:ann` answered in Airflow, `cli:root` typed a
command. First answers are rows of the audit, so that nobody can take one back or put one in unseen.
"""

import re

from sqlalchemy import Connection, select

from moat.errors import DecisionRefused
from moat.ledger import Ledger, holds, loads
from moat.ledger.audit import record
from moat.ledger.holds import Hold
from moat.ledger.loads import Load
from moat.ledger.tables import audit, measure
from moat.settings import Settings, parted

OPENED = "access.opened"  # measure of a load: documents that it makes public
CLAIM = re.compile(r" \(claims .*\)$")


def person(by: str) -> str:
    """The name of whoever decides, without the door and without what they claim to be."""
    return CLAIM.sub("", by).partition(":")[2].casefold() or by.casefold()


def may_decide(settings: Settings, by: str) -> bool:
    """Whether MOAT_APPROVERS lets somebody decide; where it is empty, everybody may."""
    approvers = parted(settings.approvers)
    return not approvers or CLAIM.sub("", by) in approvers


def require(ledger: Ledger, settings: Settings, by: str, what: str) -> None:
    """Refuse a decision of somebody who is no approver, and record the try.

    Args:
        ledger: The ledger.
        settings: Settings with the approvers.
        by: Who decides, as the audit names them.
        what: What they decide, such as `release of load 7`.

    Raises:
        DecisionRefused: They are not among MOAT_APPROVERS.
    """
    if may_decide(settings, by):
        return
    with ledger.write() as connection:
        record(
            connection,
            ledger.tenant,
            actor=by,
            action="decision refused",
            subject=what,
            detail={"because": "no approver"},
        )
    raise DecisionRefused(f"{by} may not decide: {what} needs one of MOAT_APPROVERS ({settings.approvers})")


def release_load(ledger: Ledger, settings: Settings, number: int, by: str, because: str = "") -> Load:
    """Release a held load; it stays held where a second person has to agree.

    Args:
        ledger: The ledger.
        settings: Settings with MOAT_APPROVERS and MOAT_FOUR_EYES.
        number: Number of the load.
        by: Who releases it.
        because: Reason for the audit.

    Returns:
        The load: `open` once it is released, `held` while it waits for the second person.

    Raises:
        DecisionRefused: They are not among MOAT_APPROVERS.
        LoadRefused: There is no such load, or it does not wait.
    """
    current = loads.get(ledger, number)
    subject = f"load {number} of {current.source}"
    require(ledger, settings, by, f"release of {subject}")
    if settings.four_eyes and current.state == "held" and current.held_for == "gate" and _opens(ledger, number):
        with ledger.write() as connection:
            if not _agreed(connection, ledger.tenant, by=by, subject=subject, detail={"load": number}, because=because):
                return current
    return loads.release(ledger, number, by, because)


def reject_load(ledger: Ledger, settings: Settings, number: int, by: str, because: str = "") -> Load:
    """Reject a load. Raises DecisionRefused and LoadRefused."""
    require(ledger, settings, by, f"rejection of load {number}")
    return loads.reject(ledger, number, by, because)


def agree_to_hold(ledger: Ledger, settings: Settings, hold: Hold, by: str, because: str = "") -> bool:
    """Whether a hold may be released now; records the first of two answers.

    Raises DecisionRefused where somebody decides who is not among MOAT_APPROVERS.
    """
    subject = f"{hold.kind} of {hold.subject}"
    require(ledger, settings, by, f"release of the {subject}, hold {hold.id}")
    if not settings.four_eyes or not hold.detail.get("public") or hold.state not in ("waiting", "rejected"):
        return True
    with ledger.write() as connection:
        return _agreed(connection, ledger.tenant, by=by, subject=subject, detail={"hold": hold.id}, because=because)


def reject_hold(ledger: Ledger, settings: Settings, number: int, by: str, because: str = "") -> Hold:
    """Reject a held change of access. Raises DecisionRefused and HoldRefused."""
    require(ledger, settings, by, f"rejection of hold {number}")
    return holds.reject(ledger, number, by, because)


def _opens(ledger: Ledger, number: int) -> bool:
    """Whether a load makes documents public."""
    query = select(measure.c.value).where(measure.c.load_id == number, measure.c.name == OPENED)
    with ledger.read() as connection:
        return bool(connection.scalar(query))


def _agreed(connection: Connection, tenant: str, by: str, subject: str, detail: dict[str, int], because: str) -> bool:
    """Whether two different people agree, this one included; their answers since the last rejection count."""
    agreed = _first(connection, tenant, subject, detail)
    if person(by) not in agreed:
        record(connection, tenant, actor=by, action="agree", subject=subject, detail={**detail, "because": because})
    return bool(agreed - {person(by)})


def _first(connection: Connection, tenant: str, subject: str, detail: dict[str, int]) -> set[str]:
    """The people who have agreed so far."""
    ((name, number),) = detail.items()
    query = (
        select(audit.c.action, audit.c.actor, audit.c.detail)
        .where(audit.c.tenant == tenant, audit.c.subject == subject, audit.c.action.in_(("agree", "reject")))
        .order_by(audit.c.id)
    )
    agreed = set[str]()
    for row in connection.execute(query):
        if row.action == "reject" and row.detail.get(name, number) == number:
            agreed = set()
        elif row.action == "agree" and row.detail.get(name) == number:
            agreed.add(person(row.actor))
    return agreed
