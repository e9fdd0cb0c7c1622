"""Find the sources and directories that DAG files declare, without Airflow.

A DAG file passes its Source to `ingest(...)` and its directories to `sync_directories(...)`. Here
stand-ins take their place and only collect the arguments, so the command line reads a DAG file in a
tenth of a second.
"""

import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from moat.directories.directory import Directory
from moat.errors import DeclarationError, MoatError
from moat.settings import PROJECT
from moat.source import Source


def sources_in(file: Path) -> list[Source]:
    """Return the sources of one DAG file.

    Raises:
        DeclarationError: The file declares no source, or cannot be read.
    """
    found: list[Source] = []
    _run(file, "ingest", "ingest", lambda source, *_, **__: found.append(source))
    if not found:
        raise DeclarationError(f"{file} declares no source: it must call ingest(Source(...), schedule=...)")
    return found


@dataclass(frozen=True, slots=True)
class Declared:
    """Sources of a folder's DAG files, and the files that are broken."""

    sources: dict[str, Source]
    broken: dict[str, DeclarationError]  # by the file's name


def declared(folder: Path = PROJECT / "dags") -> Declared:
    """Collect the sources of a folder's DAG files, by name."""
    found, broken, where = dict[str, Source](), dict[str, DeclarationError](), dict[str, str]()
    for file in sorted(folder.glob("*.py")):
        if "ingest(" not in file.read_text("utf-8") or file.name == "ingest.py":
            continue
        try:
            for source in sources_in(file):
                if source.name in found:
                    raise DeclarationError(
                        f"{file} and {where[source.name]} both declare source {source.name!r}: their documents would take "
                        "turns in one place; give one of them another name"
                    )
                found[source.name], where[source.name] = source, file.name
        except DeclarationError as error:
            broken[file.name] = error
    return Declared(found, broken)


def source_named(name: str, folder: Path = PROJECT / "dags") -> Source:
    """Return a source by its name, even if other files are broken.

    Raises:
        DeclarationError: No DAG file declares it; the message lists the sources and broken files.
    """
    found = declared(folder)
    if name in found.sources:
        return found.sources[name]
    raise DeclarationError(
        f"no DAG file in {folder.name}/ declares source {name!r}; there are {', '.join(sorted(found.sources)) or 'none'}"
        + "".join(f". {file} is broken: {error}" for file, error in found.broken.items())
    )


def all_directories(folder: Path = PROJECT / "dags") -> dict[str, Directory]:
    """Return every directory that a folder's DAG files declare, by name."""
    found: list[Directory] = []
    for file in sorted(folder.glob("*.py")):
        if "sync_directories(" in file.read_text("utf-8"):
            _run(file, "moat_directories", "sync_directories", lambda *declared, **_: found.extend(declared))
    return {directory.name: directory for directory in found}


def directory_named(name: str) -> Directory:
    """Return a directory by its name.

    Raises:
        DeclarationError: No DAG file declares it; the message lists the directories.
    """
    found = all_directories()
    if name not in found:
        raise DeclarationError(
            f"no DAG file in dags/ declares directory {name!r}; there are {', '.join(sorted(found)) or 'none'}"
        )
    return found[name]


def _run(file: Path, module: str, function: str, take: Callable[..., None]) -> None:
    """Execute a DAG file with a stand-in for the function that takes its declarations."""
    with _standing_in(module, function, take):
        try:
            runpy.run_path(str(file))
        except MoatError:
            raise  # a wrong declaration already names itself
        except Exception as error:  # a DAG file is arbitrary Python and may raise anything
            raise DeclarationError(f"{file} cannot be read as a DAG file: {type(error).__name__}: {error}") from error


@contextmanager
def _standing_in(module: str, function: str, take: Callable[..., None]) -> Iterator[None]:
    stand_in: Any = ModuleType(module)
    setattr(stand_in, function, take)
    before = sys.modules.get(module)
    sys.modules[module] = stand_in
    try:
        yield
    finally:
        if before is None:
            del sys.modules[module]
        else:
            sys.modules[module] = before
