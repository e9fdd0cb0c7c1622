"""A few documents, and one change of each kind: the world before a run that is struck, and after it."""

from collections.abc import Callable

from moat.readers.s3_objects import S3Objects
from moat.source import AccessFiles, Limits, LocalFiles, Source

ANN, HUGO = "user:ann@example.com", "user:hugo@example.com"  # everyone; the people team too
GROUPS = {"group:everyone": [ANN, "group:people"], "group:people": [HUGO]}
QUESTIONS = ("How long is parental leave?", "What does a crane driver earn?")
NAME = "docs"

LEAVE = "# Leave\n\nParental leave lasts twenty weeks.\n\n## Sick days\n\nCall before nine in the morning.\n"
BEFORE: dict[str, bytes] = {
    ".access.yaml": b"allow: [group:everyone]\n",
    "people/.access.yaml": b"allow: [group:people]\n",
    "yard/.access.yaml": b"allow: [group:everyone]\n",
    "leave.md": LEAVE.encode(),
    "trips.md": b"# Trips\n\nTake the train for journeys under five hours.\n",
    "people/pay.md": b"# Pay\n\nA crane driver earns four thousand a month.\n",
    "yard/cranes.md": b"# Cranes\n\nThe yard has three cranes, and each is inspected in spring.\n",
    "yard/tides.csv": b"port,high,low\nHamburg,03:10,09:40\nBremen,02:50,09:15\n",
    "stays.md": b"# Canteen\n\nSoup is served from eleven, and bread is baked at six.\n",
}
AFTER: dict[str, bytes] = {  # changed, removed, new, of other readers, and one that no parser reads
    **{key: content for key, content in BEFORE.items() if key != "trips.md"},
    "leave.md": LEAVE.replace("twenty", "thirty").encode(),
    "yard/.access.yaml": b"allow: [group:people]\n",
    "new.md": b"# Bicycles\n\nBicycles stand behind hall two.\n\n## Repair\n\nThe workshop opens on Mondays.\n",
    "people/plan.md": b"# Plan\n\nNext year the people team hires two drivers.\n",
    "broken.md": b"\x7fELF\x02\x01\x01",
}
CANARIES = (  # of texts and of readers: no line, error, incident or metric may hold one
    *(
        "leave lasts",
        "nine in the morning",
        "train for journeys",
        "driver earns",
        "inspected in spring",
        "behind hall two",
    ),
    *("02:50", "baked at six", "hires two drivers", "ann@example.com", "hugo@example.com", "group:people"),
)
QUARANTINED = {"broken.md"}
DOCUMENTS = {key for key in AFTER if not key.endswith(".access.yaml")}


def source(reader: LocalFiles | S3Objects) -> Source:
    limits = Limits(max_vanished_ratio=0.9, max_failed_ratio=1.0)
    return Source(name=NAME, reader=reader, access=AccessFiles(), limits=limits)


def bring(put: Callable[[str, bytes], None], remove: Callable[[str], None], state: dict[str, bytes]) -> None:
    """Make a place hold exactly a state, from whichever of the two it has."""
    for key in {*BEFORE, *AFTER} - state.keys():
        remove(key)
    for key, content in state.items():
        put(key, content)
