"""A document's text in two versions side by side: what a load brings, beside what people found before it."""

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from moat.errors import StagingError
from moat.ledger import Ledger, audit, loads
from moat.ledger.loads import LIVE, Load
from moat.ledger.second_look import VisiblePart, masked, parts_before, parts_of
from moat.records import Chunk
from moat.runtime import batch_path
from moat.staging import Staging

PAIRS = 100  # pairs of chunks that one look shows
MOST = 20_000  # chunks of one version
Piece = VisiblePart | Chunk  # of the ledger, or of staging


def changes(ledger: Ledger, staging: Staging, by: str, source: str, key: str) -> dict[str, Any]:
    """The chunks in which two versions of a document differ; the look is recorded before anything is shown.

    Of a load that is not decided its text is in staging, and is shown beside what is visible. Without such a load, what
    is visible is shown beside the version before, as long as the ledger has it.

    Args:
        ledger: The tenant's ledger.
        staging: The staging area.
        by: Who looks, as the audit names them.
        source: Name of the source.
        key: The source's key of the document.

    Returns:
        `load` that makes the difference and its `state`, `why` there is nothing to show, the number of chunks that are
        the `same`, `pairs` of chunks `before` and `after`, each with its words as runs of `[same, words]`, and how many
        pairs were `left_off`.

    Raises:
        LedgerError: The look cannot be recorded, so nothing is shown.
    """
    newest = next(iter(loads.recent(ledger, source, 1)), None)
    waits = newest is not None and newest.state in LIVE
    number = newest.id if newest else None
    with ledger.write() as connection:
        subject, detail = f"document of {source}", {"key": key, "load": number, "versions": True}
        audit.record(connection, ledger.tenant, actor=by, action="text shown", subject=subject, detail=detail)
    with ledger.read() as connection:
        hidden = source in masked(connection, ledger.tenant)
        now = parts_of(connection, ledger.tenant, source, key, limit=MOST)
        replaced_in = max((one.added_in for one in now), default=0)
        before = parts_before(connection, ledger.tenant, source, key, replaced_in) if now and not waits else []
    if hidden:
        return _nothing("the source is masked: who may read it is not known any more")
    if newest is not None and waits:
        staged = _staged(staging, newest, key)
        if staged is None:
            return _nothing(f"the text of load {newest.id} is not in staging, or the API server does not reach it")
        return _told(newest, now, staged) if staged else _nothing(f"load {newest.id} brings no text of it", newest)
    if not before:
        return _nothing(
            "no other version of it is kept: what a load replaces is removed when the next one has followed"
        )
    return _told(loads.get(ledger, replaced_in), before, now)


def _staged(staging: Staging, load: Load, key: str) -> list[Chunk] | None:
    """A document's chunks in a load that is not decided; None: they cannot be read."""
    found: list[Chunk] = []
    for batch in range(load.counts.get("batches", 0)):
        where = batch_path(load.source, load.id, "chunk", batch)
        try:
            if key in staging.column(where, "key"):
                found += (one for one in staging.read(where, Chunk) if one.key == key)
        except StagingError:
            return None
    return found


def _nothing(why: str, load: Load | None = None) -> dict[str, Any]:
    told = {"load": load.id, "state": load.state} if load else {"load": None, "state": ""}
    return {**told, "why": why, "same": 0, "pairs": [], "left_off": 0}


def _told(load: Load, before: Sequence[Piece], after: Sequence[Piece]) -> dict[str, Any]:
    old, new = ([(one.heading, one.text) for one in each] for each in (before, after))
    differ: list[tuple[Piece | None, Piece | None]] = []
    same = 0
    for what, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            same += j - i
        else:
            differ += zip_longest(before[i:j], after[k:m])
    return {
        "load": load.id,
        "state": load.state,
        "why": "" if differ else "both versions have the same text",
        "same": same,
        "pairs": [_pair(was, now) for was, now in differ[:PAIRS]],
        "left_off": max(0, len(differ) - PAIRS),
    }


def _pair(was: Piece | None, now: Piece | None) -> dict[str, Any]:
    left, right = ((one.text.split(" ") if one else []) for one in (was, now))
    before, after = list[tuple[bool, str]](), list[tuple[bool, str]]()
    for what, i, j, k, m in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        before += _run(what == "equal", left[i:j])
        after += _run(what == "equal", right[k:m])
    return {"before": _side(was, before), "after": _side(now, after)}


def _run(same: bool, words: Iterable[str]) -> list[tuple[bool, str]]:
    told = " ".join(words)
    return [(same, told)] if told else []


def _side(one: Piece | None, runs: list[tuple[bool, str]]) -> dict[str, Any] | None:
    if one is None:
        return None
    return {"position": one.position, "page": one.page, "heading": one.heading, "runs": runs}
