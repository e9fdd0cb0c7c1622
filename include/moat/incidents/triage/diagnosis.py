"""The result of triage: causes, reach and commands."""

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
    """Reach of a fault: documents, chunks, affected readers and loads."""

    documents: int = 0
    chunks: int = 0
    people: int = 0  # known readers, by the ledger's groups
    public: int = 0  # of the documents, that everyone may read
    loads: int = 0  # since it began


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The diagnosis of a fault: what, why, reach, and filled-in commands."""

    causes: tuple[Cause, ...]
    reach: Reach
    commands: tuple[str, ...]

    @property
    def title(self) -> str:
        return self.causes[0].title if self.causes else "Something failed"

    def to_dict(self) -> dict[str, Any]:
        """The form stored in the ledger."""
        return {
            "causes": [{**asdict(c), "evidence": list(c.evidence)} for c in self.causes],
            "reach": asdict(self.reach),
            "commands": list(self.commands),
        }
