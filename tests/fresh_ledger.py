"""Migrated ledgers for tests, without the cost of migrating each."""

import functools
import shutil
import tempfile
from pathlib import Path

from moat.ledger import Ledger

SQLITE = "sqlite:///"


def migrated(url: str, tenant: str) -> Ledger:
    """The ledger at a URL, migrated; a new one on SQLite is a copy of one that this process migrated before."""
    file = Path(url.removeprefix(SQLITE))
    ledger = Ledger(url, tenant)
    if not url.startswith(SQLITE) or file.exists():
        ledger.migrate()
        return ledger
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copy(Path(_template().name, "ledger.db"), file)
    return ledger


@functools.cache
def _template() -> "tempfile.TemporaryDirectory[str]":
    folder = tempfile.TemporaryDirectory(prefix="moat-ledger-")
    made = Ledger(f"{SQLITE}{folder.name}/ledger.db", "template")
    made.migrate()
    made.close()  # the last connection's end leaves one file
    return folder
