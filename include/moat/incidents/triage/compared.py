"""Causes that show when changed documents are compared with their last version."""

from collections.abc import Callable

from moat.incidents.triage.evidence import Evidence, Signs, signs
from moat.incidents.triage.signature import AGAIN, DECLARE, LOOK, REJECT, RELEASE, ROLLBACK, Signature

LESS_SURE = 20  # of the score, where all checks only warn: chance is not out of the question
SEE = "compare a few of the documents that the report names with their source"


def _failed(*checks: str, score: int = 96) -> Callable[[Evidence], Signs]:
    """A rule that looks for failed checks by their names."""
    pattern = rf"^({'|'.join(checks)})$"

    def look(e: Evidence) -> Signs:
        found = e.failed(pattern)
        sure = any(fault.severity != "warn" for fault in found)
        part = e.part("file type", "parser", "folder", "author")
        return signs(score if sure else score - LESS_SURE, found, part) if found else Signs()

    return look


COMPARED = (
    Signature("rolled_back_before", "A load that a person took back would come again", _failed("rolled back before", score=100), (LOOK, REJECT, RELEASE)),
    Signature("truncated_documents", "Documents are cut off", _failed("texts broken off", "ends lost", "beginnings lost", "sentences lost", "values cut"), ("see whether the export of {source} is cut off", REJECT, AGAIN, ROLLBACK)),
    Signature("placeholders", "Pages that stand in the place of documents", _failed("placeholders", "new placeholders", score=98), ("bring the real files of {source}: open one that the report names", REJECT, AGAIN, ROLLBACK)),
    Signature("template_unfilled", "Fields are not filled in", _failed("fields not filled in", score=97), ("see what fills in the documents of {source}", REJECT, AGAIN, ROLLBACK)),
    Signature("encoding", "Characters are broken", _failed("escaped characters", "other letters", "letters that are no words", score=98), ("see what converts the documents of {source}, and its encoding", REJECT, AGAIN, ROLLBACK)),
    Signature("text_written_otherwise", "The same text is written in another way", _failed("texts written otherwise", "words in another order", score=89), (SEE, RELEASE, REJECT, ROLLBACK)),
    Signature("words_run_together", "The spaces between words are lost", _failed("spaces lost", score=98), ("see whether the export of {source} or its parser drops spaces", REJECT, AGAIN, ROLLBACK)),
    Signature("text_repeated", "Documents repeat their own text", _failed("text repeated", "one word for many", score=93), ("see what converts the documents of {source}", REJECT, AGAIN, ROLLBACK)),
    Signature("units_changed", "Numbers stand with another unit, currency or sign", _failed("other units", score=94), (SEE, RELEASE, REJECT, ROLLBACK)),
    Signature("boilerplate_grown", "A template repeats in most documents", _failed("one line in many", "one title in many", "another company in many", score=86), (LOOK, RELEASE, REJECT, DECLARE)),
    Signature("text_emptied", "Text is missing from documents", _failed("half of the text lost", score=75), (LOOK, REJECT, AGAIN, ROLLBACK)),
    Signature("structure_lost", "Tables, headings or links are lost from documents", _failed("tables lost", "headings lost", "links lost", score=97), ("see what converts the documents of {source}", REJECT, AGAIN, ROLLBACK)),
    Signature("digits_lost", "Numbers are lost from documents", _failed("digits lost", "decimals lost", score=97), ("see what converts the documents of {source}, and their fonts", REJECT, AGAIN, ROLLBACK)),
    Signature("broken_references", "Sheets have cells with errors", _failed("broken references", score=98), ("open a sheet that the report names: a file it refers to is gone", REJECT, AGAIN, ROLLBACK)),
    Signature("test_data", "Test data stands where documents should", _failed("test data", "new test data", score=96), ("see whether {source} reads the system that people work in", REJECT, AGAIN, ROLLBACK)),
    Signature("numbers_multiplied", "Numbers were multiplied by one factor", _failed("numbers multiplied"), (SEE, RELEASE, REJECT, ROLLBACK)),
    Signature("column_values_changed", "A column holds other values than usual", _failed("values multiplied", "values moved by one amount", "one value for many", "values written otherwise"), (SEE, RELEASE, REJECT, ROLLBACK)),
    Signature("column_values_changed", "A column holds other values than usual", _failed("columns that usually stay", score=95), (SEE, RELEASE, REJECT, ROLLBACK)),
    Signature("column_emptied", "A column is empty where it was not", _failed("values emptied", score=97), (SEE, RELEASE, REJECT, ROLLBACK)),
    Signature("values_exchanged", "Values stand at other documents or rows", _failed("numbers exchanged", "values exchanged", "values at other rows", "cells in another order", score=97), (SEE, REJECT, AGAIN, ROLLBACK)),
    Signature("bodies_swapped", "Documents hold other texts than they should", _failed("texts of other documents", score=99), (SEE, REJECT, AGAIN, ROLLBACK)),
    Signature("bodies_swapped", "Documents hold other texts than they should", _failed("sentences of other documents", score=99), (SEE, REJECT, AGAIN, ROLLBACK)),
    Signature("backup_restored", "An older state of the source came back", _failed("older versions again", score=98), ("see whether a backup of {source} was restored over the live documents", REJECT, AGAIN, ROLLBACK)),
    Signature("names_replaced", "One name stands in the place of another", _failed("one name for another", "one word for another", score=86), (SEE, RELEASE, REJECT, ROLLBACK)),
    Signature("negations_changed", "Sentences say the opposite of what they said", _failed("negations changed", score=95), (SEE, RELEASE, REJECT, ROLLBACK)),
    Signature("figures_replaced", "The same words stand with other numbers", _failed("numbers changed by one rule", score=92), (SEE, RELEASE, REJECT, ROLLBACK)),
    Signature("figures_replaced", "The same words stand with other numbers", _failed("other figures", "other contents of a form", score=80), (SEE, RELEASE, REJECT, ROLLBACK)),
    Signature("language_changed", "Documents are in another language", _failed("another language", score=94), (LOOK, RELEASE, DECLARE, REJECT)),
    Signature("part_stopped", "A part of the source brings nothing any more", _failed("folders that stopped", "values that stopped", score=70), ("see whether the export of that folder, or of those rows, of {source} still runs", AGAIN, DECLARE)),
    Signature("one_text", "Many documents hold the same text", _failed("one short page", score=98), (SEE, REJECT, AGAIN, ROLLBACK)),
)  # fmt: skip
