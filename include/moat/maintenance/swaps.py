"""A swap of a directory, with the questions that are asked before it holds.

golden `never` questions → what they catch is masked → the swap → people are told
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from moat.access.policy import canonical
from moat.checks.audience import Audience
from moat.checks.swapped import Caught, caught_by
from moat.directories.directory import Directory
from moat.directories.sync import SyncedDirectory, sync
from moat.errors import FatalError
from moat.incidents.swapped import Named, emptied, opened
from moat.ledger import access_sync, member_passes, members
from moat.ledger.access import bodies_of
from moat.ledger.members import Pairs
from moat.owners import sources_of
from moat.runtime import Runtime


def sync_directory(runtime: Runtime, directory: Directory, by: str) -> SyncedDirectory:
    """Read a directory and swap its groups, as `directories.sync` does, and ask what the swap opens.

    A document that a golden question keeps from somebody who could read it by the swap is masked before the swap
    holds, until a person decides.
    """
    asking = _Asking(runtime, by, directory.name)
    synced = sync(runtime.ledger, runtime.connections, directory, by, runtime.progress, before_swap=asking.ask)
    return replace(synced, number=asking.tell())


def load_members(runtime: Runtime, name: str, groups: Mapping[str, Sequence[str]], by: str) -> tuple[int, int]:
    """Replace a directory's groups by hand, with the same questions.

    Returns the number of memberships, and that of the pass by which who came can be taken back; 0: nobody came.
    """
    asking = _Asking(runtime, by, name)
    asking.ask(name, frozenset((canonical(g), canonical(who)) for g, found in groups.items() for who in found))
    n = members.replace_members(runtime.ledger, name, groups, by)
    member_passes.in_step(runtime.ledger, name)
    return n, asking.tell()


@contextmanager
def taking(runtime: Runtime, name: str, left: Pairs, by: str) -> Iterator[None]:
    """Ask what it opens or empties that memberships are taken away, before the block does so, and tell it after."""
    asking = _Asking(runtime, by, name)
    asking.ask(name, left)
    yield
    asking.tell()


class _Asking:
    """What one swap catches and empties; told once the swap holds."""

    def __init__(self, runtime: Runtime, by: str, directory: str) -> None:
        self._runtime, self._by, self._directory = runtime, by, directory
        self._last = member_passes.newest(runtime.ledger, directory)
        self._caught: dict[str, list[Caught]] = {}
        self._lost: list[str] = []

    def ask(self, directory: str, pairs: Pairs) -> None:
        """Mask what golden questions catch, and note which groups of visible documents lose their last member."""
        ledger = self._runtime.ledger
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
        if before - pairs:  # groups of other directories may hold those of this one, and be held by them
            others = members.elsewhere(ledger, directory)
            had, has = members.people_of(before | others), members.people_of(pairs | others)
            self._lost = sorted(group for group, people in had.items() if people and not has.get(group))

    def _mask(self, name: str, found: Sequence[Caught]) -> None:
        why = {
            one.document: f"could be read by {one.asker} through directory {self._directory}, from whom a golden question "
            "keeps it"
            for one in found
        }
        access_sync.mask(self._runtime.ledger, name, why, self._by)
        self._runtime.progress(f"{name}: {len(why):,} documents are masked: golden questions keep them from somebody")

    def tell(self) -> int:
        """Open the incidents. Returns the number of the pass by which the swap can be taken back; 0: nobody came."""
        newest = member_passes.newest(self._runtime.ledger, self._directory)
        number = newest if newest > self._last else 0
        for name, found in self._caught.items():
            opened(self._runtime, name, self._directory, found, number)
        for name, groups in self._emptied().items():
            emptied(self._runtime, name, self._directory, groups)
        return number

    def _emptied(self) -> dict[str, dict[str, Named]]:
        """The groups that nobody is left in and that visible documents name, by source."""
        rows = access_sync.naming(self._runtime.ledger, self._lost)
        held = bodies_of(self._runtime.ledger, {row.policy for row in rows})
        audience = Audience(self._runtime.ledger)
        unread = {digest for digest, policy in held.items() if audience.none(policy)}
        found = defaultdict[str, dict[str, Named]](dict)
        for row in rows:
            n, n_unread = found[row.source].get(row.group, Named(0, 0))
            found[row.source][row.group] = Named(n + row.n, n_unread + (row.n if row.policy in unread else 0))
        return dict(found)
