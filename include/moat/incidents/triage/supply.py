"""Causes in the source's supply: amount, time and form."""

from moat.errors import ColumnMissing, KeyListedTwice, NothingListed
from moat.incidents.triage.evidence import Evidence, Segment, Signs, signs
from moat.incidents.triage.signature import (
    AGAIN,
    DECLARE,
    FULL,
    LIST,
    LOOK,
    REJECT,
    RELEASE,
    REPLAY,
    ROLLBACK,
    Signature,
)

FEWER = r"^(listing|fewest documents)$"  # names of fixed checks, or measure names of learned bounds
LISTED = r"^(volume\.listed|shape\.rows)$"
VANISHED = r"^volume\.vanished$|^mass deletion$"
SAME = r"^duplicates\.(exact|equal|again)$"
MORE = r"^volume\.(listed|new|growth|changed|churn|moved)$|^shape\.rows$"
NULLS = r"^nulls:"
KINDS = r"^(type|suffix):"
MANY_NEW = 0.5  # of the documents that are alike: copies of others
SAME_DOCUMENTS = 0.6  # of the vanished, that are there under new keys
MOST_OF_IT, NEARLY = 0.5, 0.05  # of the visible documents that are gone, and by how much the new ones are more or fewer
NEARLY_ALL = 0.9  # of the rows that hold one value
SURE = 97  # of the score: what the column lost, the texts that are made of it lost, too
ASIDE = r"^(volume\.aside|aside:.*)$|^quarantined share$"
CLOCK = r"^(hour|ahead):"
STALE = r"^(age:.*|freshness.*)$|^(fresh|stale)"


def _columns(e: Evidence) -> tuple[list[str], list[str], list[str], list[str]]:
    """Columns that are gone, new, of another type, or now empty."""
    now, before = {c.name: c for c in e.columns}, {c.name: c for c in e.columns_before}
    if not now or not before:
        return [], [], [], []
    gone, new = sorted(before.keys() - now.keys()), sorted(now.keys() - before.keys())
    both = sorted(now.keys() & before.keys())
    # Without rows that were read there is no type, so nothing shows that it is another.
    typed = [n for n in both if now[n].type and before[n].type and now[n].nulls < 1 and before[n].nulls < 1]
    retyped = [n for n in typed if now[n].type != before[n].type]
    emptied = [n for n in both if now[n].nulls - before[n].nulls >= 0.2]
    return gone, new, retyped, emptied


def _renamed(e: Evidence) -> Signs:
    if refused := e.raised(ColumnMissing) or e.said(
        r"no such column|unknown column|column .* does not exist|Binder ?E\w+|Referenced column|UndefinedColumn|invalid identifier"
    ):
        return signs(96, refused, e.changed("query"))
    gone, new, _, emptied = _columns(e)
    types = {c.name: c.type for c in e.columns} | {c.name: c.type for c in e.columns_before}
    pairs = [(a, b) for a in gone for b in new if types.get(a) == types.get(b)]
    whole = [n for n in emptied if n in {c.name for c in e.columns if c.nulls >= 0.99}]
    if pairs:
        return signs(95, [f"column {a} is gone, {b} of the same type is new" for a, b in pairs])
    if whole and new:
        return signs(91, [f"column {n} is empty in all rows, {', '.join(new)} new" for n in whole])
    return signs(84, [f"column {n} is gone" for n in gone], e.changed("query"))


def _retyped(e: Evidence) -> Signs:
    _, _, retyped, _ = _columns(e)
    types, before = {c.name: c.type for c in e.columns}, {c.name: c.type for c in e.columns_before}
    found = [f"column {n} is {types[n]}, was {before[n]}" for n in retyped]
    refused = e.said(r"cannot (be )?(cast|convert)|invalid input syntax|Conversion ?E\w+|InvalidTextRepresentation")
    return signs(98, [*found, *refused])


def _emptied(e: Evidence) -> Signs:
    """A column is NULL or almost empty."""
    *_, emptied = _columns(e)
    nulls, before = {c.name: c.nulls for c in e.columns}, {c.name: c.nulls for c in e.columns_before}
    found = [f"column {n} is empty in {nulls[n]:.0%} of the rows, was {before[n]:.0%}" for n in emptied]
    shifts = e.moved(NULLS, "high")
    short = [s for s in e.moved(r"^length:", "low") if s.usual and s.value < 0.2 * s.usual]
    if all_of_it := [s for s in short if s.value < 1]:
        return signs(SURE, all_of_it)
    whole = [s for s in shifts if s.value >= NEARLY_ALL or s.failed]  # before the texts that are alike without it
    return signs(99 if whole else 90, [*shifts, *found]) if shifts or found else signs(80, short)


def _values(e: Evidence) -> Signs:
    """A column has another unit, another form, or one value in most rows."""
    one = [s for s in e.moved(r"^top:", "high") if s.value >= NEARLY_ALL]
    rest = e.moved(r"^(median|low|high|top|value|form|length):") + e.moved(r"^distinct:", "low")
    return signs(SURE if one else 83, [*one, *(s for s in rest if s not in one)])


def _added(e: Evidence) -> Signs:
    gone, new, _, _ = _columns(e)
    if not new or gone:
        return Signs()
    return signs(60 if e.failed(r"^new columns$") else 25, [f"column {n} is new" for n in new])


def _mix(e: Evidence) -> Signs:
    """Unusual file types, or one type that cannot be parsed any more."""
    types = e.moved(KINDS)
    part = e.part("file type", "parser")
    broken = _stands_out(part) and bool(e.failed(ASIDE))
    new = e.failed(r"^new kinds of files$")
    if not types and not broken:
        run_together = e.moved(r"^chunks\.density$")
        form = e.moved(r"^chunks\.(headings|tables)$")
        return (
            signs(85 if run_together else 72, [*run_together, *form], new) if run_together or form else signs(46, new)
        )
    added, gone = e.count("new"), e.count("vanished")
    if gone >= 3 and 0.7 <= added / gone <= 1.4:
        score = 92  # the same documents, as files of another type
    elif added > 2 * gone and not broken:
        score = 47  # only more of one type arrived
    else:
        score = 86 if broken else 66 if e.failed(VANISHED) else 80
    return signs(score, [*types, part] if broken else types, new, e.failed(ASIDE))


def _stands_out(part: Segment | None) -> bool:
    return part is not None and part.share >= 0.6 and part.lift >= 0.25 and part.bad >= 3


def _empty_listing(e: Evidence) -> Signs:
    found = e.failed(r"^listing$")
    none = (
        e.count("listed") == 0 and bool(e.counts) and (e.count("visible") > 0 or e.counts_before.get("listed", 0) > 0)
    )
    if never := e.raised(NothingListed):
        return signs(97, never)
    return signs(97, f"0 documents listed, {e.count('visible'):,} visible now", found) if none else Signs()


def _half(e: Evidence) -> Signs:
    """Fewer documents than usual, with a sign of an unfinished upload."""
    if e.count("listed") == 0:
        return Signs()
    fewer = [*e.failed(f"{VANISHED}|{FEWER}"), *e.moved(f"{LISTED}|{VANISHED}", "low")]
    part = e.part("folder", "batch")
    cut = [*e.moved(r"^parsing\.(short|characters)$|^volume\.aside$"), *e.failed(ASIDE)]
    empty = e.empty_sizes if e.empty_sizes >= max(3, 0.02 * e.count("listed")) else 0
    newest = e.newest is not None and e.newest >= 0.5 and e.count("vanished") >= 3
    if empty:
        return signs(91, f"{empty:,} of {e.count('listed'):,} listed documents have no content", fewer)
    if not fewer:
        return Signs()
    if cut and e.failed(VANISHED) and e.count("new") < 0.5 * e.count("vanished"):
        return signs(93, cut, fewer)  # some are missing and others are cut off
    words = f"{e.newest:.0%} of the vanished documents were among the newest tenth" if newest and e.newest else ""
    whole_part = part if part is not None and _stands_out(part) and part.bad < part.whole else None
    return signs(85, [one for one in (words, whole_part) if one], fewer)


def _mass_deletion(e: Evidence) -> Signs:
    gone = [*e.failed(VANISHED), *e.moved(VANISHED, "high")]
    fewer = [*e.moved(LISTED, "low"), *e.failed(FEWER)]
    if e.missed:
        words = f"{e.missed:,} documents that golden questions ask for are gone"
        return signs(90, words, gone, fewer, e.failed(r"^recall"))
    if e.count("listed") == 0 or not (gone or fewer):
        return Signs()
    return signs(82 if gone else 68, [*gone, *fewer], e.part("folder", "author"))


def _duplicated(e: Evidence) -> Signs:
    if keys := e.raised(KeyListedTwice):
        return signs(93, keys)
    found = _alike(e)
    # Rows that came again under new keys differ in these, so their texts do, too, but the other columns repeat.
    repeated = e.moved(r"^distinct:", "low") if _grown(e) else []
    if len(repeated) >= 2 and not found:
        return signs(92, repeated, e.moved(MORE, "high"))
    whole = e.failed(r"^equal documents$") or e.moved(r"^duplicates\.(equal|again)$", "high")
    return signs((91 if whole else 78) if _grown(e) else 60, found, e.moved(MORE, "high"))


def _one_text(e: Evidence) -> Signs:
    """Existing documents now have the same text, such as an error page."""
    found = _alike(e)
    return signs(60 if _grown(e) else 92, found, e.moved(r"^volume\.changed$", "high"), e.part("folder", "file type"))


def _alike(e: Evidence) -> list[object]:
    return [*e.failed(r"^(exact duplicates|equal documents|there already)$"), *e.moved(SAME, "high")]


def _grown(e: Evidence) -> bool:
    """Whether the documents that are alike are new ones; without their names, whether most of a load is new."""
    if e.copies is not None:
        return e.copies >= MANY_NEW
    return e.count("new") > e.count("changed") or bool(e.moved(r"^volume\.(listed|new|growth)$", "high"))


def _moved(e: Evidence) -> Signs:
    """As many documents appear under new keys as vanish under old ones."""
    new, gone = e.count("new"), e.count("vanished")
    same_documents = e.moved_keys >= SAME_DOCUMENTS
    if not gone or gone < max(3, 0.02 * e.count("visible")) or not (same_documents or 0.7 <= new / gone <= 1.4):
        return Signs()
    same = [*e.moved(r"^duplicates\.again$", "high"), *e.failed(r"^there already$")]
    words = f"{gone:,} documents are gone and {new:,} are new"
    if same_documents:
        words += f", {e.moved_keys:.0%} of them with the content of one that is gone"
    told = e.failed(r"^(mass renaming|documents moved|keys that moved)$")
    all_of_it = gone >= MOST_OF_IT * e.count("visible") and abs(new - gone) <= NEARLY * gone  # numbered anew
    score = 95 if same_documents else 94 if same else 92 if all_of_it else 64
    return signs(score, words, told, same, e.failed(VANISHED))


def _clock(e: Evidence) -> Signs:
    """Most dates moved by the same time-zone offset, or have an unusual time."""
    hours = [*e.moved(CLOCK), *e.said(r"time.?zone")]
    same = {
        s.name.removeprefix("top:") for s in e.moved(r"^top:", "high")
    }  # all the same moment: no time zone does that
    if e.clock is None:
        return signs(60 if any(s.name.partition(":")[2] in same for s in e.moved(CLOCK)) else 91, hours)
    minutes, share = e.clock
    return signs(96, f"{share:.0%} of the changed dates moved by {minutes / 60:+g} hours", hours)


def _schema_check(e: Evidence) -> Signs:
    gone = e.said(
        r"(table|relation|view|schema)\b.*(does not exist|not found)|no such table|unknown table|Catalog ?E\w+|UndefinedTable"
    )
    return signs(97, gone) if gone else signs(52, e.failed(r"^columns$"))


def _stamp(e: Evidence) -> Signs:
    found = e.failed(r"^(change stamp|stamp values)$")
    return signs(88 if len(found) == len(e.failed(".")) else 70, found)


def _stale(e: Evidence) -> Signs:
    quiet = [f for f in e.faults if f.kind == "late" and f.subject == "freshness"]
    found = [*e.failed(STALE), *e.moved(STALE, "high"), *quiet]
    return (
        signs(83, found, e.moved(r"^volume\.(week|moved)$", "low"))
        if found
        else signs(40, e.moved(r"^volume\.(week|moved)$", "low"))
    )


def _quarantine(e: Evidence) -> Signs:
    found = [*e.failed(ASIDE), *e.moved(ASIDE, "high")]
    rests = sorted(e.aside, key=lambda a: -a.n)
    return signs(58, found, rests, e.part("file type", "parser", "folder")) if found else Signs()


def _swell(e: Evidence) -> Signs:
    """Far more new or changed documents than usual, without an explanation."""
    return signs(48, e.moved(MORE, "high"), e.part("folder", "author", "file type"))


SUPPLY = (
    Signature("column_renamed", "A column is gone or has another name", _renamed, ("correct dags/sql or the declaration of {source}, or ask the supplier", REJECT, AGAIN)),
    Signature("column_retyped", "A column has another type", _retyped, ("correct the query of {source}, or ask the supplier", REJECT, AGAIN)),
    Signature("column_emptied", "A column is empty where it was not", _emptied, ("ask the supplier of {source}", REJECT, AGAIN)),
    Signature("column_values_changed", "A column holds other values than usual", _values, ("ask the supplier of {source} for the unit, the form and the default of the column", REJECT, AGAIN)),
    Signature("schema_added", "A column is new", _added, (RELEASE, DECLARE)),
    Signature("schema_changed", "The rows have another form", _schema_check, (LOOK, REJECT, AGAIN)),
    Signature("supplier_format_changed", "The supplier sends another format", _mix, (LIST, REJECT, f"{REPLAY}  # when it is mended", DECLARE)),
    Signature("empty_listing", "The source lists nothing", _empty_listing, ("see whether the folder is mounted, the bucket and the prefix are right", REJECT, AGAIN)),
    Signature("half_uploaded", "An upload is not finished", _half, ("wait until the upload is there", REJECT, AGAIN)),
    Signature("mass_deletion", "Very many documents are gone", _mass_deletion, (LOOK, RELEASE, REJECT, ROLLBACK)),
    Signature("duplicated_batch", "The same documents came twice", _duplicated, ("remove the second copy from {source}", REJECT, AGAIN)),
    Signature("one_text", "Many documents hold the same text", _one_text, ("look at one of the documents that the report names: is it an error page?", REJECT, AGAIN, ROLLBACK)),
    Signature("documents_moved", "The same documents have other keys", _moved, (LOOK, RELEASE, REJECT)),
    Signature("time_zone_shift", "Dates are in another time zone", _clock, ("correct the time zone of {source}'s dates", REJECT, AGAIN)),
    Signature("stamp_wrong", "The change stamp does not tell of changes", _stamp, ("name another column in modified_at of {source}, one that moves on with every change, or none: then whole rows are compared", FULL)),
    Signature("stale_source", "The source has nothing new for longer than usual", _stale, ("ask the supplier whether the export of {source} runs", AGAIN)),
    Signature("quarantine_growth", "More documents than usual are set aside", _quarantine, (LIST, f"{REPLAY}  # when it is mended", REJECT)),
    Signature("volume_growth", "More documents than usual are new or changed", _swell, (LOOK, RELEASE, REJECT, DECLARE)),
)  # fmt: skip
