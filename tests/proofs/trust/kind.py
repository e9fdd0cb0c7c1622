"""What a kind of harm is to the nights that live it: a name, whom it meets, and the causes that would be right."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

Size = Literal["all", "a tenth", "three", "whole"]
Weight = Literal["severe", "medium"]
Act = Callable[[Any, list[str], Random], None]  # on the company, some of its keys, with dice
Keys = Callable[[Any], list[str]]
SIZES: tuple[Size, ...] = ("all", "a tenth", "three")


@dataclass(frozen=True, kw_only=True)
class Harm:
    """One kind. `right` are the causes that a person on duty would name, written before the first run."""

    name: str
    source: str
    says: str
    right: frozenset[str]
    act: Act
    of: Keys
    sizes: tuple[Size, ...] = SIZES
    days: int = 1
    weight: Weight = "severe"


class Harms:
    """Kinds of one source, in the order that they are written down in."""

    def __init__(self, source: str, of: Keys) -> None:
        self.source, self.of, self.found = source, of, list[Harm]()

    def __call__(
        self,
        says: str,
        right: str,
        of: Keys | None = None,
        *,
        whole: bool = False,
        days: int = 1,
        weight: Weight = "severe",
    ) -> Callable[[Act], Act]:
        """Enter a function as a kind by its name; `whole`: it has one size."""

        def enter(act: Act) -> Act:
            self.enter(act.__name__, act, says, right, of, whole=whole, days=days, weight=weight)  # type: ignore[attr-defined]
            return act

        return enter

    def enter(
        self,
        name: str,
        act: Act,
        says: str,
        right: str,
        of: Keys | None = None,
        *,
        whole: bool = False,
        days: int = 1,
        weight: Weight = "severe",
    ) -> None:
        """Enter what is done as a kind."""
        self.found.append(
            Harm(
                name=name,
                source=self.source,
                says=says,
                right=frozenset(right.split()),
                act=act,
                of=of or self.of,
                sizes=("whole",) if whole else SIZES,
                days=days,
                weight=weight,
            )
        )


def picked(keys: list[str], size: str, dice: Random) -> list[str]:
    """Which of some keys a size hits."""
    many = {"all": len(keys), "a tenth": max(1, len(keys) // 10), "three": min(3, len(keys)), "whole": len(keys)}[size]
    return sorted(dice.sample(sorted(keys), many))
