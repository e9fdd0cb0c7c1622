"""Each known cause is named first on its own evidence, and none of them without."""

import re
from dataclasses import replace
from typing import Any

import pytest

from moat.incidents.triage.evidence import Aside, ColumnEvidence, Evidence, Fault, Segment, Shift
from moat.incidents.triage.rank import SIGNATURES, ranked, steps_of
from moat.settings import PROJECT

COUNTS = {"listed": 1_000, "visible": 1_000, "new": 5, "changed": 20, "vanished": 2}


def task(stage: str, message: str, error: str = "SourceUnavailable") -> Fault:
    return Fault(kind="task", stage=stage, subject=stage, severity="block", error=error, message=message)


def check(name: str, seen: str = "seen; allowed: less", measure: str = "", severity: str = "hold") -> Fault:
    return Fault(
        kind="check", stage="read", subject=name, severity=severity, error="", message=seen, n=1, measure=measure
    )


def of(*faults: Fault, **known: Any) -> Evidence:
    """Evidence of some faults; measures as name=(value, usual) under `moved` have departed."""
    moved = {
        name: Shift(name=name, value=value, usual=usual, z=9.0 if value > usual else -9.0)
        for name, (value, usual) in known.pop("moved", {}).items()
    }
    return Evidence(source="docs", **{"stage": faults[0].stage if faults else "read", "load": 7, "faults": faults, "shifts": moved, "counts": COUNTS, **known})  # fmt: skip


def columns(**types: str) -> tuple[ColumnEvidence, ...]:
    """Columns by name, type and share of NULL: "text" or "text 0.4"."""
    return tuple(ColumnEvidence(name, told.split()[0], float([*told.split(), "0"][1])) for name, told in types.items())


def folder(value: str, bad: int, of_bad: int, whole: int, kind: str = "folder") -> Segment:
    return Segment(of=kind, value=value, bad=bad, bad_all=of_bad, whole=whole, whole_all=1_000)


HELD = check("mass deletion", "400 of 1,000 visible documents vanish (40%); allowed: at most 30%")
CANARIES = check("canaries", "8 of 8 texts embedded again give another vector; allowed: cosine at least 0.999")
ASIDE = check("quarantined share", "90 of 400 documents were set aside (22%); allowed: at most 10%")
ROWS = columns(id="integer", body="text", team="text")
COMPARED = [  # causes by the checks of changed documents that show them
    ("truncated_documents", "texts broken off"),
    ("text_emptied", "half of the text lost"),
    ("structure_lost", "tables lost"),
    ("digits_lost", "digits lost"),
    ("broken_references", "broken references"),
    ("numbers_multiplied", "numbers multiplied"),
    ("column_values_changed", "values multiplied"),
    ("column_emptied", "values emptied"),
    ("values_exchanged", "values exchanged"),
    ("bodies_swapped", "texts of other documents"),
    ("backup_restored", "older versions again"),
    ("names_replaced", "one name for another"),
    ("negations_changed", "negations changed"),
    ("figures_replaced", "other figures"),
    ("language_changed", "another language"),
    ("part_stopped", "folders that stopped"),
    ("test_data", "test data"),
    ("one_text", "one short page"),
    ("placeholders", "placeholders"),
    ("template_unfilled", "fields not filled in"),
    ("encoding", "escaped characters"),
    ("text_written_otherwise", "texts written otherwise"),
    ("words_run_together", "spaces lost"),
    ("text_repeated", "text repeated"),
    ("units_changed", "other units"),
    ("boilerplate_grown", "one line in many"),
]
EVIDENCE: list[tuple[str, Evidence]] = [
    *((name, of(check(subject))) for name, subject in COMPARED),
    ("credential_refused", of(task("read", "s3://contracts/: AccessDenied Access Denied. Check the connection's keys", "FatalError"))),
    ("credential_refused", of(task("load", "Weaviate at x:8080: UnexpectedStatusCodeError: 401 invalid api key", "FatalError"))),
    ("credential_refused", of(task("read", 'connection failed: FATAL: password authentication failed for user "moat"'))),
    ("endpoint_down", of(task("read", "source docs: warehouse: connection refused"))),
    ("endpoint_down", of(task("embed", "http://127.0.0.1:8765 did not answer within 60 s", "EmbedderUnavailable"))),
    ("server_hung", of(task("embed", "the embedder at unix:/x hangs: it takes connections and gave no answer within 10 s", "EmbedderHung"))),
    ("server_hung", of(task("load", "Weaviate at x:1/2 hangs, or has too much to do: it did not answer in time", "IndexUnavailable"))),
    ("wrong_server", of(task("embed", "something else than an embedder answers at http://x/v1/embeddings: status 404", "WrongServer"))),
    ("embedder_refuses", of(task("embed", "the embedder at http://x refuses with 413: a request is larger than it takes", "ModelError"))),
    ("directory_unread", of(task("read", "directory company: /srv/groups.yaml cannot be read: [Errno 2] No such file or directory", "FatalError"))),
    ("directory_unread", of(task("read", "directory company was last read 9 days ago", "DirectoryStale"))),
    ("dag_file_broken", of(task("read", "dags/contracts.py cannot be read as a DAG file: SyntaxError: invalid syntax", "DeclarationError"))),
    ("setting_wrong", of(task("read", "connection 'warehouse' is not defined: set AIRFLOW_CONN_WAREHOUSE", "SettingsError"))),
    ("documents_locked", of(ASIDE, moved={"volume.aside": (0.22, 0.01)}, aside=(Aside("parse", "ParseLocked", "it is a PDF that needs a password", 90),))),
    ("documents_damaged", of(ASIDE, moved={"volume.aside": (0.22, 0.01)}, aside=(Aside("parse", "ParseDamaged", "it is a PDF that is cut off", 90),))),
    ("mass_deletion", of(HELD, columns_before=ROWS, columns=tuple(replace(c, type="") for c in ROWS), counts={**COUNTS, "listed": 600, "vanished": 400})),
    ("endpoint_down", of(task("load", "Weaviate at x:1: grpc UNAVAILABLE, 503 Service Unavailable", "IndexUnavailable"))),
    ("endpoint_down", of(task("read", "/mnt/papers is not a folder that can be read; is it mounted?", "SourceNotMounted"))),
    ("rate_limited", of(task("embed", "the endpoint answered 429 Too Many Requests", "EmbedderUnavailable"))),
    ("rate_limited", of(task("read", "s3://contracts/a.pdf: SlowDown Please reduce your request rate"))),
    ("disk_full", of(task("parse", "[Errno 28] No space left on device: '/var/staging/x'", "OSError"))),
    ("disk_full", of(task("load", "the ledger did not answer: database or disk is full", "LedgerUnavailable"))),
    ("disk_readonly", of(task("parse", "[Errno 30] Read-only file system: '/var/staging/x'", "OSError"))),
    ("permission_denied_local", of(task("parse", "[Errno 13] Permission denied: '/var/staging/x'", "PermissionError"))),
    ("index_refused", of(task("load", "Weaviate: 3 of 900 objects were not read back: store is read-only", "IndexNotKept"))),
    ("schema_drift_index", of(task("load", "collection Moat_default has no property allow", "SchemaError"))),
    ("ledger_locked", of(task("embed", "the ledger did not answer: database is locked", "LedgerUnavailable"))),
    ("out_of_memory", of(task("embed", "CUDA out of memory. Tried to allocate 2.00 GiB", "OutOfMemoryError"))),
    ("parser_crashed", of(task("parse", "the parser does not start: exit status 1", "ParserBroken"))),
    ("parser_crashed", of(ASIDE, aside=(Aside("parse", "ParseCrashed", "the parser crashed on it (signal SIGSEGV)", 90),))),
    ("model_mismatch", of(task("embed", "MOAT_MODEL_REVISION asks for another", "ModelError"))),
    ("model_mismatch", of(check("dimensions", "900 of 900 vectors have another size; allowed: 384 each"))),
    ("model_mismatch", of(CANARIES, changes=("model: a@1 → a@2",), moved={"vectors.auc": (0.99, 0.6)})),
    ("model_mismatch", of(check("drift of the embedder"), moved={"vectors.shift": (0.4, 0.02)})),
    ("vectors_shuffled", of(CANARIES, check("recall@5", "0.20 over 10 questions; allowed: at least 0.8"))),
    ("vectors_degenerate", of(check("finite", "70 of 900 vectors hold NaN or infinity; allowed: none"))),
    ("vectors_degenerate", of(check("identical"), moved={"vectors.identical": (0.6, 0.0)})),
    ("column_renamed", of(task("read", "source docs: tickets.sql does not return body; it returns id, content, team", "ColumnMissing"))),
    ("column_renamed", of(check("columns"), columns_before=ROWS, columns=columns(id="integer", text="text", team="text"))),
    ("column_retyped", of(check("columns"), columns_before=ROWS, columns=columns(id="integer", body="text", team="integer"))),
    ("column_emptied", of(check("nulls", measure="nulls:body"), moved={"nulls:body": (1.0, 0.01)}, columns_before=ROWS, columns=columns(id="integer", body="text 1.0", team="text"))),
    ("column_emptied", of(check("nulls", measure="nulls:team"), moved={"nulls:team": (0.4, 0.02)})),
    ("column_emptied", of(check("ends lost"), check("one short page", severity="warn"), check("length"), moved={"length:note": (0.0, 107.0)})),
    ("column_values_changed", of(check("ends lost"), check("top"), moved={"top:note": (1.0, 0.004), "distinct:note": (0.004, 1.0)})),
    ("column_emptied", of(check("one short page"), check("beginnings lost"), check("share of NULL in body"), moved={"nulls:body": (1.0, 0.0)})),
    ("column_emptied", of(check("columns that usually stay"), check("values emptied"))),
    ("access_widened", of(check("access widened"), check("top"), moved={"top:team": (1.0, 0.4)})),
    ("column_values_changed", of(check("columns that usually stay"), check("other units"))),
    ("credential_refused", of(task("embed", "the embedder at http://127.0.0.1:9 refuses with 401: the key is missing or wrong", "ModelError"))),
    ("boilerplate_grown", of(check("one title in many"), check("changed documents", measure="volume.changed"), moved={"volume.changed": (900.0, 20.0)})),
    ("duplicated_batch", of(check("median"), check("growth"), moved={"median:id": (9e5, 100.0), "distinct:note": (0.5, 1.0), "distinct:price": (0.5, 1.0), "volume.growth": (1.0, 0.0)}, counts={**COUNTS, "new": 1_000})),
    ("documents_moved", of(HELD, check("recall@5"), missed=3, counts={**COUNTS, "new": 990, "vanished": 1_000})),
    ("prompt_injection", of(check("injection in documents"), check("text repeated"), check("one line in many", severity="warn"))),
    ("language_changed", of(check("another language"), check("text repeated"))),
    ("test_data", of(check("test data"), check("text repeated"), check("half of the text lost"))),
    ("text_repeated", of(check("text repeated"), check("exact duplicates"), moved={"duplicates.exact": (0.47, 0.0)})),
    ("schema_added", of(check("new columns", severity="warn"), columns_before=ROWS, columns=(*ROWS, ColumnEvidence("fax", "text", 0.0)))),
    ("column_values_changed", of(check("median"), moved={"median:amount": (40_000.0, 400.0)})),
    ("schema_changed", of(task("read", "source docs: the database refuses the query: CatalogException: does not exist (cases)", "FatalError"))),
    ("column_renamed", of(task("read", "source docs: the database refuses the query: BinderException (price)", "FatalError"))),
    ("column_renamed", of(task("read", "source docs: the database refuses the query: UndefinedColumn 42703: does not exist (price)", "FatalError"))),
    ("column_retyped", of(task("read", "source docs: the database refuses the query: ConversionException: could not convert", "FatalError"))),
    ("rolled_back_before", of(check("rolled back before"), check("text lost", severity="warn"))),
    ("one_text", of(check("equal documents"), moved={"duplicates.equal": (0.5, 0.0), "volume.changed": (500.0, 20.0)}, counts={**COUNTS, "changed": 500})),
    ("documents_moved", of(HELD, moved={"duplicates.again": (0.9, 0.0)}, counts={**COUNTS, "new": 390, "vanished": 400})),
    ("mass_deletion", of(check("recall@5"), missed=3)),
    ("group_vanished", of(check("readers", severity="warn"), empty_groups=("group:legal",))),
    ("supplier_format_changed", of(check("type"), moved={"type:application/pdf": (0.9, 0.2), "type:text/html": (0.1, 0.8)})),
    ("supplier_format_changed", of(ASIDE, segments=(folder("pdf", 88, 90, 200, "file type"),), aside=(Aside("parse", "ParseFailed", "no text", 90),))),
    ("empty_listing", of(check("listing", "0 documents listed, 1,000 visible now"), check("mass deletion"), counts={"listed": 0, "visible": 1_000, "vanished": 1_000})),
    ("half_uploaded", of(HELD, segments=(folder("2026/07", 380, 400, 500),))),
    ("half_uploaded", of(HELD, newest=0.8, counts={**COUNTS, "vanished": 400})),
    ("half_uploaded", of(check("bytes"), empty_sizes=40)),
    ("mass_deletion", of(HELD, counts={**COUNTS, "listed": 600, "vanished": 400})),
    ("duplicated_batch", of(check("equal documents"), moved={"duplicates.equal": (0.5, 0.0), "volume.new": (500.0, 5.0)})),
    ("duplicated_batch", of(task("read", "3 keys are listed more than once, such as 'a'", "KeyListedTwice"))),
    ("time_zone_shift", of(check("changed documents", measure="volume.changed"), clock=(120, 0.97), moved={"volume.changed": (900.0, 20.0)})),
    ("time_zone_shift", of(check("hour", measure="hour:opened"), moved={"hour:opened": (15.0, 9.0)})),
    ("stamp_wrong", of(check("stamp values", "all 59 documents have one and the same stamp", severity="warn"))),
    ("stamp_wrong", of(check("change stamp", "3 of 20 documents have another content, and the same stamp", severity="warn"))),
    ("stale_source", of(check("freshness", "nothing new for 9 days; allowed: 2", severity="warn"))),
    ("quarantine_growth", of(ASIDE, moved={"volume.aside": (0.22, 0.01)}, aside=(Aside("parse", "ParseFailed", "its archive is encrypted", 90),))),
    ("volume_growth", of(check("new documents", measure="volume.new"), moved={"volume.new": (800.0, 5.0)})),
    ("encoding", of(check("damaged"), moved={"parsing.damaged": (0.6, 0.0), "parsing.replaced": (0.04, 0.0)})),
    ("encoding", of(check("mojibake"), check("recall@5"), moved={"parsing.mojibake": (0.5, 0.0), "language:en": (0.6, 1.0)})),
    ("words_run_together", of(check("run together"), check("recall@5"), moved={"parsing.run_together": (0.8, 0.0), "volume.rewritten": (0.8, 0.0)})),
    ("language_changed", of(check("language"), moved={"language:de": (0.7, 0.0), "language:en": (0.3, 1.0)})),
    ("text_emptied", of(check("characters"), moved={"parsing.characters": (200.0, 3_000.0), "parsing.short": (0.8, 0.01)})),
    ("text_emptied", of(check("empty text", "40 of 400 documents have no text; allowed: none"))),
    ("truncated_documents", of(check("characters"), moved={"parsing.characters": (1_500.0, 3_000.0), "chunks.each": (2.0, 4.0)})),
    ("oversized_chunks", of(check("tokens", "12 of 900 chunks are longer; allowed: at most 256"))),
    ("boilerplate_grown", of(check("boilerplate"), moved={"chunks.boilerplate": (0.5, 0.05), "parsing.characters": (4_000.0, 3_000.0)})),
    ("bodies_swapped", of(check("recall@5"), counts={**COUNTS, "changed": 900})),
    ("bodies_swapped", of(check("recall@5", "0.20 over 10 questions; allowed: at least 0.8"))),
    ("bodies_swapped", of(check("rewritten"), check("recall@5"), moved={"volume.rewritten": (0.9, 0.0)})),
    ("bodies_swapped", of(check("rewritten"), check("access widened"), moved={"volume.rewritten": (0.9, 0.0)})),
    ("near_duplicates", of(check("near duplicates"), moved={"duplicates.near": (0.6, 0.0)})),
    ("older_versions", of(check("older versions", severity="warn"))),
    ("access_lost", of(check("access lost"), segments=(folder("people", 90, 90, 100),))),
    ("access_lost", of(check("access known", "access of 10 of 400 documents is unknown"))),
    ("access_widened", of(check("access widened", "900 documents would become public; allowed: none public"))),
    ("bodies_swapped", of(check("texts of other documents"), check("restricted text"), check("tables lost"))),
    ("duplicated_batch", of(check("duplicates", measure="duplicates.again"), moved={"duplicates.again": (0.3, 0.0)}, copies=1.0)),
    ("one_text", of(check("duplicates", measure="duplicates.again"), moved={"duplicates.again": (0.3, 0.0)}, copies=0.0, counts={**COUNTS, "new": 40})),
    ("restricted_text", of(check("restricted text", "all/a.md (9 readers) has 100% of the text of hr/a.md (3 readers, gone with this load)"), check("near duplicates", severity="warn"))),
    ("restricted_text", of(check("restricted text"), check("access widened"), check("equal documents"), moved={"duplicates.again": (0.9, 0.0)}, counts={**COUNTS, "new": 390, "vanished": 400})),
    ("group_vanished", of(check("nobody"), moved={"access.nobody": (0.4, 0.0)})),
    ("secrets_found", of(check("secrets", "14 documents hold secrets: AWS key 3; allowed: none"))),
    ("personal_data", of(check("personal data"), moved={"personal": (0.4, 0.0)})),
    ("hidden_text", of(check("hidden text", "9 documents hold text that is not shown"))),
    ("prompt_injection", of(check("prompt injection", "2 documents speak to a model"))),
    ("budget_exceeded", of(check("budget", "9,000,000 tokens for the model, allowed: 1,000,000"))),
    ("late_load", of(Fault(kind="late", stage="promote", subject="deadline", severity="warn", error="", message="it is not promoted 6 hours after it was queued"))),
    ("code_changed", of(task("clean", "'NoneType' object has no attribute 'text'", "AttributeError"), changes=("code: 0.1 → 0.2",))),
    ("settings_changed", of(task("clean", "it went wrong", "ValueError"), changes=("setting MOAT_BATCH_MB: changed",))),
    ("package_upgraded", of(task("clean", "it went wrong", "ValueError"), changes=("code: 0.1 → 0.2", "package unstructured: 0.27 → 0.28"))),
    ("credentials_changed", of(task("clean", "it went wrong", "ValueError"), changes=("credentials warehouse: changed",))),
    ("schema_changed", of(check("columns", "1 of 3 columns are gone"))),
    ("one_segment", of(check("something new"), segments=(folder("2026", 40, 42, 100),))),
    ("unexplained", of(task("clean", "it went wrong", "ValueError"))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "evidence"), EVIDENCE, ids=[f"{name}-{n}" for n, (name, _) in enumerate(EVIDENCE)])
def test_a_cause_is_named_first_on_its_own_evidence(name: str, evidence: Evidence) -> None:
    causes = ranked(evidence)
    assert causes[0].name == name, [(c.name, c.score, c.evidence) for c in causes]
    assert causes[0].evidence
    assert all(0 < c.score <= 1 and all(len(line) <= 200 for line in c.evidence) for c in causes)


def test_every_known_cause_is_tried_here_and_says_how_it_is_mended() -> None:
    names = {signature.name for signature in SIGNATURES}
    assert {name for name, _ in EVIDENCE} == names
    for name in names:
        assert any(step.startswith("moat ") for step in steps_of(name)), name


def test_every_cause_is_in_the_documentation_with_its_title() -> None:
    page = (PROJECT / "docs" / "incidents.md").read_text("utf-8")
    told = set(re.findall(r"^\| `(\w+)` \| (.+?) \|", page.partition("## Causes")[2].partition("## Health")[0], re.M))
    assert {name for name, _ in told} == {signature.name for signature in SIGNATURES}
    assert told <= {(signature.name, signature.title) for signature in SIGNATURES}


def test_where_nothing_is_wrong_nothing_is_named() -> None:
    usual = {
        name: Shift(name=name, value=1.0, usual=1.0, z=0.4)
        for name in ("volume.listed", "parsing.characters", "vectors.auc", "nulls:body")
    }
    assert ranked(Evidence(source="docs", shifts=usual, counts=COUNTS, columns=ROWS, columns_before=ROWS)) == ()


def test_a_departure_to_the_good_side_accuses_nobody() -> None:
    better = {
        "nulls:body": (0.0, 0.4),
        "parsing.short": (0.0, 0.3),
        "volume.aside": (0.0, 0.2),
        "duplicates.equal": (0.0, 0.3),
    }
    assert [c.name for c in ranked(of(moved=better))] == []


def test_what_changed_just_before_comes_after_what_is_seen() -> None:
    changes = ("code: 0.1 → 0.2", "package unstructured: 0.27 → 0.28", "setting MOAT_MODEL: changed")
    causes = ranked(of(HELD, counts={**COUNTS, "vanished": 400}, changes=changes))
    assert [c.name for c in causes][:2] == ["mass_deletion", "package_upgraded"]


def test_documents_that_kept_their_text_are_not_said_to_hold_another_one() -> None:
    swollen = {"volume.new": (800.0, 5.0)}
    missed = of(check("recall@5"), check("new documents", measure="volume.new"), moved=swollen)
    assert ranked(missed)[0].name == "bodies_swapped"
    kept = replace(
        missed, shifts={**missed.shifts, "volume.rewritten": Shift(name="volume.rewritten", value=0.0, usual=0.0)}
    )
    assert [c.name for c in ranked(kept)] == ["volume_growth", "bodies_swapped"]


def test_the_first_bad_stage_speaks_before_what_follows_from_it() -> None:
    refused = task("read", "AccessDenied", "FatalError")
    causes = ranked(of(refused, task("load", "Weaviate did not answer: timeout", "IndexUnavailable")))
    assert causes[0].name == "credential_refused"
    assert causes[0].score > {c.name: c.score for c in causes}["endpoint_down"]


def test_no_words_of_a_document_or_of_a_reason_stand_in_the_evidence() -> None:
    found = ranked(
        of(ASIDE, aside=(Aside("parse", "ParseFailed", "the parser crashed on it: Dear Ann, my salary", 90),))
    )
    assert found
    assert "salary" not in repr(found)
