"""The signature of a known fault: name, evidence rule and remedy."""

from collections.abc import Callable
from dataclasses import dataclass

from moat.incidents.triage.evidence import Evidence, Signs, signs


@dataclass(frozen=True, slots=True)
class Signature:
    """A cause by its stable name. `mend` are templates with {source}, {load}, {dag}, {reason}."""

    name: str
    title: str
    look: Callable[[Evidence], Signs]
    mend: tuple[str, ...]


def by_error(
    name: str, title: str, pattern: str, mend: tuple[str, ...], score: int = 90, quarantine: bool = False
) -> Signature:
    """A cause identified by an error text; quarantine counts less than failed tasks."""

    def look(e: Evidence) -> Signs:
        tasks = e.said(pattern)
        here = any(f.stage == e.stage for f in tasks)
        return signs(score if here else score - 30, tasks)

    return Signature(name, title, look, mend)


# The one table of commands that mend; include/moat/incidents/triage/commands.py fills in numbers and names.
LOOK = "moat load show {load}"
REJECT = 'moat reject {load} --because "{reason}"'
RELEASE = 'moat release {load} --because "…"  # only if it was meant'
AFFORD = 'moat release {load} --because "…"  # once it may cost that'
ROLLBACK = 'moat rollback {promoted} --because "{reason}"  # if load {promoted} shows it already'
AGAIN = "moat run {dag}  # or trigger {source} in Airflow"
RESUME = "moat resume {load}  # or clear the failed task of {source} in Airflow: the run goes on there"
CLEAR = "moat run {dag}  # or clear the failed task of {source} in Airflow: the run goes on there"
FULL = "moat run {dag} --full"
REPLAY = "moat quarantine replay {source} --reason {error}"
LIST = "moat quarantine list --source {source}"
DECLARE = 'moat event {source} --because "…"  # if the source is another from now on'
DOCTOR = "moat doctor"
ACCESS = "moat access sync {source}"
DIRECTORIES = "moat directory list"
OWN = {  # what does by hand the work of each DAG of Moat itself, which no file declares as a source
    "anchor_audit": "moat audit anchor",
    "held_access": "moat access held",
    "reconcile": "moat reconcile",
    "replay_quarantine": "moat quarantine replay",
    "sync_access": "moat access sync",
    "sync_directory": "moat directory sync",
}
