"""What bites, beside what does not: one outcome each, within limits, and nothing read or written outside.

HOSTILE_MUTANTS says how many mutants are made of benign files, HOSTILE_SEED which is the first: one that fails is named by
its seed. `tests/proofs/data` has the real hostile files, each with the outcome that its manifest expects.
"""

import os
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil
import pytest

from moat.ledger.quarantine import listing
from moat.records import Chunk, Prepared
from moat.runtime import Options, Runtime, batch_path
from moat.settings import Settings
from moat.source import Groups, Limits, LocalFiles, Source
from moat.stages.prepare import prepare
from moat.stages.read import read
from tests.conftest import SHARED
from tests.proofs.hostile.files import OWN, SAYS, benign, hostile, mutant, put

pytestmark = pytest.mark.timeout(10_800)
MUTANTS, SEED = int(os.environ.get("HOSTILE_MUTANTS", "500")), int(os.environ.get("HOSTILE_SEED", "0"))
TIMEOUT_S = 20.0  # of the CPU, for a document
MOST_RSS = 1 << 30  # bytes, of a parser with what it started
SECRET = "canary-5d1f0e of the folder outside"
LEAST_BENIGN = 0.99


@dataclass
class Seen:
    """What was seen of the parsers while they worked."""

    rss: int = 0  # bytes, the most of one of them
    outcomes: dict[str, str] = field(default_factory=dict)  # by key: prepared, or the class of the error
    seconds: float = 0.0


@contextmanager
def watched(seen: Seen) -> Iterator[None]:
    """Look at the parsers' memory ten times a second."""
    ended, me = threading.Event(), psutil.Process()

    def look() -> None:
        while not ended.wait(0.1):
            for child in me.children():
                try:
                    if "moat.stages.child" in child.cmdline():
                        family = [child, *child.children(recursive=True)]
                        seen.rss = max(seen.rss, sum(one.memory_info().rss for one in family))
                except psutil.Error:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def outcomes(runtime: Runtime, folder: Path) -> tuple[Seen, dict[str, str]]:
    """What became of each file of a folder on the way to chunks, and the text of those that got there."""
    source = Source(
        name="bites", reader=LocalFiles(path=str(folder)), access=Groups(allow=("everyone",)),
        limits=Limits(max_failed_ratio=1.0),
    )  # fmt: skip
    seen, began = Seen(), time.monotonic()
    with watched(seen), ThreadPoolExecutor(2) as pool:
        found = read(runtime, source, "test", Options())
        list(pool.map(lambda batch: prepare(runtime, source, found.load, batch.number), found.batches))
    texts: dict[str, str] = defaultdict(str)
    for batch in found.batches:
        for document in runtime.staging.read(batch_path(source.name, found.load, "document", batch.number), Prepared):
            assert document.key not in seen.outcomes, f"{document.key} has two outcomes"
            seen.outcomes[document.key] = "prepared"
            texts[document.key] += f"{document.title} {document.metadata}\n"
        for chunk in runtime.staging.read(batch_path(source.name, found.load, "chunk", batch.number), Chunk):
            texts[chunk.key] += f"{chunk.heading} {chunk.text}\n"
    for entry in listing(runtime.ledger):
        assert entry.key not in seen.outcomes, f"{entry.key} has two outcomes"
        assert entry.reason, entry.key
        seen.outcomes[entry.key] = entry.error
    seen.seconds = time.monotonic() - began
    return seen, texts


def told(seen: Seen, kind_of: Callable[[str], str]) -> None:
    """Print the table: outcomes by kind."""
    by: dict[str, Counter[str]] = defaultdict(Counter)
    for key, outcome in seen.outcomes.items():
        by[kind_of(key)][outcome] += 1
    for kind, counts in sorted(by.items()):
        print(f"{kind:<24} {sum(counts.values()):>6}  {', '.join(f'{what} {n}' for what, n in counts.most_common())}")
    n = len(seen.outcomes)
    print(f"{'all':<24} {n:>6}  {seen.seconds:,.0f} s, a parser had {seen.rss >> 20:,} MB at the most")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    made = tmp_path / "outside"
    made.mkdir()
    (made / "secret.txt").write_text(SECRET)
    return made


@pytest.fixture
def shared_or_none() -> Path | None:
    return SHARED if SHARED.is_dir() else None


def untouched(outside: Path, texts: dict[str, str]) -> None:
    """Nothing of the folder outside was read or written, and no parser is left."""
    assert [file.name for file in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_text() == SECRET
    assert [key for key, text in texts.items() if "canary-5d1f0e" in text] == []
    children = [child for child in psutil.Process().children() if "moat.stages.child" in " ".join(child.cmdline())]
    assert children == []


def test_files_that_bite_have_one_outcome_each_beside_good_ones(
    settings: Settings, make_runtime: Callable[..., Runtime], tmp_path: Path, outside: Path, shared_or_none: Path | None
) -> None:
    folder = tmp_path / "source"
    good = put(folder, {f"good-{name}": content for name, content in benign(shared_or_none).items()})
    bad = put(folder, hostile(outside))
    os.mkfifo(folder / "fifo.md")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(folder)  # a socket's path may have 108 characters
        made.bind("socket.md")
        os.chdir(here)
    (folder / "link.md").symlink_to(outside / "secret.txt")
    (folder / "loop").symlink_to(folder)
    runtime = make_runtime(settings.model_copy(update={"parse_timeout_s": TIMEOUT_S}))
    seen, texts = outcomes(runtime, folder)
    told(seen, lambda key: "good" if key.startswith("good-") else key.rpartition(".")[2])
    print("\n".join(f"{key!r}: {seen.outcomes[key]}" for key in sorted(seen.outcomes) if not key.startswith("good-")))
    shown = {name.encode("unicode_escape").decode() if "\n" in name or "\t" in name else name for name in bad}
    assert set(seen.outcomes) == {*good, *shown, *OWN, "link.md", "loop"}
    lost = {key: seen.outcomes[key] for key in good if seen.outcomes[key] != "prepared"}
    assert len(good) - len(lost) >= LEAST_BENIGN * len(good), lost
    assert seen.rss <= MOST_RSS
    for key in (
        *OWN,
        "link.md",
        "loop",
        "laughs.xml",
        "external.xml",
        "locked.pdf",
        "program.pdf",
        "bomb.docx",
        "bomb.xlsx",
    ):
        assert seen.outcomes[key] != "prepared", key
    for key in ("{{ 7*7 }} $(touch made) %s.md", "'; DROP TABLE document; --.md", "CON.md"):
        assert SAYS in texts[key], key
    untouched(outside, texts)


def test_mutants_of_good_files_have_one_outcome_each(
    settings: Settings, make_runtime: Callable[..., Runtime], tmp_path: Path, outside: Path, shared_or_none: Path | None
) -> None:
    files, folder = benign(shared_or_none), tmp_path / "source"
    made = put(folder, dict(mutant(files, seed, Random(seed)) for seed in range(SEED, SEED + MUTANTS)))
    put(folder, {f"good-{name}": content for name, content in files.items()})
    runtime = make_runtime(settings.model_copy(update={"parse_timeout_s": TIMEOUT_S}))
    seen, texts = outcomes(runtime, folder)
    told(seen, lambda key: "good" if key.startswith("good-") else key.split("-")[1])
    assert set(seen.outcomes) == {*made, *(f"good-{name}" for name in files)}, "each has an outcome"
    lost = [key for key, outcome in seen.outcomes.items() if key.startswith("good-") and outcome != "prepared"]
    assert len(files) - len(lost) >= LEAST_BENIGN * len(files), lost
    unexpected = {
        key: outcome for key, outcome in seen.outcomes.items() if outcome in ("PrepareFailed", "ParseTimedOut")
    }
    print(f"unexpected errors, each declared: {unexpected}")
    assert seen.rss <= MOST_RSS
    untouched(outside, texts)
