"""Incidents of a directory's swap: what golden questions caught, and groups that nobody is left in."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from shlex import quote
from typing import NamedTuple

from moat.checks.swapped import Caught
from moat.incidents.lifecycle import CAUGHT, beside_the_way
from moat.incidents.notify import tell
from moat.incidents.triage import Cause, Diagnosis, Reach
from moat.ledger import incidents
from moat.ledger.incidents import Happening, Incident
from moat.runtime import Runtime

MOST = 5  # named


class Named(NamedTuple):
    """How many visible documents name a group, and how many of these nobody can read."""

    n: int
    unread: int


@beside_the_way
def opened(runtime: Runtime, source: str, directory: str, found: Sequence[Caught], number: int) -> Incident:
    """Open or join the incident of documents that a swap would have opened to somebody they are kept from."""
    lines = [f'"{one.question}" keeps {one.key} from {one.asker}' for one in found]
    documents = {one.document for one in found}
    said = (
        f"{len(documents):,} documents are masked until a person decides: directory {directory} would have opened them"
    )
    first = found[0]
    commands = (
        *(
            [
                f'moat access revert {number} --because "access widened"  # takes back who came; with --dry-run it only lists'
            ]
            if number
            else []
        ),
        f"moat explain {quote(source)} {quote(first.key)} --as {quote(first.asker)}",
        f"moat directory sync {quote(directory)}  # once the directory is corrected",
        f"moat access sync {quote(source)}  # asks about what is masked, as a hold",
        "moat access held",
    )
    cause = Cause(
        "access_widened", "A directory opened documents to people they are kept from", 0.95, (said, *lines[:MOST])
    )
    reach = Reach(documents=len(documents), people=len({one.asker for one in found}))
    happened = Happening.now("check", "read", (CAUGHT, f"{said}: {'; '.join(lines[:MOST])}"), "block", None)
    return _noticed(runtime, source, directory, happened, Diagnosis((cause,), reach, commands))


@beside_the_way
def emptied(runtime: Runtime, source: str, directory: str, groups: Mapping[str, Named]) -> Incident:
    """Open or join the incident of groups that visible documents name and that nobody is left in."""
    lines = [
        f"nobody is left in {group}, which {one.n:,} visible documents name"
        + (f"; nobody can read {one.unread:,} of them now" if one.unread else "")
        for group, one in groups.items()
    ]
    cause = Cause("group_vanished", "Nobody is left in a group that documents name", 0.9, tuple(lines[:MOST]))
    reach = Reach(documents=sum(one.n for one in groups.values()))
    commands = ("moat directory list", f"moat directory sync {quote(directory)}  # once the directory is corrected")
    said = f"{len(groups):,} groups lost all their members with directory {directory}: {'; '.join(lines[:MOST])}"
    happened = Happening.now("check", "read", ("group without members", said), "warn", None)
    return _noticed(runtime, source, directory, happened, Diagnosis((cause,), reach, commands))


def _noticed(runtime: Runtime, source: str, directory: str, happened: Happening, found: Diagnosis) -> Incident:
    """Record what happened, before what else the incident is about, and notify."""
    joined = incidents.join(runtime.ledger, source, f"directory:{directory}", datetime.now(UTC), [happened])
    detail, old = found.to_dict(), joined.incident.detail
    for name in ("causes", "commands"):
        detail[name] += [one for one in old.get(name) or () if one not in detail[name]]
    explained = incidents.explained(runtime.ledger, joined.incident.id, found.title, detail)
    tell(runtime, explained)
    return explained
