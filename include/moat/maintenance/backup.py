"""moat backup and restore: the ledger, with the files of staging that its open loads and its quarantine need.

The copy of the ledger is a database of SQLite whatever the ledger is on, made from one snapshot, and comes back into
either. The index is not in it: it is made from the ledger, which keeps texts and vectors. The manifest is written last,
so a backup that broke off is known.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Integer, Table, delete, func, insert, inspect, select

from moat.batching import windows
from moat.errors import FatalError
from moat.ledger import Ledger, audit
from moat.ledger.every_table import metadata
from moat.ledger.rebuilds import rebuild
from moat.maintenance.fingerprint import fingerprints
from moat.runtime import Progress
from moat.staging import Staging

MANIFEST, STAGED = "backup.json", "staging"
LEDGER = "ledger.db"
ROWS = 2_000  # inserted at a time
ASIDE = (".sha256", ".draft")  # beside a file of staging, or not yet one


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup holds.

    Args:
        made_at: Time of its beginning, ISO 8601 in UTC.
        tenant: Tenant whose fingerprints are noted; the whole database is copied.
        rows: Number of rows of the ledger.
        files: Number of files of staging.
        fingerprints: Fingerprint of the copy by source.
    """

    made_at: str
    tenant: str
    rows: int
    files: int
    fingerprints: dict[str, str]


def backup(ledger: Ledger, staging: Staging, target: Staging, progress: Progress) -> Backup:
    """Copy ledger and staging, while loads go on.

    Files of staging are copied before and after the ledger, so that each one that the ledger knows is there.

    Args:
        ledger: The ledger, at the schema of this version.
        staging: Staging area of the loads.
        target: Empty folder or prefix.
        progress: Called with each line of progress.

    Returns:
        What the backup holds.

    Raises:
        FatalError: The target holds something already.
    """
    if target.files(""):
        raise FatalError(f"{target.uri} holds files already: name a new folder for this backup")
    begun = datetime.now(UTC)
    copied = _copied(staging, target, frozenset())
    progress(f"{len(copied):,} files of staging copied")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, LEDGER)
        with _sqlite(file, ledger.tenant) as copy:
            rows = _copy_rows(ledger, copy)
            found = _hashes(copy)
        target.copy(file, LEDGER)
    progress(f"{rows:,} rows of the ledger copied")
    copied |= _copied(staging, target, copied)
    made = Backup(made_at=begun.isoformat(), tenant=ledger.tenant, rows=rows, files=len(copied), fingerprints=found)
    target.write_bytes(MANIFEST, json.dumps(asdict(made), indent=1).encode())
    return made


def restore(ledger: Ledger, staging: Staging, source: Staging, actor: str, progress: Progress) -> Backup:
    """Bring a backup into an empty ledger and an empty staging area, and compare the fingerprints.

    Args:
        ledger: A ledger without tables.
        staging: An empty staging area.
        source: Where the backup lies.
        actor: Who does it, for the audit.
        progress: Called with each line of progress.

    Returns:
        What the backup holds.

    Raises:
        FatalError: There is no whole backup, it is of another tenant, something is there already, or what was
            restored has another fingerprint than what was copied.
    """
    made = _manifest(source)
    _check_place(made, ledger, staging, source)
    ledger.migrate()
    with source.local_copy(LEDGER) as file, _sqlite(file, ledger.tenant) as copy:
        progress(f"{_copy_rows(copy, ledger):,} rows of the ledger restored")
    paths = [path for path in source.files(STAGED) if not path.endswith(ASIDE)]
    for path in paths:
        staging.copy_from(source, path, path.removeprefix(f"{STAGED}/"))
    progress(f"{len(paths):,} files of staging restored")
    if (found := _hashes(ledger)) != made.fingerprints:
        wrong = sorted(name for name in found | made.fingerprints if found.get(name) != made.fingerprints.get(name))
        raise FatalError(f"what was restored is not what was copied: {', '.join(wrong)}; take an older backup")
    with ledger.write() as connection:
        connection.execute(delete(rebuild))  # it was writing to the Weaviate of that machine
        audit.record(
            connection, ledger.tenant, actor=actor, action="restore", subject="ledger", detail={"backup": made.made_at}
        )
    return made


def _manifest(source: Staging) -> Backup:
    if not source.exists(MANIFEST):
        raise FatalError(f"{source.uri} holds no whole backup: {MANIFEST} is not there")
    try:
        return Backup(**json.loads(source.read_bytes(MANIFEST)))
    except (ValueError, TypeError):
        raise FatalError(f"{source.at(MANIFEST)} was not written by this Moat, or by a newer one") from None


def _check_place(made: Backup, ledger: Ledger, staging: Staging, source: Staging) -> None:
    if made.tenant != ledger.tenant:
        raise FatalError(f"{source.uri} is of tenant {made.tenant}, MOAT_TENANT is {ledger.tenant}")
    file = ledger.engine.url.database or ""
    if (ledger.engine.dialect.name != "sqlite" or Path(file).exists()) and inspect(ledger.engine).get_table_names():
        raise FatalError(
            f"{ledger.engine.url!r} holds a ledger already: move it away, or name an empty one by MOAT_LEDGER_URL"
        )
    if staging.files(""):
        raise FatalError(
            f"{staging.uri} holds files already: move them away, or name another place by MOAT_STAGING_URI"
        )


def _hashes(ledger: Ledger) -> dict[str, str]:
    return {found.source: found.hash for found in fingerprints(ledger)}


def _copied(staging: Staging, target: Staging, known: frozenset[str]) -> frozenset[str]:
    """Copy files that are not known yet; returns their paths. One that went meanwhile is needed no more."""
    done = set[str]()
    for path in staging.files(""):
        if path.endswith(ASIDE) or path in known or not staging.exists(path):
            continue
        target.copy_from(staging, path, f"{STAGED}/{path}")
        done.add(path)
    return frozenset(done)


@contextmanager
def _sqlite(file: Path, tenant: str) -> Iterator[Ledger]:
    """A ledger in a file, at the schema of this version; in the end the file is all of it."""
    with closing(Ledger(f"sqlite:///{file}", tenant)) as ledger:
        ledger.migrate()
        yield ledger


def _copy_rows(source: Ledger, target: Ledger) -> int:
    """Copy every row of one snapshot; returns their number."""
    n = 0
    with source.read() as reading, target.write() as writing:
        for table in metadata.sorted_tables:
            rows = reading.execution_options(yield_per=ROWS).execute(select(table)).mappings()
            for window in windows(rows, ROWS):
                writing.execute(insert(table), [dict(row) for row in window])
                n += len(window)
            _count_on(writing, table)
    return n


def _count_on(connection: Connection, table: Table) -> None:
    """Let PostgreSQL give the next number after those that came with their rows."""
    key = next(iter(table.primary_key))
    if connection.dialect.name != "postgresql" or len(table.primary_key) != 1 or not isinstance(key.type, Integer):
        return
    if highest := connection.execute(select(func.max(key))).scalar():
        numbers = func.pg_get_serial_sequence(f'"{table.name}"', key.name)
        connection.execute(select(func.setval(numbers, highest)))
