"""What one known kind of trouble looks like: its name, what to say, where to look, how to mend it."""

from collections.abc import Callable
from dataclasses import dataclass

from moat.incidents.triage.evidence import Evidence, Fault, Signs, signs


@dataclass(frozen=True, slots=True)
class Signature:
    """A cause by its stable name. `mend` are steps with {source}, {load}, {dag}, {reason} to fill in."""

    name: str
    title: str
    look: Callable[[Evidence], Signs]
    mend: tuple[str, ...]


def by_error(
    name: str, title: str, pattern: str, mend: tuple[str, ...], score: int = 90, quarantine: bool = False
) -> Signature:
    """A cause that an error names itself; what rests in quarantine for the same counts less than a task that failed."""

    def look(e: Evidence) -> Signs:
        if tasks := e.said(pattern):
            here = any(f.stage == e.stage for f in tasks)
            return signs(score if here else score - 30, tasks)
        rests = e.aside_for(pattern) if quarantine else []
        return signs(score - 25, rests, _checks(e)) if rests else Signs()

    return Signature(name, title, look, mend)


def _checks(e: Evidence) -> list[Fault]:
    return e.failed(r"quarantin|aside|parse")[:2]


# What one does about it. Numbers and names are filled in by include/moat/incidents/triage/commands.py.
LOOK = "moat load show {load}"
REJECT = 'moat reject {load} --because "{reason}"'
RELEASE = 'moat release {load} --because "…"  # only if it was meant'
ROLLBACK = 'moat rollback {promoted} --because "{reason}"  # if load {promoted} shows it already'
AGAIN = "moat run {dag}  # or trigger {source} in Airflow"
CLEAR = "moat run {dag}  # or clear the failed task of {source} in Airflow: the run goes on there"
FULL = "moat run {dag} --full"
REPLAY = "moat quarantine replay --source {source} --reason {error}"
LIST = "moat quarantine list --source {source}"
DECLARE = 'moat event {source} --because "…"  # if the source is another from now on'
DOCTOR = "moat doctor"
