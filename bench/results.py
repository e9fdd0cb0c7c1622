"""RESULTS.md: one section a benchmark, replaced as a whole when its benchmark runs again."""

import datetime
import importlib.metadata
import os
import platform
import re
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = (
    "# Measured\n\nEach section is written by its benchmark. Ratios travel from machine to machine, figures do not.\n"
)


def put(title: str, body: str, file: Path = RESULTS) -> None:
    """Write the section of this title; the other sections stay as they are."""
    head, *sections = re.split(r"^(?=## )", file.read_text("utf-8") if file.exists() else HEAD, flags=re.MULTILINE)
    section = f"## {title}\n\n{body.strip()}\n"
    others = [s.strip() + "\n" for s in sections if s.splitlines()[0] != f"## {title}"]
    file.write_text("\n".join([head.strip() + "\n", *sorted([*others, section])]), "utf-8")


def in_a_folder(measured: Callable[[Path], str]) -> str:
    """Print and return the report of what is measured in a folder that goes in the end, with its servers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that they go then, too
    with tempfile.TemporaryDirectory(prefix="moat-bench-", ignore_cleanup_errors=True) as home:
        report = measured(Path(home))
    print(f"\n{report}")
    return report


def ran_on(*packages: str) -> str:
    """What it ran on, in one sentence: processor, memory, Python, the versions of some packages, the day."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory_gb:.0f} GiB; Python {platform.python_version()}, {versions}; "
        f"{datetime.date.today():%Y-%m-%d}."
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", info.read_text("utf-8"), re.MULTILINE) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
