"""The page of the knowledge base: a row for each source, and the totals of what is visible."""

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from heapq import nlargest
from mimetypes import guess_extension
from typing import Any, NamedTuple

from moat.access.policy import Policy
from moat.incidents.freshness import RECENT, Cadence, cadence_of, format_span
from moat.ledger import Ledger, overview
from moat.ledger.loads import Load
from moat.ledger.overview import Share
from moat.monitoring.health import LOOKED_BACK, TREND, on_schedule
from moat.pricing import cost, money
from moat.settings import Settings

SPENT_OVER = timedelta(days=30)
FEW = 3  # groups and people that one layer of access lets in
WIDEST = 20  # policies that are shown
TOTALS = (("file type", "media_type"), ("language", "language"), ("readers", "policy"))
Sees = Callable[[str], bool]  # whether somebody may see a source


class Wide(NamedTuple):
    """Visible documents of a source with one policy; the wider, the greater."""

    public: bool
    size: int  # of its narrowest layer
    documents: int
    source: str
    words: str


@dataclass(frozen=True, slots=True)
class Visible:
    """What is visible of each source, counted once for each state of the ledger."""

    counted: dict[str, tuple[int, int]]  # documents and chunks
    totals: dict[str, dict[str, dict[str, int]]]  # documents by what, source and value
    widest: dict[str, list[Wide]]  # of each source, those that let the most in

    @classmethod
    def of(cls, shares: Mapping[str, list[Share]]) -> "Visible":
        """Count what the ledger has grouped."""
        counted: dict[str, tuple[int, int]] = {}
        for one in shares["media_type"]:
            documents, chunks = counted.get(one.source, (0, 0))
            counted[one.source] = documents + one.documents, chunks + one.chunks
        totals: dict[str, dict[str, dict[str, int]]] = {what: {} for what, _ in TOTALS}
        widths: dict[str | None, str] = {}
        for what, by in TOTALS:
            for one in shares[by]:
                if by == "policy":
                    value = widths.get(one.value) or widths.setdefault(one.value, width_of(one.value))
                elif by == "media_type":
                    value = guess_extension(one.value or "") or one.value or "not known"
                else:
                    value = one.value or "not known"
                each = totals[what].setdefault(one.source, {})
                each[value] = each.get(value, 0) + one.documents
        return cls(counted, totals, _widest(shares["policy"]))


def _widest(shares: Sequence[Share]) -> dict[str, list[Wide]]:
    policies: dict[str, tuple[bool, int, str]] = {}
    found: dict[str, list[Wide]] = defaultdict(list)
    for one in shares:
        if one.value is None:
            continue
        if one.value not in policies:
            policy = Policy.from_text(one.value)
            policies[one.value] = policy.public, min(map(len, policy.layers), default=0), policy.words()
        public, size, words = policies[one.value]
        found[one.source].append(Wide(public, size, one.documents, one.source, words))
    return {name: nlargest(WIDEST, each) for name, each in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    """What the loads of a source say, for as long as none begins or changes its state."""

    mark: str
    last: Load | None
    promoted: Load | None
    held: int | None
    listed: tuple[int, ...]
    cadence: Cadence | None
    day: date  # of this reading
    spent: Mapping[str, tuple[float, int]]  # seconds and tokens by stage, of the loads of `SPENT_OVER` before it


class Overview:
    """All sources at this moment. What takes long is computed once for each state of the ledger, and kept.

    Args:
        ledger: The tenant's ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._histories: dict[str, _History] = {}
        self._visible: tuple[int, Visible] | None = None

    def page(self, settings: Settings, sees: Sees, now: datetime | None = None) -> dict[str, Any]:
        """The rows and totals of the sources that somebody may see.

        Args:
            settings: Settings with the prices.
            sees: Whether they may see a source.
            now: The time to judge freshness at; the current time by default.

        Raises:
            LedgerError: The database did not answer.
        """
        now = now or datetime.now(UTC)
        with self._lock:
            histories, visible = self._read_histories(now), self._read_visible()
        standing = {one.name: one for one in overview.standings(self._ledger)}
        names = sorted(n for n in {*histories, *standing} if sees(n) and not _gone(standing.get(n)))
        aside, incidents = overview.set_aside(self._ledger), overview.unresolved(self._ledger)
        rows = []
        for name in names:
            masked_from = standing[name].masked_from if name in standing else None
            documents, chunks = visible.counted.get(name, (0, 0))
            costs = histories[name].spent if name in histories else {}
            rows.append(
                {
                    **_told(name, histories.get(name), now),
                    "documents": documents,
                    "chunks": chunks,
                    "masked": masked_from is not None and masked_from <= now,
                    "quarantined": aside.get(name, 0),
                    "incidents": incidents.get(name, []),
                    "tokens": sum(tokens for _, tokens in costs.values()),
                    "cost": money(settings, cost(settings, costs)),
                }
            )
        return {"sources": rows, "totals": _totals(visible, names), "at": now.isoformat()}

    def widest(self, sees: Sees) -> list[Wide]:
        """The policies that let the most in, of the sources that somebody may see: public first."""
        with self._lock:
            widest = self._read_visible().widest
        return nlargest(WIDEST, (one for name, each in widest.items() if sees(name) for one in each))

    def _read_histories(self, now: datetime) -> dict[str, _History]:
        """Histories of all sources, read anew where a load began or moved, and once a day."""
        marks, day, have = overview.marks(self._ledger), now.date(), self._histories
        moved = [
            name for name, mark in marks.items() if name not in have or (have[name].mark, have[name].day) != (mark, day)
        ]
        spent = overview.spent_since(self._ledger, now - SPENT_OVER, moved) if moved else {}
        for name, found in overview.newest_loads(self._ledger, moved, RECENT).items():
            have[name] = _history(name, found, mark=marks[name], day=day, spent=spent.get(name, {}))
        return {name: have[name] for name in marks}

    def _read_visible(self) -> Visible:
        moment = overview.moment_of(self._ledger)
        if self._visible is None or self._visible[0] != moment:
            self._visible = moment, Visible.of(overview.shares(self._ledger))
        return self._visible[1]


def _gone(standing: overview.Standing | None) -> bool:
    return standing is not None and standing.retired_at is not None


def _history(
    name: str, found: Sequence[Load], *, mark: str, day: date, spent: Mapping[str, tuple[float, int]]
) -> _History:
    whole = [
        one.counts["listed"] for one in found[:LOOKED_BACK] if "listed" in one.counts and not one.options.get("only")
    ]
    return _History(
        mark=mark,
        last=found[0] if found else None,
        promoted=next((one for one in found if one.state == "promoted"), None),
        held=next((one.id for one in found if one.state == "held"), None),
        listed=tuple(whole[:TREND][::-1]),
        cadence=cadence_of(name, found),
        day=day,
        spent=spent,
    )


def _told(name: str, found: _History | None, now: datetime) -> dict[str, Any]:
    """What the loads of a source say at this moment."""
    last = found.last if found else None
    rhythm = found.cadence if found else None
    if rhythm is not None:
        rhythm = replace(rhythm, age=now - rhythm.changed_at, unseen=now - rhythm.looked_at)
    fresh, late = on_schedule(last is not None, rhythm)
    return {
        "source": name,
        "fresh": fresh,
        "late": late,
        "usual": format_span(rhythm.usual) if rhythm is not None else "",
        "load": last.id if last else None,
        "state": last.state if last else "",
        "opened_at": last.opened_at.isoformat() if last else None,
        "promoted_at": _iso(found.promoted.ended_at) if found and found.promoted else None,
        "held": found.held if found else None,
        "listed": list(found.listed) if found else [],
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _totals(visible: Visible, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Visible documents of these sources by file type, by language and by how many may read them, most first."""
    found = {}
    for what, of_source in visible.totals.items():
        summed: dict[str, int] = defaultdict(int)
        for name in names:
            for value, n in of_source.get(name, {}).items():
                summed[value] += n
        ordered = sorted(summed.items(), key=lambda pair: (-pair[1], pair[0]))
        found[what] = [{"value": value, "documents": n} for value, n in ordered]
    return found


def width_of(body: str | None) -> str:
    """How many a policy lets in, in words: its narrowest layer counts."""
    if body is None:
        return "unknown, so nobody"
    found = Policy.from_text(body)
    if found.nobody:
        return "nobody"
    if found.public:
        return "everyone who is known"
    narrowest = min(found.layers, key=len)
    n = len(narrowest)
    return (
        "one group or person"
        if n == 1
        else f"{n} groups or people"
        if n <= FEW
        else f"more than {FEW} groups or people"
    )
