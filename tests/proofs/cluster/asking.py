"""People who search all the time while servers are killed: what they were answered, and when they got nothing."""

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import pytest

from moat.errors import AskedWrongly
from moat.retrieve import Retriever
from moat.settings import Settings
from tests.proofs.cluster.machines import BULK, FOLDERS, OURS, THEIRS

EVERY_S = 0.25
READS = {OURS: {"all", "alice"}, THEIRS: {"all", "bob"}}


@dataclass
class Asking:
    """Searches from a thread of their own.

    Attributes:
        answered: How many searches had an answer.
        hits: How many chunks they found.
        forbidden: Documents that somebody found and may not read.
        mixed: Answers that held two editions of the source at once.
        gaps: (when the first search was not answered, seconds) from an answer to the next one.
        refused: Why searches were not answered, with how many.
    """

    settings: Settings
    answered: int = 0
    hits: int = 0
    forbidden: list[str] = field(default_factory=list)
    mixed: list[set[str]] = field(default_factory=list)
    gaps: list[tuple[float, float]] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> "Asking":
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="asking", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(60.0)

    def _ask(self) -> None:
        logging.getLogger("moat.search.guard").setLevel(logging.CRITICAL)  # it says each time why nothing is answered
        with Retriever.from_settings(self.settings) as retriever:
            last: float | None = None  # before the first load there is nothing to find
            turn, refused_at = 0, 0.0
            while not self._over.wait(EVERY_S):
                turn += 1
                asker = list(READS)[turn % 2]
                try:
                    found = retriever.search("edition of the report", asker, limit=40, filters={"source": BULK})
                except AskedWrongly:
                    assert last is None, "somebody who could read the source can read nothing of it"
                    continue
                now = time.monotonic()
                if found.refused and last is None:
                    continue
                if found.refused:
                    refused_at = refused_at or now
                    self.refused[found.code or found.refused] = self.refused.get(found.code or found.refused, 0) + 1
                    continue
                if last is not None and refused_at:
                    self.gaps.append((refused_at, now - last))
                last, refused_at = now, 0.0
                self.answered, self.hits = self.answered + 1, self.hits + len(found)
                self.forbidden += [h.document_key for h in found if h.document_key.split("/")[0] not in READS[asker]]
                editions = {
                    word for h in found for word in ("one", "two", "three", "four") if f"edition {word} " in h.text
                }
                if len(editions) > 1:
                    self.mixed.append(editions)

    def gap_after(self, moment: float, until: float) -> float:
        """The longest gap, in seconds, that began in this time."""
        return max((seconds for began, seconds in self.gaps if moment <= began < until), default=0.0)


def settings_of(state: Path) -> Settings:
    """Settings as an application beside the cluster has them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("MOAT_")]:
            patch.delenv(name)
        patch.setenv("MOAT_HOME", str(state))
        return Settings.load()


assert set().union(*READS.values()) == set(FOLDERS)
