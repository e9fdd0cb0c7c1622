"""A document's time is what its processes worked: a busy machine loses none, a loop and a standstill end."""

import subprocess
import sys
import time
from pathlib import Path

from moat.parse import progress
from moat.parse.confine import kill_descendants
from moat.parse.watch import Watch

SLOW = """
import time
while True:
    ends = time.process_time() + 0.03
    while time.process_time() < ends:
        pass
    time.sleep(0.3)
"""
BELOW = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"


def why(code: str, seconds: float, limit_s: float = 0.6) -> str:
    """Why a process of this code was ended within some seconds; empty if it was not."""
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        time.sleep(0.3)  # its start
        watch = Watch(process.pid, limit_s, lambda: None)
        deadline = time.monotonic() + seconds
        while not watch.why and time.monotonic() < deadline:
            time.sleep(0.05)
        watch.end()
        kill_descendants(process.pid)
        process.kill()
    return watch.why


def test_only_what_works_or_stands_still_too_long_is_ended() -> None:
    assert why(SLOW, 4, limit_s=3) == "", "it took long by the clock, on a machine that was busy with other things"
    assert why("while True: pass", 60).startswith("it took longer than MOAT_PARSE_TIMEOUT_S, 0.6 s of CPU")
    assert "of CPU" in why(BELOW, 60), "what it started counts"
    assert "of which it worked 0" in why("import time; time.sleep(300)", 60)


def test_how_far_a_document_came_is_taken_from_its_child_with_care(tmp_path: Path) -> None:
    file = tmp_path / progress.NAME
    assert progress.left_by(str(tmp_path)) == ""
    file.write_text("page 12 of 337")
    assert progress.left_by(str(tmp_path)) == "page 12 of 337"
    for odd in ("page 1 of 2\n", "the password is x", "page 1 of 99999999"):
        file.write_text(odd)
        assert progress.left_by(str(tmp_path)) == ""
    (tmp_path / "elsewhere").write_text("page 1 of 2")
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    assert progress.left_by(str(tmp_path)) == ""
    progress.forget(str(tmp_path))
    assert not file.is_symlink()
    progress.reached("page", 1, 2)
    assert not file.exists(), "only a child notes it"
