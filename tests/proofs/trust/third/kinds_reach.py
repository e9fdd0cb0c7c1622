"""Harm to who reads what: rules, groups, moved and copied text; and old states, missing and late parts."""

from dataclasses import replace
from random import Random

from tests.proofs.trust.third.railway import ACCESS, Railway
from tests.proofs.trust.third.tools import (
    Paperwork,
    Rowwork,
    alter,
    below,
    every_row,
    give_values,
    lines,
    prose,
    rows_where,
    set_rows,
)

reach = Paperwork("drive", prose)
circles = Rowwork("works", every_row)

WIDER = "access_widened"
MOVED = "restricted_text"
pay_or_board = below("people/pay", "board")


@reach("patterns are gone from the access file: confidential papers are for all", WIDER, whole=True)
def patterns_lost(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.rule("safety", "allow: [group:all-staff]\n")


@reach("a typing error in the pattern of confidential papers", WIDER, whole=True)
def pattern_mistyped(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.rule("safety", ACCESS["safety"].replace("confidential", "confidental"))


@reach("the deny of the board's folder vanished", WIDER, whole=True)
def deny_lost(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.rule("board", "allow: [group:board, group:legal]\n")


@reach("the access files of pay and customers changed places", "access_widened access_lost", whole=True)
def rules_exchanged(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.rule("people/pay", ACCESS[""])
    rail.rule("customers", ACCESS["people/pay"])


@reach("the board's papers are for office and depots, not by all-staff but by name", WIDER, whole=True)
def opened_by_parts(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.rule("board", "allow: [group:board, group:legal, group:office, group:depots]\n")


@reach("one contractor is named in the file of pay", WIDER, whole=True)
def stranger_in_pay(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.rule("people/pay", f"allow: [group:pay, '{rail.units['contractors'][0]}']\n")


@reach(
    "an access file says nothing that is known: the folder is for nobody", "access_lost", whole=True, weight="medium"
)
def rule_unknown(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.rule("finance", "readers: [group:finance]\n")


@reach("people who left are back: an old export of the groups", "access_widened group_vanished", whole=True)
def leavers_back(rail: Railway, keys: list[str], dice: Random) -> None:
    for unit, person in rail.left:
        rail.units[unit] = sorted({*rail.units[unit], person})
    rail.regroup()


@reach("one contractor is in the group of pay: three read what two may", WIDER, whole=True)
def stranger_in_group(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.units["pay"].append(rail.units["contractors"][1])
    rail.regroup()


@reach("two groups changed their members", "access_widened access_lost group_vanished", whole=True)
def groups_crossed(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.units["board"], rail.units["contractors"] = rail.units["contractors"], rail.units["board"]
    rail.regroup()


@reach("contractors are within all-staff", WIDER, whole=True)
def contractors_within(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.above["all-staff"].append("group:contractors")
    rail.regroup()


@reach("nested groups were written out one level too high: office is in legal", WIDER, whole=True)
def nested_too_high(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.units["legal"] = rail.units["legal"] + rail.units["control"] + rail.units["finance"]
    rail.regroup()


@reach("the council lost its members, so its deny bars nobody", WIDER + " group_vanished", whole=True)
def denied_group_empty(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.units["council"] = []
    rail.regroup()


@reach("the board lost its members", "group_vanished access_lost", whole=True, weight="medium")
def board_empty(rail: Railway, keys: list[str], dice: Random) -> None:
    rail.units["board"] = []
    rail.regroup()


@reach("paragraphs on pay or of the board stand in papers for all", MOVED, below("operations", "workshop", "customers"))
def restricted_pasted(rail: Railway, keys: list[str], dice: Random) -> None:
    secret = pay_or_board(rail)
    for n, key in enumerate(keys):
        p, of = rail.papers[key], rail.papers[secret[n % len(secret)]]
        rail.put(replace(p, parts=(*p.parts, *of.parts[:2])))


@reach("papers on pay or of the board lie in the customers' folder too", MOVED + " near_duplicates", pay_or_board)
def restricted_copied(rail: Railway, keys: list[str], dice: Random) -> None:
    for key in keys:
        p = rail.papers[key]
        rail.put(replace(p, key=f"customers/{key.rpartition('/')[2]}"))


@reach("all papers of the board are one new paper for all", MOVED, below("board"), whole=True)
def restricted_merged(rail: Railway, keys: list[str], dice: Random) -> None:
    parts = tuple((rail.papers[k].title, tuple(lines(rail.papers[k]))) for k in keys)
    rail.put(replace(rail.papers[keys[0]], key="operations/collection.docx", form="docx", parts=parts, grid=()))


@reach("papers on pay are moved up to where more people read", MOVED + " access_widened", below("people/pay"))
def restricted_up(rail: Railway, keys: list[str], dice: Random) -> None:
    for key in keys:
        rail.rename(key, f"people/{key.rpartition('/')[2]}")


@reach(
    "confidential papers on safety lost that word in their names",
    MOVED + " access_widened documents_moved",
    lambda rail: [k for k in sorted(rail.papers) if "confidential-" in k],
)
def confidential_renamed(rail: Railway, keys: list[str], dice: Random) -> None:
    for key in keys:
        rail.rename(key, key.replace("confidential-", ""))


@reach("restricted papers are pasted in another format and cut in two", MOVED, pay_or_board)
def restricted_halved(rail: Railway, keys: list[str], dice: Random) -> None:
    for key in keys:
        p = rail.papers[key]
        name = key.rpartition("/")[2].rpartition(".")[0]
        half = max(1, len(p.parts) // 2)
        for n, parts in enumerate((p.parts[:half], p.parts[half:])):
            if parts:
                rail.put(
                    replace(p, key=f"operations/{name}_{n}.txt", form="txt", parts=parts, grid=(), title=f"Extract {n}")
                )


@circles("text of restricted papers stands in findings", MOVED, rows_where("list_contains(circle, 'all-staff')"))
def restricted_in_findings(rail: Railway, keys: list[str], dice: Random) -> None:
    secret = pay_or_board(rail)
    for n, key in enumerate(keys):
        said = " ".join(lines(rail.papers[secret[n % len(secret)]])[:6])
        with rail.works() as db:
            db.execute("UPDATE works SET finding = ? WHERE id = ?", [said, key])


@circles(
    "circles go to other orders", "access_widened access_lost values_exchanged", rows_where("circle <> ['all-staff']")
)
def circles_of_others(rail: Railway, keys: list[str], dice: Random) -> None:
    others = rows_where("circle = ['all-staff']")(rail)
    give_values(rail, [*keys, *dice.sample(others, min(len(keys), len(others)))], "circle", lambda values: values[::-1])


@circles("the circle holds the depots too", WIDER, rows_where("NOT list_contains(circle, 'all-staff')"))
def circles_joined(rail: Railway, keys: list[str], dice: Random) -> None:
    set_rows(rail, keys, "circle = list_distinct(list_append(circle, 'depots'))")


@circles("nobody is barred any longer", WIDER, rows_where("len(barred) > 0"))
def bars_lost(rail: Railway, keys: list[str], dice: Random) -> None:
    set_rows(rail, keys, "barred = []")


@circles("orders of the board are for all", WIDER, rows_where("list_contains(circle, 'board')"))
def board_orders_opened(rail: Railway, keys: list[str], dice: Random) -> None:
    set_rows(rail, keys, "circle = ['all-staff']")


@circles("orders of the workshops are for contractors as well", WIDER, rows_where("len(circle) = 2"))
def contractors_added(rail: Railway, keys: list[str], dice: Random) -> None:
    set_rows(rail, keys, "circle = list_append(circle, 'contractors'), barred = []")


@circles("circles are names for people to read", "access_lost group_vanished", weight="medium")
def circles_displayed(rail: Railway, keys: list[str], dice: Random) -> None:
    set_rows(rail, keys, "circle = list_transform(circle, lambda x: 'Circle ' || upper(x))")


@circles("circles bear the name of another directory", "access_lost group_vanished", weight="medium")
def circles_prefixed(rail: Railway, keys: list[str], dice: Random) -> None:
    set_rows(rail, keys, "circle = list_transform(circle, lambda x: 'group:ad/' || x)")


@circles(
    "who is in the circle and who is barred changed places", "access_widened access_lost", rows_where("len(barred) > 0")
)
def circle_for_bar(rail: Railway, keys: list[str], dice: Random) -> None:
    set_rows(rail, keys, "circle = barred, barred = circle")


@circles(
    "the circle is a list of one text", "access_lost access_widened", rows_where("len(circle) = 2"), weight="medium"
)
def circle_as_text(rail: Railway, keys: list[str], dice: Random) -> None:
    set_rows(rail, keys, "circle = [list_aggregate(circle, 'string_agg', ' ')]")


@reach(
    "papers of one folder are as they were twelve days ago",
    "backup_restored",
    below("operations", "workshop"),
    whole=True,
)
def folder_restored(rail: Railway, keys: list[str], dice: Random) -> None:
    then = rail.past[max(0, len(rail.past) - 13)]
    for key in keys:
        if key in then and then[key] != rail.papers[key]:
            rail.put(then[key])


@reach("edits of ten days are lost and a line of a new template is below", "backup_restored", whole=True)
def reverted_under_template(rail: Railway, keys: list[str], dice: Random) -> None:
    then = rail.past[max(0, len(rail.past) - 11)]
    for key in keys:
        if key in then and then[key] != rail.papers[key]:
            rail.put(replace(then[key], foot="Tannbergbahn AG, Management System, Edition 4"))


@reach(
    "copies of a conflict lie beside papers, with the state of days ago",
    "older_versions near_duplicates duplicated_batch",
    weight="medium",
)
def conflict_copies(rail: Railway, keys: list[str], dice: Random) -> None:
    then = rail.past[max(0, len(rail.past) - 11)]
    for key in keys:
        old = then.get(key, rail.papers[key])
        stem, _, form = key.rpartition(".")
        rail.put(replace(old, key=f"{stem} (Konfliktkopie).{form}"))


@reach(
    "an archive with the figures of last year is unpacked",
    "older_versions near_duplicates volume_growth duplicated_batch",
    below("finance", "customers", "operations"),
)
def archive_unpacked(rail: Railway, keys: list[str], dice: Random) -> None:
    for key in keys:
        p, move = rail.papers[key], dice.randint(1, 3)
        digits = str.maketrans("123456789", "".join(str((d + move) % 9 + 1) for d in range(9)))
        parts = tuple((n, tuple(line.translate(digits) for line in said)) for n, said in p.parts)
        rail.put(replace(p, key=f"{p.folder}/2025/{key.rpartition('/')[2]}", parts=parts))


@reach(
    "papers that were deleted are back from the bin",
    "backup_restored volume_growth older_versions",
    whole=True,
    weight="medium",
)
def bin_restored(rail: Railway, keys: list[str], dice: Random) -> None:
    for paper in rail.dropped:
        rail.put(paper)


@reach(
    "PDF files are no longer exported, ten nights", "part_stopped stale_source", whole=True, days=10, weight="medium"
)
def pdfs_frozen(rail: Railway, keys: list[str], dice: Random) -> None:
    before = {k: p for k, p in rail.past[-2].items() if p.form == "pdf"}
    for key in [k for k, p in rail.papers.items() if p.form == "pdf" and k not in before]:
        rail.delete(key)
    for key, paper in before.items():
        if rail.papers.get(key) != paper:
            rail.put(paper)
    rail.past[-1] = dict(rail.papers)


@reach("papers end in the middle of a page, and the next paper goes on there", "truncated_documents bodies_swapped")
def split_elsewhere(rail: Railway, keys: list[str], dice: Random) -> None:
    tails = [rail.papers[k].parts[-1][1] for k in keys]
    for key, tail in zip(keys, [tails[-1], *tails[:-1]], strict=True):
        p = rail.papers[key]
        rail.put(replace(p, parts=(("", tail), *p.parts[:-1]) if len(p.parts) > 1 else (("", tail),)))


@reach(
    "each night's new and changed papers lose their second half, four nights",
    "truncated_documents text_emptied structure_lost",
    whole=True,
    days=4,
)
def halves_drip(rail: Railway, keys: list[str], dice: Random) -> None:
    def halved(texts: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return texts[: max(1, len(texts) // 2)]

    before = rail.past[-2]
    changed = [k for k, p in rail.papers.items() if before.get(k) != p]
    alter(rail, changed, lambda p: replace(p, parts=halved(p.parts), grid=()))
    rail.past[-1] = dict(rail.papers)
