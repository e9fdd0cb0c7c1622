"""Rows of one value that stop while others go on are told, and a folder that has no documents left is not."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from moat.checks import segments
from moat.ledger import documents, projection
from moat.ledger.checks import CheckResult
from moat.ledger.measures import PastMeasure
from moat.ledger.projection import VisibleName
from moat.readers.shape import Counting, FewValues, Shape, digest

START = datetime(2027, 1, 4, 3, tzinfo=UTC)
TEAMS = [f"region-{n}" for n in range(3)]
Row = dict[str, Any]


class Nights:
    """Nights of a table, each by the rows that it has and those that moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n, self.past = 0, dict[str, list[PastMeasure]]()
        monkeypatch.setattr(projection, "visible_names", self._names)
        self._rows: list[Row] = []

    def _names(self, ledger: object, source: str) -> Iterator[VisibleName]:
        for n, row in enumerate(self._rows):
            yield VisibleName(
                id=str(n),
                key=str(n),
                title="",
                policy="",
                metadata=[f"{name}={value}" for name, value in row.items()],
                content_hash="",
            )

    def night(self, rows: list[Row], moved: list[Row]) -> CheckResult | None:
        self.n, self._rows, columns = self.n + 1, rows, []
        for name in rows[0]:
            listed, few = Counting(name), FewValues()
            for row in rows:
                listed.add(row[name])
            for row in moved:
                few.add(row[name])
            columns.append(replace(listed.column(), moved=few.counts()))
        text = Shape(columns=tuple(columns)).text().encode()
        staging = SimpleNamespace(exists=lambda file: True, read_bytes=lambda file: text)
        candidate: Any = SimpleNamespace(
            source=SimpleNamespace(name="orders"),
            load=SimpleNamespace(id=self.n, opened_at=START + timedelta(days=self.n), options={}),
            runtime=SimpleNamespace(staging=staging, ledger=None),
            measured={},
            plan=lambda: iter(()),
        )
        found = {r.name: r for r in segments.run(candidate, self.past)}
        for name, value in candidate.measured.items():
            self.past.setdefault(name, []).append(PastMeasure(self.n, candidate.load.opened_at, value, "usual"))
        return found.get("values that stopped")


def table(n: int = 60) -> list[Row]:
    return [{"id": i, "region": TEAMS[i % 3], "owner": f"Ilse {i % 3}", "note": f"note {i}"} for i in range(n)]


def some(rows: list[Row], night: int, silent: str = "") -> list[Row]:
    """Six rows a night, two of each region; none of the one that is silent."""
    return [r for i, r in enumerate(rows) if i // 6 == night % 10 and r["region"] != silent]


def test_a_value_that_stops_while_the_others_go_on_is_told_and_names_no_person(monkeypatch: pytest.MonkeyPatch) -> None:
    nights, rows = Nights(monkeypatch), table()
    for n in range(20):
        found = nights.night(rows, some(rows, n))
        assert found is not None
        assert found.passed, found.seen
    told = [nights.night(rows, some(rows, n, TEAMS[1])) for n in range(20, 29)]
    first = next(n for n, r in enumerate(told) if r and r.failed)
    found = told[-1]
    assert found is not None
    assert (first > 1, found.passed, found.severity) == (True, False, "warn")
    assert "region=region-1 for 9 loads in which others moved, usually it moves in 95% of them" in found.seen
    assert "(9 days and 36 other rows)" in found.seen
    # A column that may name people is told by digest; one of many values, and the key, are no parts.
    assert f"owner={digest('Ilse 1')} for 9 loads" in found.seen
    assert "Ilse" not in found.seen
    assert {name.split("=")[0] for name in nights.past} == {"row moves:region", "row moves:owner"}


def test_few_rows_a_value_without_rows_and_a_bulk_load_are_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table()
    rare = [*({**r, "region": "rare"} for r in rows[:3]), *rows[3:]]
    # One row a night, of one region after the other: none is silent, however many loads there are.
    nights = Nights(monkeypatch)
    assert all(r is None or not r.failed for r in (nights.night(rare, [rare[(n * 7) % 60]]) for n in range(40)))
    # A region that has no rows any more has nothing that could move.
    nights = Nights(monkeypatch)
    for n in range(20):
        nights.night(rows, some(rows, n))
    left = [r for r in rows if r["region"] != TEAMS[1]]
    assert all((r := nights.night(left, some(left, n))) and not r.failed for n in range(12))
    # The first load of everything says nothing of how often a region moves.
    nights = Nights(monkeypatch)
    many = [*rows, *({**r, "region": "quiet"} for r in table(1200))]
    nights.night(many, many)
    for n in range(40):
        quiet = [many[60 + n]] if n in (1, 2, 3, 4, 20) else []
        found = nights.night(many, [*some(rows, n)[:4], *quiet])
        assert found is None or "quiet" not in found.seen, found.seen


def test_a_load_of_everything_tells_nothing_of_a_values_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row in thirty is of the value; nine loads of one row each are then no silence, whatever came at first."""
    nights, rows = Nights(monkeypatch), table(900)
    slow = [{**r, "region": "slow"} for r in table(4000)]
    nights.night([*rows, *slow], [*rows, *slow])
    for n in range(20):
        nights.night([*rows, *slow], [*rows[n * 29 : (n + 1) * 29], slow[n]])
    told = [nights.night([*rows, *slow], [rows[3 * n]]) for n in range(9)]
    assert all(r is not None and "slow" not in r.seen for r in told), [r and r.seen for r in told]


def test_a_folder_without_documents_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    past = {
        name: [PastMeasure(n, START + timedelta(days=n), 1.0, "usual") for n in range(1, last)]
        for name, last in (("volume.moved", 30), ("moves:sales", 20), ("moves:hr", 30))
    }
    candidate: Any = SimpleNamespace(
        source=SimpleNamespace(name="share"), load=SimpleNamespace(id=30, options={}), measured={},
        runtime=SimpleNamespace(staging=SimpleNamespace(exists=lambda file: False), ledger=None),
        plan=lambda: iter([SimpleNamespace(key="hr/a.md", edited=True, what="changed")]),
    )  # fmt: skip
    for keys, passed in ((["hr/a.md", "sales/b.md"], False), (["hr/a.md", "dealers/b.md"], True)):
        monkeypatch.setattr(documents, "visible_keys", lambda ledger, source, keys=keys: iter(keys))
        assert [r.passed for r in segments.run(candidate, past)] == [passed]


def test_folders_that_stop_together_are_judged_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the two moves in every second load: eight loads of silence are nothing for one, and too many for both."""

    def silent(gone: tuple[str, ...], there: tuple[str, ...], until: int = 32) -> str:
        past = {"volume.moved": [PastMeasure(n, START + timedelta(days=n), 3.0, "usual") for n in range(1, 40)]}
        for folder, odd in (("sales", 0), ("quality", 1), ("hr", 0), ("it", 1), ("finance", 0)):
            last = 40 if folder not in gone else until if folder == "quality" else 32
            nights = [n for n in range(1, last) if n % 2 == odd or folder == "hr"]
            past[f"moves:{folder}"] = [PastMeasure(n, START + timedelta(days=n), 1.0, "usual") for n in nights]
        moved = [f"{folder}/a.md" for folder in ("hr", "it", "finance", "quality", "sales") if folder not in gone]
        candidate: Any = SimpleNamespace(
            source=SimpleNamespace(name="share"), load=SimpleNamespace(id=40, options={}), measured={},
            runtime=SimpleNamespace(staging=SimpleNamespace(exists=lambda file: False), ledger=None),
            plan=lambda: (SimpleNamespace(key=key, edited=True, what="changed") for key in moved),
        )  # fmt: skip
        keys = [f"{folder}/b.md" for folder in ("hr", "it", "finance", *there)]
        monkeypatch.setattr(documents, "visible_keys", lambda ledger, source: iter(keys))
        (found,) = segments.run(candidate, past)
        return found.seen if found.failed else ""

    assert silent(("sales",), ("sales", "quality")) == ""
    both = silent(("sales", "quality"), ("sales", "quality"))
    assert both.startswith("2 of 5 folders are silent: quality/ for 9 loads in which others moved"), both
    assert silent(("sales", "quality"), ("sales", "quality"), until=37) == "", "the other one was silent for less long"
    assert silent(("sales", "quality"), ("sales",)) == "", "a folder that was dissolved makes no other silent"
