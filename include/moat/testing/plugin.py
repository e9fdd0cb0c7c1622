"""Fixtures of pytest for whoever writes DAG files: a dry run without any server.

The wheel brings it to pytest by itself; in the project, `-p moat.testing.plugin` does.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every run of pytest loads a plugin, whether a test asks for it or not
    from moat.connections import Connections
    from moat.stages.dry_run import Estimate

DryRun = Callable[..., "dict[str, Estimate]"]


@pytest.fixture
def moat_dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DryRun]:
    """Make dry runs of a DAG file's sources, with an empty ledger and the model in this process.

    Example:
        def test_policies(moat_dry_run):
            estimate = moat_dry_run("dags/policies.py")["policies"]
            assert estimate.documents > 100 and estimate.set_aside == 0 and not estimate.warnings

    Takes the DAG file, and `groups`: a mapping from each group to its members, for the warnings about readers.
    Gives an `Estimate` for each source, by its name. Sources are read for real, through connections of the
    environment (`AIRFLOW_CONN_…`), or Airflow's where it is installed; nothing is written but into `tmp_path`.
    """
    from moat.dagfile import sources_in
    from moat.ledger import Ledger
    from moat.maintenance.swaps import load_members
    from moat.runtime import Options, Runtime
    from moat.settings import Settings
    from moat.stages.dry_run import dry_run

    home = tmp_path / "moat"
    monkeypatch.setenv("MOAT_HOME", str(home))
    monkeypatch.setenv("MOAT_LEDGER_URL", f"sqlite:///{home}/ledger.db")
    monkeypatch.setenv("MOAT_STAGING_URI", str(home / "staging"))
    monkeypatch.setenv("MOAT_EMBEDDER", "in_process")
    settings = Settings.load()
    ledger = Ledger(settings.ledger, settings.tenant)
    ledger.migrate()
    ledger.close()
    runtime = Runtime.open(_connections())

    def dry(dag_file: str | Path, groups: "dict[str, list[str]] | None" = None) -> "dict[str, Estimate]":
        if groups:
            load_members(runtime, "test", groups, "test")
        return {source.name: dry_run(runtime, source, Options()) for source in sources_in(Path(dag_file))}

    yield dry
    runtime.close()


def _connections() -> "Connections":
    """Airflow's in a project of Moat, else the environment's."""
    from moat.cli import shared
    from moat.connections import EnvironmentConnections

    try:
        return shared.connections()
    except ModuleNotFoundError:
        return EnvironmentConnections()
