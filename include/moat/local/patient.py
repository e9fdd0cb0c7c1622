"""Run a command that may be silent for minutes, with a line every ten seconds.

python3 patient.py WHAT COMMAND ...    # prints "WHAT", then "WHAT: 10 s", and the command's own lines

It runs before anything is installed, so it imports nothing but the standard library.
"""

from __future__ import annotations

import subprocess
import sys
import time

EVERY_S = 9.0


def main(what: str, command: list[str], every_s: float = EVERY_S) -> int:
    """Run the command; its exit status."""
    began = time.monotonic()
    _say(what)
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait(every_s)
        except subprocess.TimeoutExpired:
            _say(f"{what}: {time.monotonic() - began:.0f} s")
        except KeyboardInterrupt:  # the command has it too
            process.wait()
            return 130


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
