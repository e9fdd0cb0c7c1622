"""Finds the resident embedder of this machine, and starts it where none runs."""

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from moat.embedding.address import Address, address_of
from moat.errors import EmbedderUnavailable, ModelError
from moat.loopback import is_loopback
from moat.settings import Settings, private_folder

STARTING_S = 300.0  # most of it is importing torch on a busy machine
_started: list[subprocess.Popen[bytes]] = []  # started by this process and left running


def ensure_running(settings: Settings) -> Address:
    """Return the address of the embedder of these settings, starting it if none runs here.

    Raises ModelError if it serves another model, EmbedderUnavailable if it does not start, SettingsError for an
    address beyond this machine without a key.
    """
    address = address_of(settings)
    if serves(address, settings):
        return address
    if not is_loopback(settings.embedder_host):
        raise EmbedderUnavailable(f"no embedder answers at {address.shown}; start `moat embedder` there")
    private_folder(settings.home)
    with _locked(settings):
        if serves(address, settings):
            return address
        log = settings.home / "logs" / "embedder.log"
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.touch(0o600)
        with log.open("ab") as out:
            # A session of its own and no inherited files, so that it outlives the task that starts it.
            _started.append(
                child := subprocess.Popen(
                    [sys.executable, "-m", "moat.embedding.server"],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                    close_fds=True,
                    umask=0o077,
                    env={**os.environ, "MOAT_HOME": str(settings.home)},
                )
            )
        deadline = time.monotonic() + STARTING_S
        while time.monotonic() < deadline and child.poll() is None:
            if serves(address, settings):
                return address
            time.sleep(0.2)
        if child.poll() is None:
            child.kill()
        tail = log.read_text(errors="replace").strip().splitlines()[-3:]
        raise EmbedderUnavailable(
            f"the embedder did not start at {address.shown}: {' / '.join(tail) or 'no word in its log'}; see {log}"
        )


def serves(address: Address, settings: Settings) -> bool:
    """Whether an embedder answers. Raises ModelError if it serves another model, EmbedderUnavailable for a stranger."""
    with address.client(httpx.Timeout(10.0)) as http:  # refuses a stranger's socket before anything connects
        if address.socket is not None and not _listens(address.socket):
            return False
        try:
            answer = http.get("/health")
        except httpx.TransportError:
            return False
    try:
        body = answer.json() if answer.is_success else {}
    except ValueError:
        body = {}
    if not isinstance(body, dict) or "model" not in body:
        raise EmbedderUnavailable(
            f"something else than an embedder answers at {address.shown}: end it, or set MOAT_EMBEDDER_PORT to a free port"
        )
    if body["model"] != settings.model:
        raise ModelError(
            f"the embedder at {address.shown} serves {body['model']}, MOAT_MODEL is {settings.model}: stop it, or set MOAT_EMBEDDER_PORT to another port"
        )
    return True


def _listens(path: Path) -> bool:
    """Whether anybody takes a connection at a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(str(path))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """Let one process at a time start the embedder of this state folder."""
    file = settings.home / "embedder.lock"
    file.touch(0o600)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
