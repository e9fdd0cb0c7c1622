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
        StagingError: A file in staging could not be moved and is left where it was. The source has its new name, and
            the command goes on when given again.
    """
    if names_now(runtime.ledger).get(old) != new:
        renaming.rename(runtime.ledger, old, new, by)
    left = _moved(runtime, old, new)
    renaming.bytes_moved(runtime.ledger, new, runtime.staging.at(f"{old}/"), runtime.staging.at(f"{new}/"))
    if left:
        raise StagingError(
            f"{old} is called {new} now, but {len(left):,} of its files in staging could not be moved, such as {left[0]}. Give "
            f"the same command again, or remove {runtime.staging.at(old)}: a damaged file is of no use"
        )
    runtime.staging.remove(old)  # drafts of killed tasks
    return documents.count_visible(runtime.ledger, new)


def _moved(runtime: Runtime, old: str, new: str) -> list[str]:
    """Move what lies in staging under the old name, and return the files that could not be, each with the reason."""
    left = list[str]()
    for path in runtime.staging.files(old):
        if path.endswith((".sha256", ".draft")):
            continue
        try:
            runtime.staging.copy_from(runtime.staging, path, f"{new}{path.removeprefix(old)}")
            runtime.staging.remove(path)
        except StagingError as error:
            left.append(f"{path}: {error}")
    return left
