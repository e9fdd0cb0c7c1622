"""Harm to papers by converters, character recognition, encodings, templates and machine translation."""

import json
import re
from dataclasses import replace
from random import Random

from tests.proofs.trust.third.papers import Paper
from tests.proofs.trust.third.railway import Railway
from tests.proofs.trust.third.tools import (
    Paperwork,
    all_papers,
    alter,
    exchanged,
    in_language,
    lines,
    long_ones,
    naming,
    of_form,
    prose,
    with_grid,
    worded,
)

convert = Paperwork("drive", prose)

LOOKALIKE = str.maketrans("aeopcxy", "аеорсху")
OCR = str.maketrans("0158", "OlSB")
LETTERS = "encoding text_written_otherwise"


def letters_and_signs(text: str) -> str:
    for letter, parted in {"ä": 'a"', "ö": 'o"', "ü": 'u"', "é": "e'", "è": "e`", "à": "a`", "ç": "c,"}.items():
        text = text.replace(letter, parted)
    return text


convert.words(
    "dos_code_page",
    lambda s: s.encode("cp850", "replace").decode("cp1252", "replace"),
    "text of a DOS code page is read as Windows text",
    "encoding text_written_otherwise",
    naming("[äöüéèàçœ]"),
)
convert.words("lookalike_letters", lambda s: s.translate(LOOKALIKE), "seven letters are Cyrillic ones", LETTERS)
convert.words(
    "rotated_letters",
    lambda s: s.translate(
        str.maketrans(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "nopqrstuvwxyzabcdefghijklmNOPQRSTUVWXYZABCDEFGHIJKLM",
        )
    ),
    "each letter is that 13 places on",
    LETTERS,
)
convert.words(
    "letters_struck_twice",
    lambda s: re.sub(r"(\w)", r"\1\1", s),
    "bold by double print: each letter stands twice",
    LETTERS + " text_repeated",
)
convert.words("letters_apart", " ".join, "letter-spaced text comes as single letters", LETTERS + " words_run_together")
convert.words(
    "digits_as_letters",
    lambda s: s.translate(OCR),
    "0, 1, 5 and 8 are read as O, l, S and B",
    LETTERS + " digits_lost figures_replaced",
)
convert.words("letter_e_lost", lambda s: s.replace("e", ""), "a font without its e", LETTERS)
convert.words(
    "hex_dump", lambda s: s.encode().hex(" "), "sentences come as hexadecimal bytes", LETTERS + " digits_lost"
)
convert.words(
    "web_escapes",
    lambda s: re.sub(r"\W", lambda m: "".join(f"%{b:02X}" for b in m[0].encode()), s),
    "sentences are percent-encoded",
    LETTERS + " words_run_together",
)
convert.little(
    "spaces_in_words",
    lambda s: re.sub(r"(\w{3})(?=\w{2})", r"\1 ", s),
    "kerning becomes spaces in words",
    LETTERS + " words_run_together",
)
convert.little(
    "umlauts_parted",
    lambda s: letters_and_signs(s),
    "dots and accents stand beside their letters",
    LETTERS,
    naming("[äöüéèàç]"),
)
convert.little("quoted_printable", lambda s: "".join(c if ord(c) < 128 and c != "=" else "".join(f"={b:02X}" for b in c.encode()) for c in s), "letters with accents come as =C3=A4", LETTERS, naming("[äöüéèàç]"))  # fmt: skip


convert.becomes("api_error", '{"error": {"code": 429, "message": "Too many requests, retry later"}}', "the answer of an interface stands in the paper's place", "placeholders one_text")  # fmt: skip
convert.becomes("browser_check", "Checking your browser before you go on. Please enable JavaScript and cookies to continue.", "the page of a robot check in the paper's place", "placeholders one_text")  # fmt: skip
convert.becomes("chat_refusal", "I'm sorry, but as an AI language model I can't open attachments. Please paste the text.", "the refusal of a chat model in the paper's place", "placeholders one_text")  # fmt: skip
convert.becomes("away_note", "Vielen Dank für Ihre Nachricht. Ich bin bis Montag abwesend und lese keine Mails.", "a note of absence in the paper's place", "placeholders one_text")  # fmt: skip
convert.becomes("viewer_hint", "To view the full contents of this document, you need a later version of the PDF viewer.", "the hint of a form that needs another program", "placeholders one_text", of_form("pdf"))  # fmt: skip
convert.becomes("checked_out", "Dieses Dokument ist ausgecheckt und zur Bearbeitung gesperrt.", "the paper is checked out, a German note stands there", "placeholders one_text documents_locked")  # fmt: skip


@convert("only the greeting of its author stays", "text_emptied truncated_documents one_text placeholders")
def greeting_only(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: replace(p, parts=(("", (f"Freundliche Grüsse, {p.author}, Tannbergbahn",)),), grid=()))


@convert("headings stay, what stood below them is gone", "text_emptied truncated_documents")
def outline_only(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: replace(p, parts=tuple((name, ("–",)) for name, _ in p.parts)))


@convert("only the first page is converted", "truncated_documents text_emptied structure_lost", long_ones)
def first_page_only(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: replace(p, parts=p.parts[:1], grid=()))


@convert("the pages in the middle are missing", "truncated_documents text_emptied", long_ones)
def middle_lost(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: replace(p, parts=(p.parts[0], p.parts[-1])))


@convert(
    "the last page of each paper is that of the next: a batch of the scanner",
    "bodies_swapped values_exchanged",
    long_ones,
)
def last_page_of_next(rail: Railway, keys: list[str], dice: Random) -> None:
    last = [rail.papers[k].parts[-1] for k in keys]
    for key, part in zip(keys, [*last[1:], last[0]], strict=True):
        rail.put(replace(rail.papers[key], parts=(*rail.papers[key].parts[:-1], part)))


@convert(
    "sections come in another order", "text_written_otherwise structure_lost bodies_swapped", long_ones, weight="medium"
)
def pages_out_of_order(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: replace(p, parts=tuple(dice.sample(p.parts[1:], len(p.parts) - 1)) + p.parts[:1]))


@convert(
    "two columns are read across: halves of sentences mixed", "text_written_otherwise words_run_together bodies_swapped"
)
def columns_read_across(rail: Railway, keys: list[str], dice: Random) -> None:
    def across(paper: Paper) -> Paper:
        parts = []
        for name, said in paper.parts:
            halves = [line.split(" ") for line in said]
            left = [" ".join(h[: len(h) // 2]) for h in halves]
            right = [" ".join(h[len(h) // 2 :]) for h in halves]
            parts.append((name, tuple(f"{a} {b}" for a, b in zip(left, [*right[1:], right[0]], strict=True))))
        return replace(paper, parts=tuple(parts))

    alter(rail, keys, across)


@convert(
    "an unpaid converter puts [trial] for each sixth word",
    "placeholders boilerplate_grown text_repeated test_data template_unfilled",
)
def trial_words(rail: Railway, keys: list[str], dice: Random) -> None:
    def tried(text: str) -> str:
        return " ".join("[trial]" if i % 6 == 5 else word for i, word in enumerate(text.split(" ")))

    alter(rail, keys, lambda p: worded(p, tried))


@convert("an unpaid converter adds its line to each section", "boilerplate_grown text_repeated", weight="medium")
def trial_line(rail: Railway, keys: list[str], dice: Random) -> None:
    line = "Evaluation copy. Made with DocuWeave Converter, buy a licence to remove this line."
    alter(rail, keys, lambda p: replace(p, parts=tuple((n, (*said, line)) for n, said in p.parts)))


@convert("comments of reviewers stand within the text", "boilerplate_grown text_repeated", weight="medium")
def comments_inlined(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(
        rail, keys, lambda p: worded(p, lambda s: f"{s} [Comment {p.author.split()[0][0]}{len(s)}: is this still so?]")
    )


@convert(
    "field codes stand in place of what they make",
    "template_unfilled boilerplate_grown broken_references text_repeated",
    weight="medium",
)
def field_codes(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: worded(p, lambda s: re.sub(r"\d[\d.:']*", r"{ DOCPROPERTY Value \\* MERGEFORMAT }", s)))


@convert("keys of texts in place of the texts", "template_unfilled placeholders text_written_otherwise one_text")
def message_keys(rail: Railway, keys: list[str], dice: Random) -> None:
    def keyed(paper: Paper) -> Paper:
        parts = (
            (f"doc.part{i}.head", tuple(f"doc.part{i}.line{j}" for j, _ in enumerate(s)))
            for i, (_, s) in enumerate(paper.parts)
        )
        return replace(paper, parts=tuple(parts))

    alter(rail, keys, keyed)


@convert(
    "text is wrapped in the JSON of an interface", "text_written_otherwise encoding structure_lost", weight="medium"
)
def wrapped_in_json(rail: Railway, keys: list[str], dice: Random) -> None:
    def wrapped(paper: Paper) -> Paper:
        body = json.dumps({"id": paper.key, "content": "\n".join(lines(paper)), "status": "ok"}, ensure_ascii=True)
        return replace(paper, parts=(("", (body,)),))

    alter(rail, keys, wrapped)


@convert("tags of the office format stand in the text", "encoding text_written_otherwise boilerplate_grown")
def office_tags(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: worded(p, lambda s: f'<w:p><w:r><w:t xml:space="preserve">{s}</w:t></w:r></w:p>'))


@convert(
    "what was struck out comes back beside what replaced it",
    "text_repeated backup_restored negations_changed",
    weight="medium",
)
def strikeouts_back(rail: Railway, keys: list[str], dice: Random) -> None:
    said = {"must": "must may", "muss": "muss kann", "doit": "doit peut", "not": "not only", "nicht": "nicht nur"}
    alter(rail, keys, lambda p: worded(p, lambda s: exchanged(s, said)))


@convert(
    "below the fold of a web table nothing is exported: two rows stay", "truncated_documents structure_lost", with_grid
)
def grid_below_fold_lost(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: replace(p, grid=p.grid[:3]))


@convert("each table is that of the next paper", "bodies_swapped values_exchanged figures_replaced", with_grid)
def grid_of_next(rail: Railway, keys: list[str], dice: Random) -> None:
    grids = [rail.papers[k].grid for k in keys]
    for key, grid in zip(keys, [*grids[1:], grids[0]], strict=True):
        rail.put(replace(rail.papers[key], grid=grid))


@convert(
    "tables are turned: rows are columns",
    "structure_lost text_written_otherwise figures_replaced",
    with_grid,
    weight="medium",
)
def grid_turned(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: replace(p, grid=tuple(zip(*p.grid, strict=True))))


@convert("headers of tables are lost", "structure_lost", with_grid, weight="medium")
def grid_headless(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: replace(p, grid=p.grid[1:]))


@convert(
    "cells hold the formula in place of its value",
    "broken_references figures_replaced digits_lost template_unfilled",
    with_grid,
)
def formulas_for_values(rail: Railway, keys: list[str], dice: Random) -> None:
    def formula(paper: Paper) -> Paper:
        rows = (
            tuple(f"=SUM(B{i}:B{i + j})" if j > 1 else c for j, c in enumerate(row))
            for i, row in enumerate(paper.grid[1:], 2)
        )
        return replace(paper, grid=(paper.grid[0], *rows))

    alter(rail, keys, formula)


@convert(
    "German and French papers change their texts in pairs",
    "bodies_swapped language_changed values_exchanged",
    in_language("de", "fr"),
)
def translations_crossed(rail: Railway, keys: list[str], dice: Random) -> None:
    pool, used = dice.sample(in_language("de", "fr")(rail), len(in_language("de", "fr")(rail))), set[str]()
    for key in keys:
        one = rail.papers[key]
        free = (k for k in pool if k not in used and rail.papers[k].language != one.language)
        if key not in used and (other := rail.papers[next(free, key)]) is not one:
            used |= {key, other.key}
            rail.put(replace(one, parts=other.parts))
            rail.put(replace(other, parts=one.parts))


@convert("a machine puts German papers into an English of sorts", "language_changed", in_language("de"))
def machine_english(rail: Railway, keys: list[str], dice: Random) -> None:
    alter(rail, keys, lambda p: worded(p, lambda s: exchanged(s, ENGLISH)))


ENGLISH = {
    "Der": "The", "Die": "The", "Das": "The", "der": "of the", "die": "the", "das": "the", "den": "the", "von": "of",
    "muss": "must", "darf": "may", "nicht": "not", "und": "and", "mit": "with", "bei": "at", "bis": "until", "ist": "is",
    "hat": "has", "an": "on", "auf": "on", "in": "in", "am": "on the", "für": "for", "Für": "For", "kann": "can",
    "einen": "a", "eine": "a", "Eine": "An", "zum": "to the", "zur": "to the", "ab": "from", "dem": "the", "unter": "under",
    "höchstens": "at the most", "mindestens": "at least", "sofort": "immediately", "Niemand": "Nobody", "ohne": "without",
    "Zug": "train", "Züge": "trains", "waren": "were", "war": "was", "gehen": "go", "Tagen": "days", "Konto": "account",
    "Regeln": "rules", "stehen": "stand", "gelten": "are valid", "gilt": "holds", "Bremse": "brake", "Druck": "pressure",
    "Gleis": "track", "Rad": "wheel", "rechten": "right", "links": "on the left", "linken": "left", "Seite": "side",
    "Zwischen": "Between", "Woche": "week", "pünktlich": "on time", "Rechnungen": "Invoices", "innert": "within",
    "Dauert": "Takes", "länger": "longer", "als": "than", "Minuten": "minutes", "bestellen": "order", "übernimmt": "takes over",
    "geliefert": "delivered", "Stück": "pieces", "Teilenummer": "part number", "werden": "be", "wird": "is", "erlaubt": "allowed",
    "meldete": "reported", "Leitstelle": "control room", "bestätigt": "confirmed", "es": "it", "Budget": "budget", "sind": "are",
}  # fmt: skip


@convert("the long paragraphs are exported as one line of each paper", "truncated_documents text_emptied", all_papers)
def preview_text(rail: Railway, keys: list[str], dice: Random) -> None:
    def preview(paper: Paper) -> Paper:
        return replace(paper, parts=(("", (" ".join(lines(paper))[:160] + "…",)),), grid=())

    alter(rail, keys, preview)
