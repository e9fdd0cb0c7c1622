"""What `make run` needs of a machine, told before anything is installed.

    python3 before.py FOLDER [run]

It runs by the machine's own Python, whatever its version, so it imports nothing but the standard library. FOLDER is the
state folder; with `run` its ports are looked at too. Prints every problem at once, and ends with 1 if there is any.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

VERSIONS = ((3, 11), (3, 12))
PROGRAMS = ("weaviate-server-", "versitygw-")  # their files in bin/, from downloads or built by Go
GO = (1, 24)
RELEASES = "https://api.github.com/rate_limit"  # answers whoever can download a release
CONNECT_S = 5.0
PACKAGES_GB, BUILD_GB, STATE_GB = 9, 4, 1  # what .venv, building the programs, and the first loads take


def problems(folder: str, ports: bool, project: str = ".") -> list[str]:
    """What is missing, a sentence each with the way out."""
    found = [python(), place(project), writable(folder)]
    brought = all(_there(os.path.join(folder, "bin"), name) for name in PROGRAMS)
    if not brought:
        found.append(programs())
    installed = os.path.exists(os.path.join(project, ".venv", ".ready"))
    needed = STATE_GB + (0 if installed else PACKAGES_GB) + (0 if brought else BUILD_GB)
    found.append(disk(project, needed))
    if ports:
        found += taken(os.path.join(folder, "env"))
    return [one for one in found if one]


def python(version: tuple[int, ...] = sys.version_info[:2], has: bool | None = None) -> str:
    """Whether this Python can make the environment."""
    if tuple(version) not in VERSIONS:
        return "Moat needs Python 3.11 or 3.12, this is {}: `make run PYTHON=python3.11`".format(
            ".".join(map(str, version))
        )
    if not (importlib.util.find_spec("ensurepip") is not None if has is None else has):
        return "Python's venv is not installed: `apt install python3-venv`, or what your system calls it"
    return ""


def place(project: str) -> str:
    """Whether Airflow can be installed there: the migrations of its FAB provider read their own path as a format."""
    path = os.path.realpath(project)
    return (
        f"Airflow cannot be installed below {path}: move the project to a path without a percent sign"
        if "%" in path
        else ""
    )


def writable(folder: str) -> str:
    """Whether the state folder can be made and written."""
    there = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            return ""
    except OSError as error:
        return (
            f"the state folder {folder} cannot be written ({error.strerror}): make {there} writable, or name another one by "
            "`make run MOAT_HOME=/path`"
        )


def programs() -> str:
    """Whether Weaviate and the S3 server can be had: built by Go, or as releases."""
    go = shutil.which("go")
    if go is not None:
        said = subprocess.run([go, "version"], stdout=subprocess.PIPE, text=True, check=False).stdout
        match = re.search(r"go(\d+)\.(\d+)", said)
        if match and (int(match.group(1)), int(match.group(2))) >= GO:
            return ""
    try:
        urllib.request.urlopen(RELEASES, timeout=CONNECT_S).close()
    except urllib.error.HTTPError:
        return ""  # it answers, if only that there were too many requests
    except OSError as error:
        why = "Go is not installed" if go is None else "Go is older than {}.{}".format(*GO)
        return (
            f"Weaviate cannot be had: {why}, and releases on github.com are out of reach ({error}): install Go {GO[0]}.{GO[1]} "
            "or later, or open the network to github.com"
        )
    return ""


def disk(project: str, needed_gb: int) -> str:
    """Whether there is room for what will be installed."""
    free = shutil.disk_usage(project).free / 1e9
    if free >= needed_gb:
        return ""
    return f"the disk of {os.path.abspath(project)} has {free:.1f} GB free, {needed_gb} GB are needed: make room"


def taken(env: str) -> list[str]:
    """Ports of an earlier start that another program has now; none where this folder's own servers run."""
    if not os.path.exists(env) or _runs(os.path.join(os.path.dirname(env), "pid")):
        return []
    with open(env, encoding="utf-8") as file:
        settled = re.findall(r"^(MOAT_WEAVIATE_PORT|MOAT_WEAVIATE_GRPC_PORT|LOCAL_\w+_PORT)='?(\d+)", file.read(), re.M)
    return [
        f"port {port} ({name}) is taken by another program, or by one that a killed run left: end it, or delete the line "
        f"{name} from {env}, and a free port is taken"
        for name, port in settled
        if _listening(int(port))
    ]


def _there(folder: str, name: str) -> bool:
    return os.path.isdir(folder) and any(file.startswith(name) for file in os.listdir(folder))


def _nearest(folder: str) -> str:
    """The folder, or the nearest one above it that is there."""
    folder = os.path.abspath(folder)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _runs(pid: str) -> bool:
    """Whether a living process holds the state folder."""
    import fcntl

    try:
        with open(pid, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _listening(port: int) -> bool:
    with socket.socket() as s:
        s.settimeout(1.0)
        return s.connect_ex(("127.0.0.1", port)) == 0


def main(arguments: list[str]) -> int:
    """Print what is missing; 1 if anything is."""
    found = problems(arguments[0], "run" in arguments[1:])
    for one in found:
        sys.stderr.write(f"missing: {one}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
