"""Text output of the command line and of task logs."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from moat.stages.dry_run import Estimate


def as_json(value: Any) -> str:
    """One or more records as JSON."""
    return json.dumps(_plain(value), ensure_ascii=False, indent=2)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Iterable):
        return [_plain(v) for v in value]
    return value.isoformat() if isinstance(value, datetime) else value


def table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """Print rows under headings, or one sentence if there are none."""
    shown = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        shown.add_row(*(cell(value) for value in row))
    console.print(shown if shown.rows else empty)


def narrow(console: Console, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    """The same in 100 columns: the last column wraps."""
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for n, column in enumerate(columns):
        shown.add_column(column, no_wrap=n < len(columns) - 1, overflow="fold", ratio=None)
    for row in rows:
        shown.add_row(*(cell(value) for value in row))
    console.print(shown if shown.rows else empty)


def cell(value: object) -> str | Text:
    if value is None:
        return ""
    if isinstance(value, Text):
        return value
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items() if n) or "nothing"


BECAME = {  # of the documents that a load has listed, each in one of these
    "new": "new",
    "changed": "changed",
    "access": "with other readers",
    "unchanged": "unchanged",
    "unknown": "set aside because who may read them is unknown",
    "resting": "set aside before and not tried again",
    "erased": "erased and kept out",
    "waiting": "left for the next run",
}


def accounted(counts: Mapping[str, int]) -> str:
    """What became of every document that a load has listed, and how many are listed no more."""
    listed = counts.get("listed", 0)
    parts = {words: counts.get(name, 0) for name, words in BECAME.items()}
    parts["not told apart"] = max(0, listed - sum(parts.values()))
    told = ", ".join(f"{n:,} {words}" for words, n in parts.items() if n)
    beside = {"of the new and changed set aside": counts.get("aside", 0), "vanished": counts.get("vanished", 0)}
    return "; ".join(
        [f"{listed:,}: {told}" if told else f"{listed:,}", *(f"{n:,} {w}" for w, n in beside.items() if n)]
    )


def estimate(source: str, e: "Estimate") -> str:
    """A dry run in words."""
    lines = [f"dry run of {source}: {counted(e.counts)}"]
    if e.documents:
        lines.append(
            f"would read {e.documents:,} documents: about {e.chunks:,} chunks, {e.tokens:,} tokens to embed, {e.set_aside:,} set aside, "
            f"{f'{e.cost:,.2f} {e.currency}, ' if e.currency else ''}{e.seconds:,.0f} s of work on this machine (from {e.sampled} of them; texts embedded before cost nothing)"
        )
    else:
        lines.append("would read no document")
    lines += [f"look at this first: {warning}" for warning in e.warnings]
    lines.append("nothing was written")
    return "\n".join(lines)


def seconds(span: timedelta | None) -> float | None:
    """A span in seconds, for JSON."""
    return round(span.total_seconds(), 1) if span is not None else None
