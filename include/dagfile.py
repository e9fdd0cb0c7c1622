"""The sources that DAG files declare, found without Airflow.

A DAG file hands its Source to `ingest(...)`. Here that name leads to a stand-in which only takes
the Source, so that the command line reads a DAG file in a tenth of a second.
"""

import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from include.errors import DeclarationError, MoatError
from include.settings import PROJECT
from include.source import Source


def sources_in(file: Path) -> list[Source]:
    """The sources of one DAG file. Raises DeclarationError where it has none or cannot be read."""
    found: list[Source] = []
    with _taking(found):
        try:
            runpy.run_path(str(file))
        except MoatError:
            raise  # a declaration that is wrong says so itself
        except Exception as error:  # a DAG file is anybody's Python and may raise anything
            raise DeclarationError(f"{file} cannot be read as a DAG file: {type(error).__name__}: {error}") from error
    if not found:
        raise DeclarationError(f"{file} declares no source: it must call ingest(Source(...), schedule=...)")
    return found


def all_sources(folder: Path = PROJECT / "dags") -> dict[str, Source]:
    """Every source of the DAG files in a folder, by name; a file that declares none is passed over."""
    found: dict[str, Source] = {}
    for file in sorted(folder.glob("*.py")):
        if "ingest(" in file.read_text("utf-8") and file.name != "ingest.py":
            found |= {source.name: source for source in sources_in(file)}
    return found


def source_named(name: str) -> Source:
    """A source by its name. Raises DeclarationError with the names that there are."""
    found = all_sources()
    if name not in found:
        raise DeclarationError(
            f"no DAG file in dags/ declares source {name!r}; there are {', '.join(sorted(found)) or 'none'}"
        )
    return found[name]


@contextmanager
def _taking(found: list[Source]) -> Iterator[None]:
    stand_in: Any = ModuleType("ingest")
    stand_in.ingest = lambda source, *_, **__: found.append(source)
    before = sys.modules.get("ingest")
    sys.modules["ingest"] = stand_in
    try:
        yield
    finally:
        if before is None:
            del sys.modules["ingest"]
        else:
            sys.modules["ingest"] = before
