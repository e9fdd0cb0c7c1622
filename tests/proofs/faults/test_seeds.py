"""The first seeds of the fault runner: each kind of fault once, and some of them at more moments."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from moat.settings import PROJECT

SEEDS = 60


@pytest.mark.timeout(7_200)
def test_whatever_is_broken_nothing_is_lost_and_the_end_is_that_of_a_calm_run(binaries: Path) -> None:
    paths = os.pathsep.join((str(PROJECT / "include"), str(PROJECT)))
    command = [sys.executable, "-m", "tests.proofs.faults", "--seeds", str(SEEDS)]
    done = subprocess.run(command, cwd=PROJECT, env={**os.environ, "PYTHONPATH": paths}, check=False)
    assert done.returncode == 0, "the lines above name the seeds that fail, with the command that repeats each"
