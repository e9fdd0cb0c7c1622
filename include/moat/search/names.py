"""Names in filters: one that nobody can mean is an error of the program, by what its asker may read.

A source or a name of metadata that only others may read is unknown here, in the same words as one that is not there.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from threading import Lock

from moat.errors import AskedWrongly
from moat.filters import METADATA, NAMES, Filters, nearest, values_of
from moat.ledger import Ledger, counting
from moat.search.finding import Mine

REMEMBERED = 10_000  # sources by asker, which are not looked for again


class Names:
    """Checks names in filters; safe to use from several threads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger, self._lock = ledger, Lock()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def check(self, who: str, mine: Mine, filters: Filters, answered: Collection[str], *more: str) -> None:
        """Raise AskedWrongly for a source or a name of metadata of which the asker may read nothing.

        Args:
            who: Name of the asker.
            mine: Gives the asker's principals.
            filters: What was asked.
            answered: Sources that the answer has something of; if it has any, every name of metadata is known.
            more: Further names of metadata.
        """
        asked = values_of(filters["source"]) if "source" in filters else []
        self._remember(who, answered)
        new = [name for name in asked if not self._is_known(who, name)]
        names = [] if answered else [*more, *(name for name in filters if name not in NAMES)]
        if not new and not names:
            return
        with self._ledger.read() as connection:
            me = mine(connection)
            unread = counting.unread(connection, self._ledger.tenant, me, new)
            there = counting.metadata_names(connection, self._ledger.tenant, me) if names else None
        self._remember(who, (name for name in new if name not in unread))
        for name, near in unread.items():
            hint = f"; did you mean {near!r}?" if near else ""
            raise AskedWrongly(f"filters['source']={name!r}: the asker can read nothing of such a source{hint}")
        for name in names if there is not None else ():
            if name.removeprefix(METADATA) not in there:  # type: ignore[operator]
                raise AskedWrongly(
                    f"{name!r} is neither {', '.join(NAMES)} nor in the metadata of what the asker can read"
                    + nearest(name, sorted({*NAMES, *there}))  # type: ignore[misc]
                )

    def check_counted(self, who: str, mine: Mine, filters: Filters, n: int, *more: str) -> None:
        """The same for a count of n: if that is not 0, every name of metadata is known."""
        sources = {name: value for name, value in filters.items() if name == "source"}
        self.check(who, mine, sources if n else filters, (), *(() if n else more))

    def _is_known(self, who: str, name: str) -> bool:
        with self._lock:
            return (who, name) in self._known

    def _remember(self, who: str, names: Iterable[str]) -> None:
        with self._lock:
            for name in names:
                self._known[who, name] = None
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
