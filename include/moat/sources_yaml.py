"""Many sources in one YAML file, for a DAG file that declares them in a loop."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from moat import strict_yaml
from moat.access.rules import AccessFiles, Columns, Groups, ObjectTags, Public
from moat.errors import DeclarationError
from moat.parse.options import Parsing
from moat.readers.local_files import LocalFiles
from moat.readers.s3_objects import S3Objects
from moat.readers.warehouse_rows import WarehouseRows
from moat.settings import PROJECT
from moat.source import Chunking, Golden, Limits, Risks, Source

# A field whose kind has to be named, as in `access: {Groups: {allow: [staff]}}`.
KINDS: Mapping[str, Mapping[str, Any]] = {
    "reader": {kind.__name__: kind for kind in (LocalFiles, S3Objects, WarehouseRows)},
    "access": {kind.__name__: kind for kind in (AccessFiles, Columns, Groups, ObjectTags, Public)},
}
# A field that is of one kind, as in `limits: {min_documents: 10}`.
PARTS: Mapping[str, Any] = {
    "chunking": Chunking,
    "limits": Limits,
    "risks": Risks,
    "parsing": Parsing,
    "golden": Golden,
}
PLAIN = tuple(f.name for f in fields(Source) if f.name not in {"name", *KINDS, *PARTS})
ITS_OWN = (*KINDS, *PARTS, *PLAIN, "schedule")


def sources_in_yaml(path: str | Path) -> Iterator[tuple[Source, str | None]]:
    """Yield the sources of a YAML file, each with its schedule.

    The file has a mapping `sources`, from each name to its fields, and may have `defaults`: fields of every source
    that does not name them itself. A reader and a rule of access stand below the name of their kind.

    Args:
        path: The file, relative to the project or absolute.

    Yields:
        Each source, with its `schedule` as cron or preset; None: it has none.

    Raises:
        DeclarationError: The file cannot be read, or a field is wrong; with the file, the source and the field.

    Example:
        A DAG file of all sources of `legal.yaml`:

            for source, schedule in sources_in_yaml("include/sources/legal.yaml"):
                ingest(source, schedule=schedule)
    """
    try:
        found = strict_yaml.load_own(Path(PROJECT, path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DeclarationError(f"{path} cannot be read: {error}") from error
    whole = _mapping(found, f"{path}", ("defaults", "sources"))
    defaults = _mapping(whole.get("defaults") or {}, f"{path}: defaults", ITS_OWN)
    sources = whole.get("sources")
    if not isinstance(sources, dict) or not sources:
        raise DeclarationError(f"{path}: sources: a mapping from each source's name to its fields")
    for name, own in sources.items():
        given = {**defaults, **_mapping(own or {}, f"{path}: {name}", ITS_OWN)}
        schedule = given.pop("schedule", None)
        if not (schedule is None or isinstance(schedule, str)):
            raise DeclarationError(f"{path}: {name}: schedule={schedule!r}: cron or a preset, in quotes")
        try:
            parts = {field: _part(field, value, f"source {name!r}") for field, value in given.items()}
            source = Source(name=name, **parts)
        except DeclarationError as error:
            raise DeclarationError(f"{path}: {error}") from error
        yield source, schedule


def _part(field: str, value: Any, of: str) -> Any:
    """What a field of Source takes, made of what stands in the file."""
    if field in KINDS:
        kinds = KINDS[field]
        if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in kinds:
            raise DeclarationError(
                f"{of}: {field}={value!r}: one of {', '.join(kinds)}, with its fields, as in {field}: {_like(field)}"
            )
        ((kind, its),) = value.items()
        return kinds[kind](**_mapping(its or {}, f"{of}: {field}.{kind}"))
    if field in PARTS:
        return PARTS[field](**_mapping(value, f"{of}: {field}"))
    return value


def _like(field: str) -> str:
    return "{LocalFiles: {path: /srv/policies}}" if field == "reader" else "{Groups: {allow: [staff]}}"


def _mapping(value: Any, where: str, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """A mapping whose keys are words, of these where there are any."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise DeclarationError(f"{where}: a mapping of fields, got {value!r}")
    if strange := [key for key in value if names and key not in names]:
        raise DeclarationError(f"{where}: {', '.join(strange)}: no such field; it takes {', '.join(names)}")
    return value
