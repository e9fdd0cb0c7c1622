"""Texts as the chunker makes them of prose: the samples' sentences, shuffled, with other numbers in them."""

import csv
import random
import re

from moat.embedding.model import TokenCounter
from moat.records import embedded_text
from moat.settings import PROJECT

SAMPLES = PROJECT / "include" / "samples"
SHORTEST, LONGEST = 150, 250  # tokens that a chunk aims at


def texts_of(n: int, tokens: TokenCounter) -> list[tuple[str, str]]:
    """Headings and texts of `n` chunks, the same each time."""
    chance = random.Random(7)
    headings, sentences = list[str](), list[str]()
    for file in sorted(SAMPLES.rglob("*.md")):
        text = file.read_text("utf-8")
        headings += re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        sentences += re.findall(r"[A-Z][^.|#]{30,}\.", text)
    with (SAMPLES / "tickets.csv").open(encoding="utf-8", newline="") as tickets:
        for row in csv.DictReader(tickets):
            headings.append(row["subject"])
            sentences += re.findall(r"[A-Z][^.|#]{30,}\.", row["body"])
    made = list[tuple[str, str]]()
    for _ in range(n):
        heading, target, text = " › ".join(chance.sample(headings, 2)), chance.randint(SHORTEST, LONGEST), ""
        for sentence in chance.sample(sentences, len(sentences)):
            other = re.sub(r"\d", lambda _: str(chance.randint(0, 9)), sentence)
            longer = f"{text} {other}".strip()
            if tokens.count(embedded_text(heading, longer)) + tokens.special > target:
                break
            text = longer
        made.append((heading, text))
        tokens.forget()
    return made
