"""A swap of a directory, with the questions that are asked before it holds.

golden `never` questions → what they catch is masked → the swap → people are told
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from moat.access.policy import canonical
from moat.checks.swapped import Caught, caught_by
from moat.directories.directory import Directory
from moat.directories.sync import SyncedDirectory, sync
from moat.errors import FatalError
from moat.incidents.swapped import emptied, opened
from moat.ledger import access_sync, members
from moat.ledger.members import Pairs
from moat.owners import sources_of
from moat.runtime import Runtime


def sync_directory(runtime: Runtime, directory: Directory, by: str) -> SyncedDirectory:
    """Read a directory and swap its groups, as `directories.sync` does, and ask what the swap opens.

    A document that a golden question keeps from somebody who could read it by the swap is masked before the swap
    holds, until a person decides.
    """
    asking = _Asking(runtime, by)
    synced = sync(runtime.ledger, runtime.connections, directory, by, runtime.progress, before_swap=asking.ask)
    asking.tell()
    return synced


def load_members(runtime: Runtime, name: str, groups: Mapping[str, Sequence[str]], by: str) -> int:
    """Replace a directory's groups by hand, with the same questions. Returns the number of memberships."""
    asking = _Asking(runtime, by)
    asking.ask(name, frozenset((canonical(g), canonical(who)) for g, found in groups.items() for who in found))
    n = members.replace_members(runtime.ledger, name, groups, by)
    asking.tell()
    return n


class _Asking:
    """What one swap catches and empties; told once the swap holds."""

    def __init__(self, runtime: Runtime, by: str) -> None:
        self._runtime, self._by, self._directory = runtime, by, ""
        self._caught: dict[str, list[Caught]] = {}
        self._emptied: dict[str, dict[str, int]] = {}

    def ask(self, directory: str, pairs: Pairs) -> None:
        """Mask what golden questions catch, and note which groups of visible documents lose their last member."""
        ledger, self._directory = self._runtime.ledger, directory
        _, before = members.memberships(ledger, directory)
        if pairs == before:
            return
        for name, source in sources_of(ledger).sources.items():
            try:
                found = caught_by(ledger, source, directory, pairs)
            except FatalError as error:  # access sync lets nothing in while nobody knows from whom it is kept
                self._runtime.progress(f"directory {directory}: the golden questions of {name} are not asked: {error}")
                continue
            if found:
                self._caught[name] = found
                self._mask(name, found)
        had, has = members.people_of(before), members.people_of(pairs)
        lost = sorted(group for group, people in had.items() if people and not has.get(group))
        named = defaultdict[str, dict[str, int]](dict)
        for source_name, group, n in access_sync.naming(ledger, lost):
            named[source_name][group] = n
        self._emptied = dict(named)

    def _mask(self, name: str, found: Sequence[Caught]) -> None:
        why = {
            one.document: f"could be read by {one.asker} through directory {self._directory}, from whom a golden question "
            "keeps it"
            for one in found
        }
        access_sync.mask(self._runtime.ledger, name, why, self._by)
        self._runtime.progress(f"{name}: {len(why):,} documents are masked: golden questions keep them from somebody")

    def tell(self) -> None:
        """Open the incidents."""
        for name, found in self._caught.items():
            opened(self._runtime, name, self._directory, found)
        for name, groups in self._emptied.items():
            emptied(self._runtime, name, self._directory, groups)
