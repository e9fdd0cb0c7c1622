"""What reading every change costs a nightly run: CPU seconds with the comparison of changed documents and without.

    .venv/bin/python -m bench.changes [--documents 300] [--changed 30] [--nights 12]

A folder of documents with tables goes the whole way on a Weaviate, a ledger and an embedder of its own. Each night a tenth
of the documents is edited by one sentence and one number; nights with the comparison and nights without it take turns
in one run, so what else the machine does meets both alike. CPU seconds are of the whole: this process, the children that
read documents, the embedder and the index. Without it, the family of checks is replaced by one that looks at nothing.
Nights without a change follow. What the comparison keeps in the ledger is counted in the rows that it writes.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from unittest.mock import patch

import psutil
from sqlalchemy import select

from bench.results import put, ran_on
from bench.texts import texts_of
from moat.checks import changes
from moat.checks.candidate import Candidate
from moat.connections import EnvironmentConnections
from moat.embedding.model import TokenCounter
from moat.ledger import Ledger
from moat.ledger.checks import CheckResult
from moat.ledger.tables import check_result, measure, past_content
from moat.local import servers
from moat.local.binaries import WEAVIATE, program
from moat.runtime import Options, Runtime
from moat.settings import PROJECT, Settings
from moat.source import AccessFiles, Limits, LocalFiles, Source
from moat.stages.run import run
from moat.staging import Staging

TITLE = "changes: what it costs to read every change"
CHUNKS_EACH = 4  # of a document
WARM = 2  # nights before the first that counts


def main(n_documents: int, n_changed: int, n_nights: int) -> None:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="moat-bench-")))
        settings, pids = stack.enter_context(_servers(home))
        Ledger(settings.ledger, settings.tenant).migrate()
        runtime = Runtime(
            settings=settings,
            ledger=Ledger.open(settings),
            staging=Staging(settings.staging),
            connections=EnvironmentConnections(),
            progress=lambda line: None,
        )
        stack.callback(runtime.close)
        folder = home / "docs"
        texts = _documents(folder, n_documents, settings)
        source = Source(
            name="docs",
            reader=LocalFiles(path=str(folder)),
            access=AccessFiles(),
            limits=Limits(max_vanished_ratio=0.9),
        )
        dice = Random(5)

        inside, compare = list[float](), changes.run

        def timed(candidate: Candidate) -> list[CheckResult]:
            started = time.process_time()
            found = compare(candidate)
            inside.append(time.process_time() - started)
            return found

        def night(n: int, with_it: bool) -> float:
            _edit(folder, texts, dice, n)
            before = _cpu_s(pids)
            with ExitStack() as off:
                off.enter_context(patch.object(changes, "run", timed if with_it else lambda candidate: []))
                result = run(runtime, source, Options(), "bench")
            assert result.passed, result
            took = _cpu_s(pids) - before
            told = [check.name for check in result.verdict.failed] if result.verdict else []
            print(
                f"{n} changed, comparison {'on' if with_it else 'off'}: {took:.2f} s of CPU; told: {told}", flush=True
            )
            return took

        night(0, True)  # the first load
        for _ in range(WARM):
            night(n_changed, True)
        seconds: dict[tuple[int, bool], list[float]] = {}
        for number in range(2 * n_nights):
            with_it = number % 4 in (0, 3)
            seconds.setdefault((n_changed, with_it), []).append(night(n_changed, with_it))
        for number in range(n_nights):
            seconds.setdefault((0, number % 2 == 0), []).append(night(0, number % 2 == 0))
        runtime.ledger.scrub()
        kept = _kept_bytes(runtime.ledger) / (n_changed * (WARM + n_nights))
    lines = [
        f"| {n_documents} documents, a night with | with the comparison | without it | ratio |",
        "|---|---:|---:|---:|",
    ]
    for n in (n_changed, 0):
        on, off = seconds[n, True], seconds[n, False]
        told = " | ".join(f"{min(some):.2f} to {max(some):.2f}" for some in (on, off))
        lines.append(f"| {n} changed | {told} | {min(on) / min(off):.2f} |")
    taken, night_s = inside[1 + WARM :], min(seconds[n_changed, False])
    lines += [
        "",
        f"CPU seconds of {n_nights} nights each, and the ratio of the least; where the nights of one kind differ by more than "
        "the two kinds do, it says nothing. Counted inside it, by the clock of its process, the comparison took "
        f"{median(taken):.2f} ({min(taken):.2f} to {max(taken):.2f}), {median(taken) / night_s:.1%} of the least night "
        f"without it. In the ledger it keeps {kept:,.0f} bytes a changed document and night: results, measures, and the "
        "digest of the content before.",
        "",
        ran_on("weaviate-client"),
    ]
    print("\n".join(lines))
    put(TITLE, "\n".join(lines))


@contextmanager
def _servers(home: Path) -> Iterator[tuple[Settings, list[int]]]:
    """Settings that lead to a Weaviate and an embedder of their own, and the servers' process ids."""
    keys, ports = servers.WeaviateKeys.new(), servers.free_ports(3)
    settings = Settings.model_validate(
        {
            "home": home / "home",
            "weaviate_port": ports[0],
            "weaviate_grpc_port": ports[1],
            "weaviate_operator_key": keys.operator,
            "weaviate_writer_key": keys.writer,
            "weaviate_reader_key": keys.reader,
            "embedder_port": ports[2],
        }
    )
    env = {"MOAT_HOME": str(settings.home), "MOAT_EMBEDDER_PORT": str(ports[2])}
    binary = program(WEAVIATE, PROJECT / ".moat" / "bin", print)
    index = servers.weaviate(binary, home / "weaviate", ports[0], ports[1], keys)
    with servers.running(index, embedder := servers.embedder(settings, Path(sys.executable), env)):
        yield settings, [index.process.pid, embedder.process.pid]


def _cpu_s(pids: list[int]) -> float:
    """CPU seconds of this process, of its children and of the servers, those that ended among them."""
    own = sum(os.times()[:4])
    running = [*psutil.Process().children(recursive=True)]
    known = {process.pid for process in running}
    for pid in pids:
        if pid not in known:
            running += [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return own + sum(sum(process.cpu_times()[:2]) for process in running)


def _documents(folder: Path, n: int, settings: Settings) -> dict[str, str]:
    """Documents of a few headings with text, and a table in every third."""
    folder.mkdir()
    (folder / ".access.yaml").write_text("public: true\n")
    made, dice = {}, Random(3)
    pieces = texts_of(n * CHUNKS_EACH, TokenCounter.of(settings.model))
    for number in range(n):
        parts = [f"# Paper {number}"]
        for heading, text in pieces[number * CHUNKS_EACH : (number + 1) * CHUNKS_EACH]:
            parts.append(f"## {heading.partition(' › ')[2]}\n\n{text}")
        if number % 3 == 0:
            rows = "\n".join(f"| part {n} | {dice.randint(2, 900)} | {dice.randint(2, 90)}.50 |" for n in range(12))
            parts.append(f"| part | pieces | price |\n|---|---|---|\n{rows}")
        made[f"{number}.md"] = "\n\n".join(parts) + "\n"
        (folder / f"{number}.md").write_text(made[f"{number}.md"])
    return made


def _edit(folder: Path, texts: dict[str, str], dice: Random, n: int) -> None:
    """One more sentence and another number in so many documents."""
    for key in dice.sample(sorted(texts), n):
        paragraphs = texts[key].split("\n\n")
        at = next(i for i, text in enumerate(paragraphs) if len(text) > 200)
        paragraphs[at] += f" Whoever asks for paper {dice.randint(100, 999)} waits until the {dice.randint(2, 28)}th."
        texts[key] = "\n\n".join(paragraphs)
        (folder / key).write_text(texts[key])


def _kept_bytes(ledger: Ledger) -> int:
    """Bytes of the values that the comparison keeps."""
    queries: list[Callable[[], Any]] = [
        lambda: select(check_result).where(check_result.c.family == "changes"),
        lambda: select(measure).where(measure.c.family == "changes"),
        lambda: select(past_content),
    ]
    with ledger.read() as connection:
        return sum(sum(len(str(value)) for value in row) for query in queries for row in connection.execute(query()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--changed", type=int, default=30)
    parser.add_argument("--nights", type=int, default=12)
    given = parser.parse_args()
    main(given.documents, given.changed, given.nights)
