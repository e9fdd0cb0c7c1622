"""What is wrong with an installation beyond its sources: servers, disk, directories, incidents, DAGs, lost runs."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from moat import airflow_api
from moat.connections import Connections
from moat.errors import SettingsError
from moat.incidents.freshness import format_span
from moat.index.connected import started
from moat.ledger import Ledger, incidents, index_starts, loads, members, rebuilds, runs
from moat.ledger.history import UnderWay
from moat.maintenance.disk_room import disk_room
from moat.monitoring.servers import WAIT_S, Looked, look, look_at_servers
from moat.settings import Settings
from moat.source import OWN_DAGS

BY_HAND = {"reconcile", "sync_directory"}  # paused until somebody wants them; each directory has a DAG of its own


@dataclass(frozen=True, slots=True)
class Airflows:
    """What Airflow knows of DAGs and runs; empty where it was not asked or did not answer."""

    paused: tuple[str, ...] = ()
    ended: Mapping[str, str] = field(default_factory=dict)  # what became of runs that loads name


def looked_at(settings: Settings, connections: Callable[[], Connections], wait_s: float = WAIT_S) -> dict[str, Looked]:
    """The parts that need no ledger, by name: servers and disk, within `wait_s` seconds."""
    return {**look_at_servers(settings, connections, wait_s), "disk": Looked("disk", *disk_room(settings.home))}


def directories(ledger: Ledger, now: datetime | None = None) -> list[Looked]:
    """Each directory: whether its last reading succeeded, and is younger than it allows."""
    now, found = now or datetime.now(UTC), list[Looked]()
    for one in members.directories(ledger):
        age = now - one.read_at if one.read_at else None
        words = f"read {format_span(age)} ago" if age is not None else "never read"
        most = timedelta(seconds=one.max_age_s) if one.max_age_s is not None else None
        old = most is not None and (age is None or age > most)
        if old and most is not None:
            words += f", {format_span(most)} are allowed, so searches give nothing: `moat directory sync {one.name}`"
        if one.failed_at:
            words += f"; its reading fails since {one.failed_at:%Y-%m-%d %H:%M} UTC: {one.error}"
        found.append(Looked(f"directory {one.name}", not old and not one.failed_at, words))
    return found


def open_incidents(ledger: Ledger) -> Looked:
    """Unresolved incidents, counted by severity."""
    n = Counter[str](one.severity for one in incidents.listing(ledger))
    words = ", ".join(f"{n[severity]:,} {severity}" for severity in reversed(incidents.SEVERITIES) if n[severity])
    return Looked("incidents", not n, f"{words}: `moat incidents` lists them" if n else "none is open")


def index_starts_again(settings: Settings, ledger: Ledger, wait_s: float = WAIT_S) -> Looked:
    """Whether each source was compared with the index since Weaviate was last started.

    A Weaviate that was killed may have lost what it had acknowledged: until then a search may miss it.
    """
    if (begun := rebuilds.under_way(ledger)) is not None and not begun.alive:
        return Looked("index", False, f"{begun}: `moat rebuild` goes on, `moat rebuild --drop` gives it up")
    try:
        mark = started(settings, wait_s)
    except (httpx.HTTPError, SettingsError):
        mark = ""
    if not mark:
        return Looked("index", True, "no key of Moat may see when Weaviate was started")
    if waiting := index_starts.others(ledger, mark):
        words = (
            f"{', '.join(waiting)} was not compared with it since Weaviate was last started: searches may miss documents "
            "until its next run, which compares and repairs; or `moat reconcile --repair`"
        )
        return Looked("index", False, words)
    return Looked("index", True, "was compared since Weaviate was last started")


def asked_of_airflow(settings: Settings, names: Iterable[str], under_way: Sequence[UnderWay], wait_s: float = WAIT_S) -> tuple[Airflows, list[Looked]]:  # fmt: skip
    """Paused DAGs and ended runs, and what could not be asked, within `wait_s` seconds.

    Args:
        settings: Settings with Airflow's address.
        names: Names of the declared sources.
        under_way: Loads whose runs may have ended.
        wait_s: Seconds that Airflow may take.
    """
    paused, ended = list[str](), dict[str, str]()
    of_airflow = [one.run for one in under_way if one.run.startswith("airflow:")]

    def dags() -> str:
        paused.extend(airflow_api.paused(settings, {*names, *OWN_DAGS}))
        return ""

    def open_runs() -> str:
        ended.update(airflow_api.ended(settings, of_airflow))
        return ""

    found = look({"DAGs": dags, **({"runs of loads": open_runs} if of_airflow else {})}, wait_s)
    return Airflows(tuple(paused), dict(ended)), [one for one in found.values() if not one.ok]


def paused_dags(airflow: Airflows, in_use: Iterable[str]) -> Looked:
    """Which DAGs are paused; no fault for those that nobody has switched on yet."""
    wrong = [name for name in airflow.paused if name in in_use or name in set(OWN_DAGS) - BY_HAND]
    rest = [name for name in airflow.paused if name not in wrong]
    words = [f"paused: {', '.join(wrong)}; switch them on in Airflow"] if wrong else []
    words += [f"not switched on: {', '.join(rest)}"] if rest else []
    return Looked("DAGs", not wrong, "; ".join(words) or "none is paused")


def stands_open(one: UnderWay, airflow: Airflows, now: datetime | None = None) -> str:
    """Why a load that has not ended will not go on, in words; empty if its run may still be at it."""
    now, name = now or datetime.now(UTC), f"load {one.id}"
    state = airflow.ended.get(one.run)
    if one.state == "held":
        return f"{name} is held and its run is {state}: `moat reject {one.id}`" if state else ""
    if state:
        why = f"its run is {state}"
    elif runs.gone(one.run):
        why = "its process has ended"
    elif one.lease_until is None or one.lease_until < now:
        why = "its run has not reported for as long as its lease lasts"
    else:
        return ""
    return f"{name} stands {one.state} and {why}: the next run takes it over, or `moat reject {one.id}`"


def source_troubles(
    ledger: Ledger, orphans: Mapping[str, int], under_way: Sequence[UnderWay], airflow: Airflows
) -> dict[str, list[str]]:
    """What is wrong with sources beside freshness, holds and incidents, by name and in words.

    Args:
        ledger: The ledger.
        orphans: Visible documents of each source that no DAG file declares.
        under_way: Loads that have not ended.
        airflow: What Airflow knows of their runs.
    """
    found = dict[str, list[str]]()
    for name, n in orphans.items():
        found[name] = [
            f"no DAG file declares it and {n:,} documents are visible: `moat source retire {name}`, or, where a file "
            f"declares it by another name now, `moat source rename {name} NAME`"
        ]
    for one in under_way:
        if why := stands_open(one, airflow):
            found.setdefault(one.source, []).append(why)
    for name in loads.sources(ledger):
        last = next(iter(loads.recent(ledger, name, 1)), None)
        if last is not None and last.state == "rolled back":
            words = f"load {last.id} was rolled back: the next run loads it again, unless its DAG is paused or the source was mended"
            found.setdefault(name, []).append(words)
    return found
