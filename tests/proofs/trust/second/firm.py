"""A second company for the gate: a maker of veterinary remedies, its folder, its groups and its table of orders.

Made by code of its own, so that nothing which fits the first company by chance helps here. It writes files and
rows and knows nothing of Moat.
"""

import datetime
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import ClassVar

import duckdb
import yaml

from tests.proofs.trust.second.formats import Doc, written
from tests.proofs.trust.second.prose import HEADINGS, PRODUCTS, heading, mail_subject, section, sentence, subject, table

FOLDERS = {  # documents at the start, and who reads them
    "hr": (9, "staff"),
    "hr/salaries": (6, "hr"),
    "sales": (18, "staff"),
    "research": (17, "research"),
    "quality": (18, "staff"),
    "finance": (12, "finance"),
    "it": (10, "staff"),
}
SHAPES = {"md": 26, "html": 17, "docx": 24, "csv": 6, "xlsx": 9, "eml": 18}
TEAMS = {"hr": 3, "sales": 8, "research": 6, "quality": 4, "finance": 3, "it": 2}
PEOPLE = 26
STATES = ("open", "picked", "shipped", "invoiced", "paid")
COLUMNS = (
    "id INTEGER, product VARCHAR, customer VARCHAR, quantity INTEGER, unit_price DOUBLE, currency VARCHAR, "
    "dose_mg DOUBLE, status VARCHAR, due DATE, note VARCHAR, readers VARCHAR"
)
EDITS = {  # of a document that somebody works on, how often
    "sentence added": 24,
    "sentence removed": 12,
    "figure changed": 18,
    "row added": 13,
    "heading changed": 6,
    "section rewritten": 9,
    "section added": 8,
    "typing error": 10,
}
MONTH_END = 28  # the day of the month from which finance writes its papers
DAY = datetime.timedelta(days=1)


@dataclass
class Firm:
    """Sources of the second company. The folder, the groups file and the database are all that others see."""

    state: ClassVar[tuple[str, ...]] = ("docs", "teams", "today", "counter")

    home: Path
    seed: int
    start: datetime.date
    docs: dict[str, Doc] = field(default_factory=dict)
    teams: dict[str, list[str]] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)  # documents of golden questions: nobody moves or deletes them
    before: dict[str, Doc] = field(default_factory=dict)  # as they were yesterday
    today: int = -1
    counter: int = 100

    def __post_init__(self) -> None:
        self.folder, self.database = self.home / "share", self.home / "orders.duckdb"
        self.groups_file = self.home / "groups.yaml"

    @property
    def date(self) -> datetime.date:
        return self.start + self.today * DAY

    def found(self) -> None:
        """What was there before anybody counted."""
        dice = self.dice("foundation")
        for name, (_, team) in FOLDERS.items():
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            (self.folder / name / ".access.yaml").write_text(f"allow: [group:{team}]\n")
        for name, (many, _) in FOLDERS.items():
            for _ in range(many):
                self.save(self.new_doc(dice, name))
        numbers = iter(range(PEOPLE))
        self.teams = {team: [f"user:m{next(numbers)}@hollowoak.example" for _ in range(n)] for team, n in TEAMS.items()}
        self.save_groups()
        with duckdb.connect(str(self.database)) as db:
            db.execute(f"CREATE TABLE orders ({COLUMNS})")
            for number in range(1, 201):
                self.order(db, dice, number, state=dice.choice(STATES))

    def next_day(self) -> None:
        """An ordinary day."""
        self.today, self.before = self.today + 1, dict(self.docs)
        dice = self.dice(f"day {self.today}")
        weekend = self.date.weekday() >= 5
        for _ in range(dice.choice([0, 0, 0, 1]) if weekend else dice.randint(2, 6)):
            self._work(dice)
        if not weekend and dice.random() < 0.06:
            self._staff_moves(dice)
        with duckdb.connect(str(self.database)) as db:
            self._trade(db, dice, weekend)

    def save(self, doc: Doc) -> None:
        self.docs[doc.key] = doc
        file = self.folder / doc.key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(written(doc))

    def drop(self, key: str) -> None:
        self.docs.pop(key, None)
        (self.folder / key).unlink(missing_ok=True)

    def move(self, key: str, to: str) -> None:
        """Let a document stand under another key, its content as it is."""
        doc, target = self.docs.pop(key), self.folder / to
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / key).rename(target)
        self.docs[to] = replace(doc, key=to)

    def save_groups(self) -> None:
        """Write the groups file: each team, and the staff who are all of them."""
        whole = {f"group:{team}": list(people) for team, people in self.teams.items()}
        whole["group:staff"] = [f"group:{team}" for team in self.teams]
        self.groups_file.write_text(yaml.safe_dump(whole))

    def new_doc(self, dice: Random, folder: str, kind: str = "") -> Doc:
        """A new document of a folder."""
        self.counter += 1
        kind = kind or dice.choices(list(SHAPES), list(SHAPES.values()))[0]
        if folder == "hr/salaries" and kind == "eml":
            kind = "xlsx"
        name = mail_subject(dice) if kind == "eml" else subject(dice, folder)
        slug = "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split()[:5])
        many = dice.randint(1, 2) if kind == "eml" else dice.randint(2, 5)
        return Doc(
            key=f"{folder}/{slug}-{self.counter}.{kind}",
            kind=kind,
            title=name,
            author=f"m{dice.randrange(PEOPLE)}",
            day=(self.start + max(self.today, 0) * DAY).isoformat(),
            sections=tuple(
                (heading(dice, folder, n), tuple(section(dice, folder)))
                for n in range(0 if kind in ("csv", "xlsx") else many)
            ),
            table=tuple(map(tuple, table(dice)))
            if kind in ("csv", "xlsx") or (kind != "eml" and dice.random() < 0.55)
            else (),
        )

    def loose(self) -> list[str]:
        return sorted(self.docs.keys() - self.fixed)

    def dice(self, purpose: str) -> Random:
        return Random(f"hollow oak {self.seed} {purpose}")

    def _work(self, dice: Random) -> None:
        """One thing that somebody does to the folder."""
        chance = dice.random()
        if chance < 0.17:
            places = [*FOLDERS, *(["finance"] * 6 if self.date.day >= MONTH_END else [])]
            self.save(self.new_doc(dice, dice.choice([p for p in places if p != "hr/salaries"])))
        elif chance < 0.23:
            self.drop(dice.choice(self.loose()))
        elif chance < 0.28:
            key = dice.choice([k for k in self.loose() if not k.startswith("hr/salaries")])
            self.move(key, f"{key.split('/')[0]}/archive/{key.rpartition('/')[2]}")
        else:
            editable = [k for k, d in sorted(self.docs.items()) if d.kind != "eml"]
            self.save(edited(self.docs[dice.choice(editable)], dice))

    def _staff_moves(self, dice: Random) -> None:
        team = dice.choice(sorted(TEAMS))
        if dice.random() < 0.5 and len(self.teams[team]) > 2:
            self.teams[team].pop(dice.randrange(len(self.teams[team])))
        else:
            self.counter += 1
            self.teams[team].append(f"user:n{self.counter}@hollowoak.example")
        self.save_groups()

    def order(self, db: duckdb.DuckDBPyConnection, dice: Random, number: int, state: str = "open") -> None:
        """Let an order come."""
        product = dice.choice(sorted(PRODUCTS))
        dose, price = PRODUCTS[product]
        town = dice.choice(
            ["Aalen", "Brno", "Cork", "Deal", "Évora", "Falun", "Gent", "Husum", "Ipswich", "Jever", "Kufstein", "Lugo"]
        )
        kind = dice.choice(["Clinic", "Stables", "Dairy", "Kennels", "Apiary", "Wholesale"])
        values = [
            number,
            product,
            f"{town} {kind}",
            dice.randint(2, 60) * dice.choice([1, 1, 5]),
            round(price * dice.uniform(0.92, 1.06), 2),
            dice.choices(["EUR", "GBP", "CZK"], [8, 2, 1])[0],
            dose,
            state,
            self.start + (max(self.today, 0) + dice.randint(3, 30)) * DAY,
            " ".join(sentence(dice, "sales") for _ in range(dice.randint(1, 2))),
            dice.choice(["group:sales", "group:sales;group:finance", "group:staff"]),
        ]
        db.execute(f"INSERT INTO orders VALUES ({', '.join('?' * len(values))})", values)

    def _trade(self, db: duckdb.DuckDBPyConnection, dice: Random, weekend: bool) -> None:
        """Orders that come, go on, are corrected; a closed one is removed now and then."""
        if weekend and dice.random() < 0.5:
            return
        (last,) = db.execute("SELECT max(id) FROM orders").fetchone() or (0,)
        for n in range(dice.randint(0, 1) if weekend else dice.randint(1, 5)):
            self.order(db, dice, last + 1 + n)
        for number, state in db.execute("SELECT id, status FROM orders WHERE status <> 'paid' ORDER BY id").fetchall():
            if dice.random() < (0.01 if weekend else 0.045):
                db.execute("UPDATE orders SET status = ? WHERE id = ?", [STATES[STATES.index(state) + 1], number])
        ids = [n for (n,) in db.execute("SELECT id FROM orders ORDER BY id").fetchall()]
        for _ in range(0 if weekend else dice.choice([0, 1, 1, 2, 3])):
            db.execute("UPDATE orders SET quantity = ? WHERE id = ?", [dice.randint(2, 90), dice.choice(ids)])
        if not weekend and dice.random() < 0.35:
            db.execute(
                "UPDATE orders SET unit_price = round(unit_price * ?, 2) WHERE id = ?",
                [dice.uniform(0.85, 1.15), dice.choice(ids)],
            )
        for _ in range(0 if weekend else dice.choice([0, 0, 1, 2])):
            db.execute(
                "UPDATE orders SET note = note || ' ' || ? WHERE id = ?", [sentence(dice, "sales"), dice.choice(ids)]
            )
        if dice.random() < 0.3:
            db.execute("DELETE FROM orders WHERE id = ?", [dice.choice(ids[20:])])


def edited(doc: Doc, dice: Random) -> Doc:
    """A document after somebody worked on it."""
    kinds = [k for k in EDITS if doc.sections or k == "row added" or (k == "figure changed" and doc.table)]
    if not doc.table:
        kinds = [k for k in kinds if k != "row added"]
    what = dice.choices(kinds, [EDITS[k] for k in kinds])[0]
    folder = doc.key.split("/")[0]
    if what == "row added" or (what == "figure changed" and doc.table and (not doc.sections or dice.random() < 0.5)):
        rows = [list(row) for row in doc.table]
        if what == "row added":
            rows.append(list(table(dice)[1]))
        else:
            rows[dice.randrange(1, len(rows))][2] = str(dice.randint(2, 400))
        return replace(doc, table=tuple(tuple(row) for row in rows))
    sections = [(name, list(lines)) for name, lines in doc.sections]
    at = dice.randrange(len(sections))
    name, lines = sections[at]
    match what:
        case "sentence added":
            lines.insert(dice.randint(0, len(lines)), sentence(dice, folder))
        case "sentence removed" if len(lines) > 1:
            lines.pop(dice.randrange(len(lines)))
        case "figure changed" if figures := [i for i, line in enumerate(lines) if any(c.isdigit() for c in line)]:
            i = dice.choice(figures)
            words = lines[i].split()
            j = dice.choice([j for j, word in enumerate(words) if any(c.isdigit() for c in word)])
            words[j] = "".join(str(dice.randrange(1, 10)) if c.isdigit() else c for c in words[j])
            lines[i] = " ".join(words)
        case "heading changed":
            sections[at] = (dice.choice(HEADINGS[folder]), lines)
        case "section rewritten":
            sections[at] = (name, section(dice, folder))
        case "section added":
            sections.insert(at, (heading(dice, folder, len(sections)), section(dice, folder)))
        case _:
            i = dice.randrange(len(lines))
            words = lines[i].split()
            j = dice.randrange(len(words))
            words[j] = words[j][:1] + words[j][1:].swapcase()[:1] + words[j][2:]
            lines[i] = " ".join(words)
    return replace(doc, sections=tuple((name, tuple(lines)) for name, lines in sections))
