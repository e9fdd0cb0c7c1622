"""Defects of a warehouse table."""

from random import Random

from tests.proofs.trust.company import COLUMNS
from tests.proofs.trust.defect import Catalogue, World, rows, share, table, update
from tests.proofs.trust.words import sentence

cases = Catalogue("cases", "2, 8, 25, 60, 100 % of the rows")
NAMES = [part.split()[0] for part in COLUMNS.split(", ")]


@cases("columns renamed", "author, priority | +due | +amount, currency | +region, opened | +subject, body")
def columns_renamed(world: World, strength: int, dice: Random) -> None:
    order = ["author", "priority", "due", "amount", "currency", "region", "opened", "subject", "body"]
    with table(world) as warehouse:
        for name in order[: (1, 2, 5, 7, 9)[strength - 1]]:
            warehouse.execute(f"ALTER TABLE cases RENAME COLUMN {name} TO {name}_2")


@cases(
    "columns of another type", "priority to text | +opened | +amount, with a comma | +region to a list | +id to text"
)
def columns_retyped(world: World, strength: int, dice: Random) -> None:
    steps = [
        "priority TYPE VARCHAR USING 'P' || priority",
        "opened TYPE VARCHAR USING strftime(opened, '%d.%m.%Y')",
        "amount TYPE VARCHAR USING replace(CAST(amount AS VARCHAR), '.', ',')",
        "region TYPE VARCHAR[] USING [region]",
        "id TYPE VARCHAR USING 'C-' || id",
    ]
    with table(world) as warehouse:
        for step in steps[:strength]:
            warehouse.execute(f"ALTER TABLE cases ALTER {step}")


@cases("bodies that are NULL")
def bodies_null(world: World, strength: int, dice: Random) -> None:
    update(world, strength, dice, "body = NULL")


@cases("a column of metadata emptied")
def metadata_null(world: World, strength: int, dice: Random) -> None:
    update(world, strength, dice, "region = NULL")


@cases("rows lost", "1, 5, 30, 50, 90 % of the rows")
def rows_lost(world: World, strength: int, dice: Random) -> None:
    with table(world) as warehouse:
        ids = rows(warehouse, 5, dice)
        gone = ids[: max(1, round(len(ids) * (0.01, 0.05, 0.3, 0.5, 0.9)[strength - 1]))]
        warehouse.execute("DELETE FROM cases WHERE id IN (SELECT unnest(?))", [gone])


@cases("a batch loaded twice, under new ids")
def rows_doubled(world: World, strength: int, dice: Random) -> None:
    with table(world) as warehouse:
        others = ", ".join(NAMES[1:])
        warehouse.execute(
            f"INSERT INTO cases SELECT id + 1000000, {others} FROM cases WHERE id IN (SELECT unnest(?))",
            [rows(warehouse, strength, dice)],
        )


@cases("a join that fans out: rows come twice under one id")
def join_fanned_out(world: World, strength: int, dice: Random) -> None:
    with table(world) as warehouse:
        warehouse.execute(
            "INSERT INTO cases SELECT * FROM cases WHERE id IN (SELECT unnest(?))", [rows(warehouse, strength, dice)]
        )


@cases("times shifted by nine hours")
def time_zone(world: World, strength: int, dice: Random) -> None:
    update(world, strength, dice, "opened = opened + INTERVAL 9 HOUR")


@cases("amounts in cents instead of units")
def units_changed(world: World, strength: int, dice: Random) -> None:
    update(world, strength, dice, "amount = round(amount * 100)")


@cases("every amount in another currency")
def currency_changed(world: World, strength: int, dice: Random) -> None:
    update(world, strength, dice, "currency = 'USD', amount = round(amount * 1.0837, 2)")


@cases("dates written month first")
def date_format(world: World, strength: int, dice: Random) -> None:
    update(world, strength, dice, "due = strftime(CAST(due AS DATE), '%m/%d/%y')")


@cases("dates that fell back to 1970")
def dates_defaulted(world: World, strength: int, dice: Random) -> None:
    update(world, strength, dice, "opened = TIMESTAMP '1970-01-01 00:00:00'")


@cases("ids used again for other rows")
def key_reused(world: World, strength: int, dice: Random) -> None:
    _moved(world, strength, dice, NAMES[1:])


@cases("bodies moved to other rows")
def rows_swapped(world: World, strength: int, dice: Random) -> None:
    _moved(world, strength, dice, ["body"])


def _moved(world: World, strength: int, dice: Random, columns: list[str]) -> None:
    """Let each row that is hit have what the next of them had."""
    with table(world) as warehouse:
        ids = rows(warehouse, max(2, strength) if strength == 1 else strength, dice)
        to = dict(zip(ids, [*ids[1:], ids[0]], strict=True))
        warehouse.execute("CREATE TEMP TABLE moved (a INTEGER, b INTEGER)")
        warehouse.executemany("INSERT INTO moved VALUES (?, ?)", list(to.items()))
        warehouse.execute("CREATE TEMP TABLE before AS SELECT * FROM cases")
        sets = ", ".join(f"{name} = before.{name}" for name in columns)
        warehouse.execute(
            f"UPDATE cases SET {sets} FROM moved, before WHERE cases.id = moved.a AND before.id = moved.b"
        )


@cases("ids written another way: every row is gone and a new one is there", binary=True)
def key_rewritten(world: World, strength: int, dice: Random) -> None:
    with table(world) as warehouse:
        warehouse.execute("UPDATE cases SET id = id + 5000000")


@cases("access column NULL")
def access_null(world: World, strength: int, dice: Random) -> None:
    update(world, strength, dice, "team = NULL")


@cases("rows opened to everyone")
def rows_widened(world: World, strength: int, dice: Random) -> None:
    update(world, strength, dice, "team = 'everyone'")


@cases("bodies read as Latin-1")
def rows_mojibake(world: World, strength: int, dice: Random) -> None:
    _python(world, strength, dice, lambda text: text.encode().decode("latin-1"))


@cases("bodies cut after 40 characters")
def rows_cut(world: World, strength: int, dice: Random) -> None:
    update(world, strength, dice, "body = left(body, 40)")


@cases("one body in every row")
def rows_equal(world: World, strength: int, dice: Random) -> None:
    text = sentence(dice).replace("'", "")
    update(world, strength, dice, f"body = '{text}'")


@cases("bodies that say NULL in words")
def null_in_words(world: World, strength: int, dice: Random) -> None:
    update(world, strength, dice, "body = 'NULL', author = 'nan'")


@cases("bodies in escaped HTML")
def rows_escaped(world: World, strength: int, dice: Random) -> None:
    update(
        world,
        strength,
        dice,
        "body = '&lt;div class=&quot;msg&quot;&gt;&lt;p&gt;' || replace(body, ' ', '&nbsp;') || '&lt;/p&gt;&lt;/div&gt;'",
    )


@cases("customers' addresses in every body")
def rows_personal(world: World, strength: int, dice: Random) -> None:
    update(
        world,
        strength,
        dice,
        "body = body || ' Reply to kunde' || id || '@privatmail.example or call +49 30 901820' || (id % 90 + 10) || '.'",
    )


@cases("passwords in the bodies")
def rows_secrets(world: World, strength: int, dice: Random) -> None:
    key = "AKIA" + "".join(dice.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=16))
    update(world, strength, dice, f"body = body || ' key {key}'")


def _python(world: World, strength: int, dice: Random, change) -> None:  # type: ignore[no-untyped-def]
    with table(world) as warehouse:
        ids = rows(warehouse, strength, dice)
        found = warehouse.execute("SELECT body, id FROM cases WHERE id IN (SELECT unnest(?))", [ids]).fetchall()
        warehouse.executemany("UPDATE cases SET body = ? WHERE id = ?", [(change(body), n) for body, n in found])


@cases("the table is not there", binary=True)
def table_gone(world: World, strength: int, dice: Random) -> None:
    with table(world) as warehouse:
        warehouse.execute("ALTER TABLE cases RENAME TO cases_old")


@cases("a burst of rows that nobody announced", "as many as 2, 8, 25, 60, 100 % of the rows")
def rows_burst(world: World, strength: int, dice: Random) -> None:
    with table(world) as warehouse:
        n = warehouse.execute("SELECT count(*) FROM cases").fetchall()[0][0]
        world.company.insert(warehouse, [world.company.row(dice) for _ in range(share(strength, n))])


@cases("no row moves, and nobody says so", "1, 2, 5, 10, 21 nights without a change", still=True)
def cases_stale(world: World, strength: int, dice: Random) -> None:
    world.quiet_nights = (1, 2, 5, 10, 21)[strength - 1]
