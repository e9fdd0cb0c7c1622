"""Causes in document content: text, encoding, language, unwanted content, access."""

import re

from moat.errors import AccessUnknown, NothingLeft, ParseUndecodable, RiskFound
from moat.incidents.triage.evidence import Evidence, Signs, signs
from moat.incidents.triage.signature import (
    ACCESS,
    AGAIN,
    DECLARE,
    DIRECTORIES,
    LOOK,
    REJECT,
    RELEASE,
    ROLLBACK,
    Signature,
)

DAMAGED = r"^parsing\.(replaced|damaged|mojibake)$"
RUN_TOGETHER = r"^parsing\.run_together$"
REWRITTEN = "volume.rewritten"
LANGUAGE = r"^language:"
TEXT = r"^parsing\.(characters|page)$|^length:"
SHORT = r"^parsing\.short$"
ALIKE = r"^(exact duplicates|equal documents|there already|duplicates\.(exact|equal|again))$"
GOLDEN = r"^(golden|recall|mrr)"
UNKNOWN = r"^access\.unknown|^access (lost|known)$"
PUBLIC = r"^access\.(public|wide|people|readers)|^(access widened|newly public|never for its asker)$"
MANY = 0.5  # of the visible documents
FEW = 0.2  # of the changed documents
EMPTIED, CUT = 0.4, 0.1  # of the usual length: below the first much is missing, above the second not everything


def _encoding(e: Evidence) -> Signs:
    found = [*e.moved(DAMAGED, "high"), *e.failed(r"^broken characters$")]
    garbled = e.aside_by(ParseUndecodable)
    most = sum(a.n for a in garbled) >= MANY * sum(a.n for a in e.aside)
    score = 92 if found else 91 if most and e.failed(r"^quarantined share$") else 55
    return signs(score, [*found, *garbled], e.part("file type", "folder")) if found or garbled else Signs()


def _run_together(e: Evidence) -> Signs:
    """Words without spaces between them: a parser or an export lost them."""
    return signs(
        90, e.moved(RUN_TOGETHER, "high"), e.moved(r"^chunks\.density$"), e.part("file type", "parser", "folder")
    )


def _language(e: Evidence) -> Signs:
    found = [s for s in e.moved(LANGUAGE) if s.name != "language:"]
    if found:
        return signs(88, found, e.part("folder", "author"))
    return signs(60, e.failed(r"^languages of new documents$"), e.part("folder", "author"))


def _text_lost(e: Evidence) -> bool:
    return bool(e.failed(r"^empty text$") or e.moved(TEXT, "low") or e.moved(SHORT, "high"))


def _emptied(e: Evidence) -> Signs:
    """Much text is missing: documents are empty, or pages have almost no text."""
    low = [
        s for s in e.moved(TEXT, "low") if s.usual and s.value < EMPTIED * s.usual and not s.name.startswith("length:")
    ]
    found = [*e.failed(r"^empty text$"), *e.moved(SHORT, "high"), *low]
    nothing = e.aside_by(NothingLeft)
    if not found and not nothing:
        return signs(45, e.moved(r"^chunks\.tokens\.p10$", "low"))  # a few have almost no text
    return signs(90 if found else 70, [*found, *nothing], e.part("file type", "parser", "folder"))


def _truncated(e: Evidence) -> Signs:
    """Documents are cut off: all have text, but less of it."""
    other = {
        s.name.removeprefix("form:").partition("=")[0] for s in e.moved(r"^form:")
    }  # shorter, and written differently
    low = [
        s
        for s in e.moved(f"{TEXT}|^chunks\\.each$", "low")
        if (not s.usual or s.value >= CUT * s.usual) and s.name.removeprefix("length:") not in other
    ]
    smaller = e.moved(r"^volume\.bytes$", "low")
    gone = e.moved(SHORT, "high") or e.failed(r"^empty text$")
    return signs(62 if gone else 84, low, smaller, e.part("file type", "folder")) if low else signs(57, smaller)


def _oversized(e: Evidence) -> Signs:
    block, shifts = e.failed(r"^tokens$"), e.moved(r"^chunks\.tokens\.", "high")
    return signs(93 if block else 70, [*block, *shifts])


def _template(e: Evidence) -> Signs:
    """The same text is in most documents, or all of them grew."""
    shifts = e.moved(r"^chunks\.boilerplate$", "high")
    longer = e.moved(r"^parsing\.characters$|^chunks\.each$", "high")
    return signs(89, shifts, longer) if shifts else signs(47, longer)


def _swapped(e: Evidence) -> Signs:
    """Changed documents keep little text, or questions find wrong ones, without another explanation."""
    missed = [*e.failed(GOLDEN), *e.moved(GOLDEN, "low")]
    rewritten = e.moved(f"^{re.escape(REWRITTEN)}$", "high")
    changed = e.ratio("changed", "visible")
    mass = changed >= MANY or bool(e.moved(r"^volume\.(changed|churn)$", "high"))
    if not (missed or rewritten) and (not mass or e.changes):
        return Signs()
    words = f"{e.count('changed'):,} of {e.count('visible'):,} visible documents have other content" if mass else ""
    # Wrong vectors or missing texts make questions miss, whatever the bodies say.
    without = e.failed(r"^(canaries|quarantined share)$") or _text_lost(e)
    if without or e.failed(ALIKE) or e.moved(f"{DAMAGED}|{LANGUAGE}|{RUN_TOGETHER}"):
        score = 55
    elif rewritten:
        score = 93 if e.failed(PUBLIC) else 87  # other readers as well: a key has been reused
    elif (share := e.shifts.get(REWRITTEN)) is not None and share.value < FEW:
        score = 30  # changed documents were compared with their old text and are still the same ones
    else:
        score = 72 + 8 * mass if missed else 60
    return signs(score, [*rewritten, *missed, *([words] if words else [])])


def _near(e: Evidence) -> Signs:
    found = [*e.failed(r"^near duplicates$"), *e.moved(r"^duplicates\.near$", "high")]
    return signs(84 if e.moved(r"^duplicates\.near$", "high") else 64, found)


def _older(e: Evidence) -> Signs:
    return signs(80, e.failed(r"^older versions$"))


def _unknown(e: Evidence) -> Signs:
    found = [*e.failed(UNKNOWN), *e.moved(UNKNOWN, "high")]
    rests = e.aside_by(AccessUnknown)
    if not (found or rests):
        return Signs()
    return signs(93 if found else 50, [*found, *rests], e.part("folder", "author"), e.changed("declared access"))


def _public(e: Evidence) -> Signs:
    found = [*e.failed(PUBLIC), *e.moved(PUBLIC, "high")]
    by_texts = e.failed(r"^restricted text$") or e.moved(f"^{re.escape(REWRITTEN)}$", "high")
    held = any(f.severity != "warn" for f in e.failed(r"^access widened$"))
    # What its column looks like comes after it; where texts moved, these come first.
    return (
        signs(98 if held and not by_texts else 92, found, e.part("folder"), e.changed("declared access"))
        if found
        else Signs()
    )


def _restricted(e: Evidence) -> Signs:
    """Text of few people stands in a document of many; the check names both."""
    return signs(98, e.failed(r"^restricted text$"), e.part("folder"))


def _nobody(e: Evidence) -> Signs:
    """A group that documents name has no members left."""
    fewer = [
        s for s in e.moved(r"^access\.(people|readers|wide)", "low") if s.failed
    ]  # otherwise chance in a small load
    found = [*e.moved(r"^access\.(nobody|empt|no_)", "high"), *fewer]
    found_checks = e.failed(r"group|nobody")
    empty = [f"nobody is in {group}" for group in e.empty_groups]
    gone = [*e.failed(r"^nobody left$"), *e.moved(r"^access\.emptied$", "high")]
    return signs(94 if empty and gone else 88 if empty else 86, [*empty, *found_checks, *found], e.part("folder"))


def _risk(kind: str, asked: str) -> "Signature":
    title, name, pattern = {
        "secrets": ("Documents hold keys or passwords", "secrets_found", r"secret"),
        "personal": ("Documents hold personal data", "personal_data", r"personal"),
        "hidden": ("Documents hold text that people do not see", "hidden_text", r"hidden|invisible"),
        "injection": ("Documents speak to a model", "prompt_injection", r"injection"),
    }[kind]

    def look(e: Evidence) -> Signs:
        found, shifts = e.failed(pattern), e.moved(pattern, "high")
        rests = [a for a in e.aside_by(RiskFound) if f"{kind}:" in a.reason]  # the reason lists "family:kind"
        if not (found or shifts or rests):
            return Signs()
        held = any(f.severity != "warn" for f in found)  # what it found is named, whatever else the texts look like
        return signs(
            99 if held else 91 if found or shifts else 66,
            [*found, *shifts, *rests],
            e.part("folder", "author", "file type"),
        )

    return Signature(name, title, look, (LOOK, asked, REJECT, RELEASE))


CONTENT = (
    Signature("encoding", "Characters are broken", _encoding, ("correct the encoding at {source}", REJECT, AGAIN, ROLLBACK)),
    Signature("words_run_together", "The spaces between words are lost", _run_together, ("see whether the export of {source} or its parser drops spaces", LOOK, REJECT, AGAIN)),
    Signature("language_changed", "Documents are in another language", _language, (LOOK, RELEASE, DECLARE, REJECT)),
    Signature("text_emptied", "Text is missing from documents", _emptied, (LOOK, REJECT, AGAIN, ROLLBACK)),
    Signature("truncated_documents", "Documents are cut off", _truncated, ("see whether the export of {source} is cut off", REJECT, AGAIN, ROLLBACK)),
    Signature("oversized_chunks", "Chunks are longer than the model takes", _oversized, ("lower Chunking.target_tokens of {source}, or see what changed in its format", REJECT, AGAIN)),
    Signature("boilerplate_grown", "A template repeats in most documents", _template, (LOOK, RELEASE, REJECT, DECLARE)),
    Signature("bodies_swapped", "Documents hold other texts than they should", _swapped, ("compare a few of the documents that the report names with their source", REJECT, AGAIN, ROLLBACK)),
    Signature("near_duplicates", "Documents are nearly the same as others", _near, (LOOK, RELEASE, REJECT)),
    Signature("older_versions", "Older versions stand beside newer ones", _older, ("take the older ones out of {source}, or leave them out by its patterns", LOOK, RELEASE)),
    Signature("access_lost", "Who may read documents is not known", _unknown, ("correct the access file, tags or columns of {source}", REJECT, AGAIN, ACCESS)),
    Signature("access_widened", "More people would read documents than before", _public, (LOOK, REJECT, RELEASE)),
    Signature("restricted_text", "Restricted text stands where more people may read it", _restricted, ("move it back, or correct who may read it at {source}", LOOK, REJECT, AGAIN, RELEASE)),
    Signature("group_vanished", "Nobody is left in a group that documents name", _nobody, (DIRECTORIES, ACCESS)),
    _risk("secrets", "have the keys revoked, and taken out of the documents"),
    _risk("personal", "set Risks(personal=…) of {source} to what may become of it"),
    _risk("hidden", "ask who wrote the documents that the report names"),
    _risk("injection", "ask who wrote the documents that the report names"),
)  # fmt: skip
