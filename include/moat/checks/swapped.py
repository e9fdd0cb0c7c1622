"""What golden questions keep from somebody and a swap of a directory would open to them."""

from typing import NamedTuple

from moat.checks.golden import never_of
from moat.ledger import Ledger, access_sync, members
from moat.ledger.members import Pairs
from moat.source import Source


class Caught(NamedTuple):
    """A document that its question keeps from an asker who could read it after a swap."""

    question: str
    asker: str
    document: str  # its id
    key: str


def caught_by(ledger: Ledger, source: Source, directory: str, pairs: Pairs) -> list[Caught]:
    """Documents of a source that a swap of a directory would open to somebody whom they are kept from.

    What they could read before the swap is not caught: it is no news, and a person may have let it in.

    Args:
        ledger: The ledger, before the swap.
        source: The declared source, with its golden questions.
        directory: Name of the directory.
        pairs: The memberships that it will have, as (group, member).

    Raises:
        FatalError: The golden file is wrong.
    """
    questions = never_of(ledger, source)
    if not questions:
        return []
    with ledger.read() as connection:
        before = {q.asker: members.expanded(connection, ledger.tenant, [q.asker]) for q in questions}
        after = {q.asker: members.expanded(connection, ledger.tenant, [q.asker], (directory, pairs)) for q in questions}
    there = access_sync.readable(ledger, source.name, sorted({key for q in questions for key in q.never}))
    return [
        Caught(q.question, q.asker, there[key][0], key)
        for q in questions
        for key in q.never
        if key in there and there[key][1].allows(after[q.asker]) and not there[key][1].allows(before[q.asker])
    ]
