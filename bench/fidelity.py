"""How much of each format's text is kept, beside plain unstructured on the same files.

    .venv/bin/python -m bench.fidelity [--data FOLDER] [--only SUFFIX] [--check]

Every file of the test data's `words`, `formats`, `crossformat` and `sec10q`, and of the samples. The measure is the
second road to a document's words (`moat.parse.words`). Words of a hidden or left-out block count as kept by Moat, since
they are declared. A table writes bench/FIDELITY.md.
"""

import argparse
import contextlib
import multiprocessing
import os
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.results import put, ran_on
from moat.parse.blocks import use_installed_weights
from moat.parse.kinds import kind_of
from moat.settings import PROJECT

FOLDERS = ("words", "formats", "crossformat", "sec10q")
NO_DOCUMENTS = {".yaml", ".sql", ".py"}
ABOUT = {".json", ".jsonl"}  # beside the documents: what is expected of them
REACH = 0.995
ORDER = 0.98
LONGEST = 60_000  # words of which the order is compared
TITLE = "fidelity: what each format keeps"


@dataclass
class Kept:
    """Sums of one tool on the files of one format."""

    files: int = 0
    failed: int = 0
    cpu_s: float = 0.0
    pages: int = 0
    words: int = 0
    kept: int = 0
    given: int = 0
    true: int = 0
    in_order: int = 0
    ordered: int = 0
    rows: int = 0
    rows_kept: int = 0
    headings: int = 0
    headings_kept: int = 0
    worst: list[tuple[float, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Text:
    """What a tool made of a document."""

    declared: str  # all that is loaded, hidden or left out
    loaded: str
    lines: tuple[str, ...]  # of tables
    headings: tuple[str, ...]
    pages: int
    cpu_s: float


def by_moat(content: bytes, name: str) -> Text:
    """Parse a document as Moat does."""
    from moat.parse.formats import parse_bytes
    from moat.parse.options import Parsing

    started = time.process_time()
    blocks, title = parse_bytes(content, name, Parsing(), 64 << 20)[1]
    cpu_s = time.process_time() - started
    loaded = [b for b in blocks if not b.left_out and not b.hidden]
    return Text(
        declared="\n".join([title or "", *(b.text for b in blocks)]),
        loaded="\n".join(b.text for b in loaded),
        lines=tuple(line for b in loaded if b.kind == "table" for line in b.text.split("\n")),
        headings=tuple(b.text for b in loaded if b.kind == "heading"),
        pages=max((b.page or 0 for b in blocks), default=0) or 1,
        cpu_s=cpu_s,
    )


def by_unstructured(content: bytes, name: str) -> Text:
    """Parse a document by unstructured's own choice of partitioner, with its fast strategy."""
    import io

    from unstructured.partition.auto import partition

    started = time.process_time()
    elements = partition(file=io.BytesIO(content), metadata_filename=name, strategy="fast", languages=[""])
    cpu_s = time.process_time() - started
    text = "\n".join(e.text or "" for e in elements)
    return Text(
        declared=text,
        loaded=text,
        lines=tuple(
            row for e in elements if e.category == "Table" for row in _html_rows(e.metadata.text_as_html or "")
        ),
        headings=tuple(e.text for e in elements if e.category == "Title"),
        pages=max((e.metadata.page_number or 0 for e in elements), default=0) or 1,
        cpu_s=cpu_s,
    )


TOOLS = {"Moat": by_moat, "unstructured": by_unstructured}


def _html_rows(markup: str) -> Iterator[str]:
    import lxml.html

    if markup.strip():
        for row in lxml.html.fragment_fromstring(markup, create_parent="div").iter("tr"):
            yield " ".join(" ".join(row.itertext()).split())


def structure(content: bytes, kind: str) -> tuple[list[Counter[str]], list[str]]:
    """Rows of tables as counts of words, and headings, by the format's own marks."""
    import io
    import re

    import lxml.html

    from moat.parse.encoding import decode
    from moat.parse.words import count

    if kind == "html":
        tree = lxml.html.document_fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", decode(content, markup=True)))
        rows = [" ".join(row.itertext()) for row in tree.iter("tr") if len(row) > 1 and not row.findall(".//table")]
        heads = [" ".join(e.itertext()) for e in tree.iter("h1", "h2", "h3", "h4", "h5", "h6")]
        return [count(row) for row in rows], heads
    if kind == "docx":
        import docx

        document = docx.Document(io.BytesIO(content))
        rows = [
            " ".join(c.text for c in row.cells) for table in document.tables for row in table.rows if len(row.cells) > 1
        ]
        heads = [p.text for p in document.paragraphs if ((p.style and p.style.name) or "").startswith("Heading")]
        return [Counter(set(count(row))) for row in rows], heads
    if kind == "md":
        text = decode(content)
        return [count(row) for row in re.findall(r"^\|(.*[^-|: \n].*)\|\s*$", text, re.M)], re.findall(
            r"^#+ (.+)$", text, re.M
        )
    if kind == "pdf":
        import pypdfium2

        document = pypdfium2.PdfDocument(content)
        heads = [entry.get_title() for entry in document.get_toc()]
        document.close()
        return [], heads
    return [], []


def _measure(path: str, tools: Sequence[str]) -> dict[str, Text | str]:
    """Parse one file with some tools; a tool's error is its text."""
    use_installed_weights()
    content, found = Path(path).read_bytes(), dict[str, Text | str]()
    for name in tools:
        tool = TOOLS[name]
        try:
            tool(b"warm", "warm.txt")
            with contextlib.redirect_stdout(sys.stderr):
                found[name] = tool(content, Path(path).name)
        except Exception as error:  # noqa: BLE001  whatever a tool raises is its result on this file
            found[name] = f"{type(error).__name__}: {error}"
    return found


def _add(
    kept: Kept, text: Text, second: tuple[str, str], marks: tuple[list[Counter[str]], list[str]], name: str
) -> None:
    from rapidfuzz.distance import LCSseq

    from moat.parse.words import count, words_in

    source, beside = words_in(second[0]), set(words_in(second[1]))
    there, declared, loaded = Counter(source), count(text.declared), words_in(text.loaded)
    missing = (there - declared).total()
    kept.words += len(source)
    kept.kept += len(source) - missing
    kept.given += len(loaded)
    kept.true += sum(word in there or word in beside for word in loaded)
    if len(source) <= LONGEST:
        kept.ordered += len(source)
        kept.in_order += LCSseq.similarity(source, words_in(text.declared))
    lines = [count(line) for line in text.lines]
    kept.rows += len(marks[0])
    kept.rows_kept += sum(any(row <= line for line in lines) for row in marks[0])
    given = {" ".join(words_in(h)) for h in text.headings}
    kept.headings += len(marks[1])
    kept.headings_kept += sum(any(" ".join(words_in(h)) in g for g in given) for h in marks[1])
    kept.cpu_s, kept.pages, kept.files = kept.cpu_s + text.cpu_s, kept.pages + text.pages, kept.files + 1
    if source:
        kept.worst.append((1 - missing / len(source), name))


def files_of(data: Path, only: str) -> Iterator[Path]:
    """Documents to measure, in a fixed order."""
    for folder in (*(data / name for name in FOLDERS), PROJECT / "include" / "samples"):
        for path in sorted(folder.rglob("*")):
            skipped = {*NO_DOCUMENTS, *(() if folder.name == "words" else ABOUT)}
            if path.is_file() and path.suffix.endswith(only) and path.suffix not in skipped and path.name != "CASES.md":
                yield path


def main(data: Path, only: str, check: bool) -> int:
    """Measure every file, print the table, and keep it in FIDELITY.md. Returns 1 where a format falls short."""
    from moat.errors import ParseFailed
    from moat.parse.words import DAMAGED, second_road

    tools = ["Moat"] if check else list(TOOLS)
    tables: dict[str, dict[str, Kept]] = defaultdict(lambda: {name: Kept() for name in tools})
    skipped = list[str]()
    paths = list(files_of(data, only))
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=40) as pool:
        for number, (path, found) in enumerate(
            zip(paths, pool.imap(partial(_measure, tools=tools), map(str, paths)), strict=True), 1
        ):
            print(f"\r{number} of {len(paths)}: {path.name[:60]:<60}", end="", file=sys.stderr, flush=True)
            content = path.read_bytes()
            try:
                kind = kind_of(content, path.name)
                second = second_road(content, kind)
                marks = structure(content, kind)
            except (*DAMAGED, ParseFailed):
                second = None
            if second is None:
                skipped.append(path.name)
                continue
            for name, text in found.items():
                if isinstance(text, str):
                    tables[kind][name].failed += 1
                    tables[kind][name].worst.append((0.0, f"{path.name}: {text[:80]}"))
                else:
                    _add(tables[kind][name], text, second, marks, path.name)
    print(file=sys.stderr)
    body, short = report(tables, skipped)
    print(body)
    if not only and not check:
        put(TITLE, body, Path(__file__).with_name("FIDELITY.md"))
    return 1 if short else 0


def report(tables: dict[str, dict[str, Kept]], skipped: Sequence[str]) -> tuple[str, list[str]]:
    """Format the table, and name the formats that fall short of the reach."""
    lines = [
        "| format | files | tool | recall | precision | order | table rows | headings | CPU ms a page | failed |",
        "|" + "---|" * 10,
    ]
    short = list[str]()
    for kind, tools in sorted(tables.items()):
        for name, k in tools.items():
            recall, precision, order = _share(k.kept, k.words), _share(k.true, k.given), _share(k.in_order, k.ordered)
            lines.append(
                f"| {kind} | {k.files} | {name} | {recall:.4f} | {precision:.4f} | {order:.4f} | {_of(k.rows_kept, k.rows)} "
                f"| {_of(k.headings_kept, k.headings)} | {1000 * k.cpu_s / max(1, k.pages):.0f} | {k.failed or ''} |"
            )
            if name == "Moat" and (min(recall, precision) < REACH or order < ORDER):
                short.append(kind)
    worst = sorted(
        (share, kind, name) for kind, tools in tables.items() for share, name in tools["Moat"].worst if share < REACH
    )
    lines += ["", f"Below the reach (recall and precision {REACH}, order {ORDER}): {', '.join(short) or 'none'}.", ""]
    lines += [f"- {kind} {name}: recall {share:.4f}" for share, kind, name in worst[:20]]
    lines += [
        "",
        f"No second road: {', '.join(sorted(skipped)) or 'none'}.",
        "",
        ran_on("unstructured", "pypdfium2", "lxml", "openpyxl"),
    ]
    return "\n".join(lines), short


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole}" if whole else ""


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("SHARED_DATA", PROJECT.parent / "shared" / "data"))
    )
    parser.add_argument("--only", default="", help="files of this suffix only, such as .docx; nothing is written")
    parser.add_argument("--check", action="store_true", help="Moat alone, against its reach; nothing is written")
    given = parser.parse_args()
    if given.check and not given.data.is_dir():
        print(f"skipped: {given.data} is not there (test data that is not shipped)")
        sys.exit(0)
    sys.exit(main(given.data, given.only, given.check))
