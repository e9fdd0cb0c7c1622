"""Nights of the second company on real servers: its sources, its golden questions, its servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import duckdb

from moat.settings import Settings
from moat.source import AccessFiles, Columns, Golden, Limits, LocalFiles, Risks, Source
from tests.proofs.trust.harness import Rows, next_year
from tests.proofs.trust.nights import Nights, served
from tests.proofs.trust.second.firm import Firm

ROW = (
    "# Order {id}: {product} for {customer}\n\n{quantity} packs of {product} at {unit_price} {currency}, {dose_mg} mg "
    "a dose, due {due}. Status: {status}.\n\n{note}"
)
COLUMNS = ("product", "customer", "quantity", "unit_price", "currency", "dose_mg", "status", "due")
QUESTIONS = 10
NEVER = ("user:m5@hollowoak.example", "hr/salaries")  # of sales; what no golden question may show them


class Second(Nights):
    """The second company with its groups and its two sources, and the calendar."""

    hours: ClassVar[dict[str, int]] = {"share": 2, "orders": 3}

    def declared(self) -> dict[str, Source]:
        """A folder with access files, and a table with a column of readers."""
        firm: Firm = self.company
        candidates = [d for k, d in sorted(firm.docs.items()) if d.sections and d.kind != "eml"]
        chosen = candidates[:: max(1, len(candidates) // QUESTIONS)][:QUESTIONS]
        firm.fixed.update(doc.key for doc in chosen)
        asked: list[dict[str, Any]] = [
            {"question": f"{d.title}: {d.sections[0][1][0]}", "documents": [d.key]} for d in chosen
        ]
        guarded = sorted(k for k in firm.docs if k.startswith(NEVER[1]))[:2]
        firm.fixed.update(guarded)
        asked.append({"question": "What do the bands say?", "asker": NEVER[0], "never": guarded})
        with duckdb.connect(str(firm.database)) as db:
            rows = db.execute("SELECT id, product, customer, note FROM orders ORDER BY id LIMIT 10").fetchall()
        of_rows = [{"question": f"Order {n}: {p} for {c}. {t}", "documents": [str(n)]} for n, p, c, t in rows]
        limits = Limits(min_documents=20)
        risks = Risks(personal="allow", secrets="hold", hidden="hold", injection="hold")
        return {
            "share": Source(
                name="share",
                reader=LocalFiles(path=str(firm.folder)),
                access=AccessFiles(),
                limits=limits,
                risks=risks,
                golden=Golden(str(self._asked("share", asked)), k=5),
            ),
            "orders": Source(
                name="orders",
                reader=Rows(conn_id="trust_warehouse", sql="orders.sql", key="id", text=ROW, metadata=COLUMNS),
                access=Columns(allow="readers", separator=";"),
                limits=limits,
                risks=risks,
                golden=Golden(str(self._asked("orders", of_rows)), k=5),
            ),
        }


@contextmanager
def second(settings: Settings, home: Path, seed: int) -> Iterator[Second]:
    """The second company founded, with its servers; settings are of a collection of its own."""
    firm = Firm(home / "hollowoak", seed, next_year())
    firm.found()
    with served(Second, firm, settings, {"orders.sql": "SELECT * FROM orders ORDER BY id\n"}) as nights:
        yield nights
