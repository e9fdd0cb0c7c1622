"""A run needs no network but loopback, and tries none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from moat.local import confined
from moat.settings import PROJECT

PROGRAM = """
import sys
from pathlib import Path
from moat.local import confined
confined.confine()
from tests.proofs.faults.sealed import main
main(Path(sys.argv[1]))
"""


@pytest.mark.timeout(900)
def test_a_whole_run_connects_to_nothing_beyond_this_machine(tmp_path: Path, binaries: Path) -> None:
    if not confined.possible():
        pytest.skip("this machine allows no network namespace of a process's own")
    paths = os.pathsep.join((str(PROJECT / "include"), str(PROJECT)))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["control"] >= 1, "an attempt would be seen"
    assert (found["state"], found["tried"]) == ("promoted", 0)
    assert found["hits"] > 0
