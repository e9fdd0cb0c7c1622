"""A company's sources as they live: a folder of documents and a warehouse table, day after day.

It writes files and rows and knows nothing of Moat. Weekdays are busy, weekends and holidays quiet, the
company grows, month's ends are full, and now and then something large happens that people announce.
"""

import datetime
import html
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import docx
import duckdb

from tests.proofs.trust.words import TOPICS, paragraph, sentence, title

READERS = {
    "handbook": "group:everyone",
    "legal": "group:legal",
    "sales": "group:sales",
    "engineering": "group:engineering",
    "support": "group:everyone",
    "finance": "group:finance",
}
KINDS = ["md"] * 9 + ["html"] * 6 + ["txt"] * 5 + ["csv"] * 2 + ["docx"] * 1
REGIONS, TEAMS, CURRENCIES = (
    ["emea", "apac", "amer"],
    ["support", "sales", "finance"],
    ["EUR"] * 7 + ["SEK"] * 2 + ["PLN"],
)
COLUMNS = (
    "id INTEGER, subject VARCHAR, body VARCHAR, team VARCHAR, region VARCHAR, amount DOUBLE, currency VARCHAR, "
    "opened TIMESTAMP, due VARCHAR, priority INTEGER, author VARCHAR"
)
KEPT = 12  # of the oldest rows, that nobody deletes
HOLIDAYS = {53, 54, 55, 56, 57, 100, 101, 143, 144, 145}  # days of the calendar that nobody works on


@dataclass(frozen=True)
class Paper:
    """One document as a person wrote it."""

    key: str
    kind: str
    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Size:
    """How large a company is, and how busy on a weekday."""

    papers: int = 240
    rows: int = 300
    new: float = 2.0
    edited: float = 4.0
    new_rows: float = 5.0
    edited_rows: float = 6.0


@dataclass
class Company:
    """The sources of one company. `folder` and `database` are all that anybody else sees."""

    home: Path
    size: Size
    seed: int
    start: datetime.date = datetime.date(2030, 1, 7)

    def __post_init__(self) -> None:
        self.folder, self.database = self.home / "papers", self.home / "warehouse.duckdb"
        self.papers: dict[str, Paper] = {}
        self.kept: set[str] = set()  # papers that nobody deletes or renames
        self.today, self._next_row, self._next_paper = -1, 1, 1

    def found(self) -> None:
        """The first day: what was there before anybody counted."""
        dice = self._dice("found")
        for name, group in READERS.items():
            (self.folder / name).mkdir(parents=True)
            (self.folder / name / ".access.yaml").write_text(f"allow: [{group}]\n")
        for _ in range(self.size.papers):
            self.put(self._paper(dice))
        with duckdb.connect(str(self.database)) as warehouse:
            warehouse.execute(f"CREATE TABLE cases ({COLUMNS})")
            self.insert(warehouse, [self.row(dice) for _ in range(self.size.rows)])

    @property
    def date(self) -> datetime.date:
        return self.start + datetime.timedelta(days=self.today)

    def announced(self, day: int) -> str:
        """What people have said beforehand of a day; empty on most."""
        return "the archive of the Trieste office is taken in" if day == 75 else ""

    def next_day(self) -> None:
        """What happens between two nights."""
        self.today += 1
        dice = self._dice(f"day {self.today}")
        if self.announced(self.today):
            for _ in range(self.size.papers // 4):
                self.put(self._paper(dice))
        busy = self._busy()
        for _ in range(_some(dice, self.size.new * busy)):
            self.put(self._paper(dice))
        for _ in range(_some(dice, self.size.edited * busy)):
            self._edit(dice)
        for _ in range(_some(dice, 0.7 * busy)):
            self.remove(dice.choice(self._loose()))
        for _ in range(_some(dice, 0.3 * busy)):
            self._rename(dice)
        with duckdb.connect(str(self.database)) as warehouse:
            self._rows_live(warehouse, dice, busy)

    def put(self, paper: Paper) -> None:
        self.papers[paper.key] = paper
        (self.folder / paper.key).write_bytes(written(paper))

    def remove(self, key: str) -> None:
        del self.papers[key]
        (self.folder / key).unlink()

    def row(self, dice: Random) -> tuple[object, ...]:
        """A new row of the table, by its columns."""
        number, self._next_row = self._next_row, self._next_row + 1
        opened = datetime.datetime.combine(self.date, datetime.time(dice.randrange(7, 19), dice.randrange(60)))
        return (
            number,
            title(dice, "support"),
            " ".join(paragraph(dice, dice.choice([2, 3, 3, 4]))),
            dice.choice(TEAMS),
            dice.choice(REGIONS),
            round(dice.lognormvariate(6.0, 0.9), 2),
            dice.choice(CURRENCIES),
            opened,
            (self.date + datetime.timedelta(days=dice.randrange(3, 40))).isoformat(),
            dice.choice([1, 2, 2, 3, 3, 3]),
            f"clerk{dice.randrange(1, 30)}",
        )

    def questions_of_rows(self) -> dict[str, str]:
        """What people ask of the oldest rows, by id; those rows stay."""
        with duckdb.connect(str(self.database)) as warehouse:
            found = warehouse.execute("SELECT id, subject, body FROM cases ORDER BY id LIMIT ?", [KEPT]).fetchall()
        return {str(number): f"{subject}: {body.split('. ')[0]}" for number, subject, body in found}

    @staticmethod
    def insert(warehouse: duckdb.DuckDBPyConnection, rows: list[tuple[object, ...]]) -> None:
        if rows:
            warehouse.executemany(f"INSERT INTO cases VALUES ({', '.join('?' * len(rows[0]))})", rows)

    def _rows_live(self, warehouse: duckdb.DuckDBPyConnection, dice: Random, busy: float) -> None:
        self.insert(warehouse, [self.row(dice) for _ in range(_some(dice, self.size.new_rows * busy))])
        numbers = [n for (n,) in warehouse.execute("SELECT id FROM cases ORDER BY id").fetchall()]
        recent = numbers[-len(numbers) // 3 :]
        for _ in range(_some(dice, self.size.edited_rows * busy)):
            where = [dice.choice(recent)]
            match dice.randrange(3):
                case 0:
                    warehouse.execute("UPDATE cases SET body = body || ' ' || ? WHERE id = ?", [sentence(dice), *where])
                case 1:
                    warehouse.execute(
                        "UPDATE cases SET amount = round(amount * ?, 2) WHERE id = ?", [dice.uniform(0.8, 1.3), *where]
                    )
                case _:
                    warehouse.execute("UPDATE cases SET priority = ? WHERE id = ?", [dice.choice([1, 2, 3]), *where])
        for _ in range(_some(dice, 0.5 * busy)):
            warehouse.execute("DELETE FROM cases WHERE id = ?", [dice.choice(numbers[KEPT:])])

    def _paper(self, dice: Random) -> Paper:
        topic, kind = dice.choice(sorted(TOPICS)), dice.choice(KINDS)
        number, self._next_paper = self._next_paper, self._next_paper + 1
        german = dice.random() < 0.1
        n = dice.choice([2, 3, 3, 4, 4, 5])
        return Paper(
            f"{topic}/{number:04}-{dice.choice(TOPICS[topic]).replace(' ', '-')}.{kind}",
            kind,
            title(dice, topic),
            tuple(paragraph(dice, n, german)),
        )

    def _edit(self, dice: Random) -> None:
        paper = self.papers[dice.choice(sorted(self.papers))]
        lines = list(paper.sentences)
        if dice.random() < 0.4 or len(lines) < 3:
            lines.append(sentence(dice))
        else:
            lines[dice.randrange(len(lines))] = sentence(dice)
        self.put(replace(paper, sentences=tuple(lines[-7:])))

    def _rename(self, dice: Random) -> None:
        paper = self.papers[dice.choice(self._loose())]
        stem, _, ending = paper.key.rpartition(".")
        self.remove(paper.key)
        self.put(replace(paper, key=f"{stem}-{dice.choice(['final', 'v2', 'new', 'signed'])}.{ending}"))

    def _loose(self) -> list[str]:
        return sorted(self.papers.keys() - self.kept)

    def _busy(self) -> float:
        """How much of an ordinary weekday's work is done: weekends and holidays little, month's ends more."""
        growth = 1.0 + self.today / 600
        if self.date.weekday() >= 5 or self.today in HOLIDAYS:
            return 0.12 * growth
        month_end = (self.date + datetime.timedelta(days=3)).month != self.date.month
        return growth * (1.5 if month_end else 1.2 if self.date.weekday() == 0 else 1.0)

    def _dice(self, purpose: str) -> Random:
        return Random(f"{self.seed} {purpose}")


def written(paper: Paper) -> bytes:
    """A paper in its file's format."""
    return WRITERS[paper.kind](paper)


def _md(paper: Paper) -> bytes:
    half = (len(paper.sentences) + 1) // 2
    first, rest = " ".join(paper.sentences[:half]), "\n".join(f"- {line}" for line in paper.sentences[half:])
    return f"# {paper.title}\n\n{first}\n\n{rest}\n".encode()


def _html(paper: Paper) -> bytes:
    body = "".join(f"<p>{html.escape(line)}</p>\n" for line in paper.sentences)
    name = html.escape(paper.title)
    return f"<!DOCTYPE html>\n<html><head><meta charset='utf-8'><title>{name}</title></head>\n<body><h1>{name}</h1>\n{body}</body></html>\n".encode()


def _txt(paper: Paper) -> bytes:
    return "\n\n".join([paper.title, *paper.sentences, ""]).encode()


def _csv(paper: Paper) -> bytes:
    rows = [f"{n};{len(line)};{line.rstrip('.')}" for n, line in enumerate(paper.sentences, 1)]
    return "\n".join([f"line;length;{paper.title}", *rows, ""]).encode()


def _docx(paper: Paper) -> bytes:
    file, out = docx.Document(), io.BytesIO()
    file.add_heading(paper.title, 1)
    for line in paper.sentences:
        file.add_paragraph(line)
    file.save(out)
    return out.getvalue()


WRITERS: dict[str, Callable[[Paper], bytes]] = {"md": _md, "html": _html, "txt": _txt, "csv": _csv, "docx": _docx}


def _some(dice: Random, mean: float) -> int:
    """How often something with this mean happens: Poisson."""
    n, left = 0, dice.expovariate(1.0)
    while left < mean:
        n, left = n + 1, left + dice.expovariate(1.0)
    return n
