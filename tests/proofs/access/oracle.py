"""Who may read what, written from docs/access.md alone. It shares no code with Moat, so that it errs elsewhere.

A rule is (all_of, none_of): lists of principals of which a reader must be in each, and principals
that a reader must not be; "*" in a list is everyone who is known. No rule at all is unknown access.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

KINDS = ("user", "group")


@cache
def same(principal: str) -> str:
    """One spelling for all that mean the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", principal).lower())


def of(directory: str, principal: str) -> str:
    """What a rule of a source means by a name: a bare group is its directory's, where it has one."""
    kind, _, name = principal.partition(":")
    return f"group:{directory}/{name}" if directory and kind == "group" and "/" not in name else principal


class Oracle:
    """The whole company at one moment: every directory's groups, and the rules of the papers that are there."""

    def __init__(self, directories: Mapping[str, Mapping[str, Sequence[str]]], rules: Iterable[Any]) -> None:
        self.members: dict[str, set[str]] = {}
        for groups in directories.values():
            for group, members in groups.items():
                self.members.setdefault(same(group), set()).update(map(same, members))
        self.named = set[str]().union(*(self._named(rule) for rule in rules))

    @staticmethod
    def _named(rule: Any) -> set[str]:
        """Whom a rule lets in by name alone: every list names them, and none of those who must not."""
        lists = [set(map(same, one_of)) for one_of in rule[0]]
        return set.intersection(*lists) - set(map(same, rule[1])) if lists else set()

    def knows(self, principal: str) -> bool:
        """In a group, a group with members, or let in by name by some rule."""
        in_a_group = any(principal in members for members in self.members.values())
        return in_a_group or bool(self.members.get(principal)) or principal in self.named

    def stands_for(self, *askers: str) -> set[str] | None:
        """An asker with every group above, as far as anything is added; None where one of them is not known."""
        found = {same(asker) for asker in askers}
        if not found or not all(p.partition(":")[0] in KINDS and self.knows(p) for p in found):
            return None
        before = -1
        while len(found) != before:
            before = len(found)
            found |= {group for group, members in self.members.items() if not members.isdisjoint(found)}
        return found

    def reads(self, principals: set[str] | None, rule: Any) -> bool:
        """Whether somebody who stands for these principals may read what this rule is of."""
        if principals is None or rule is None or not rule[0]:
            return False
        if any(same(p) in principals for p in rule[1]):
            return False
        return all(any(p == "*" or same(p) in principals for p in one_of) for one_of in rule[0])
