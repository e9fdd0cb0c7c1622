"""Checks what new documents are: pages in the place of documents, stand-ins, and letters that are no words.

A new document has no last version to stand beside, so only what is wrong by itself is looked for.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from moat.checks import moves
from moat.checks.candidate import Candidate
from moat.checks.changed_form import PLACEHOLDER, SHORT, WORD
from moat.checks.changed_text import STANDS_IN
from moat.checks.kinds import SHOWN, Kind, Of, Seen, judged
from moat.checks.sample import Lowest
from moat.ledger.checks import CheckResult
from moat.ledger.measures import PastMeasure
from moat.records import Chunk

MOST = 2_000  # new documents; of more, a sample
BEGINNING = 4_000  # characters of a document that are looked at
NEW = Of(documents="new documents", counted="arrived.looked", prefix="arrived")
KINDS = (
    Kind(name="placeholder", title="new placeholders", says="are a page that stands in the place of a document", rate=0.005),
    Kind(name="test data", title="new test data", says="are made of words such as lorem ipsum or John Doe", rate=0.005),
    Kind(name="no words", title="letters that are no words", says="have words that nobody could say", rate=0.005),
)  # fmt: skip
LOREM = frozenset(
    [
        "consectetur",
        "adipiscing",
        "adipisicing",
        "elit",
        "eiusmod",
        "tempor",
        "incididunt",
        "labore",
        "dolore",
        "magna",
        "aliqua",
        "enim",
        "minim",
        "veniam",
        "quis",
        "nostrud",
        "exercitation",
        "ullamco",
        "laboris",
        "nisi",
        "aliquip",
        "commodo",
        "consequat",
        "irure",
        "reprehenderit",
        "voluptate",
        "velit",
        "esse",
        "cillum",
        "fugiat",
        "nulla",
        "pariatur",
        "excepteur",
        "sint",
        "occaecat",
        "cupidatat",
        "proident",
        "culpa",
        "officia",
        "deserunt",
        "mollit",
        "anim",
        "laborum",
    ]
)
LEAST_LOREM = 0.2  # share of words
STAND_INS_EVERY = 40  # words to one that stands in for another
UNSAYABLE = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}")
SAID = re.compile(r"\b[A-Za-z]?[a-z]{4,}\b")  # words in letters that are looked at: no codes, no names of things
LEAST_SAID, LEAST_UNSAYABLE = 20, 0.15  # words, and the share of them; of natural languages it is below 0.03


def run(candidate: Candidate, past: Mapping[str, Sequence[PastMeasure]]) -> list[CheckResult]:
    """Look at the load's new documents, without those that only moved."""
    moved = set(moves.found(candidate).pairs.values())
    new = {p.key for p in candidate.plan() if p.what == "new"} - moved
    chosen = Lowest[str](MOST)
    for p in candidate.prepared() if new else ():
        if p.key in new:
            chosen.add(p.id, p.key)
    keys = set(chosen.values().values())
    seen: dict[str, dict[str, str]] = {}
    for p, chunks in candidate.whole() if keys else ():
        text = _beginning(chunks) if p.key in keys else ""
        if name := kind_of(text):
            seen.setdefault(name, {})[p.key] = text
    candidate.measured[NEW.counted] = len(keys)
    found = list[CheckResult]()
    for kind in KINDS:
        here = list(seen.get(kind.name, {}))
        if kind.name == "placeholder":
            here = _alike(seen.get(kind.name, {}))
        if here:
            candidate.measured[f"{NEW.prefix}:{kind.name}"] = len(here)
            candidate.behind[f"{NEW.prefix}:{kind.name}"] = tuple(here[:SHOWN])
            if result := judged(kind, Seen(here), len(keys), past, NEW):
                found.append(result)
    return found


def kind_of(text: str) -> str:
    """The name of the kind that a text is; empty for an ordinary one."""
    text = unicodedata.normalize("NFC", text)
    words = WORD.findall(text)
    if len(words) <= SHORT and PLACEHOLDER.search(text):
        return "placeholder"
    n_lorem = sum(word.lower() in LOREM for word in words)
    if words and (
        n_lorem >= LEAST_LOREM * len(words) or len(STANDS_IN.findall(text)) >= max(2, len(words) / STAND_INS_EVERY)
    ):
        return "test data"
    said = SAID.findall(text)
    if len(said) >= LEAST_SAID and sum(map(_unsayable, said)) >= LEAST_UNSAYABLE * len(said):
        return "no words"
    return ""


def _alike(texts: Mapping[str, str]) -> list[str]:
    """Keys of texts most of whose words the others have, too: one system wrote them, no person."""
    words = {key: set(WORD.findall(text.lower())) for key, text in texts.items()}
    common = Counter(word for found in words.values() for word in found)
    shared = {word for word, n in common.items() if n >= max(2, len(texts) / 2)}
    return [key for key, found in words.items() if 2 * len(found & shared) >= len(found)]


def _unsayable(word: str) -> bool:
    return UNSAYABLE.search(word.lower()) is not None


def _beginning(chunks: Iterable[Chunk]) -> str:
    text = ""
    for chunk in chunks:
        text += f"{chunk.heading}\n{chunk.text}\n"
        if len(text) >= BEGINNING:
            break
    return text[:BEGINNING]
