"""Every source with its DAG file and what is visible of it; those that lost their DAG file."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from moat.dagfile import DAGS, Declared
from moat.ledger import Ledger, documents, loads, sources
from moat.ledger.metrics import in_sight


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSource:
    """A source that a DAG file declares, or that the ledger has."""

    source: str
    file: str  # path of its DAG file from the project's folder; empty: no DAG file
    documents: int  # visible
    last_load: int | None
    last_at: datetime | None
    state: str


def listing(ledger: Ledger, found: Declared) -> list[KnownSource]:
    """Sources of DAG files and ledger, by name.

    Args:
        ledger: The ledger.
        found: What the DAG files declare.

    Raises:
        LedgerError: The database did not answer.
    """
    visible, gone, lost = in_sight(ledger), sources.retired(ledger), set(orphans(ledger, found))
    owners, made = sources.owners(ledger), list[KnownSource]()
    for name in sorted({*found.sources, *loads.sources(ledger)}):
        last = next(iter(loads.recent(ledger, name, 1)), None)
        file = found.files.get(name) or (owners.get(name, "") if owners.get(name) in found.broken else "")
        if name in lost:
            state = "no DAG file"
        elif file in found.broken:
            state = "its DAG file is broken"
        elif name in gone:
            state = f"retired at {gone[name]:%Y-%m-%d %H:%M} UTC"
        else:
            state = f"load {last.state}" if last else "never loaded"
        made.append(
            KnownSource(
                source=name,
                file=f"{DAGS.name}/{file}" if file else "",
                documents=visible.get(name, (0, 0))[0],
                last_load=last.id if last else None,
                last_at=last.opened_at if last else None,
                state=state,
            )
        )
    return made


def orphans(ledger: Ledger, found: Declared, folder: Path = DAGS) -> dict[str, int]:
    """Visible documents of each source that no DAG file declares; a broken file may still declare its own.

    Empty on a machine without Moat's DAG files: nothing there tells what is declared.
    """
    if not (folder / "ingest.py").is_file():
        return {}
    owners = sources.owners(ledger)
    lost = set(loads.sources(ledger)) - set(found.sources) - set(sources.retired(ledger))
    lost -= {name for name in lost if owners.get(name) in found.broken}
    return {name: n for name in sorted(lost) if (n := documents.count_visible(ledger, name))}
