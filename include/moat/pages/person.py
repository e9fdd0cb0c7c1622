"""Who asks the pages, and what they may do; told by Airflow's own access checks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Right = Literal[
    "enter",  # open the pages at all
    "see",  # a source, its loads and the keys of its documents: whoever may read its DAG
    "mend",  # acknowledge and resolve incidents: whoever may edit its DAG
    "trigger",  # have documents tried again: whoever may trigger its DAG
    "decide",  # roll a load back: whoever may answer under Required Actions
    "text",  # read the text of every document: moat_read_text
    "ask",  # ask as somebody else: moat_view_as
]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is logged in to Airflow.

    Attributes:
        name: As the audit names them, `airflow:ann`.
        may: Whether they have a right on a source; some rights are about no source.
    """

    name: str
    may: Callable[[Right, str], bool]

    def sees(self, source: str) -> bool:
        """Whether they may see a source."""
        return self.may("see", source)
