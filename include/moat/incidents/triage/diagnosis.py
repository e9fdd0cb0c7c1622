"""What triage says: causes, the most likely first, how far the fault reaches, and what mends it."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause by its stable name; `score` is from 0 to 1."""

    name: str
    title: str
    score: float
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far a fault reaches: in documents and chunks, in people who read them or would miss them, in loads."""

    documents: int = 0
    chunks: int = 0
    people: int = 0  # known ones, by the groups that the ledger has
    public: int = 0  # of the documents, that everyone may read
    loads: int = 0  # since it began


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What broke, why, how far it reaches, and the commands that mend it, filled in."""

    causes: tuple[Cause, ...]
    reach: Reach
    commands: tuple[str, ...]

    @property
    def title(self) -> str:
        return self.causes[0].title if self.causes else "Something failed"

    def to_dict(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {
            "causes": [{**asdict(c), "evidence": list(c.evidence)} for c in self.causes],
            "reach": asdict(self.reach),
            "commands": list(self.commands),
        }
