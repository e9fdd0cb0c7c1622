"""Kinds of harm to the folder of the second company."""

import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random

from tests.proofs.trust.second.firm import Firm
from tests.proofs.trust.second.formats import Doc
from tests.proofs.trust.second.harm import (
    FirmHarms,
    every,
    footed,
    inside,
    kinds,
    listed,
    one_page,
    put,
    raw,
    sentences,
    text_kinds,
    with_tables,
    words,
)
from tests.proofs.trust.second.prose import FILL

share = FirmHarms("share", every)
GERMAN = [
    "Die Zahlen wurden geprüft und an die Leitung gegeben, weil der Kunde sie vor dem Wochenende braucht.",
    "Das Gerät wird nach jeder Schicht gereinigt und erst am nächsten Tag wieder benutzt.",
    "Wer Fragen hat, wendet sich an die Abteilung und wartet auf die schriftliche Antwort.",
    "Der Vertrag verlängert sich um ein Jahr, wenn niemand ihn rechtzeitig kündigt.",
]


@share("the folder of nine nights ago lies over the live one", "backup_restored", whole=True)
def backup_restored(firm: Firm, keys: list[str], dice: Random) -> None:
    home = Path(tempfile.mkdtemp())
    old = Firm(home, firm.seed, firm.start, fixed=set(firm.fixed))
    old.found()
    for _ in range(firm.today - 8):
        old.next_day()
    for key in sorted(firm.docs.keys() - old.docs.keys()):
        firm.drop(key)
    for doc in old.docs.values():
        if firm.docs.get(doc.key) != doc:
            firm.save(doc)
    shutil.rmtree(home)


@share("every Word file is one page: conversion failed", "one_text", kinds("docx"))
def conversion_failed(firm: Firm, keys: list[str], dice: Random) -> None:
    put(firm, keys, one_page("Conversion failed. Please ask the service desk to convert the file again."))


@share("files are placeholders of a cloud drive", "one_text text_emptied", text_kinds)
def placeholders(firm: Firm, keys: list[str], dice: Random) -> None:
    put(firm, keys, one_page("This file is available online only. Open it in the drive to download it."))


@share("the template's foot names another company", "boilerplate_grown names_replaced", text_kinds)
def foot_of_another_company(firm: Firm, keys: list[str], dice: Random) -> None:
    put(firm, keys, footed("Confidential property of Silverbirch Animal Health Ltd, Dublin. All rights reserved."))


@share("every second sentence is machine-translated", "language_changed", text_kinds)
def half_translated(firm: Firm, keys: list[str], dice: Random) -> None:
    put(
        firm,
        keys,
        lambda d: listed(d, lambda lines: [dice.choice(GERMAN) if i % 2 else line for i, line in enumerate(lines)]),
    )


@share("a font without a map: no digit is left", "digits_lost", text_kinds)
def digits_lost(firm: Firm, keys: list[str], dice: Random) -> None:
    put(firm, keys, lambda d: words(d, lambda t: re.sub(r"[\d.]*\d", "", t)))


@share("tables are gone, the text stays", "structure_lost", with_tables)
def tables_lost(firm: Firm, keys: list[str], dice: Random) -> None:
    put(firm, keys, lambda d: replace(d, table=()))


@share("texts end after 600 characters", "truncated_documents text_emptied", text_kinds)
def cut_at_size(firm: Firm, keys: list[str], dice: Random) -> None:
    def cut(doc: Doc) -> Doc:
        left, made = max(120, min(600, len(" ".join(sentences(doc))) * 6 // 10)), []
        for name, lines in doc.sections:
            text = " ".join(lines)[:left]
            left -= len(text)
            if text:
                made.append((name, (text,)))
        return replace(doc, sections=tuple(made), table=())

    put(firm, keys, cut)


@share("cells of tables are #REF!", "broken_references", lambda f: sorted(k for k, d in f.docs.items() if d.table))
def broken_references(firm: Firm, keys: list[str], dice: Random) -> None:
    put(firm, keys, lambda d: replace(d, table=(d.table[0], *((*row[:3], "#REF!", row[4]) for row in d.table[1:]))))


@share(
    "another subsidiary on the same template: its own figures and people",
    "figures_replaced names_replaced bodies_swapped",
    text_kinds,
)
def other_subsidiary(firm: Firm, keys: list[str], dice: Random) -> None:
    names = dict(zip(FILL["who"], [*FILL["who"][5:], *FILL["who"][:5]], strict=True))
    put(
        firm,
        keys,
        lambda d: words(
            d,
            lambda t: re.sub(
                r"\w+", lambda m: names.get(m[0], m[0]), re.sub(r"\d", lambda m: str(dice.randrange(1, 10)), t)
            ),
        ),
    )


@share("last year's version lies beside this year's, with other figures", "older_versions near_duplicates", text_kinds)
def old_beside_new(firm: Firm, keys: list[str], dice: Random) -> None:
    for key in keys:
        old = words(firm.docs[key], lambda t: re.sub(r"\d", lambda m: str(dice.randrange(1, 10)), t))
        stem, _, ending = key.rpartition(".")
        firm.save(replace(old, key=f"{stem}-2025.{ending}"))


@share("a password in prose", "secrets_found", text_kinds)
def secret_in_prose(firm: Firm, keys: list[str], dice: Random) -> None:
    put(
        firm,
        keys,
        lambda d: listed(
            d,
            lambda lines: [
                *lines,
                f"The password of the label printer's admin is {dice.choice(['kestrel', 'wharf', 'Bramble'])}{dice.randrange(100, 999)}.",
            ],
        ),
    )


@share("papers on salaries are moved to where all staff read", "restricted_text access_widened", inside("hr/salaries"))
def salaries_moved(firm: Firm, keys: list[str], dice: Random) -> None:
    for key in keys:
        firm.move(key, "hr/" + key.rpartition("/")[2])


@share("the access file of salaries lets all staff in", "access_widened", whole=True)
def salaries_opened(firm: Firm, keys: list[str], dice: Random) -> None:
    (firm.folder / "hr/salaries/.access.yaml").write_text("allow: [group:staff]\n")


@share("the group of all staff is nested into hr", "access_widened group_vanished", whole=True)
def everybody_in_hr(firm: Firm, keys: list[str], dice: Random) -> None:
    firm.groups_file.write_text(
        firm.groups_file.read_text().replace("group:hr:\n", "group:hr:\n- group:everyone\n")
        + "group:everyone:\n"
        + "".join(f"- {p}\n" for people in firm.teams.values() for p in people)
    )


@share(
    "files are pointers of Git LFS",
    "placeholders one_text supplier_format_changed text_emptied",
    kinds("md", "html", "csv"),
)
def lfs_pointers(firm: Firm, keys: list[str], dice: Random) -> None:
    raw(
        firm,
        keys,
        lambda b: (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{dice.randrange(16**64):064x}\nsize {len(b)}\n".encode()
        ),
    )


@share("all documents of one author vanish", "mass_deletion one_segment", whole=True)
def author_gone(firm: Firm, keys: list[str], dice: Random) -> None:
    authors = {f"m{n}" for n in range(4)}
    for key in [k for k, d in sorted(firm.docs.items()) if d.author in authors]:
        firm.drop(key)


@share("the access file of salaries is gone, on an ordinary night", "access_widened", whole=True)
def access_file_gone(firm: Firm, keys: list[str], dice: Random) -> None:
    (firm.folder / "hr/salaries/.access.yaml").unlink()
