"""Nights of the third company on real servers: its sources, its golden questions, its servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from moat.settings import Settings
from moat.source import AccessFiles, Columns, Golden, Limits, LocalFiles, Risks, Source
from tests.proofs.trust.harness import Rows, next_year
from tests.proofs.trust.nights import Nights, served
from tests.proofs.trust.third.railway import Railway

ROW = (
    "# {id}: {part} of {vehicle}\n\nDepot {depot}, part number {part_no}. Opened {opened}, due {due}. {hours} hours, "
    "{cost} {currency}, at {km} km, torque {torque_nm} Nm. Relevant to safety: {safety}. Closed: {closed}. "
    "Inspector: {inspector}.\n\n{finding}"
)
METADATA = ("depot", "part", "opened", "cost", "currency", "safety", "closed")
QUESTIONS = 12
OUTSIDERS = {"people/pay": "workshop-south", "board": "control"}  # a folder, and whom no question may show it


class Third(Nights):
    """The railway with its folder and its works orders, and the calendar."""

    hours: ClassVar[dict[str, int]] = {"drive": 1, "works": 4}

    def declared(self) -> dict[str, Source]:
        """A folder with access files, and a table with columns of who may and who may not."""
        rail: Railway = self.company
        asked: list[dict[str, Any]] = []
        papers = [p for k, p in sorted(rail.papers.items()) if p.form != "xlsx"]
        for p in papers[:: len(papers) // QUESTIONS][:QUESTIONS]:
            asked.append({"question": f"{p.title}. {p.parts[0][1][0]}", "documents": [p.key]})
            rail.fixed.add(p.key)
        for folder, unit in OUTSIDERS.items():
            guarded = sorted(k for k in rail.papers if k.startswith(f"{folder}/"))[:3]
            rail.fixed.update(guarded)
            about = rail.papers[guarded[0]].title
            asked.append({"question": f"What about {about}?", "asker": rail.units[unit][-1], "never": guarded})
        with rail.works() as db:
            rows = db.execute("SELECT id, part, vehicle, finding FROM works ORDER BY id LIMIT 12").fetchall()
        of_rows = [{"question": f"{one}: {part} of {v}. {said}", "documents": [one]} for one, part, v, said in rows]
        limits, risks = Limits(min_documents=30), Risks(secrets="hold", hidden="hold", injection="hold")
        return {
            "drive": Source(
                name="drive",
                reader=LocalFiles(path=str(rail.folder)),
                access=AccessFiles(),
                limits=limits,
                risks=risks,
                golden=Golden(str(self._asked("drive", asked)), k=5),
            ),
            "works": Source(
                name="works",
                reader=Rows(conn_id="trust_warehouse", sql="works.sql", key="id", text=ROW, metadata=METADATA),
                access=Columns(allow="circle", deny="barred"),
                limits=limits,
                risks=risks,
                golden=Golden(str(self._asked("works", of_rows)), k=5),
            ),
        }


@contextmanager
def third(settings: Settings, home: Path, seed: int) -> Iterator[Third]:
    """The third company founded, with its servers; settings are of a collection of its own."""
    rail = Railway(home / "railway", seed, next_year())
    rail.found()
    with served(Third, rail, settings, {"works.sql": "SELECT * FROM works ORDER BY id\n"}) as nights:
        yield nights
