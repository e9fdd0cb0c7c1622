"""Kinds of harm that drives, converters and programs do to the form of what the second company wrote."""

import base64
import re
from dataclasses import replace
from random import Random

from tests.proofs.trust.second.firm import Firm
from tests.proofs.trust.second.formats import Doc
from tests.proofs.trust.second.harm import (
    FirmHarms,
    every,
    kinds,
    listed,
    one_page,
    put,
    raw,
    saying,
    sentences,
    text_kinds,
    with_tables,
)
from tests.proofs.trust.second.prose import FILL

forms = FirmHarms("share", every)
PEOPLE = re.compile("|".join(FILL["who"]))
INSTEAD = "placeholders one_text text_emptied"
WRITTEN = "encoding text_written_otherwise"


def parted(text: str, sign: str) -> str:
    """A text with a sign in the middle of its longer words."""
    return re.sub(r"[^\W\d_]{6,}", lambda m: m[0][: len(m[0]) // 2] + sign + m[0][len(m[0]) // 2 :], text)


@forms("a drive's note of its own stands in each file", INSTEAD, text_kinds)
def drive_notes(firm: Firm, keys: list[str], dice: Random) -> None:
    for key in keys:
        name = key.rpartition("/")[2]
        page = one_page(f"{name} is stored in the cloud ({dice.randrange(9, 900)} KB). Sign in to download it.")
        put(firm, [key], page)


@forms("a page to sign in, with the way back", INSTEAD, kinds("html", "md"))
def sign_in_pages(firm: Firm, keys: list[str], dice: Random) -> None:
    for key in keys:
        page = one_page(f"Sign in to continue to {key}. Your session has expired. Forgot your password?")
        firm.save(replace(page(firm.docs[key]), title="Sign in"))


@forms("a model refused to write the text", f"{INSTEAD} bodies_swapped", text_kinds)
def model_refused(firm: Firm, keys: list[str], dice: Random) -> None:
    put(
        firm,
        keys,
        lambda d: one_page(
            f"I'm sorry, but as an AI language model I cannot help with {d.title.lower()}. Please provide more context."
        )(d),
    )


@forms("files are pointers of git-annex", f"{INSTEAD} supplier_format_changed", kinds("md", "html", "csv"))
def annex_pointers(firm: Firm, keys: list[str], dice: Random) -> None:
    raw(firm, keys, lambda b: f"/annex/objects/SHA256E-s{len(b)}--{dice.randrange(16**64):064x}.md\n".encode())


@forms("sections are still to be written", f"{INSTEAD} test_data template_unfilled", text_kinds)
def to_be_written(firm: Firm, keys: list[str], dice: Random) -> None:
    put(firm, keys, lambda d: replace(listed(d, lambda lines: ["To be written."]), table=()))


@forms(
    "files end after six tenths of their bytes", "truncated_documents text_emptied encoding", kinds("md", "html", "csv")
)
def bytes_cut(firm: Firm, keys: list[str], dice: Random) -> None:
    raw(firm, keys, lambda b: b[: len(b) * 6 // 10])


@forms("a summary stands in place of each text", "text_emptied truncated_documents bodies_swapped", text_kinds)
def summaries(firm: Firm, keys: list[str], dice: Random) -> None:
    def short(doc: Doc) -> Doc:
        first = sentences(doc)[0].split()
        return one_page(f"In short, this paper is about {doc.title}. It says that {' '.join(first[:8]).lower()}.")(doc)

    put(firm, keys, short)


forms.rewrites(
    "fields_unfilled",
    lambda t: PEOPLE.sub("{{person.name}}", t),
    "fields of a template are not filled in",
    "template_unfilled names_replaced",
    saying(PEOPLE.pattern),
)
forms.rewrites(
    "numbers_none",
    lambda t: re.sub(r"\d+(\.\d+)?", "None", t),
    "numbers are the word None",
    "template_unfilled digits_lost",
    saying(r"\d"),
)
forms.rewrites(
    "entities",
    lambda t: re.sub(r"( \w+) ", r"\1&amp;nbsp;", t),
    "entities of HTML are escaped twice",
    f"{WRITTEN} words_run_together",
    text_kinds,
)
forms.rewrites(
    "signs_escaped",
    lambda t: re.sub(r"([.,;:-])", r"\\\1", t),
    "signs have a backslash in front",
    WRITTEN,
    text_kinds,
)
forms.rewrites("capitals", str.upper, "all in capitals", f"{WRITTEN} names_replaced", text_kinds)
forms.rewrites(
    "zero_width", lambda t: parted(t, "\u200b"), "zero-width spaces within words", f"{WRITTEN} hidden_text", text_kinds
)
forms.rewrites(
    "soft_hyphens", lambda t: parted(t, "\u00ad"), "soft hyphens within words", f"{WRITTEN} hidden_text", text_kinds
)
forms.rewrites("hyphens", lambda t: parted(t, "- "), "words are parted as at the end of a line", WRITTEN, text_kinds)
forms.rewrites("ligatures_lost", lambda t: re.sub("ff|fi|fl|tt|ti", "", t), "ligatures are lost", WRITTEN, text_kinds)
forms.rewrites(
    "reversed", lambda t: t[::-1], "texts run backwards", f"{WRITTEN} bodies_swapped", text_kinds, tables=False
)
forms.rewrites(
    "bodies_encoded",
    lambda t: base64.b64encode(t.encode()).decode(),
    "texts are base64",
    "encoding supplier_format_changed words_run_together text_emptied",
    text_kinds,
    tables=False,
)
forms.rewrites(
    "euros_as_pounds",
    lambda t: t.replace("euros", "pounds"),
    "euros became pounds by name",
    "units_changed names_replaced",
    saying("euros"),
)
forms.rewrites(
    "days_as_weeks",
    lambda t: re.sub(r"(\d) days", r"\1 weeks", t),
    "days became weeks by name",
    "units_changed",
    saying(r"\d days"),
)
forms.rewrites(
    "decimal_commas",
    lambda t: re.sub(r"(\d)\.(\d)", r"\1,\2", t),
    "decimal points became commas",
    "text_written_otherwise figures_replaced",
    saying(r"\d\.\d"),
)


@forms("a watermark stands above each section", "boilerplate_grown test_data text_repeated", text_kinds)
def watermark(firm: Firm, keys: list[str], dice: Random) -> None:
    put(firm, keys, lambda d: listed(d, lambda lines: ["DRAFT, not for release outside of the department.", *lines]))


@forms("a page's head stands between the sentences", "boilerplate_grown text_repeated", text_kinds)
def running_heads(firm: Firm, keys: list[str], dice: Random) -> None:
    def headed(doc: Doc) -> Doc:
        head = f"Hollow Oak Remedies, {doc.title}, printed copy."
        return listed(doc, lambda lines: [part for line in lines for part in (line, head)])

    put(firm, keys, headed)


@forms(
    "one sentence of each section stands three times", "text_repeated boilerplate_grown duplicated_batch", text_kinds
)
def sentence_repeated(firm: Firm, keys: list[str], dice: Random) -> None:
    put(firm, keys, lambda d: listed(d, lambda lines: [*lines[:1] * 3, *lines[1:]]))


@forms("amount and price of tables stand in each other's place", "values_exchanged", with_tables)
def columns_swapped(firm: Firm, keys: list[str], dice: Random) -> None:
    put(
        firm,
        keys,
        lambda d: replace(d, table=(d.table[0], *((*row[:2], row[3], row[2], row[4]) for row in d.table[1:]))),
    )
