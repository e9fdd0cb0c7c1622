"""Rename a source: the ledger's rows in one transaction, then what lies in staging under its old name."""

from moat.dagfile import DAGS
from moat.errors import RenameRefused, StagingError
from moat.ledger import Ledger, documents, renaming
from moat.ledger.former_names import names_now
from moat.owners import sources_of
from moat.runtime import Runtime
from moat.source import name_faults


def check_new_name(ledger: Ledger, old: str, new: str) -> None:
    """Refuse a name that no source may have, or that another DAG file than the source's own declares.

    Raises:
        RenameRefused: The message says which, and what to do.
    """
    if faults := name_faults(new):
        raise RenameRefused(f"{new!r} is no name of a source: {'; '.join(faults)}")
    files = sources_of(ledger).files
    if old in files and new in files:
        raise RenameRefused(
            f"{DAGS.name}/{files[old]} declares {old} and {DAGS.name}/{files[new]} declares {new}: a source that is "
            f"renamed is declared once; take {old} out first"
        )


def rename(runtime: Runtime, old: str, new: str, by: str) -> int:
    """Give a source another name; repeatable, and goes on where it stopped.

    Args:
        runtime: Ledger and staging.
        old: Name of the source.
        new: Its new name.
        by: Who renames it.

    Returns:
        Number of its visible documents.

    Raises:
        RenameRefused: See `moat.ledger.renaming.rename`.
        StagingError: Staging did not answer; the source has its new name, and the command goes on when given again.
    """
    if names_now(runtime.ledger).get(old) != new:
        renaming.rename(runtime.ledger, old, new, by)
    staging = runtime.staging
    for path in staging.files(old):
        if path.endswith((".sha256", ".draft")):
            continue
        try:
            staging.copy_from(staging, path, f"{new}{path.removeprefix(old)}")
        except StagingError as error:  # damaged before: nothing was to be made of it either
            runtime.progress(f"{path} is not taken along: {error}")
    renaming.bytes_moved(runtime.ledger, new, staging.at(f"{old}/"), staging.at(f"{new}/"))
    staging.remove(old)
    return documents.count_visible(runtime.ledger, new)
