"""Find the sources and directories that DAG files declare, without Airflow.

A DAG file passes its Source to `ingest(...)` and its directories to `sync_directories(...)`. Here
stand-ins take their place and only collect the arguments, so the command line reads a DAG file in a
tenth of a second.

Only files that import what Moat gives to DAG files are executed, each by itself: a company's own DAGs in the same
folder stay unread, and a broken file takes no other one down.
"""

import ast
import re
import runpy
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from moat.directories.directory import Directory
from moat.errors import DeclarationError, MoatError
from moat.settings import PROJECT
from moat.source import Source

DAGS = PROJECT / "dags"
# What a DAG file imports to declare something: the function's module, or the declarations'.
OF_SOURCES = ("ingest", "include.source", "moat.source")
OF_DIRECTORIES = ("moat_directories", "include.people.directory", "moat.directories.directory")
STAND_INS = {"ingest": "ingest", "moat_directories": "sync_directories"}  # the function of each module
WRITTEN_OUT = re.compile(r"\bname\s*=\s*[\"']([^\"'\n]*)[\"']")
NOBODYS: Mapping[str, str] = MappingProxyType({})


def sources_in(file: Path) -> list[Source]:
    """Return the sources of one DAG file.

    Raises:
        DeclarationError: The file declares no source, or cannot be read.
    """
    found = _run(file).sources
    if not found:
        raise DeclarationError(f"{file} declares no source: it must call ingest(Source(...), schedule=...)")
    return found


@dataclass(frozen=True, slots=True)
class Declared:
    """Sources of a folder's DAG files, and the files that are broken."""

    sources: dict[str, Source]
    broken: dict[str, MoatError]  # by the file's path inside the folder
    files: dict[str, str] = field(default_factory=dict)  # of each source, by its path inside the folder
    schedules: dict[str, Any] = field(default_factory=dict)  # of each source, as its DAG file gives it to Airflow


def declared(folder: Path = DAGS, owners: Mapping[str, str] = NOBODYS) -> Declared:
    """Collect the sources of a folder's DAG files, by name.

    Args:
        folder: Folder of DAG files, with the folders inside it.
        owners: Of each loaded source, the file that declares it. Where two files declare one name, it is the source
            of its owner, else of the first by name; the other file is broken.
    """
    found, broken, where = dict[str, Source](), dict[str, MoatError](), dict[str, str]()
    schedules = dict[str, Any]()
    for file in _files(folder, OF_SOURCES):
        here = known_as(file, folder)
        try:
            ran = _run(file, folder)
        except MoatError as error:
            broken[here] = error
            continue
        for source in ran.sources:
            before = where.get(source.name)
            if before is not None and owners.get(source.name) != here:
                broken[here] = both(source.name, here, before)
                continue
            if before is not None:
                broken[before] = both(source.name, before, here)
            found[source.name], where[source.name] = source, here
            schedules[source.name] = ran.schedules.get(source.name)
    return Declared(found, broken, where, schedules)


def source_named(name: str, folder: Path = DAGS, owners: Mapping[str, str] = NOBODYS) -> Source:
    """Return a source by its name, even if other files are broken.

    Raises:
        DeclarationError: No DAG file declares it; the message lists the sources and broken files.
    """
    found = declared(folder, owners)
    if name in found.sources:
        return found.sources[name]
    raise _undeclared(f"source {name!r}", folder, found.sources, found.broken)


@dataclass(frozen=True, slots=True)
class DeclaredDirectories:
    """Directories of a folder's DAG files, and the files that are broken."""

    directories: dict[str, Directory]
    broken: dict[str, MoatError]  # by the file's path inside the folder


def all_directories(folder: Path = DAGS) -> DeclaredDirectories:
    """Collect the directories of a folder's DAG files, by name."""
    found, broken = dict[str, Directory](), dict[str, MoatError]()
    for file in _files(folder, OF_DIRECTORIES):
        try:
            found |= {directory.name: directory for directory in _run(file, folder).directories}
        except MoatError as error:
            broken[known_as(file, folder)] = error
    return DeclaredDirectories(found, broken)


def directory_named(name: str) -> Directory:
    """Return a directory by its name, even if other files are broken.

    Raises:
        DeclarationError: No DAG file declares it; the message lists the directories and broken files.
    """
    found = all_directories()
    if name in found.directories:
        return found.directories[name]
    raise _undeclared(f"directory {name!r}", DAGS, found.directories, found.broken)


def known_as(file: Path, folder: Path = DAGS) -> str:
    """A file's path inside the folder of DAG files, the same on every machine; whole, for a file outside it."""
    whole = file.resolve()
    return whole.relative_to(folder.resolve()).as_posix() if whole.is_relative_to(folder.resolve()) else str(whole)


def written_out(folder: Path = DAGS) -> list[str]:
    """Names of sources that the DAG files of a folder write out, sorted. Executes none."""
    return sorted({name for file in _python_files(folder) for name in _names_in(file)})


def file_declaring(name: str, folder: Path = DAGS) -> Path | None:
    """The first file with a source of this name written out, found without executing any."""
    return next((file for file in _python_files(folder) if name in _names_in(file)), None)


@dataclass(frozen=True, slots=True)
class Parsed:
    """The DAG file that is being executed."""

    file: Path
    elsewhere: Mapping[str, list[str]]  # names of sources that other files write out: these files, by their paths


def parsed_file(folder: Path) -> Parsed | None:
    """The DAG file that is being executed: the outermost module of the folder on the stack. None: there is none."""
    frame, found = sys._getframe(1), None
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if frame.f_code.co_name == "<module>" and file.is_absolute() and file.is_relative_to(folder):
            found = _Execution(file, frame.f_globals)
        frame = frame.f_back  # type: ignore[assignment]  # the last one has none
    return None if found is None else _parsed(found, folder)


def written_elsewhere(file: Path, folder: Path) -> dict[str, list[str]]:
    """Names of sources that the folder's other files write out, with these files. Executes none."""
    found = dict[str, list[str]]()
    for other in _python_files(folder):
        if other.resolve() != file.resolve():
            for name in _names_in(other):
                found.setdefault(name, []).append(known_as(other, folder))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Execution:
    """One execution of a module, which is known by its namespace."""

    file: Path
    namespace: dict[str, Any]

    def __hash__(self) -> int:
        return id(self.namespace)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Execution) and self.namespace is other.namespace


@lru_cache(1)  # a file of many sources asks for each of them, and the folder is read once for all
def _parsed(execution: _Execution, folder: Path) -> Parsed:
    return Parsed(execution.file, written_elsewhere(execution.file, folder))


def declares(file: Path, name: str, folder: Path = DAGS) -> bool:
    """Whether a file is there and declares the source; a broken one does where the name is written out in it."""
    if not file.is_file():
        return False
    try:
        return any(source.name == name for source in _run(file, folder).sources)
    except MoatError:  # it may declare it again once it is mended
        return name in WRITTEN_OUT.findall(file.read_text("utf-8", "replace"))


def both(name: str, here: str, before: str) -> DeclarationError:
    """The error for a file that declares the source of another one."""
    return DeclarationError(
        f"{here} and {before} both declare source {name!r}: their documents would take turns in one place; "
        f"give one of them another name, or remove {here} if {before} is right"
    )


def _undeclared(what: str, folder: Path, found: Iterable[str], broken: Mapping[str, MoatError]) -> DeclarationError:
    return DeclarationError(
        f"no DAG file in {folder.name}/ declares {what}; there are {', '.join(sorted(found)) or 'none'}"
        + "".join(f". {file} is broken: {error}" for file, error in broken.items())
    )


def _names_in(file: Path) -> frozenset[str]:
    """Names of sources that a DAG file of Moat writes out."""
    names = WRITTEN_OUT.findall(file.read_text("utf-8", "replace"))
    return frozenset(names) if names and _imports(file, OF_SOURCES) else frozenset()


def _python_files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*.py")):
        hidden = any(part.startswith((".", "__")) for part in file.relative_to(folder).parts)
        if not hidden and file.stem not in STAND_INS:
            yield file


def _files(folder: Path, faces: tuple[str, ...]) -> Iterator[Path]:
    return (file for file in _python_files(folder) if _imports(file, faces))


def _imports(file: Path, faces: tuple[str, ...]) -> bool:
    """Whether a file imports one of these modules, by its syntax tree."""
    try:
        content = file.read_bytes()
    except OSError:
        return False
    if not any(face.rpartition(".")[2].encode() in content for face in faces):
        return False
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # it is told as broken if what can be read of it is a DAG file of Moat
        lines = rb"^\s*(from|import)\s+(" + b"|".join(re.escape(face).encode() for face in faces) + rb")\b"
        return re.search(lines, content, re.MULTILINE) is not None
    return any(
        (isinstance(node, ast.ImportFrom) and node.level == 0 and node.module in faces)
        or (isinstance(node, ast.Import) and any(alias.name in faces for alias in node.names))
        for node in ast.walk(tree)
    )


@dataclass(frozen=True, slots=True)
class _Collected:
    sources: list[Source]
    directories: list[Directory]
    schedules: dict[str, Any]

    def take(self, source: Source, schedule: Any = None, *_: Any, **__: Any) -> None:
        """Stand in for `ingest`."""
        self.sources.append(source)
        self.schedules[source.name] = schedule


def in_words(schedule: Any) -> str:
    """A schedule of Airflow, as far as it says itself."""
    if isinstance(schedule, str | timedelta):
        return schedule if isinstance(schedule, str) else f"every {schedule}"
    return "" if schedule is None else "by its schedule"


def _run(file: Path, folder: Path | None = None) -> _Collected:
    """Execute a DAG file with stand-ins for the functions that take its declarations."""
    found = _Collected([], [], {})
    takes = {
        "ingest": found.take,
        "moat_directories": lambda *declared, **_: found.directories.extend(declared),
    }
    inside = folder or (DAGS if file.resolve().is_relative_to(DAGS) else file.parent)
    if str(PROJECT) not in sys.path:  # of `include`, as Airflow has it; a reader may import from there later
        sys.path.append(str(PROJECT))
    with _standing_in(takes, inside):
        try:
            runpy.run_path(str(file))
        except MoatError:
            raise  # a wrong declaration already names itself
        except (Exception, SystemExit) as error:  # a DAG file is arbitrary Python and may raise anything
            raise DeclarationError(f"{file} cannot be read as a DAG file: {type(error).__name__}: {error}") from error
    return found


@contextmanager
def _standing_in(takes: Mapping[str, Callable[..., None]], folder: Path) -> Iterator[None]:
    """Put modules in the place of others, and let files import those beside them, as in Airflow.

    A helper beside the DAG file may have imported the real function, or the stand-in of another file: while the file
    runs, every module of the folder is imported anew.
    """
    before = _taken_out(folder)
    for name, function in STAND_INS.items():
        module: Any = ModuleType(name)
        setattr(module, function, takes[name])
        sys.modules[name] = module
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        _taken_out(folder)
        sys.modules.update(before)


def _taken_out(folder: Path) -> dict[str, ModuleType]:
    """Take the stand-ins' modules, and those of the folder, out of what is imported."""
    found = {name: module for name, module in sys.modules.items() if name in STAND_INS or _inside(module, folder)}
    for name in found:
        del sys.modules[name]
    return found


def _inside(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(folder)
