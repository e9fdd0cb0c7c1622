"""A third company for the gate: a regional railway in three languages, its folder, its groups, its works orders.

Made by code of its own, apart from the first two and from every check. It writes files and rows and knows nothing
of Moat.
"""

import csv
import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import duckdb

from tests.proofs.trust.third.papers import Paper, made
from tests.proofs.trust.third.speech import (
    HEADS,
    LANGUAGES,
    PARTS,
    PERSONS,
    finding,
    grid,
    grid_row,
    paragraph,
    said,
    titled,
    vehicle,
)

FOLDERS = {
    "operations": 17, "workshop": 17, "track": 13, "safety": 13, "people": 8, "people/pay": 7, "legal": 9, "board": 7,
    "customers": 14, "finance": 11,
}  # fmt: skip
FORMS = {"pdf": 24, "docx": 22, "pptx": 14, "html": 16, "txt": 12, "rtf": 10, "xlsx": 12}
ACCESS = {
    "": "allow: [group:all-staff]\n",
    "people": "allow: [group:people]\n",
    "people/pay": "allow: [group:pay]\n",
    "legal": "allow: [group:legal, group:board]\n",
    "finance": "allow: [group:finance, group:board]\n",
    "board": "allow: [group:board, group:legal]\ndeny: [group:council]\n",
    "safety": "allow: [group:all-staff]\npatterns:\n  - {match: 'confidential-*', allow: [group:safety, group:board]}\n",
}
UNITS = {
    "workshop-north": 9, "workshop-south": 8, "track": 7, "control": 6, "safety": 3, "people": 4, "legal": 2,
    "finance": 3, "board": 4, "contractors": 5,
}  # fmt: skip
ABOVE = {
    "depots": ("workshop-north", "workshop-south", "track"),
    "office": ("control", "safety", "people", "legal", "finance"),
    "all-staff": ("depots", "office", "board"),
}
DEPOTS = ("North", "South", "Track", "Oberau")
CIRCLES = (["all-staff"], ["workshop-north", "control"], ["workshop-south", "control"], ["depots"], ["board", "safety"])
COLUMNS = (
    "id VARCHAR, vehicle VARCHAR, depot VARCHAR, part VARCHAR, part_no VARCHAR, opened DATE, due TIMESTAMP, "
    "hours DOUBLE, cost DOUBLE, currency VARCHAR, km INTEGER, torque_nm DOUBLE, safety BOOLEAN, closed BOOLEAN, "
    "inspector VARCHAR, finding VARCHAR, circle VARCHAR[], barred VARCHAR[]"
)
ROWS_AT_FIRST = 240


@dataclass
class Railway:
    """Sources of the third company. Others see the folder, the groups file and the database."""

    state: ClassVar[tuple[str, ...]] = (
        "papers",
        "units",
        "above",
        "dropped",
        "left",
        "past",
        "readings",
        "today",
        "numbers",
    )

    home: Path
    seed: int
    start: datetime.date
    papers: dict[str, Paper] = field(default_factory=dict)
    units: dict[str, list[str]] = field(default_factory=dict)
    above: dict[str, list[str]] = field(default_factory=dict)
    dropped: list[Paper] = field(default_factory=list)  # papers that somebody deleted
    left: list[tuple[str, str]] = field(default_factory=list)  # unit and person of who left the railway
    past: list[dict[str, Paper]] = field(default_factory=list)  # all papers at the end of each day
    readings: list[dict[str, tuple[int, float]]] = field(default_factory=list)  # km and hours by order, of each day
    fixed: set[str] = field(default_factory=set)  # keys that nobody moves or deletes
    today: int = -1
    numbers: int = 0

    def __post_init__(self) -> None:
        self.folder, self.database = self.home / "drive", self.home / "works.duckdb"
        self.groups_file = self.home / "groups.csv"

    @property
    def date(self) -> datetime.date:
        return self.start + datetime.timedelta(days=self.today)

    def dice(self, purpose: str) -> Random:
        return Random(f"tannberg/{self.seed}/{purpose}")

    def found(self) -> None:
        """The railway on the day before it is first read."""
        dice = self.dice("founding")
        for folder in FOLDERS:
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        for folder, text in ACCESS.items():
            self.rule(folder, text)
        for folder, many in FOLDERS.items():
            for n in range(many):
                self.put(self.invented(dice, folder, secret=folder == "safety" and n % 3 == 0))
        people = iter(range(1, 100))
        self.units = {
            unit: [f"user:e{next(people):03}@tannbergbahn.example" for _ in range(n)] for unit, n in UNITS.items()
        }
        self.units["pay"] = self.units["people"][:2]
        self.units["council"] = [self.units["workshop-north"][0], self.units["track"][0], self.units["board"][3]]
        self.above = {name: [f"group:{unit}" for unit in units] for name, units in ABOVE.items()}
        gone = ("control", "people", "board", "legal", "finance", "safety")
        self.left = [(unit, f"user:e{n:03}@tannbergbahn.example") for n, unit in enumerate(gone, 90)]
        self.regroup()
        with self.works() as db:
            db.execute(f"CREATE TABLE works ({COLUMNS})")
            for _ in range(ROWS_AT_FIRST):
                self.order(db, dice, closed=dice.random() < 0.6, ago=dice.randint(0, 60))
        self.end_day()

    def next_day(self) -> None:
        """A day on which nothing is wrong."""
        self.today += 1
        dice, free = self.dice(f"day {self.today}"), self.date.weekday() > 4
        for _ in range(dice.choice((0, 0, 1)) if free else dice.randint(3, 7)):
            self._office_work(dice)
        if not free and dice.random() < 0.08:
            self._comes_or_goes(dice)
        with self.works() as db:
            self._shop_work(db, dice, free)
        self.end_day()

    def end_day(self) -> None:
        """Remember how the day ended."""
        with self.works() as db:
            rows = db.execute("SELECT id, km, hours FROM works").fetchall()
        self.past.append(dict(self.papers))
        self.readings.append({one: (km, hours) for one, km, hours in rows})

    def put(self, paper: Paper) -> None:
        """Write a paper."""
        self.papers[paper.key] = paper
        file = self.folder / paper.key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(made(paper))

    def delete(self, key: str) -> None:
        self.dropped.append(self.papers.pop(key))
        (self.folder / key).unlink()

    def rename(self, key: str, to: str) -> None:
        """Give a paper's file another key; its bytes stay."""
        target = self.folder / to
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / key).rename(target)
        self.papers[to] = replace(self.papers.pop(key), key=to)

    def rule(self, folder: str, text: str) -> None:
        """Write the access file of a folder."""
        (self.folder / folder).mkdir(parents=True, exist_ok=True)
        (self.folder / folder / ".access.yaml").write_text(text)

    def regroup(self) -> None:
        """Write the groups file."""
        with self.groups_file.open("w", newline="", encoding="utf-8") as out:
            lines = csv.writer(out)
            lines.writerow(("group", "kind", "member"))
            for name, members in (*self.units.items(), *self.above.items()):
                for member in members or [""]:
                    kind, _, who = member.partition(":")
                    lines.writerow((name, kind or "user", who))

    @contextmanager
    def works(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect(str(self.database)) as db:
            yield db

    def invented(self, dice: Random, folder: str, *, secret: bool = False, form: str = "") -> Paper:
        """A new paper of a folder."""
        self.numbers += 1
        form = form or dice.choices(list(FORMS), list(FORMS.values()))[0]
        language = dice.choices(LANGUAGES, (4, 4, 3))[0]
        title = titled(dice, folder, language)
        word = "".join(c if c.isascii() and c.isalnum() else "_" for c in title.lower())[:24].strip("_")
        heads = dice.sample(HEADS[language], 2 if form == "xlsx" else dice.randint(2, 5))
        parts = tuple((head, tuple(paragraph(dice, folder, language))) for head in heads)
        sheet = form == "xlsx" or dice.random() < 0.5
        return Paper(
            key=f"{folder}/{'confidential-' if secret else ''}{word}_{self.numbers:04}.{form}",
            form=form,
            title=f"{title} ({self.numbers})",
            language=language,
            author=dice.choice(PERSONS),
            parts=parts[:1] if form == "xlsx" else parts,
            grid=tuple(map(tuple, grid(dice))) if sheet else (),
        )

    def order(self, db: duckdb.DuckDBPyConnection, dice: Random, *, closed: bool = False, ago: int = 0) -> str:
        """Let a works order be opened; its id."""
        self.numbers += 1
        part = dice.choice(sorted(PARTS))
        number, torque, price = PARTS[part]
        opened = self.start + datetime.timedelta(days=max(self.today, 0) - ago)
        due = datetime.datetime.combine(opened, datetime.time(dice.randint(6, 18), 30))
        row: dict[str, Any] = {
            "id": f"W-{1000 + self.numbers}",
            "vehicle": vehicle(dice),
            "depot": dice.choice(DEPOTS),
            "part": part,
            "part_no": number,
            "opened": opened,
            "due": due + datetime.timedelta(days=dice.randint(3, 40)),
            "hours": dice.randint(2, 60) / 4,
            "cost": round(price * dice.randint(1, 8) * dice.uniform(0.9, 1.2), 2),
            "currency": dice.choices(["CHF", "EUR", "GBP"], [7, 4, 1])[0],
            "km": dice.randint(9_000, 940_000),
            "torque_nm": torque,
            "safety": dice.random() < 0.4,
            "closed": closed,
            "inspector": dice.choice(PERSONS),
            "finding": finding(dice, dice.choices(LANGUAGES, (3, 4, 3))[0], part),
            "circle": dice.choices(CIRCLES, (8, 4, 4, 3, 1))[0],
            "barred": dice.choices([[], ["council"], ["contractors"]], (8, 1, 2))[0],
        }
        db.execute(f"INSERT INTO works VALUES ({', '.join('?' * len(row))})", list(row.values()))
        return str(row["id"])

    def _office_work(self, dice: Random) -> None:
        free = sorted(self.papers.keys() - self.fixed)
        match dice.choices(("new", "delete", "rename", "edit"), (18, 5, 4, 73))[0]:
            case "new":
                folder = dice.choice([f for f in FOLDERS if f not in ("people/pay", "board")])
                self.put(self.invented(dice, folder))
            case "delete":
                self.delete(dice.choice(free))
            case "rename":
                key = dice.choice([k for k in free if "confidential-" not in k])
                folder, _, name = key.rpartition("/")
                self.rename(key, f"{folder}/{name.rpartition('_')[0]}_v{self.numbers}.{self.papers[key].form}")
            case _:
                self.put(edited(self.papers[dice.choice(sorted(self.papers))], dice))

    def _comes_or_goes(self, dice: Random) -> None:
        unit = dice.choice(["workshop-north", "workshop-south", "track", "control", "people"])
        loose = [one for one in self.units[unit] if one not in self.units["pay"] + self.units["council"]]
        if len(loose) > 2 and dice.random() < 0.6:
            gone = dice.choice(loose)
            self.units[unit].remove(gone)
            self.left.append((unit, gone))
        else:
            self.numbers += 1
            self.units[unit].append(f"user:e{self.numbers + 500}@tannbergbahn.example")
        self.regroup()

    def _shop_work(self, db: duckdb.DuckDBPyConnection, dice: Random, free: bool) -> None:
        for _ in range(dice.randint(0, 1) if free else dice.randint(2, 6)):
            self.order(db, dice)
        there = [i for (i,) in db.execute("SELECT id FROM works ORDER BY id").fetchall()]
        still = [i for (i,) in db.execute("SELECT id FROM works WHERE NOT closed ORDER BY id").fetchall()]
        for one in dice.sample(still, min(len(still), 1 if free else dice.randint(1, 5))):
            db.execute("UPDATE works SET closed = true, hours = hours + ? WHERE id = ?", [dice.randint(1, 8) / 4, one])
        if free:
            return
        for one in dice.sample(still, min(len(still), dice.randint(0, 3))):
            db.execute("UPDATE works SET due = due + INTERVAL (?) DAY WHERE id = ?", [dice.randint(1, 9), one])
        for one in dice.sample(there, dice.randint(0, 3)):
            db.execute("UPDATE works SET km = km + ? WHERE id = ?", [dice.randint(40, 2500), one])
        for one in dice.sample(there, dice.randint(0, 2)):
            more = finding(dice, dice.choice(LANGUAGES), "part").split(". ")[0] + "."
            db.execute("UPDATE works SET finding = finding || ' ' || ? WHERE id = ?", [more, one])
        if dice.random() < 0.3:
            db.execute("UPDATE works SET inspector = ? WHERE id = ?", [dice.choice(PERSONS), dice.choice(there)])
        if dice.random() < 0.4:
            change = round(dice.uniform(0.8, 1.3), 2)
            db.execute("UPDATE works SET cost = round(cost * ?, 2) WHERE id = ?", [change, dice.choice(there)])
        if dice.random() < 0.2:
            db.execute("DELETE FROM works WHERE id = ?", [dice.choice(there[15:])])


def edited(paper: Paper, dice: Random) -> Paper:
    """A paper after an hour of somebody's work."""
    what = dice.choices(
        ("line", "cut", "figure", "row", "part", "name", "word", "head"), (22, 10, 18, 12, 9, 8, 14, 7)
    )[0]
    parts = [[name, list(lines)] for name, lines in paper.parts]
    at = dice.randrange(len(parts))
    lines: list[str] = parts[at][1]  # type: ignore[assignment]
    chosen = dice.randrange(len(lines))
    words = lines[chosen].split(" ")
    if what == "row" and paper.grid:
        return replace(paper, grid=(*paper.grid, tuple(grid_row(dice, paper.grid[0]))))
    if what == "figure" and paper.grid and dice.random() < 0.4:
        rows = [list(row) for row in paper.grid]
        r = dice.randrange(1, len(rows))
        rows[r] = grid_row(dice, paper.grid[0])
        return replace(paper, grid=tuple(map(tuple, rows)))
    if what == "cut" and len(lines) > 2:
        lines.pop(chosen)
    elif what == "figure" and any(any(c.isdigit() for c in w) for w in words):
        i = dice.choice([i for i, w in enumerate(words) if any(c.isdigit() for c in w)])
        words[i] = "".join(str(dice.randint(1, 9)) if c.isdigit() else c for c in words[i])
        lines[chosen] = " ".join(words)
    elif what == "part":
        parts.insert(at + 1, [dice.choice(HEADS[paper.language]), paragraph(dice, paper.folder, paper.language)])
    elif what == "name" and any(p in lines[chosen] for p in PERSONS):
        old = next(p for p in PERSONS if p in lines[chosen])
        lines[chosen] = lines[chosen].replace(old, dice.choice(PERSONS))
    elif what == "word":
        i = dice.randrange(len(words))
        words[i] = words[i][1:] + words[i][:1]
        lines[chosen] = " ".join(words)
    elif what == "head":
        parts[at][0] = dice.choice(HEADS[paper.language])
    else:
        lines.insert(chosen, said(dice, paper.folder, paper.language))
    return replace(paper, parts=tuple((str(name), tuple(texts)) for name, texts in parts))
