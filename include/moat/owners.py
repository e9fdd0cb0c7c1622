"""Which DAG file a source belongs to: two files that declare one name would take turns in one place."""

from pathlib import Path

from moat.dagfile import DAGS, Declared, both, declared, declares, known_as, source_named
from moat.errors import MoatError, RenameRefused
from moat.ledger import Ledger, sources
from moat.ledger.former_names import names_now, refuse_former
from moat.settings import Settings
from moat.source import Source


def refuse_second(name: str, here: str, others: list[str]) -> None:
    """Refuse a source that other DAG files declare, too, unless it belongs to this file.

    For the parsing of DAG files. If the ledger does not answer, nothing is refused: `claim` decides when the source
    runs.

    Args:
        name: Name of the source.
        here: Path of the file inside the folder of DAG files.
        others: Paths of the others.

    Raises:
        DeclarationError: The ledger does not know this file as the source's.
    """
    try:
        ledger = Ledger.open(Settings.load())
        try:
            owner = sources.owners(ledger).get(name)
        finally:
            ledger.close()
    except MoatError:
        return
    if owner != here:
        raise both(name, here, owner if owner in others else others[0])


def claim(ledger: Ledger, name: str, file: Path, folder: Path = DAGS, only_look: bool = False) -> None:
    """Make a source belong to a file, unless the file that it belongs to still declares it.

    Args:
        ledger: The ledger.
        name: Name of the source.
        file: The DAG file that is about to run it.
        folder: Folder of DAG files.
        only_look: Record nothing.

    Raises:
        DeclarationError: The file that the source belongs to declares it, too.
        RenameRefused: Another source had this name before.
        LedgerError: The database did not answer.
    """
    with ledger.read() as connection:
        refuse_former(connection, ledger.tenant, name)
    here, owner = known_as(file, folder), sources.owners(ledger).get(name)
    if owner == here:
        return
    if owner is not None and declares(folder / owner, name, folder):
        raise both(name, here, owner)
    if not only_look:
        sources.own(ledger, name, here)


def sources_of(ledger: Ledger, folder: Path = DAGS) -> Declared:
    """The sources of a folder's DAG files; a name that two declare is its owner's.

    A file that declares a source by a name of before is broken: the source is another's, or would begin anew.
    """
    found = declared(folder, sources.owners(ledger))
    for was, now in names_now(ledger).items():
        if was in found.sources:
            found.broken[found.files[was]] = RenameRefused(
                f"{found.files[was]}: source {was} was renamed and is called {now} now: write this name there"
            )
            for of_sources in (found.sources, found.files, found.schedules):
                of_sources.pop(was, None)
    return found


def source_of(ledger: Ledger, name: str, folder: Path = DAGS) -> Source:
    """A source by its name, from the file that it belongs to.

    Raises:
        DeclarationError: No DAG file declares it; the message lists the sources and broken files.
    """
    return source_named(name, folder, sources.owners(ledger))
