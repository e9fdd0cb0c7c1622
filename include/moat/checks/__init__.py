"""The gate's checks, by family. A check is a function from a Candidate to CheckResults.

To add a check, write it in its family's file. To add a family, write a file and list it in FAMILIES:
its task appears in every source's DAG under the title.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """Related checks that run as one task of the gate.

    Args:
        name: Task id in the DAG and name in the ledger.
        title: Label of the task in Airflow.
        module: Module whose `run(candidate)` returns the results.
    """

    name: str
    title: str  # label of the task in Airflow
    module: str


FAMILIES = (
    Family("volume", "documents in and out", "moat.checks.volume"),
    Family("shape", "columns and file types", "moat.checks.shape"),
    Family("parsing", "every document parsed", "moat.checks.parsing"),
    Family("changes", "what happened to each document", "moat.checks.changes"),
    Family("words", "no word is lost", "moat.checks.words"),
    Family("chunks", "chunks fit the model", "moat.checks.chunks"),
    Family("content", "personal data, secrets, hidden text", "moat.checks.content"),
    Family("duplicates", "duplicates, exact and near", "moat.checks.duplicates"),
    Family("access", "access on every chunk", "moat.checks.access"),
    Family("vectors", "vectors are sound", "moat.checks.vectors"),
    Family("golden", "golden questions", "moat.checks.golden"),
)
