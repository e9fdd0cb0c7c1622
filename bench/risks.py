"""How often content risks are found where there are none, where there are some, and what looking costs.

    .venv/bin/python -m bench.risks [--data FOLDER] [--seeds 50]

Clean text: the sample documents and pages of this project, and where the folder of test data is there, filings of
companies, abstracts, questions of programmers, and mails, of which only counts are told. A hit is split: `true` where
a rule other than the finder's says that it is what it is called, `other` where a person would have to look.
Found text is never printed.
"""

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bench.results import put, ran_on
from moat.parse.language import language_of
from moat.parse.sandbox import Sandbox
from moat.records import Block, Document, RawDocument
from moat.risks import injection, personal, secrets
from moat.settings import PROJECT, Settings
from moat.source import Risks
from moat.stages.cut import clean_and_judge
from tests.risks import made

TITLE = "content risks: false alarms, recall, cost"
SAID = re.compile(r"(?i)\b(?:tel|telephone|phone|fax|call|mobile|cell|hotline|number)\b")
KNOWN = Risks("allow", "allow", "allow", "allow")


def main(data: Path, seeds: int) -> None:
    corpora = [Corpus("samples of this project, parsed"), Corpus("pages of this project")]
    parse_s = parse_kb = 0.0
    with Sandbox(Settings.model_validate({})) as sandbox:
        sandbox.warm()
        started = time.monotonic()
        clean_and_judge(plain("warm", "Write to ann@gmail.com, https://ann:pw@example.com"), (), KNOWN)[0]
        warm_s = time.monotonic() - started
        for file in sorted((PROJECT / "include" / "samples").rglob("*.*")):
            if file.suffix in (".md", ".html", ".docx", ".pdf", ".txt", ".csv"):
                started = time.monotonic()
                content = file.read_bytes()
                document = sandbox.parse(
                    RawDocument(
                        key=file.name,
                        uri="",
                        name=file.name,
                        fingerprint="",
                        content=content,
                        content_hash="",
                        policy="",
                        access_version=0,
                    )
                )
                parse_s += time.monotonic() - started
                corpora[0].take(document)
    parse_kb = corpora[0].n_characters / 1024
    for page in sorted((PROJECT / "docs").rglob("*.md")):
        corpora[1].take(plain(page.name, page.read_text("utf-8")))
    for name, texts in SHARED.items():
        corpus = Corpus(name)
        for key, text in texts(data):
            corpus.take(plain(key, text))
        if corpus.n:
            corpora.append(corpus)
            print(f"{name}: {corpus.n:,} documents")
    lines = [
        "Documents, words, and hits by kind, as true by a second rule / other. Clean text is what people wrote in "
    ]
    lines[0] += "earnest: an address in it is an address, so only `other` may be false alarms."
    lines += [
        "",
        "| text | documents | words | hits, true / other | documents with `other`, of 1,000 | `other` per 100,000 words |",
    ]
    lines += ["| --- | ---: | ---: | --- | ---: | ---: |", *(corpus.row() for corpus in corpora), ""]
    lines += [f"Recall of {seeds:,} made examples a kind: {recall(seeds)}.", ""]
    looked = sum(c.seconds for c in corpora)
    n = sum(c.n_characters for c in corpora) / 1024
    lines += [
        f"Judging costs {1000 * looked / n:.2f} ms per KB of text over all of these, cleaning included; parsing the samples "
        f"{1000 * parse_s / parse_kb:.1f} ms per KB of text, judging the same {1000 * corpora[0].seconds / parse_kb:.2f}; "
        f"loading what it needs {warm_s:.1f} s, once a task that has a candidate; "
        f"telling the language {1000 * language_s(corpora):.1f} ms a document.",
        "",
        ran_on("presidio-analyzer", "detect-secrets", "langdetect", "spacy"),
    ]
    print("\n".join(lines))
    put(TITLE, "\n".join(lines))


@dataclass
class Corpus:
    """Some texts and what was found in them."""

    name: str
    n: int = 0
    n_words: int = 0
    n_characters: int = 0
    seconds: float = 0.0
    true: Counter[str] = field(default_factory=Counter)
    other: Counter[str] = field(default_factory=Counter)
    documents_with_other: int = 0
    some: list[str] = field(default_factory=list)

    def take(self, document: Document) -> None:
        text = "\n".join(b.text for b in document.blocks)
        started = time.monotonic()
        found = clean_and_judge(document, (), KNOWN)[0].found
        self.seconds += time.monotonic() - started
        self.n += 1
        self.n_words += len(text.split())
        self.n_characters += len(text)
        other = Counter({kind: n for kind, n in found.items() if n > 0})
        if found:
            true = Counter(f"{family}:{kind}" for family, kind in proved(document))
            self.true += true & other
            other -= true
        self.other += other
        self.documents_with_other += bool(other)
        if len(self.some) < 200:
            self.some.append(text)

    def row(self) -> str:
        kinds = sorted({*self.true, *self.other}, key=lambda kind: -(self.true[kind] + self.other[kind]))
        told = (
            ", ".join(f"{kind.partition(':')[2]} {self.true[kind]:,} / {self.other[kind]:,}" for kind in kinds)
            or "none"
        )
        per_document = 1000 * self.documents_with_other / self.n
        per_words = 100_000 * sum(self.other.values()) / self.n_words
        return f"| {self.name} | {self.n:,} | {self.n_words:,} | {told} | {per_document:.1f} | {per_words:.1f} |"


def proved(document: Document) -> Iterator[tuple[str, str]]:
    """Finds that a second rule confirms: an address with @ and a domain, a number that the words around call one."""
    for text in (document.title, *(b.text for b in document.blocks)):
        for one in personal.find(text):
            value, around = text[one.start : one.end], text[max(0, one.start - 80) : one.end + 60]
            match one.kind:
                case "EMAIL_ADDRESS" if re.fullmatch(r"[^@\s]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,24}", value):
                    yield "personal", one.kind
                case "PHONE_NUMBER" if value[0] in "+(" or SAID.search(around):
                    yield "personal", one.kind
                case "IP_ADDRESS" if re.search(r"(?i)\b(?:ip|host|server|address|from|by|\[)", around):
                    yield "personal", one.kind
        for one in secrets.find(text):
            if one.kind in ("PRIVATE_KEY", "JSON_WEB_TOKEN", "AWS_KEY"):
                yield "secrets", one.kind


def plain(key: str, text: str) -> Document:
    """A text as paragraphs."""
    blocks = tuple(Block(kind="text", text=part.strip()) for part in re.split(r"\n\s*\n", text) if part.strip())
    return Document(key=key, uri="", title=key, media_type="text/plain", blocks=blocks)


def filings(data: Path) -> Iterator[tuple[str, str]]:
    import pypdfium2

    for file in sorted((data / "sec10q" / "docs").glob("*.pdf")):
        for number, page in enumerate(pypdfium2.PdfDocument(file)):
            yield f"{file.name} {number}", page.get_textpage().get_text_range().replace("\r\n", "\n")


def abstracts(data: Path) -> Iterator[tuple[str, str]]:
    if (file := data / "scifact" / "corpus.jsonl").exists():
        for row in map(json.loads, file.open(encoding="utf-8")):
            yield row["_id"], row["text"]


def questions(data: Path) -> Iterator[tuple[str, str]]:
    if (file := data / "warehouse" / "so_airflow_v1.jsonl").exists():
        for row in map(json.loads, file.open(encoding="utf-8")):
            yield (
                str(row.get("id", row.get("question_id", ""))),
                "\n\n".join(v for v in row.values() if isinstance(v, str)),
            )


def mails(data: Path) -> Iterator[tuple[str, str]]:
    for file in sorted((data / "enron_acl" / "mail").rglob("*")):
        if file.is_file():
            yield file.name, file.read_bytes().decode("utf-8", "replace").partition("\n\n")[2]


SHARED: dict[str, Callable[[Path], Iterator[tuple[str, str]]]] = {
    "filings of companies (10-Q), pages": filings,
    "scientific abstracts": abstracts,
    "programmers' questions": questions,
    "business mails, counts only": mails,
}


def recall(seeds: int) -> str:
    """Found of what was made, by family, and the kinds of which some were missed."""
    told = []
    for family, find, texts in (
        ("personal data", personal.find, [made.personal(Random(seed)) for seed in range(seeds)]),
        (
            "secrets",
            secrets.find,
            [{k: made.sentence(k, s) for k, s in made.secrets(Random(i)).items()} for i in range(seeds)],
        ),
    ):
        missed = Counter(
            kind for one in texts for kind, text in one.items() if kind not in {f.kind for f in find(text)}
        )
        n = sum(map(len, texts))
        told.append(
            f"{family} {n - sum(missed.values()):,} of {n:,}" + (f" (missed: {dict(missed)})" if missed else "")
        )
    orders = [(kind, text) for kind, several in made.INJECTIONS.items() for text in several]
    n = sum(kind in {f.kind for f in injection.find(text)} for kind, text in orders)
    return ", ".join([*told, f"injections {n} of {len(orders)}, of which there is one text each"])


def language_s(corpora: list[Corpus]) -> float:
    texts = [text for corpus in corpora for text in corpus.some[:40]]
    language_of(texts)
    started = time.monotonic()
    for text in texts:
        language_of([text])
    return (time.monotonic() - started) / len(texts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=50)
    given = parser.parse_args()
    main(given.data, given.seeds)
