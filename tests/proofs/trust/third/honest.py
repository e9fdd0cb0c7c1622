"""Honest changes of the railway: many papers, orders or readers at once, each as it should be."""

import re
from dataclasses import replace
from random import Random

from tests.proofs.trust.third.railway import ACCESS, Railway
from tests.proofs.trust.third.speech import LANGUAGES, PERSONS, finding, paragraph, titled
from tests.proofs.trust.third.tools import (
    Paperwork,
    Rowwork,
    all_papers,
    alter,
    below,
    celled,
    every_row,
    exchanged,
    grids_of,
    naming,
    of_form,
    rows_where,
    set_rows,
    worded,
)

office = Paperwork("drive", all_papers)
shop = Rowwork("works", every_row)


@office(
    "a new template: a line below each Word paper and each slide show",
    "boilerplate_grown",
    of_form("docx", "pptx"),
    whole=True,
)
def template_of_the_year(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: replace(p, foot="Tannbergbahn AG · Management System · valid from 1 February"))


@office(
    "folders are named by number, access files move along",
    "documents_moved",
    below("operations", "workshop", "track"),
    whole=True,
)
def folders_by_number(rail: Railway, keys: list[str], dice: Random) -> None:
    to = {"operations": "10_operations", "workshop": "20_workshop", "track": "30_track"}
    for key in sorted(set(keys) - rail.fixed):
        folder, _, name = key.rpartition("/")
        rail.rename(key, f"{to[folder]}/{name}")


@office(
    "new prices of parts in each table, each its own",
    "figures_replaced numbers_multiplied",
    grids_of("Price CHF"),
    whole=True,
)
def prices_of_parts(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: celled(p, "Price CHF", lambda c: f"{float(c) * dice.uniform(1.01, 1.06):.2f}"))


@office(
    "a French paper beside each German one of two folders",
    "volume_growth language_changed",
    below("safety", "customers"),
    whole=True,
)
def french_beside_german(rail: Railway, keys: list[str], dice: Random) -> None:
    for key in [k for k in keys if rail.papers[k].language == "de" and "confidential-" not in k]:
        p = rail.papers[key]
        parts = tuple((name, tuple(paragraph(dice, p.folder, "fr"))) for name, _ in p.parts)
        stem, _, form = key.rpartition(".")
        rail.put(replace(p, key=f"{stem}_fr.{form}", title=titled(dice, p.folder, "fr"), language="fr", parts=parts))


@office(
    "the track department is dissolved: papers to operations, people to workshop-south",
    "documents_moved group_vanished",
    below("track"),
    whole=True,
)
def track_dissolved(rail: Railway, keys: list[str], dice: Random) -> None:
    for key in sorted(set(keys) - rail.fixed):
        rail.rename(key, f"operations/{key.rpartition('/')[2]}")
    rail.units["workshop-south"] = rail.units["workshop-south"] + rail.units.pop("track")
    rail.above["depots"].remove("group:track")
    rail.regroup()


@office("month-end: a dozen new papers of finance", "volume_growth", whole=True)
def month_end(rail: Railway, keys: list[str], dice: Random) -> None:
    for _ in range(12):
        rail.put(rail.invented(dice, "finance", form=dice.choice(["xlsx", "pdf", "docx"])))


@office(
    "the timetable changes: departures in the tables of trains are new",
    "figures_replaced time_zone_shift",
    grids_of("Departure"),
    whole=True,
)
def timetable_change(rail: Railway, keys: list[str], dice: Random) -> None:
    def moved(cell: str) -> str:
        return f"{cell[:2]}:{dice.randint(0, 59):02}"

    alter(rail, keys, lambda p: celled(p, "Departure", moved))


@office("a supplier took another name", "names_replaced", naming("Signal Werke Olten"), whole=True)
def supplier_renamed(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: worded(p, lambda s: exchanged(s, {"Signal Werke Olten": "Olten Rail Signalling"})))


@office("thirty old papers are tidied away", "mass_deletion", whole=True)
def spring_clean(rail: Railway, keys: list[str], dice: Random) -> None:
    for key in dice.sample(sorted(set(keys) - rail.fixed), 30):
        rail.delete(key)


@office(
    "dates are written as the standard wants from now on",
    "text_written_otherwise figures_replaced",
    naming(r"\d\d\.\d\d\.\d{4}"),
    whole=True,
)
def dates_by_standard(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: worded(p, lambda s: re.sub(r"\b(\d\d)\.(\d\d)\.(\d{4})\b", r"\3-\2-\1", s)))


@office("eight people join three units", "access_widened", whole=True)
def trainees(rail: Railway, keys: list[str], dice: Random) -> None:
    for n in range(8):
        rail.units[("control", "workshop-north", "workshop-south")[n % 3]].append(f"user:t{n}@tannbergbahn.example")
    rail.regroup()


@office("both workshops are one group of another name, in the same people's hands", "group_vanished", whole=True)
def workshops_merged(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.units["works"] = rail.units["workshop-north"] + rail.units["workshop-south"]
    rail.above["depots"] = ["group:works", "group:track", "group:workshop-north", "group:workshop-south"]
    rail.regroup()


@office("a new folder with its own readers and fifteen papers", "volume_growth", whole=True)
def project_folder(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.rule("projects", "allow: [group:office, group:board]\n")
    for _ in range(15):
        p = rail.invented(dice, "legal")
        rail.put(replace(p, key=f"projects/{p.key.rpartition('/')[2]}"))


@office("the pay folder is for the new head of finance too", "access_widened", whole=True)
def head_reads_pay(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.rule("people/pay", ACCESS["people/pay"].replace("]", f", '{rail.units['finance'][0]}']"))


@office("a table that stood in slides is told in a sentence now", "structure_lost", of_form("pptx"), whole=True)
def slides_without_tables(rail: Railway, keys: list[str], dice: Random) -> None:
    for key in keys:
        p = rail.papers[key]
        if p.grid:
            said = tuple(f"{row[0]}: {', '.join(row[1:])}." for row in p.grid[1:])
            rail.put(replace(p, parts=(*p.parts, ("Table in words", said)), grid=()))


@shop(
    "the month is closed: each open order of its first half is closed with its hours",
    "column_values_changed",
    rows_where("NOT closed"),
    whole=True,
)
def orders_closed(rail: Railway, keys: list[str], dice: Random) -> None:
    with rail.works() as db:
        for key in keys[: len(keys) // 2]:
            db.execute("UPDATE works SET closed = true, hours = hours + ? WHERE id = ?", [dice.randint(1, 12) / 4, key])


@shop("costs of open orders rise with the yearly rate", "numbers_multiplied", rows_where("NOT closed"), whole=True)
def rates_of_the_year(rail: Railway, keys: list[str], dice: Random) -> None:
    set_rows(rail, keys, "cost = round(cost * 1.024, 2)")


@shop("a campaign: thirty orders for one part of one series", "volume_growth", whole=True)
def campaign(rail: Railway, keys: list[str], dice: Random) -> None:
    with rail.works() as db:
        for n in range(30):
            one = rail.order(db, dice)
            said = finding(dice, LANGUAGES[n % 3], "door drive")
            db.execute(
                "UPDATE works SET vehicle = ?, part = 'door drive', part_no = '012094', torque_nm = 12.5, finding = ? "
                "WHERE id = ?",
                [f"RBe 526-{n % 24 + 1:03}", said, one],
            )


@shop(
    "an inspector leaves: another takes over the open orders",
    "names_replaced column_values_changed",
    rows_where("NOT closed"),
    whole=True,
)
def inspector_follows(rail: Railway, keys: list[str], dice: Random) -> None:
    with rail.works() as db:
        db.execute("UPDATE works SET inspector = ? WHERE NOT closed AND inspector = ?", [PERSONS[5], PERSONS[2]])


@shop(
    "orders of the depot Oberau go to the depot South",
    "column_values_changed",
    rows_where("depot = 'Oberau'"),
    whole=True,
)
def depot_closed(rail: Railway, keys: list[str], dice: Random) -> None:
    set_rows(rail, keys, "depot = 'South'")
