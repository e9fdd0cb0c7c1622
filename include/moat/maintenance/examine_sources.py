"""Look at every source as a dry run would, for a bounded time each, and load nothing."""

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from pathspec import PathSpec

from moat.batching import windows
from moat.checks.audience import Audience, policy_of
from moat.checks.golden import questions_of
from moat.connections import Connections
from moat.dagfile import DAGS, Declared, all_directories, declared
from moat.embedding.model import folder_of, max_tokens_of
from moat.errors import MoatError, SettingsError
from moat.ledger import Ledger, loads, members
from moat.maintenance.examined import Examined
from moat.owners import sources_of
from moat.readers.reader import OpenReader, Reading
from moat.records import Listed, Planned, RawDocument, SetAside
from moat.settings import PROJECT, Settings, environment
from moat.source import Source
from moat.threads import in_thread

WAIT_S = 10.0  # for one source
AT_ONCE = 8  # sources
LISTED = 200  # documents of a source that are looked at
TRIED = 5  # documents that are fetched, until one of them is there
SHOWN = 3  # groups that a row names
SAFE_MODE = "AIRFLOW__CORE__DAG_DISCOVERY_SAFE_MODE"
PRESETS = {"@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly"}


@dataclass(slots=True)
class _Findings:
    """What was found of one source; a note is no fault."""

    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_set_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all sources are looked at with."""

    settings: Settings
    connections: Connections
    found: Declared
    directories: frozenset[str]
    loaded: frozenset[str]  # sources that ever had a load
    ledger: Ledger | None  # None: it does not answer
    max_tokens: int | None  # of the model; None: it is not there


def surroundings(settings: Settings, connections: Connections, ledger: Ledger | None) -> Surroundings:
    """Read the DAG files, and what the ledger knows of sources and directories."""
    try:
        max_tokens = max_tokens_of(folder_of(settings.model))
    except (MoatError, OSError):
        max_tokens = None  # doctor has a row of its own for the model
    by_hand = {one.name for one in members.directories(ledger)} if ledger else set[str]()
    return Surroundings(
        settings=settings,
        connections=connections,
        found=sources_of(ledger) if ledger else declared(),
        directories=frozenset(by_hand | set(all_directories().directories)),
        loaded=frozenset(loads.sources(ledger)) if ledger else frozenset(),
        ledger=ledger,
        max_tokens=max_tokens,
    )


def examine_sources(around: Surroundings, wait_s: float = WAIT_S, folder: Path = DAGS) -> list[Examined]:
    """One row for each source, by name, and one for each broken DAG file.

    Args:
        around: What the sources are looked at with.
        wait_s: Seconds that one source may take.
        folder: Folder of DAG files.

    Returns:
        Rows that are ok, or say what is wrong and what mends it. A source that was never loaded and whose connection
        is not defined is not set up yet, and no fault.
    """
    rows = [Examined(f"DAG file {file}", False, str(error)) for file, error in sorted(around.found.broken.items())]
    for some in windows([around.found.sources[name] for name in sorted(around.found.sources)], AT_ONCE):
        begun = [(one, in_thread(lambda one=one: _looked(around, one, folder), one.name)) for one in some]  # type: ignore[misc]
        rows += [_row(around, one, _result(one, future, wait_s)) for one, future in begun]
    return rows


def _row(around: Surroundings, source: Source, found: _Findings) -> Examined:
    what = f"source {source.name}"
    if found.wrong:
        new = found.not_set_up and source.name not in around.loaded and len(found.wrong) == 1
        return Examined(what, False, "; ".join(found.wrong + found.notes), needed=not new)
    schedule = around.found.schedules.get(source.name)
    said = "no schedule: it runs when it is triggered" if schedule is None else f"schedule {schedule}"
    return Examined(what, True, "; ".join([said, *found.notes]))


def _result(source: Source, future: "Future[_Findings]", wait_s: float) -> _Findings:
    try:
        return future.result(wait_s)
    except TimeoutError:
        return _Findings([f"it gave no document within {wait_s:g} s; is the system of {source.reader!r} slow or down?"])


def _looked(around: Surroundings, source: Source, folder: Path) -> _Findings:
    """All looks at one source; one fault does not hide the others."""
    found = _Findings()
    found.wrong += [*_as_airflow(around, source, folder), *_schedule(around, source)]
    if source.directory and source.directory not in around.directories:
        there = ", ".join(sorted(around.directories)) or "none"
        found.wrong.append(f"directory={source.directory!r} is not declared; there are {there}")
    if source.golden is not None:
        try:
            questions_of(Path(PROJECT, source.golden.file))
        except MoatError as error:
            found.wrong.append(str(error))
    most = around.max_tokens
    if most is not None and source.chunking.target_tokens > most:
        found.notes.append(f"chunking.target_tokens={source.chunking.target_tokens} is cut to the model's {most}")
    _documents(around, source, found)
    return found


def _as_airflow(around: Surroundings, source: Source, folder: Path) -> Iterator[str]:
    """Why Airflow passes over the DAG file, which Moat executes all the same."""
    name = around.found.files.get(source.name, "")
    file = folder / name
    if not file.is_file():
        return
    content = file.read_bytes().lower()
    safe = environment().get(SAFE_MODE, "True").lower() not in ("false", "f", "0")
    if safe and not (b"airflow" in content and (b"dag" in content or b"asset" in content)):
        yield f'Airflow passes over {name}: it holds not both words "airflow" and "dag"; put "# A DAG of Airflow." into it'
    ignored = folder / ".airflowignore"
    if ignored.is_file() and PathSpec.from_lines("gitignore", ignored.read_text("utf-8").splitlines()).match_file(name):
        yield f"Airflow passes over {name}: {ignored.name} leaves it out"


def _schedule(around: Surroundings, source: Source) -> Iterator[str]:
    schedule = around.found.schedules.get(source.name)
    if isinstance(schedule, timedelta) and schedule <= timedelta(0):
        yield f"schedule={schedule!r}: it must be longer than nothing"
    if isinstance(schedule, str) and schedule not in PRESETS:
        from croniter import croniter  # type: ignore[import-untyped]  # comes with Airflow

        if not croniter.is_valid(schedule):
            yield f"schedule={schedule!r} is neither cron nor one of {', '.join(sorted(PRESETS))}"


def _documents(around: Surroundings, source: Source, found: _Findings) -> None:
    """Connect, list the first documents, judge their access, and fetch one of them."""
    conn_id = getattr(source.reader, "conn_id", "")
    try:
        if conn_id:
            around.connections.get(conn_id)
    except SettingsError as error:
        found.wrong.append(str(error))
        found.not_set_up = True
        return
    reading = Reading(
        source=source.name,
        rule=source.access,
        connections=around.connections,
        project=PROJECT,
        progress=lambda line: found.notes.append(line.removeprefix(f"{source.name}: ")),
        max_bytes=around.settings.max_document_mb << 20,
        directory=source.directory,
    )
    try:
        with source.reader.open(reading) as reader:
            listed = list(islice(reader.listing(), LISTED))
            if not listed:
                found.wrong.append(f"nothing is listed by {source.reader!r}: its patterns or its query match nothing")
                return
            _unknown_access(listed, found)
            found.wrong += _unknown_groups(around, listed)
            _first(reader, listed, found)
    except (MoatError, OSError) as error:
        found.wrong.append(str(error))


def _unknown_access(listed: list[Listed], found: _Findings) -> None:
    """Tell of documents that nobody would see; a few are set aside with their reason, most are a fault."""
    unknown = [one for one in listed if one.policy is None]
    if unknown:
        said = (
            f"who may read {len(unknown):,} of the first {len(listed):,} documents is unknown, so nobody would see "
            f"them: {unknown[0].key}: {unknown[0].reason}"
        )
        (found.wrong if 2 * len(unknown) > len(listed) else found.notes).append(said)


def _unknown_groups(around: Surroundings, listed: list[Listed]) -> Iterator[str]:
    if around.ledger is None:
        return
    audience = Audience(around.ledger)
    policies = {one.policy for one in listed if one.policy is not None}
    strange = sorted({group for text in policies for group in audience.unknown_groups(policy_of(text))})
    for group in strange[:SHOWN]:
        yield f"no directory has a member of {group}{audience.like(group)}"
    if len(strange) > SHOWN:
        yield f"nor of {len(strange) - SHOWN:,} more groups"


def _first(reader: OpenReader, listed: list[Listed], found: _Findings) -> None:
    """Fetch the first document that is there and has an access."""
    wanted = [one for one in listed if one.policy is not None][:TRIED]
    for one in wanted:
        for answer in reader.fetch([_planned(one)]):
            if isinstance(answer, SetAside):
                found.wrong.append(f"{answer.key} cannot be read: {answer.reason}")
                return
            if isinstance(answer, RawDocument):
                more = " or more" if len(listed) == LISTED else ""
                found.notes.append(f"{len(listed):,}{more} documents, {answer.key} can be read")
                return
    if wanted:
        found.wrong.append(f"{wanted[0].key} was listed and is gone when it is fetched; is the source being written?")


def _planned(one: Listed) -> Planned:
    new: dict[str, Any] = {"what": "new", "why": "new", "access_version": 0, "known_hash": ""}
    return Planned(key=one.key, uri=one.uri, fingerprint=one.fingerprint, size=one.size, policy=one.policy, **new)
