"""The commands that mend a cause, filled in for one load of one source."""

import re
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from moat.dagfile import DAGS, file_declaring, known_as
from moat.incidents.triage.rank import steps_of
from moat.incidents.triage.signature import CLEAR, OWN, RESUME
from moat.ledger.loads import Load

BEFORE = ("open", "held", "staged")  # states from which a load can be rejected
ELSE = re.compile(r"  # or ([^:]*)")  # of a command, what does the same in Airflow


def commands(
    source: str, load: Load | None, cause: str, *, severity: str, error: str, file: str = ""
) -> tuple[str, ...]:
    """Steps that mend a cause, in order, as a shell script.

    Words start with #, so that all of it can be pasted. `error` is the error of most documents resting in
    quarantine; empty if there are none. `file` is the DAG file that the source belongs to, as the ledger knows it.
    """
    values = {
        "source": source,
        "load": str(load.id) if load else "",
        "dag": dag_file(source, file),
        "reason": cause.replace("_", " "),
        "error": error,
        "promoted": str(load.id) if load and (load.state == "promoted" or severity == "warn") else "",
    }
    return tuple(dict.fromkeys(_filled(steps_of(cause), values, load, severity)))


def _filled(steps: tuple[str, ...], values: dict[str, str], load: Load | None, severity: str) -> Iterator[str]:
    own = OWN.get(values["source"])
    for step in steps:
        if own and step.startswith("moat ") and "{" in step:  # a DAG of Moat has neither loads nor a file
            yield own
            continue
        if step == CLEAR and values["dag"] and _can_go_on(load):
            step = RESUME
        other = ELSE.search(step)
        if "{dag}" in step and not values["dag"] and other:  # no file declares the source
            step = other[1]
        if any(not values[name] for name in re.findall(r"{(\w+)}", step)):
            continue
        if step.startswith("moat release") and severity != "hold" and not (load and load.state == "held"):
            continue
        if step.startswith("moat reject") and (severity == "warn" or not _can_be_rejected(load, severity)):
            continue
        text = re.sub(r"{(\w+)}", lambda m: values[m[1]], step)
        yield text if text.startswith("moat ") else f"# {text}"


def _can_be_rejected(load: Load | None, severity: str) -> bool:
    """Whether a person must reject the load; the gate itself rejects blocked ones."""
    return load is not None and load.state in BEFORE and severity == "hold"


def _can_go_on(load: Load | None) -> bool:
    """Whether a load whose run has ended can be taken up: its source is read."""
    return load is not None and load.state in ("open", "staged") and "batches" in load.counts


def dag_file(source: str, file: str = "", folder: Path = DAGS) -> str:
    """Path of the file that declares a source, found without executing it; empty where none does.

    `file` is where the source belongs, by its path in the folder; it counts while it is there.
    """
    if file and (folder / file).is_file():
        return quote(file if Path(file).is_absolute() else f"{folder.name}/{file}")
    found = file_declaring(source, folder)
    return quote(f"{folder.name}/{known_as(found, folder)}") if found else ""
