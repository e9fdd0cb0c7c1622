"""What the defects came to, beside what is promised; and the page that says so."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from tests.proofs.trust.defect import Defect
from tests.proofs.trust.expected import CAUSES, rank
from tests.proofs.trust.harness import Found, Night

MEDIUM, SEVERE = 3, 5
MOST_FALSE = 1  # holds and blocks over all clean nights
FLAGGED, FIRST, FIRST_THREE, MESSAGES = 0.95, 0.8, 0.95, 1.2
LETTER = {"blocked": "block", "held": "hold", "warned": "warn", "passed": "missed", "unchanged": "missed"}


@dataclass(frozen=True)
class Scores:
    """Clean nights and defects, counted."""

    nights: Sequence[Night]
    found: Sequence[Found]
    defects: Sequence[Defect]

    @property
    def false_stops(self) -> list[Night]:
        return [n for n in self.nights if n.stopped]

    @property
    def false_warnings(self) -> list[Night]:
        return [n for n in self.nights if n.outcome == "warned"]

    def of(self, strength: int) -> list[Found]:
        return [f for f in self.found if f.strength == strength]

    @property
    def loose(self) -> list[Found]:
        """Severe defects that were let through. Where nothing is new there is no load to hold: then it must be told."""
        still = {d.name for d in self.defects if d.still}
        return [f for f in self.of(SEVERE) if not (f.night.flagged if f.defect in still else f.night.stopped)]

    @property
    def missed(self) -> list[Found]:
        return [f for f in self.of(MEDIUM) if not f.night.flagged]

    @property
    def flagged(self) -> list[Found]:
        return [f for f in self.found if f.night.flagged]

    def ranked(self, within: int) -> float:
        """Share of the flagged whose cause is named among the first so many."""
        return mean(0 < rank(f.defect, f.causes) <= within for f in self.flagged)

    @property
    def messages(self) -> float:
        """Messages for each incident."""
        return sum(f.n_messages for f in self.found) / max(1, sum(f.n_incidents for f in self.found))

    def broken(self, first: float = FIRST, three: float = FIRST_THREE) -> list[str]:
        """The promises that do not hold, in words."""
        found = []
        if len(self.false_stops) > MOST_FALSE:
            found.append(f"{len(self.false_stops)} clean nights were stopped: {self.false_stops}")
        found += [f"severe, and let through: {f.defect} {f.night}" for f in self.loose]
        medium = self.of(MEDIUM)
        if medium and len(self.missed) > math.floor((1 - FLAGGED) * len(medium)):
            found.append(f"medium, and missed: {', '.join(f.defect for f in self.missed)}")
        silent = [f"{f.defect} {f.strength}" for f in self.flagged if not f.n_incidents]
        found += [f"flagged, and no incident: {', '.join(silent)}"] if silent else []
        if self.ranked(1) < first:
            found.append(f"cause first in {self.ranked(1):.0%}: {self.astray(1)}")
        if self.ranked(3) < three:
            found.append(f"cause among three in {self.ranked(3):.0%}: {self.astray(3)}")
        if self.messages > MESSAGES:
            found.append(f"{self.messages:.2f} messages for each incident")
        return found

    def astray(self, within: int) -> list[str]:
        """Flagged defects whose cause is not named early enough, with what was named."""
        return [
            f"{f.defect} {f.strength}: {', '.join(f.causes[:3])}"
            for f in self.flagged
            if not 0 < rank(f.defect, f.causes) <= within
        ]


def page(scores: Scores, ran_on: str) -> str:
    """bench/TRUST.md."""
    days = len({n.day for n in scores.nights})
    medium, severe = scores.of(MEDIUM), scores.of(SEVERE)
    still = {d.name for d in scores.defects if d.still}
    severe_stops = [f for f in severe if f.defect not in still]
    lines = [
        "# Trust, measured",
        "",
        "Written by `make trust`. A simulated company: a folder of documents with access files, and a warehouse table. Each",
        "night goes the whole way on a real Weaviate with the real model. Then each defect, in five strengths, on the night after",
        "the clean days, one at a time. tests/proofs/trust holds what each defect does, and which cause counts as right.",
        "The rules of triage were mended on other companies, and on the same kinds of defect: a kind that they never saw may be",
        "named less well.",
        "",
        ran_on,
        "",
        "| promise | wanted | measured |",
        "|---|---|---|",
        f"| clean nights that were held or blocked, of {len(scores.nights)} over {days} days | at most {MOST_FALSE} | {len(scores.false_stops)} |",
        f"| clean nights with a warning | | {len(scores.false_warnings)} |",
        f"| severe defects (strength {SEVERE}) held or blocked, of {len(severe_stops)} | 100 % | {_share(sum(f.night.stopped for f in severe_stops), len(severe_stops))} |",
        f"| severe defects without a load to hold (nothing new comes), told, of {len(severe) - len(severe_stops)} | 100 % | {_share(sum(f.night.flagged for f in severe if f.defect in still), len(severe) - len(severe_stops))} |",
        f"| medium defects (strength {MEDIUM}) flagged, of {len(medium)} | 95 % | {_share(len(medium) - len(scores.missed), len(medium))} |",
        f"| cause ranked first, of {len(scores.flagged)} flagged | 80 % | {scores.ranked(1):.1%} |",
        f"| cause in the first three | 95 % | {scores.ranked(3):.1%} |",
        f"| messages for each incident until somebody acts; one more says that it is over | at most {MESSAGES} | {scores.messages:.2f} |",
        "",
        "All were found in the run that they came with, or not at all: there is no other night.",
        "",
        "## By kind and strength",
        "",
        "What the gate said, and the place of the right cause among those that the incident names (– : not named).",
        "",
        "| defect | what happens | 1 | 2 | 3 | 4 | 5 | strengths |",
        "|---|---|---|---|---|---|---|---|",
    ]
    by_kind: dict[str, dict[int, Found]] = defaultdict(dict)
    for f in scores.found:
        by_kind[f.defect][f.strength] = f
    for d in scores.defects:
        cells = [_cell(by_kind[d.name].get(s)) for s in range(1, 6)]
        lines.append(f"| {d.name} | {d.says} | {' | '.join(cells)} | {d.strengths.replace('|', ';')} |")
    lines += ["", "## What was missed", "", *_misses(scores), "", "## Causes that were named late or not at all", ""]
    lines += [f"- {words}; right: {', '.join(sorted(CAUSES[words.split()[0]]))}" for words in scores.astray(1)] or [
        "None."
    ]
    lines += ["", "## Clean nights that were flagged", ""]
    told = [n for n in scores.nights if n.flagged]
    lines += [f"- day {n.day}, {n.source}, {n.outcome}: {_checks(n)}" for n in told] or ["None."]
    return "\n".join(lines) + "\n"


def _misses(scores: Scores) -> list[str]:
    missed = [f for f in scores.found if not f.night.flagged]
    words = [f"- {f.defect}, strength {f.strength}" for f in missed]
    warned = [f for f in scores.loose if f.night.flagged]
    return [*words, *(f"- {f.defect}, severe: only {f.night.outcome}: {_checks(f.night)}" for f in warned)] or ["None."]


def _checks(night: Night) -> str:
    return "; ".join(f"{name}: {seen}" for name, _, seen in night.failed)[:300] or night.error


def _cell(f: Found | None) -> str:
    if f is None:
        return ""
    if not f.night.flagged:
        return "missed"
    return f"{LETTER[f.night.outcome]} {rank(f.defect, f.causes) or '–'}"


def _share(n: int, of: int) -> str:
    return f"{n / of:.1%} ({n})" if of else "none"
